package lfm2

import (
	"github.com/sluice-ai/sluice/runtime/kernel"
	"github.com/sluice-ai/sluice/runtime/state"
)

// A Work holds the buffers of a forward pass over up to Max tokens, made once so
// that decoding a token allocates nothing. It serves one [Model.Forward] at a time.
type Work struct {
	model *Model
	pool  *kernel.Pool
	max   int

	x, u, y  []float32 // [max][d] residual stream; a mixer's input; its output
	cos, sin []float32 // [max][hd/2]

	// A layer's buffers. Those of the three kinds are the same memory, for only one of
	// them is at work.
	bcx      []float32 // [max][3d]
	q, o     []float32 // [max][H*hd] queries; what attention mixes
	k, v     []float32 // [max][kv*hd]
	gate, up []float32 // [max][F], F that of the widest feed-forward

	routing  routing
	low      []float32 // [n][r] of an adapter, grown on demand
	wide     []float32 // [n][rows] of an adapter, grown on demand
	out      []float32 // logits of several sequences, grown on demand
	scratch  kernel.Scratch
	products []kernel.Product // of one multiplication

	attentions []kernel.Attention // one per thread of the pool
	freq       []float64          // [hd/2] of the rotation

	// Loops over the tokens of the batch or over parts of them, bound once.
	startRow, normRow, addRow, placeRow, convPart, silu, gather, scatter, handOut func(i int)
	attend                                                                        func(worker, i int)

	// The pass in progress.
	batch  []Span
	n      int    // tokens in the batch
	rows   []row  // [n]
	tiles  []tile // of the rows
	layer  int
	attn   *attention
	conv   *shortConv
	weight []float32 // of the norm in progress
	width  int       // of the feed-forward in progress
}

// A row is one token of the batch.
type row struct {
	seq *state.Seq
	pos int
	id  int32
}

// A tile is some rows, one after the other, of one sequence: those that read its
// keys and values together.
type tile struct{ from, to int }

// tileTokens is the most rows of a tile: enough to read keys and values seldom,
// few enough that short prompts have work for every thread.
const tileTokens = 16

// NewWork returns buffers for batches of up to size tokens, whose loops run on pool.
func NewWork(m *Model, pool *kernel.Pool, size int) *Work {
	heads, kv, f := m.Heads*m.HeadDim, m.maxKVHeads()*m.HeadDim, max(m.FFN, m.ExpertFFN)
	make32 := func(n int) []float32 { return make([]float32, size*n) }
	shared := make32(max(3*m.Dim, 2*heads+2*kv, 2*f))
	part := func(from, n int) []float32 { return shared[size*from:][: size*n : size*n] }
	w := &Work{
		model: m, pool: pool, max: size,
		x: make32(m.Dim), u: make32(m.Dim), y: make32(m.Dim),
		cos: make32(m.HeadDim / 2), sin: make32(m.HeadDim / 2),
		bcx: part(0, 3*m.Dim),
		q:   part(0, heads), o: part(heads, heads),
		k: part(2*heads, kv), v: part(2*heads+kv, kv),
		gate: part(0, f), up: part(f, f),
		routing: newRouting(&m.Config, size),
		rows:    make([]row, size),
		tiles:   make([]tile, 0, size),

		products:   make([]kernel.Product, 0, max(3, 2*m.Active)),
		attentions: make([]kernel.Attention, pool.Threads()),
		freq:       make([]float64, m.HeadDim/2),
	}
	kernel.RopeFrequencies(w.freq, m.Theta)
	w.startRow, w.normRow, w.addRow, w.placeRow, w.convPart = w.startOne, w.normOne, w.addOne, w.placeOne, w.convSome
	w.silu, w.attend, w.gather, w.scatter = w.siluOne, w.attendOne, w.gatherOne, w.scatterOne
	w.handOut = w.handOutOne
	return w
}

// Max returns the most tokens a batch may have.
func (w *Work) Max() int { return w.max }

// begin lays the batch out: embeddings into x, positions and rotations per row.
func (w *Work) begin(m *Model, batch []Span, n int) {
	w.batch, w.n, w.tiles = batch, n, w.tiles[:0]
	t := 0
	for _, s := range batch {
		for from := t; from < t+len(s.Tokens); from += tileTokens {
			w.tiles = append(w.tiles, tile{from, min(from+tileTokens, t+len(s.Tokens))})
		}
		for i, id := range s.Tokens {
			w.rows[t] = row{s.Seq, s.Seq.Pos() + i, id}
			t++
		}
	}
	w.each(w.startRow)
	t = 0
	for _, s := range batch {
		first := t
		t += len(s.Tokens)
		w.embedSides(w.x[first*m.Dim:t*m.Dim], s.Tokens)
	}
}

// startOne looks a token's embedding up and the rotation of its position.
func (w *Work) startOne(t int) {
	m, half := w.model, w.model.HeadDim/2
	m.embed.Row(int(w.rows[t].id), w.x[t*m.Dim:][:m.Dim])
	kernel.RopeTable(w.cos[t*half:][:half], w.sin[t*half:][:half], w.rows[t].pos, w.freq)
}

// end lets go of the sequences.
func (w *Work) end() {
	clear(w.rows[:w.n])
	w.batch, w.attn, w.conv, w.weight = nil, nil, nil, nil
}
