//go:build purego || !(amd64 || arm64)

package kernel

import "github.com/sluice-ai/sluice/runtime/quant"

// groupRun returns how many neighbouring elements of a column lie beside each other in a
// group.
func groupRun() int { return 4 }

func haveTile() bool { return false }

func tile(*tileArgs, int, int) { panic("kernel: no tile") }

func haveRow(quant.Type) bool { return false }

func dotRow(quant.Type, []byte, []int8, []float32) float32 { panic("kernel: no row routine") }

func dotBlocks(w *unpacked, q []int8, d, dsum []float32) float32 {
	return dotUnpacked(w, q, d, dsum)
}

func dot(x, y []float32) float32     { return dotGeneric(x, y) }
func axpy(a float32, x, y []float32) { axpyGeneric(a, x, y) }
