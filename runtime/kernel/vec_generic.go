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

// expSubGeneric replaces x[i] by exp(x[i]-top) and returns the sum of the new
// values.
func expSubGeneric(x []float32, top float32) float32 {
	var sum float32
	for i, v := range x {
		e := float32(math.Exp(float64(v - top)))
		x[i] = e
		sum += e
	}
	return sum
}

func scaleMulGeneric(dst, x, w []float32, a float32) {
	for i, v := range x {
		dst[i] = float32(v*a) * w[i]
	}
}

func scoresGeneric(dst, q, k []float32, stride int, scale float32) {
	for t := range dst {
		dst[t] = scale * Dot(q, k[t*stride:][:len(q)])
	}
}

func mixGeneric(dst, p, v []float32, stride int) {
	clear(dst)
	for t, weight := range p {
		Axpy(weight, v[t*stride:][:len(dst)], dst)
	}
}
