package kernel

import "github.com/sluice-ai/sluice/runtime/quant"

// floatArgs is what four rows of float weights times one column or four need.
// Strides are in bytes. The field names are used by assembly.
type floatArgs struct {
	w       *byte
	stride  int
	x       *float32
	xstride int
	dst     *float32 // [columns][4]
	n       int      // elements in a row
}

// floatRows and floatCols are the shape of a float tile.
const floatRows, floatCols = 4, 4

// multiplyFloat computes rows [r0, r1) of a product with float weights.
func (s *Scratch) multiplyFloat(wk *worker, pt *part, r0, r1 int) {
	if !haveFloatTile() {
		s.multiplyFloatRows(wk, pt, r0, r1)
		return
	}
	w, t := pt.w, &wk.float
	t.n, t.dst, t.xstride = w.Cols, &wk.tile[0], 4*w.Cols
	for c := 0; c < s.n; {
		cols := floatCols
		if s.n-c < floatCols {
			cols = 1
		}
		t.x = &s.x[c*w.Cols]
		for r := r0; r < r1; {
			rows := floatRows
			t.w, t.stride = &w.data[r*w.stride], w.stride
			if r1-r < floatRows { // the same row four times
				rows, t.stride = 1, 0
			}
			floatTile(t, w.Type, cols)
			for i := range cols {
				copy(pt.dst[(c+i)*w.Rows+r:][:rows], wk.tile[floatRows*i:])
			}
			r += rows
		}
		c += cols
	}
}

// multiplyFloatRows computes rows [r0, r1) by way of their float32 values.
func (s *Scratch) multiplyFloatRows(wk *worker, pt *part, r0, r1 int) {
	w := pt.w
	wk.floats = grow(wk.floats, w.Cols)
	for r := r0; r < r1; r++ {
		widen(w.Type, wk.floats, w.row(r))
		for c := range s.n {
			pt.dst[c*w.Rows+r] = Dot(s.x[c*w.Cols:][:w.Cols], wk.floats)
		}
	}
}

// widenGeneric sets dst to the float32 values of a float type.
func widenGeneric(t quant.Type, dst []float32, src []byte) {
	if err := quant.Dequantize(t, dst, src); err != nil {
		panic(err) // NewWeight has checked the type and the length
	}
}
