package kernel

import "math"

// maxAsm bounds the elements one call of an assembly routine handles: it cannot
// be preempted, so each call is kept to some microseconds.
const maxAsm = 16 << 10

// Dot returns the sum of x[i]*y[i] over the whole of x. It panics if y is
// shorter than x.
func Dot(x, y []float32) float32 {
	if len(y) < len(x) {
		panic("kernel: Dot: y is shorter than x")
	}
	var sum float32
	for len(x) > maxAsm {
		sum += dot(x[:maxAsm], y[:maxAsm])
		x, y = x[maxAsm:], y[maxAsm:]
	}
	return sum + dot(x, y[:len(x)])
}

// Axpy adds a*x[i] to y[i] over the whole of x. It panics if y is shorter than
// x.
func Axpy(a float32, x, y []float32) {
	if len(y) < len(x) {
		panic("kernel: Axpy: y is shorter than x")
	}
	for len(x) > maxAsm {
		axpy(a, x[:maxAsm], y[:maxAsm])
		x, y = x[maxAsm:], y[maxAsm:]
	}
	axpy(a, x, y[:len(x)])
}

// Add adds x[i] to y[i] over the whole of x. It panics if y is shorter than x.
func Add(x, y []float32) { Axpy(1, x, y) }

// Mul sets dst[i] to x[i]*y[i] over the whole of dst, which may be x or y.
// It panics if x or y is shorter than dst.
func Mul(dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i := range dst {
		dst[i] = x[i] * y[i]
	}
}

// RMSNorm sets dst[i] to x[i] / sqrt(mean(x²)+eps) * w[i] over the whole of x;
// dst may be x. It panics if dst or w is shorter than x.
func RMSNorm(dst, x, w []float32, eps float32) {
	dst, w = dst[:len(x)], w[:len(x)]
	scale := float32(1 / math.Sqrt(float64(Dot(x, x)/float32(len(x))+eps)))
	for len(x) > maxAsm {
		scaleMul(dst[:maxAsm], x[:maxAsm], w[:maxAsm], scale)
		dst, x, w = dst[maxAsm:], x[maxAsm:], w[maxAsm:]
	}
	scaleMul(dst, x, w, scale)
}

// SiLUMul sets gate[i] to silu(gate[i])*up[i] over the whole of gate, where
// silu(x) = x / (1 + exp(-x)). It panics if up is shorter than gate.
func SiLUMul(gate, up []float32) {
	up = up[:len(gate)]
	for len(gate) > maxAsm {
		siluMul(gate[:maxAsm], up[:maxAsm])
		gate, up = gate[maxAsm:], up[maxAsm:]
	}
	siluMul(gate, up)
}
