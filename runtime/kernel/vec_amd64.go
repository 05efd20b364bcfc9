//go:build !purego

package kernel

import "github.com/sluice-ai/sluice/runtime/quant"

//go:noescape
func dotAVX2(x, y []float32) float32

//go:noescape
func axpyAVX2(a float32, x, y []float32)

//go:noescape
func scaleMulAVX2(dst, x, w []float32, a float32)

//go:noescape
func siluMulAVX2(gate, up []float32)

//go:noescape
func quantizeAVX2(q *int8, d *float32, sums *int32, x *float32, blocks int)

//go:noescape
func quantizeWideAVX2(q *int8, d *float32, sums *int32, x *float32, blocks, span int)

//go:noescape
func widenF16AVX2(dst *float32, src *byte, n int)

//go:noescape
func widenBF16AVX2(dst *float32, src *byte, n int)

//go:noescape
func floatF32x1AVX512(a *floatArgs)

//go:noescape
func floatF32x4AVX512(a *floatArgs)

//go:noescape
func floatF16x1AVX512(a *floatArgs)

//go:noescape
func floatF16x4AVX512(a *floatArgs)

//go:noescape
func floatBF16x1AVX512(a *floatArgs)

//go:noescape
func floatBF16x4AVX512(a *floatArgs)

//go:noescape
func convAVX2(dst, bcx, taps, state *float32, d, n int)

//go:noescape
func ropeAVX2(x, cos, sin *float32, n, heads int)

//go:noescape
func scaleAVX2(a float32, x *float32, n int)

func conv(dst, bcx, taps, state []float32, from, to int) {
	if n := (to - from) &^ 7; useAVX2 && n > 0 {
		convAVX2(&dst[from], &bcx[from], &taps[from], &state[from], len(dst), n)
		from += n
	}
	convGeneric(dst, bcx, taps, state, from, to)
}

func rope(x, cos, sin []float32) {
	if n := len(cos); useAVX2 && n%8 == 0 && len(x) > 0 {
		ropeAVX2(&x[0], &cos[0], &sin[0], n, len(x)/(2*n))
		return
	}
	ropeGeneric(x, cos, sin)
}

// scale multiplies x by a.
func scale(a float32, x []float32) {
	n := len(x) &^ 7
	if !useAVX2 || n == 0 {
		n = 0
	} else {
		scaleAVX2(a, &x[0], n)
	}
	scaleGeneric(a, x[n:])
}

func dot(x, y []float32) float32 {
	if useAVX2 {
		return dotAVX2(x, y)
	}
	return dotGeneric(x, y)
}

func axpy(a float32, x, y []float32) {
	if useAVX2 {
		axpyAVX2(a, x, y)
		return
	}
	axpyGeneric(a, x, y)
}

func scaleMul(dst, x, w []float32, a float32) {
	if useAVX2 {
		scaleMulAVX2(dst, x, w, a)
		return
	}
	scaleMulGeneric(dst, x, w, a)
}

func siluMul(gate, up []float32) {
	if useAVX2 {
		siluMulAVX2(gate, up)
		return
	}
	siluMulGeneric(gate, up)
}

func quantizeBlocks(q []int8, d []float32, sums []int32, x []float32, span int) {
	switch {
	case useAVX2 && span == 1:
		quantizeAVX2(&q[0], &d[0], &sums[0], &x[0], len(d))
	case useAVX2:
		quantizeWideAVX2(&q[0], &d[0], &sums[0], &x[0], len(d), span)
	default:
		quantizeGeneric(q, d, sums, x, span)
	}
}

// widen sets dst to the float32 values of src.
func widen(t quant.Type, dst []float32, src []byte) {
	n := len(dst) &^ 7
	switch {
	case !useAVX2 || n == 0 || t == quant.F32:
		n = 0
	case t == quant.F16:
		widenF16AVX2(&dst[0], &src[0], n)
	case t == quant.BF16:
		widenBF16AVX2(&dst[0], &src[0], n)
	}
	if n < len(dst) {
		widenGeneric(t, dst[n:], src[n*t.BlockBytes():])
	}
}

// haveFloatTile reports whether floatTile may be called.
func haveFloatTile() bool { return useAVX512 }

// floatTile sets a.dst to the product of four rows of float type t and one
// column, or four.
func floatTile(a *floatArgs, t quant.Type, cols int) {
	switch {
	case t == quant.F32 && cols == 1:
		floatF32x1AVX512(a)
	case t == quant.F32:
		floatF32x4AVX512(a)
	case t == quant.F16 && cols == 1:
		floatF16x1AVX512(a)
	case t == quant.F16:
		floatF16x4AVX512(a)
	case t == quant.BF16 && cols == 1:
		floatBF16x1AVX512(a)
	default:
		floatBF16x4AVX512(a)
	}
}
