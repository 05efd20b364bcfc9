//go:build purego || !amd64

package kernel

func dot(x, y []float32) float32              { return dotGeneric(x, y) }
func axpy(a float32, x, y []float32)          { axpyGeneric(a, x, y) }
func scaleMul(dst, x, w []float32, a float32) { scaleMulGeneric(dst, x, w, a) }
func siluMul(gate, up []float32)              { siluMulGeneric(gate, up) }
func expSub(x []float32, top float32) float32 { return expSubGeneric(x, top) }

func scores(dst, q, k []float32, stride int, scale float32) {
	scoresGeneric(dst, q, k, stride, scale)
}

func mix(dst, p, v []float32, stride int) { mixGeneric(dst, p, v, stride) }

func quantizeBlocks(q []int8, d []float32, sums []int32, x []float32) {
	quantizeGeneric(q, d, sums, x)
}

func rope(x, cos, sin []float32)           { ropeGeneric(x, cos, sin) }
func conv(dst, bcx, taps, state []float32) { convGeneric(dst, bcx, taps, state, 0) }
func maxOf(x []float32) float32            { return maxGeneric(x) }
func scale(a float32, x []float32)         { scaleGeneric(a, x) }
