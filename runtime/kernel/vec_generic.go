package kernel

import "math"

// The definitions of the vector operations. Conversions to float32 forbid fused
// multiply-adds, so that every port gives the same bits.

func dotGeneric(x, y []float32) float32 {
	var sum float32
	for i, v := range x {
		sum += float32(v * y[i])
	}
	return sum
}

func axpyGeneric(a float32, x, y []float32) {
	for i, v := range x {
		y[i] += float32(a * v)
	}
}

func siluMulGeneric(gate, up []float32) {
	for i, v := range gate {
		gate[i] = v / (1 + float32(math.Exp(-float64(v)))) * up[i]
	}
}

func scaleMulGeneric(dst, x, w []float32, a float32) {
	for i, v := range x {
		dst[i] = float32(v*a) * w[i]
	}
}

func ropeGeneric(x, cos, sin []float32) {
	n := len(cos)
	for ; len(x) > 0; x = x[2*n:] {
		lo, hi := x[:n], x[n:2*n]
		for i, c := range cos {
			a, b := lo[i], hi[i]
			lo[i] = float32(a*c) - float32(b*sin[i])
			hi[i] = float32(b*c) + float32(a*sin[i])
		}
	}
}

// convGeneric is ConvChannels.
func convGeneric(dst, bcx, taps, state []float32, from, to int) {
	d := len(dst)
	b, c, x := bcx[:d], bcx[d:2*d], bcx[2*d:3*d]
	t0, t1, t2 := taps[:d], taps[d:2*d], taps[2*d:3*d]
	s0, s1 := state[:d], state[d:2*d]
	for i := from; i < to; i++ {
		s := b[i] * x[i]
		z := float32(t0[i]*s0[i]) + float32(t1[i]*s1[i]) + float32(t2[i]*s)
		dst[i] = c[i] * z
		s0[i], s1[i] = s1[i], s
	}
}

func maxGeneric(x []float32) float32 {
	top := x[0]
	for _, v := range x[1:] {
		top = max(top, v)
	}
	return top
}

func scaleGeneric(a float32, x []float32) {
	for i := range x {
		x[i] *= a
	}
}
