//go:build purego || !amd64

package kernel

import "github.com/sluice-ai/sluice/runtime/quant"

func haveTile() bool { return false }

func tile(*tileArgs, int, int) { panic("kernel: no tile") }

func havePack(quant.Type) bool { return false }

func pack(*packArgs, quant.Type) { panic("kernel: no pack routine") }

func haveColumn(quant.Type) bool { return false }

func column(*columnArgs, quant.Type) { panic("kernel: no column routine") }

func haveFloatTile() bool { return false }

func floatTile(*floatArgs, quant.Type, int) { panic("kernel: no float tile") }

func widen(t quant.Type, dst []float32, src []byte) { widenGeneric(t, dst, src) }

func haveRow(quant.Type) bool { return false }

func dotRow(quant.Type, []byte, []int8, []float32) float32 { panic("kernel: no row routine") }

func dotBlocks(w *unpacked, q []int8, d, dsum []float32) float32 {
	return dotUnpacked(w, q, d, dsum)
}
