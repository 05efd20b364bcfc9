package kernel

import "github.com/sluice-ai/sluice/runtime/quant"

// multiplyRowByRow computes rows [r0, r1) of a product with quantised weights
// from the plain layout of the activations.
func (s *Scratch) multiplyRowByRow(wk *worker, pt *part, r0, r1 int) {
	w, a := pt.w, &s.act
	blocks := w.Cols / 32
	for r := r0; r < r1; r++ {
		row := w.row(r)
		direct := haveRow(w.Type)
		if !direct {
			wk.row.unpack(w.Type, row, w.Cols)
		}
		for c := range s.n {
			q, d, dsum := a.q[c*w.Cols:][:w.Cols], a.d[c*blocks:][:blocks], a.dsum[c*blocks:][:blocks]
			dst := &pt.dst[c*w.Rows+r]
			if direct {
				*dst = dotRow(w.Type, row, q, d)
				continue
			}
			*dst = dotBlocks(&wk.row, q, d, dsum)
			if wk.row.late != nil {
				*dst += dotLate(wk.row.late, a.late[2*c*blocks:][:2*blocks])
			}
		}
	}
}

// rowArgs is what a row times a column needs. The field names are used by
// assembly.
type rowArgs struct {
	v          *byte    // the row: unpacked, or blocks of its type
	scale, min *float32 // of an unpacked row; min may be nil
	q          *int8
	d, dsum    *float32
	blocks     int // of 32
}

// dotUnpacked defines the product of a quantised row with a column, but for what
// [dotLate] adds: see [Weight.MatMul] for its order.
func dotUnpacked(w *unpacked, q []int8, d, dsum []float32) float32 {
	var acc float32
	per := len(w.scale) / len(d) // scales in a block of 32: 1 or 2
	size := 32 / per
	for b := range d {
		for h := range per {
			i := b*per + h
			var sum int32
			for j := i * size; j < (i+1)*size; j++ {
				sum += int32(w.v[j]) * int32(q[j])
			}
			acc += float32(float32(sum) * float32(w.scale[i]*d[b]))
		}
		if w.min != nil {
			acc += float32(w.min[b] * dsum[b])
		}
	}
	return acc
}

// dotLate defines what the minimums of a type that has one for each 16 elements
// add to the product of a row with a column, whose sums of 16 times their scales
// are dsum.
func dotLate(late, dsum []float32) float32 {
	var acc float32
	for i, m := range late {
		acc += float32(m * dsum[i])
	}
	return acc
}

// unpacked is a quantised row: element j is scale*v[j] + min, of its block.
type unpacked struct {
	v     []int8
	scale []float32 // one for each 32 elements, or for each 16
	min   []float32 // one for each 32 elements, or nil
	late  []float32 // one for each 16 elements, or nil: what Q2_K has instead of min

	mins []float32 // what min or late is when it is not nil
}

// hasMin reports whether blocks of t have a minimum besides a scale.
func hasMin(t quant.Type) bool {
	switch t {
	case quant.Q4_1, quant.Q5_1, quant.Q4_K, quant.Q5_K:
		return true
	}
	return false
}

// hasLate reports whether t has a minimum for each 16 elements. No assembly knows
// of these: they are added to what it computes.
func hasLate(t quant.Type) bool { return t == quant.Q2_K }

// scaleSize returns how many elements of t share a scale.
func scaleSize(t quant.Type) int {
	switch t {
	case quant.Q2_K, quant.Q3_K, quant.Q6_K:
		return 16
	}
	return 32
}

// reserve makes room for cols elements of t.
func (u *unpacked) reserve(t quant.Type, cols int) {
	u.v = grow(u.v, cols)
	u.scale = grow(u.scale, cols/scaleSize(t))
	u.min, u.late = nil, nil
	switch {
	case hasMin(t):
		u.mins = grow(u.mins, cols/32)
		u.min = u.mins
	case hasLate(t):
		u.mins = grow(u.mins, cols/16)
		u.late = u.mins
	}
}

// unpack fills u with the cols elements of src.
func (u *unpacked) unpack(t quant.Type, src []byte, cols int) {
	u.reserve(t, cols)
	size, bytes := t.BlockSize(), t.BlockBytes()
	scales := size / scaleSize(t)
	for b := range cols / size {
		v, scale := u.v[b*size:][:size], u.scale[b*scales:][:scales]
		var mins []float32
		if u.min != nil || u.late != nil {
			mins = u.mins[b*scales:][:scales] // no type has a scale for each 16 and a minimum for each 32
		}
		unpackBlock(t, v, scale, mins, src[b*bytes:][:bytes])
	}
}
