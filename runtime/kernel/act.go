package kernel

import (
	"math"

	"github.com/sluice-ai/sluice/runtime/quant"
)

// activations are n columns rounded to int8, in blocks of 32. They are stored
// plain, column after column, or in groups of groupCols columns side by side, run
// elements of each in turn, as the tiles of package kernel want them; columns past the last are zero.
type activations struct {
	kind kind
	q    []int8    // [n][cols], or [groups][cols/run][groupCols][run]
	d    []float32 // [n][cols/32], or [groups][cols/32][groupCols]: scales
	dsum []float32 // as d: d times the sum of the block's q
	late []float32 // [n][cols/16], plain and for types with minimums for each 16: d times the sum of these

	// bias is what the offset of the weights adds to a sum, negated: -offset times
	// the sum of each size elements, as d.
	bias []int32
}

// A kind is the form in which a product wants its columns: the zero kind as they
// are.
type kind struct {
	grouped bool
	run     int // neighbouring elements of a column beside each other in a group: 4 or 8
	late    bool
	pairs   bool  // biases are not such, but the sums of each 32, int16[2] for each 64
	span    int   // blocks of 32 that share a column's scale: 1, 4 or 8
	size    int   // elements that share a weight's scale: 32 or 16
	offset  int32 // what the integers of the weights have added
}

// biases returns how many there are for a column of cols elements.
func (k kind) biases(cols int) int {
	if k.pairs {
		return cols / 64
	}
	return cols / k.size
}

// kind returns the form in which products with w want the n columns.
func (s *Scratch) kind(w *Weight) kind {
	k := kind{size: scaleSize(w.Type), span: span(w.Type, w.Cols)}
	switch {
	case w.float():
		return kind{}
	case w.packed:
		k.grouped, k.offset, k.pairs = s.n > 1, offset(w.Type), w.Type == quant.Q4_K
	case haveTile() && (s.n > 1 || hasPack(w.Type) && !haveColumn(w.Type) && !haveRow(w.Type)):
		k.grouped, k.offset = true, 128
	case s.n == 1 && haveColumn(w.Type) && w.Rows >= panelRows:
		k.offset = offset(w.Type)
	}
	k.late = hasLate(w.Type)
	if k.grouped {
		k.run = groupRun()
	}
	return k
}

// smallest is the magnitude below which a block counts as zero, so that 127
// divided by it is finite and a 127th of it is normal.
const smallest = 0x1p-100

// quantizeGeneric rounds x to int8 in blocks of 32: d = max|x|/127, and
// q = x*(127/max|x|) rounded to even, the maximum being that of span blocks. It sets
// sums to the sums of each 16.
func quantizeGeneric(q []int8, d []float32, sums []int32, x []float32, span int) {
	var top float32
	for b := range d {
		v := x[32*b:][:32]
		if b%span == 0 {
			top = 0
			for _, f := range x[32*b:][:32*span] {
				top = max(top, float32(math.Abs(float64(f))))
			}
		}
		if !(top >= smallest) {
			clear(q[32*b:][:32])
			d[b], sums[2*b], sums[2*b+1] = 0, 0, 0
			continue
		}
		inverse := 127 / top
		for j, f := range v {
			q[32*b+j] = int8(int32(math.RoundToEven(float64(float32(f * inverse)))))
		}
		d[b] = top / 127
		sums[2*b], sums[2*b+1] = sum8(q[32*b:][:16]), sum8(q[32*b+16:][:16])
	}
}

func sum8(q []int8) int32 {
	var sum int32
	for _, v := range q {
		sum += int32(v)
	}
	return sum
}

// span returns how many blocks of 32 share a scale in columns for a matrix of type t:
// those of 256 elements, as in llama.cpp, for types in such blocks, and those of 128
// for Q4_0, whose own error is far greater than that of rounding columns.
func span(t quant.Type, cols int) int {
	if t == quant.Q4_0 && cols%128 == 0 {
		return 4
	}
	return t.BlockSize() / 32
}

// quantize rounds the columns of the products in progress.
func (s *Scratch) quantize(p *Pool, k kind) {
	a, n, blocks := &s.act, s.n, s.cols/32
	a.kind = k
	groups := (n + groupCols - 1) / groupCols
	if k.grouped {
		n = groups * groupCols
	}
	a.q, a.d, a.dsum = grow(a.q, n*s.cols), grow(a.d, n*blocks), grow(a.dsum, n*blocks)
	a.bias = grow(a.bias, n*k.biases(s.cols))
	if k.grouped {
		p.RunWorkers(groups, s.groups)
		return
	}
	if k.late {
		a.late = grow(a.late, 2*n*blocks)
	}
	p.RunWorkers(n, s.columns)
}

// quantizeColumn rounds column c into the plain layout.
func (s *Scratch) quantizeColumn(worker, c int) {
	a, wk, cols := &s.act, &s.workers[worker], s.cols
	blocks := cols / 32
	d, dsum := a.d[c*blocks:][:blocks], a.dsum[c*blocks:][:blocks]
	sums := wk.sums16[:2*blocks]
	quantizeBlocks(a.q[c*cols:][:cols], d, sums, s.x[c*cols:][:cols], a.kind.span)
	for b := range dsum {
		dsum[b] = d[b] * float32(sums[2*b]+sums[2*b+1])
	}
	switch o := -a.kind.offset; {
	case a.kind.pairs:
		for p := range blocks / 2 {
			a.bias[c*blocks/2+p] = pair(sums[4*p:])
		}
	case o == 0:
	case a.kind.size == 16:
		for i, sum := range sums {
			a.bias[2*c*blocks+i] = o * sum
		}
	default:
		for b := range blocks {
			a.bias[c*blocks+b] = o * (sums[2*b] + sums[2*b+1])
		}
	}
	if a.kind.late {
		late := a.late[2*c*blocks:][:2*blocks]
		for i, sum := range sums {
			late[i] = d[i/2] * float32(sum)
		}
	}
}

// quantizeGroup rounds the columns of group g into the grouped layout.
func (s *Scratch) quantizeGroup(worker, g int) {
	a, wk, cols := &s.act, &s.workers[worker], s.cols
	blocks, biases, o := cols/32, a.kind.biases(cols), -a.kind.offset
	q := a.q[g*groupCols*cols:][:groupCols*cols]
	d, dsum := a.d[g*groupCols*blocks:][:groupCols*blocks], a.dsum[g*groupCols*blocks:][:groupCols*blocks]
	bias := a.bias[g*groupCols*biases:][:groupCols*biases]
	have := min(groupCols, s.n-g*groupCols)
	if have < groupCols {
		clear(q)
		clear(d)
		clear(dsum)
		clear(bias)
	}
	wk.q, wk.d, wk.sums16 = wk.q[:cols], wk.d[:blocks], wk.sums16[:2*blocks]
	for c := range have {
		quantizeBlocks(wk.q, wk.d, wk.sums16, s.x[(g*groupCols+c)*cols:][:cols], a.kind.span)
		if a.kind.run == 8 {
			interleave8(q[8*c:], wk.q)
		} else {
			interleave4(q[4*c:], wk.q)
		}
		for b, f := range wk.d {
			d[groupCols*b+c] = f
		}
		switch {
		case a.kind.pairs:
			for p := range biases {
				bias[groupCols*p+c] = pair(wk.sums16[4*p:])
			}
		case a.kind.size == 16:
			for i, sum := range wk.sums16 {
				bias[groupCols*i+c] = o * sum
			}
		default:
			for b, f := range wk.d {
				sum := wk.sums16[2*b] + wk.sums16[2*b+1]
				dsum[groupCols*b+c] = f * float32(sum)
				bias[groupCols*b+c] = o * sum
			}
		}
	}
}

// pair returns the sums of two blocks of 32, given those of their halves, as int16s.
func pair(halves []int32) int32 {
	return (halves[0]+halves[1])&0xffff | (halves[2]+halves[3])<<16
}

// interleave4 copies each four of q, whose length is a multiple of 32, to every
// 4*groupCols of dst.
func interleave4(dst, q []int8) {
	for len(q) >= 32 {
		from, to := (*[32]int8)(q), (*[28*groupCols + 4]int8)(dst)
		for j := range 8 {
			*(*[4]int8)(to[4*groupCols*j:]) = *(*[4]int8)(from[4*j:])
		}
		if q = q[32:]; len(q) > 0 {
			dst = dst[32*groupCols:]
		}
	}
}

// interleave8 copies each eight of q, whose length is a multiple of 32, to every
// 8*groupCols of dst.
func interleave8(dst, q []int8) {
	for len(q) >= 32 {
		from, to := (*[32]int8)(q), (*[24*groupCols + 8]int8)(dst)
		for j := range 4 {
			*(*[8]int8)(to[8*groupCols*j:]) = *(*[8]int8)(from[8*j:])
		}
		if q = q[32:]; len(q) > 0 {
			dst = dst[32*groupCols:]
		}
	}
}
