//go:build purego || !amd64

package kernel

import "github.com/sluice-ai/sluice/runtime/quant"

// What only amd64 has assembly for.

func scaleMul(dst, x, w []float32, a float32) { scaleMulGeneric(dst, x, w, a) }
func siluMul(gate, up []float32)              { siluMulGeneric(gate, up) }

func quantizeBlocks(q []int8, d []float32, sums []int32, x []float32, span int) {
	quantizeGeneric(q, d, sums, x, span)
}

func rope(x, cos, sin []float32) { ropeGeneric(x, cos, sin) }
func conv(dst, bcx, taps, state []float32, from, to int) {
	convGeneric(dst, bcx, taps, state, from, to)
}
func scale(a float32, x []float32) { scaleGeneric(a, x) }

func havePack(quant.Type) bool { return false }

func pack(*packArgs, quant.Type) { panic("kernel: no pack routine") }

func haveColumn(quant.Type) bool { return false }

func column(*columnArgs, quant.Type) { panic("kernel: no column routine") }

func haveFloatTile() bool { return false }

func floatTile(*floatArgs, quant.Type, int) { panic("kernel: no float tile") }

func widen(t quant.Type, dst []float32, src []byte) { widenGeneric(t, dst, src) }
