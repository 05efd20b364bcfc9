package kernel

import "math"

// activations are n columns rounded to int8, in blocks of 32.
type activations struct {
	q    []int8    // [n][cols]
	d    []float32 // [n][cols/32] scales
	dsum []float32 // [n][cols/32] d times the sum of the block's q
}

// smallest is the magnitude below which a block counts as zero, so that 127
// divided by it is finite and a 127th of it is normal.
const smallest = 0x1p-100

// quantizeGeneric rounds x to int8 in blocks of 32: d = max|x|/127, and
// q = x*(127/max|x|) rounded to even.
func quantizeGeneric(q []int8, d, dsum, x []float32) {
	for b := range d {
		v := x[32*b:][:32]
		var top float32
		for _, f := range v {
			top = max(top, float32(math.Abs(float64(f))))
		}
		if !(top >= smallest) {
			clear(q[32*b:][:32])
			d[b], dsum[b] = 0, 0
			continue
		}
		inverse := 127 / top
		var sum int32
		for j, f := range v {
			i := int32(math.RoundToEven(float64(float32(f * inverse))))
			q[32*b+j] = int8(i)
			sum += i
		}
		d[b] = top / 127
		dsum[b] = d[b] * float32(sum)
	}
}

// quantize rounds the columns of the product in progress.
func (s *Scratch) quantize(p *Pool) {
	a, blocks := &s.act, s.n*s.w.Cols/32
	a.q = grow(a.q, s.n*s.w.Cols)
	a.d, a.dsum = grow(a.d, blocks), grow(a.dsum, blocks)
	p.Run(s.n, s.groups)
}

func (s *Scratch) quantizeGroup(c int) {
	a, cols := &s.act, s.w.Cols
	blocks := cols / 32
	quantizeGeneric(a.q[c*cols:][:cols], a.d[c*blocks:][:blocks], a.dsum[c*blocks:][:blocks], s.x[c*cols:][:cols])
}

// panelRows is the number of rows a panel interleaves.
const panelRows = 16

type panel struct{}

func (s *Scratch) multiplyFloat(wk *worker, r0, r1 int)     { s.multiplyFloatGeneric(wk, r0, r1) }
func (s *Scratch) multiplyQuantized(wk *worker, r0, r1 int) { s.multiplyQuantizedGeneric(wk, r0, r1) }
