package kernel

// A Product is one matrix of a [Scratch.Multiply], and where its results go:
// Dst[n][Rows].
type Product struct {
	Weight *Weight
	Dst    []float32
}

// A Scratch holds what a product needs besides its arguments, so that it need not
// be allocated again. The zero Scratch is ready for use, grows to the largest
// product it has seen, and may serve weights of all types and pools of all
// sizes, one call at a time.
type Scratch struct {
	// The products in progress, which share their columns x.
	parts []part
	x     []float32
	n     int
	cols  int

	act     activations
	workers []worker
	one     [1]Product
	rows    func(worker, i int) // s.multiplyRows, bound once
	columns func(worker, i int) // s.quantizeColumn, bound once
	groups  func(worker, i int) // s.quantizeGroup, bound once
}

// A part is one product in progress, cut into chunks of rows.
type part struct {
	w     *Weight
	dst   []float32
	chunk int // rows a worker claims at once
	first int // its first chunk among those of all parts
}

// A worker is the buffers of one goroutine of the pool.
type worker struct {
	row    unpacked
	floats []float32
	panels [rowsPerChunk / panelRows]panel
	tile   [groupCols * panelRows]float32
	args   tileArgs
	packed packedArgs
	column columnArgs
	float  floatArgs
	sums   [8 * panelRows]int32
	q      []int8
	d      []float32
	sums16 []int32
}

// reserve allocates what the worker may need for a product of w.
func (wk *worker) reserve(w *Weight) {
	if w.float() {
		if !haveFloatTile() {
			wk.floats = grow(wk.floats, w.Cols)
		}
		return
	}
	blocks := w.Cols / 32
	wk.sums16 = grow(wk.sums16, 2*blocks)
	wk.q, wk.d = grow(wk.q, w.Cols), grow(wk.d, blocks)
	if w.packed {
		return
	}
	if haveTile() {
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
// column is first rounded, 32 elements at a time, or 256 for types in blocks of 256
// and 128 for Q4_0 if cols is a multiple of it, to int8 q and float32 d with d = max|x|/127; then, writing w = scale*v + min for a weight,
//
//	for each block of 32 in order, or of 16 if the type has a scale for each 16:
//		acc += float32(Σ v*q) * (scale * d)
//		acc += min * (d * float32(Σ q))     if the type has a min for each 32
//
// and for Q2_K, which has a min for each 16, the sum of min * (d * float32(Σ q))
// over all of them added in the end. A packed matrix for such columns does instead
//
//	for each 256, or 128, in order:
//		part := 0
//		for each 32 in it, or 16:
//			part += float32(Σ v*q) * scale
//		part += -dmin * float32(Σ m * Σ q)  for Q4_K, where min = -(dmin*m)
//		acc += part * d
//
// Each operation rounds to float32.
func (w *Weight) MatMul(p *Pool, dst, x []float32, n int, s *Scratch) {
	s.one[0] = Product{w, dst}
	s.Multiply(p, x, n, s.one[:])
	s.one[0] = Product{}
}

// Multiply is [Weight.MatMul] for several matrices and the same columns, of which
// all have the length. They are rounded once for all matrices that want them in one
// form, and the threads meet once.
func (s *Scratch) Multiply(p *Pool, x []float32, n int, products []Product) {
	work := 0
	for _, pr := range products {
		w := pr.Weight
		if n <= 0 || len(x)/n < w.Cols || len(pr.Dst)/n < w.Rows || w.Cols != products[0].Weight.Cols {
			panic("kernel: Multiply: dst or x is too short")
		}
		work += n * w.Rows * w.Cols
	}
	if work < worthSharing {
		p = nil
	}
	s.begin(p, x, n, products)
	for len(products) > 0 {
		kind := s.kind(products[0].Weight)
		same := 1
		for same < len(products) && s.kind(products[same].Weight) == kind {
			same++
		}
		if kind.size > 0 {
			s.quantize(p, kind)
		}
		p.RunWorkers(s.cut(p, products[:same]), s.rows)
		products = products[same:]
	}
	clear(s.parts)
	s.x = nil
}

// cut sets parts to the products and returns how many chunks they have.
func (s *Scratch) cut(p *Pool, products []Product) (chunks int) {
	s.parts = s.parts[:0]
	for _, pr := range products {
		w := pr.Weight
		chunk := s.chunkRows(w)
		for chunk > rowsPerChunk && w.Rows < 4*chunk*p.Threads() {
			chunk /= 2
		}
		s.parts = append(s.parts, part{w, pr.Dst, chunk, chunks})
		chunks += (w.Rows + chunk - 1) / chunk
	}
	return chunks
}

// chunkRows returns how many rows of w are best claimed at once: so many that
// claiming costs nothing, so few that workers finish together.
func (s *Scratch) chunkRows(w *Weight) int {
	switch {
	case w.float():
		return floatRowsPerChunk
	case w.packed && s.n == 1:
		return panelRows
	case w.packed:
		return 4 * panelRows
	case s.act.kind.grouped:
		return rowsPerChunk
	}
	return 8 * panelRows // the first rows of a chunk come unannounced
}

func (w *Weight) float() bool { return w.Type.BlockSize() == 1 }

const (
	rowsPerChunk      = 2 * panelRows
	floatRowsPerChunk = 16
)

// worthSharing is the least number of multiplications for which a worker is woken:
// some microseconds of work, as waking takes.
const worthSharing = 64 << 10

func (s *Scratch) begin(p *Pool, x []float32, n int, products []Product) {
	s.x, s.n, s.cols = x, n, products[0].Weight.Cols
	if s.rows == nil {
		s.rows, s.columns, s.groups = s.multiplyRows, s.quantizeColumn, s.quantizeGroup
	}
	threads := p.Threads()
	for len(s.workers) < threads {
		s.workers = append(s.workers, worker{})
	}
	for i := range threads { // now, as any of them may run nothing today and all tomorrow
		for _, pr := range products {
			s.workers[i].reserve(pr.Weight)
		}
	}
}

// multiplyRows computes chunk i of the rows of all columns.
func (s *Scratch) multiplyRows(worker, i int) {
	k := len(s.parts) - 1
	for s.parts[k].first > i {
		k--
	}
	wk, pt := &s.workers[worker], &s.parts[k]
	r0 := (i - pt.first) * pt.chunk
	r1 := min(r0+pt.chunk, pt.w.Rows)
	switch {
	case pt.w.float():
		s.multiplyFloat(wk, pt, r0, r1)
	case pt.w.packed:
		s.multiplyPacked(wk, pt, r0/panelRows, (r1+panelRows-1)/panelRows)
	case s.act.kind.grouped:
		s.multiplyTiles(wk, pt, r0, r1)
	case !s.multiplyColumn(wk, pt, r0, r1):
		s.multiplyRowByRow(wk, pt, r0, r1)
	}
}

// grow returns s with length n, keeping nothing.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
