//go:build purego || !amd64

package kernel

func haveTile() bool { return false }

func tile(*tileArgs, int, int) { panic("kernel: no tile") }

func quantizeBlocks(q []int8, d, x []float32) { quantizeGeneric(q, d, x) }

// multiplyColumn computes as many of the rows [r0, r1) of a product with one
// column as it can, and returns their number.
func (s *Scratch) multiplyColumn(r0, r1 int) int { return 0 }

func (s *Scratch) multiplyFloat(wk *worker, r0, r1 int) { s.multiplyFloatGeneric(wk, r0, r1) }
