//go:build purego || !amd64

package kernel

import "github.com/sluice-ai/sluice/runtime/quant"

func haveTile() bool { return false }

func tile(*tileArgs, int, int) { panic("kernel: no tile") }

func quantizeBlocks(q []int8, d, x []float32) { quantizeGeneric(q, d, x) }

func haveColumn(quant.Type) bool { return false }

func column(*columnArgs, quant.Type) { panic("kernel: no column routine") }

func (s *Scratch) multiplyFloat(wk *worker, r0, r1 int) { s.multiplyFloatGeneric(wk, r0, r1) }
