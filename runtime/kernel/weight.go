package kernel

import (
	"fmt"

	"github.com/sluice-ai/sluice/runtime/quant"
)

// A Weight is a matrix [Rows][Cols] of one type, over the bytes of a file. It
// never writes to them, and any number of goroutines may use it.
type Weight struct {
	Type       quant.Type
	Rows, Cols int

	data   []byte
	stride int // bytes in a row
}

// NewWeight returns the matrix that data holds row by row. It fails if t is not
// a type that can be multiplied, or data is not exactly rows*cols elements. The
// Weight keeps data.
func NewWeight(t quant.Type, rows, cols int, data []byte) (*Weight, error) {
	if !t.Supported() {
		return nil, fmt.Errorf("kernel: cannot multiply by %v", t)
	}
	stride := quant.RowBytes(t, cols)
	if rows <= 0 || cols <= 0 || stride < 0 {
		return nil, fmt.Errorf("kernel: no %v matrix is %d rows of %d", t, rows, cols)
	}
	if len(data)/stride != rows || len(data)%stride != 0 {
		return nil, fmt.Errorf("kernel: %d bytes are no %v matrix of %d rows of %d", len(data), t, rows, cols)
	}
	return &Weight{Type: t, Rows: rows, Cols: cols, data: data, stride: stride}, nil
}

// Bytes returns the size of the matrix in the file.
func (w *Weight) Bytes() int { return len(w.data) }

func (w *Weight) row(i int) []byte { return w.data[i*w.stride:][:w.stride:w.stride] }

// Row fills dst with the values of row i. It panics unless dst is Cols long.
func (w *Weight) Row(i int, dst []float32) {
	if err := quant.Dequantize(w.Type, dst, w.row(i)); err != nil || len(dst) != w.Cols {
		panic("kernel: Weight.Row: dst is not one row long")
	}
}

// A Scratch holds what a MatMul needs besides its arguments, so that it need not
// be allocated again. The zero Scratch is ready for use, grows to the largest
// product it has seen, and may serve weights of all types and pools of all
// sizes, one call at a time.
type Scratch struct {
	// The product in progress.
	w      *Weight
	dst, x []float32
	n      int
	chunk  int // rows a worker claims at once

	act     activations
	workers []worker
	rows    func(worker, i int) // s.multiplyRows, bound once
	columns func(worker, i int) // s.quantizeColumn, bound once
	groups  func(worker, i int) // s.quantizeGroup, bound once
}

// A worker is the buffers of one goroutine of the pool.
type worker struct {
	row    unpacked
	floats []float32
	panels [rowsPerChunk / panelRows]panel
	tile   [groupCols * panelRows]float32
	args   tileArgs
	column columnArgs
	float  floatArgs
	sums   [8 * panelRows]int32
	q      []int8
	d      []float32
	sums16 []int32
}

// reserve allocates what the worker may need for a product of w with n columns.
func (wk *worker) reserve(w *Weight, n int) {
	if w.float() {
		if !haveFloatTile() {
			wk.floats = grow(wk.floats, w.Cols)
		}
		return
	}
	blocks := w.Cols / 32
	wk.sums16 = grow(wk.sums16, 2*blocks)
	if haveTile() {
		wk.q, wk.d = grow(wk.q, w.Cols), grow(wk.d, blocks)
		for i := range wk.panels {
			wk.panels[i].reserve(w)
		}
	}
	wk.row.reserve(w.Type, w.Cols)
}

// MatMul sets dst[c][r] to the product of column x[c] with row r of the matrix,
// for n columns: dst[n][Rows] = x[n][Cols] · wᵀ. It allocates nothing once s has
// seen a product as large. A nil p means the caller's goroutine alone. It panics
// if n is not positive or dst or x are too short. Values of x must be finite.
//
// With float weights it is a product in float32. With quantised weights each
// column is first rounded, 32 elements at a time, to int8 q and float32 d with
// d = max|x|/127; then, writing w = scale*v + min for a weight,
//
//	for each block of 32 in order, or of 16 if the type has a scale for each 16:
//		acc += float32(Σ v*q) * (scale * d)
//		acc += min * (d * float32(Σ q))     if the type has a min for each 32
//
// and for Q2_K, which has a min for each 16, the sum of min * (d * float32(Σ q))
// over all of them added in the end, where each operation rounds to float32.
func (w *Weight) MatMul(p *Pool, dst, x []float32, n int, s *Scratch) {
	if n <= 0 || len(x)/n < w.Cols || len(dst)/n < w.Rows {
		panic("kernel: Weight.MatMul: dst or x is too short")
	}
	if n*w.Rows*w.Cols < worthSharing {
		p = nil
	}
	s.begin(p, w, dst, x, n)
	switch {
	case w.float():
		s.chunk = floatRowsPerChunk
	default:
		s.quantize(p)
		s.chunk = columnRowsPerChunk
		if s.act.grouped {
			s.chunk = rowsPerChunk
		}
	}
	for s.chunk > rowsPerChunk && w.Rows < 4*s.chunk*len(s.workers) {
		s.chunk /= 2
	}
	p.RunWorkers((w.Rows+s.chunk-1)/s.chunk, s.rows)
	s.w, s.dst, s.x = nil, nil, nil
}

func (w *Weight) float() bool { return w.Type.BlockSize() == 1 }

// A chunk of rows is what a worker claims at once: long enough that claiming
// costs nothing, short enough that workers finish together.
const (
	rowsPerChunk       = 2 * panelRows
	columnRowsPerChunk = 8 * panelRows // the first rows of a chunk come unannounced
	floatRowsPerChunk  = 16
)

// worthSharing is the least number of multiplications for which a worker is woken:
// some microseconds of work, as waking takes.
const worthSharing = 64 << 10

func (s *Scratch) begin(p *Pool, w *Weight, dst, x []float32, n int) {
	s.w, s.dst, s.x, s.n = w, dst, x, n
	if s.rows == nil {
		s.rows, s.columns, s.groups = s.multiplyRows, s.quantizeColumn, s.quantizeGroup
	}
	threads := p.Threads()
	for len(s.workers) < threads {
		s.workers = append(s.workers, worker{})
	}
	for i := range threads { // now, as any of them may run nothing today and all tomorrow
		s.workers[i].reserve(w, n)
	}
}

// multiplyRows computes chunk i of the rows of all columns.
func (s *Scratch) multiplyRows(worker, i int) {
	wk, r0 := &s.workers[worker], i*s.chunk
	r1 := min(r0+s.chunk, s.w.Rows)
	if s.w.float() {
		s.multiplyFloat(wk, r0, r1)
	} else {
		s.multiplyQuantized(wk, r0, r1)
	}
}

// grow returns s with length n, keeping nothing.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
