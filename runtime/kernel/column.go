package kernel

import "github.com/sluice-ai/sluice/runtime/quant"

// columnArgs is what panelRows rows times one column need. The field names are
// used by assembly.
type columnArgs struct {
	w      *byte    // the first row's first block
	stride int      // from row to row
	q      *int8    // the column, plain
	d      *float32 // its scales
	bias   *int32   // for each 32, or 16, elements: what the weights' offset adds
	dst    *float32 // [panelRows]
	buf    *int32   // [8][panelRows], for use by the routine
	blocks int      // of the weight's type
}

// offset returns what the integers of t have added, as the column routines read
// them, or 0 if there is no such routine.
func offset(t quant.Type) int32 {
	switch t {
	case quant.Q8_0:
		return 128
	case quant.Q4_0:
		return 8
	case quant.Q6_K:
		return 32
	}
	return 0
}

// multiplyColumn computes rows [r0, r1) of a product with one column, or none
// and returns false.
func (s *Scratch) multiplyColumn(wk *worker, pt *part, r0, r1 int) bool {
	w, a := pt.w, &s.act
	if a.kind.offset == 0 || w.Rows < panelRows {
		return false
	}
	t := &wk.column
	t.stride, t.blocks, t.buf = w.stride, w.Cols/w.Type.BlockSize(), &wk.sums[0]
	t.q, t.d, t.bias = &a.q[0], &a.d[0], &a.bias[0]
	for ; r0 < r1; r0 += panelRows {
		first := min(r0, w.Rows-panelRows) // the last panel begins among rows that are done
		t.w, t.dst = &w.data[first*w.stride], &wk.tile[0]
		if first == r0 {
			t.dst = &pt.dst[r0]
		}
		column(t, w.Type)
		if first != r0 {
			copy(pt.dst[r0:r1], wk.tile[r0-first:panelRows])
		}
	}
	return true
}
