package lfm2

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluice-ai/sluice/runtime/kernel"
	"github.com/sluice-ai/sluice/runtime/state"
)

// A Span is the part of one Forward that belongs to one sequence: its next
// tokens, and where their logits go.
type Span struct {
	Seq    *state.Seq
	Tokens []int32
	// Logits receives [rows][V] for the last rows tokens, rows being
	// len(Logits)/V; nil asks for none.
	Logits []float32
}

// Forward advances every sequence of the batch by its tokens and fills in the
// logits asked for. Together the spans hold at most w.Max() tokens, and no
// sequence occurs twice. If it fails, or ctx ends (looked at once per layer), no
// sequence has changed; a sequence that is full fails with a [*state.ContextError].
func (m *Model) Forward(ctx context.Context, w *Work, batch []Span) error {
	n, rows, err := m.check(w, batch)
	if err != nil || n == 0 {
		return err
	}
	w.begin(m, batch, n)
	defer w.end()

	for l := range m.layers {
		if err := ctx.Err(); err != nil {
			return err
		}
		layer := &m.layers[l]
		if l == 0 {
			w.norm(layer.attnNorm) // u = rms(x)
		}
		if layer.conv != nil {
			w.shortConv(l, layer.conv) // y = ShortConv(u)
		} else {
			w.attention(l, layer.attn) // y = Attn(u)
		}
		w.add(layer.ffnNorm) // x += y, u = rms(x)
		if layer.experts != nil {
			w.mixture(layer.experts)
		} else {
			w.feedForward(layer.ffn, m.FFN, w.y, w.u, n)
		}
		if l+1 < len(m.layers) {
			w.add(m.layers[l+1].attnNorm)
		} else {
			w.add(nil)
		}
	}
	if rows > 0 {
		w.logits(rows)
	}
	for _, s := range batch {
		s.Seq.Commit(len(s.Tokens))
	}
	return nil
}

// check refuses a batch that cannot run, and counts its tokens and rows of logits.
func (m *Model) check(w *Work, batch []Span) (n, rows int, err error) {
	if w.model != m {
		return 0, 0, errors.New("lfm2: this Work was made for another model")
	}
	for i, s := range batch {
		for j := range i {
			if batch[j].Seq == s.Seq {
				return 0, 0, errors.New("lfm2: a sequence occurs twice in a batch")
			}
		}
		for _, id := range s.Tokens {
			if id < 0 || int(id) >= m.Vocab {
				return 0, 0, fmt.Errorf("token %d is outside the vocabulary of %d", id, m.Vocab)
			}
		}
		if len(s.Logits)%m.Vocab != 0 || len(s.Logits)/m.Vocab > len(s.Tokens) {
			return 0, 0, fmt.Errorf("lfm2: room for %d logits does not fit %d tokens and a vocabulary of %d", len(s.Logits), len(s.Tokens), m.Vocab)
		}
		n += len(s.Tokens)
		rows += len(s.Logits) / m.Vocab
	}
	if n > w.max {
		return 0, 0, fmt.Errorf("lfm2: a batch of %d tokens is more than %d", n, w.max)
	}
	for _, s := range batch {
		if err := s.Seq.Begin(len(s.Tokens)); err != nil {
			return 0, 0, err
		}
	}
	return n, rows, nil
}

// norm sets u = rms(x) * weight, row by row.
func (w *Work) norm(weight []float32) {
	w.weight = weight
	w.each(w.normRow)
}

// add adds y to x and sets u = rms(x) * weight, but for a nil weight.
func (w *Work) add(weight []float32) {
	w.weight = weight
	w.each(w.addRow)
}

func (w *Work) normOne(t int) {
	d := w.model.Dim
	kernel.RMSNorm(w.u[t*d:][:d], w.x[t*d:][:d], w.weight, w.model.Eps)
}

func (w *Work) addOne(t int) {
	d := w.model.Dim
	kernel.Add(w.y[t*d:][:d], w.x[t*d:][:d])
	if w.weight != nil {
		w.normOne(t)
	}
}

// each runs f for every token of the batch, in any order.
func (w *Work) each(f func(t int)) {
	if w.n < 4 { // some hundred nanoseconds each: not worth another thread
		for t := range w.n {
			f(t)
		}
		return
	}
	w.pool.Run(w.n, f)
}

// shortConv sets y to the gated short convolution of u.
//
//	[B | C | x] = u Winᵀ           bcx [n][3d]
//	s = B * x                      kept: the last K-1 of each sequence
//	z_t = Σ_k taps[k] * s_{t-K+1+k}
//	y = (C * z) Woutᵀ
func (w *Work) shortConv(l int, c *shortConv) {
	m, n := w.model, w.n
	w.times(&c.in, w.bcx, w.u, n)
	w.layer, w.conv = l, c
	if parts := (m.Dim + channels - 1) / channels; n < 4 {
		for i := range parts {
			w.convPart(i)
		}
	} else {
		w.pool.Run(parts, w.convPart)
	}
	w.times(&c.out, w.y, w.u, n)
}

// channels is how many channels of a convolution one thread takes at once.
const channels = 128

// convSome advances the i-th channels by all tokens; those of a sequence are in order.
func (w *Work) convSome(i int) {
	d := w.model.Dim
	from, to := i*channels, min((i+1)*channels, d)
	for t := range w.n {
		seq := w.rows[t].seq
		convStep(w.u[t*d:][:d], w.bcx[t*3*d:][:3*d], w.conv.taps, seq.Conv(w.layer), from, to)
		if seq.Marked() {
			seq.Pass(w.layer, w.rows[t].pos, from, to)
		}
	}
}

// convStep advances the convolution's channels [from, to) by one token: dst [d] from
// bcx [3][d], taps [K][d] and past [K-1][d], into which s is shifted.
func convStep(dst, bcx, taps, past []float32, from, to int) {
	d := len(dst)
	if len(taps) == 3*d {
		kernel.ConvChannels(dst, bcx, taps, past, from, to)
		return
	}
	b, c, x := bcx[:d], bcx[d:2*d], bcx[2*d:]
	k := len(taps) / d
	for i := from; i < to; i++ {
		s := b[i] * x[i]
		z := taps[(k-1)*d+i] * s
		for j := range k - 1 {
			z += taps[j*d+i] * past[j*d+i]
		}
		dst[i] = c[i] * z
		for j := range k - 2 {
			past[j*d+i] = past[(j+1)*d+i]
		}
		past[(k-2)*d+i] = s
	}
}

// attention sets y to the grouped-query attention of u.
//
//	q = rope(rms(u Wqᵀ))  [n][H][hd]     k = rope(rms(u Wkᵀ)), v = u Wvᵀ  [n][kv][hd]
//	y = concat_h(softmax(q_h kᵀ/√hd + causal) v) Woᵀ       head h reads kv head h/(H/kv)
func (w *Work) attention(l int, a *attention) {
	n := w.n
	w.together(w.u, n, term{&a.q, w.q}, term{&a.k, w.k}, term{&a.v, w.v})
	w.layer, w.attn = l, a
	w.each(w.placeRow)
	w.pool.RunWorkers(a.kvHeads*len(w.tiles), w.attend)
	w.times(&a.out, w.y, w.o, n)
}

// placeOne normalises and rotates one token's queries and keys, and keeps its keys
// and values.
func (w *Work) placeOne(t int) {
	m, a, hd := w.model, w.attn, w.model.HeadDim
	qDim, kvDim := m.Heads*hd, a.kvHeads*hd
	q, k := w.q[t*qDim:][:qDim], w.k[t*kvDim:][:kvDim]
	for h := 0; h < qDim; h += hd {
		kernel.RMSNorm(q[h:h+hd], q[h:h+hd], a.qNorm, m.Eps)
	}
	for h := 0; h < kvDim; h += hd {
		kernel.RMSNorm(k[h:h+hd], k[h:h+hd], a.kNorm, m.Eps)
	}
	cos, sin := w.cos[t*hd/2:][:hd/2], w.sin[t*hd/2:][:hd/2]
	kernel.Rope(q, cos, sin)
	kernel.Rope(k, cos, sin)
	w.rows[t].seq.Put(w.layer, w.rows[t].pos, k, w.v[t*kvDim:][:kvDim])
}

// attendOne computes, for one key-value head and the tokens of one tile, the query
// heads that read it. Neighbouring i share the head, so its keys stay in the cache.
func (w *Work) attendOne(worker, i int) {
	m, hd := w.model, w.model.HeadDim
	group := m.Heads / w.attn.kvHeads
	head, tile := i/len(w.tiles), w.tiles[i%len(w.tiles)]
	rows := w.rows[tile.from:tile.to]
	seq, kv, first := rows[0].seq, rows[0].seq.KV(), head*group

	a := &w.attentions[worker]
	a.Begin(kv, hd, len(rows)*group)
	for j, row := range rows {
		q := w.q[((tile.from+j)*m.Heads+first)*hd:]
		for g := range group {
			a.Query(j*group+g, q[g*hd:][:hd], row.pos+1)
		}
	}
	at := head * seq.HeadBytes() // of the head in a page
	last := rows[len(rows)-1].pos
	for p, page := range seq.Pages(w.layer)[:last/state.PageLen+1] {
		a.Page(p*state.PageLen, page.K[at:], page.V[at:])
	}
	for j := range rows {
		o := w.o[((tile.from+j)*m.Heads+first)*hd:]
		for g := range group {
			a.Result(j*group+g, o[g*hd:][:hd])
		}
	}
}

// feedForward sets y to Wdown(silu(Wgate x) * (Wup x)), for n rows of x, the
// width of s being f.
func (w *Work) feedForward(s *swiglu, f int, y, x []float32, n int) {
	w.together(x, n, term{&s.gate, w.gate}, term{&s.up, w.up})
	w.width = f
	w.pool.Run(n, w.silu)
	w.times(&s.down, y, w.gate, n)
}

func (w *Work) siluOne(t int) {
	f := w.width
	kernel.SiLUMul(w.gate[t*f:][:f], w.up[t*f:][:f])
}

// logits sets the logits that the batch asks for, rows of them: rms(x) Eᵀ.
func (w *Work) logits(rows int) {
	m := w.model
	n, t, asking := 0, 0, 0
	var dst []float32
	for _, s := range w.batch {
		t += len(s.Tokens)
		if ask := len(s.Logits) / m.Vocab; ask > 0 {
			for i := t - ask; i < t; i++ { // u's rows up to n are no longer needed
				kernel.RMSNorm(w.u[n*m.Dim:][:m.Dim], w.x[i*m.Dim:][:m.Dim], m.norm, m.Eps)
				n++
			}
			asking++
			dst = s.Logits
		}
	}
	if asking == 1 {
		w.times(&m.output, dst, w.u, rows)
		return
	}
	if len(w.out) < rows*m.Vocab {
		w.out = make([]float32, rows*m.Vocab)
	}
	w.times(&m.output, w.out, w.u, rows)
	w.pool.Run(len(w.batch), w.handOut)
}

// handOutOne copies the logits of the i-th span to where it wants them.
func (w *Work) handOutOne(i int) {
	from := 0
	for _, s := range w.batch[:i] {
		from += len(s.Logits)
	}
	copy(w.batch[i].Logits, w.out[from:])
}
