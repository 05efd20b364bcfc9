// Package state holds what a model remembers of one sequence: the keys and
// values of its attention layers and the last inputs of its short convolutions.
//
// A [Seq] grows by steps. A step writes the new tokens' keys, values and
// convolution inputs next to what is there, and [Seq.Commit] makes them part of
// the sequence; a step that is abandoned before Commit leaves no trace. That is
// what makes cancelling in the middle of a forward pass safe.
//
// Keys and values live in pages of [PageLen] tokens, in F32, F16 or Q8_0. A
// [Seq.Clone] shares all pages; whoever of the sharers first writes to the last,
// partly filled one copies it. A convolution state cannot be cut back to an
// earlier position, so neither can a Seq, but for positions of its last step that
// were marked before: whoever wants to return to another keeps a [Seq.Snapshot].
//
// # Memory
//
// A [Budget] counts every page once, however many sequences share it. It learns
// that a sequence is no longer used from [Seq.Release].
package state

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/sluice-ai/sluice/runtime/kernel"
	"github.com/sluice-ai/sluice/runtime/quant"
)

// PageLen is the number of tokens in a page of keys and values.
const PageLen = kernel.KVPage

// ErrContext is what a [*ContextError] is, for errors.Is.
var ErrContext = errors.New("context length exceeded")

// A ContextError reports a sequence that would be longer than its limit.
type ContextError struct {
	Needed int // tokens the sequence would have
	Limit  int // tokens it can have
}

func (e *ContextError) Error() string {
	return fmt.Sprintf("context length exceeded: %d tokens are needed, %d are possible", e.Needed, e.Limit)
}

// Is reports whether target is [ErrContext].
func (e *ContextError) Is(target error) bool { return target == ErrContext }

// A Shape says what a model has to remember.
type Shape struct {
	KVHeads []int // per layer; 0 marks a short-convolution layer
	HeadDim int
	Dim     int // channels of a convolution
	Taps    int // of a convolution: Taps-1 past inputs are kept
	// KV is the type of keys and values: F32 (the zero value), F16 or Q8_0.
	KV quant.Type
}

// Validate reports a type of keys and values that heads of this size cannot have.
func (s Shape) Validate() error {
	if !kernel.KVSupported(s.KV, s.HeadDim) {
		return fmt.Errorf("keys and values of %d elements cannot be kept as %v", s.HeadDim, s.KV)
	}
	return nil
}

// RowBytes returns the bytes of one head's key, or value.
func (s Shape) RowBytes() int { return quant.RowBytes(s.KV, s.HeadDim) }

// TokenBytes returns the bytes of keys and values that each token adds; they are
// taken for [PageLen] tokens at a time.
func (s Shape) TokenBytes() int {
	n := 0
	for _, heads := range s.KVHeads {
		n += 2 * heads * s.RowBytes()
	}
	return n
}

// FixedBytes returns the bytes a sequence takes whatever its length.
func (s Shape) FixedBytes() int {
	n := 0
	for _, heads := range s.KVHeads {
		if heads == 0 {
			n += 2 * 4 * (s.Taps - 1) * s.Dim
		}
	}
	return n
}

// SnapshotBytes returns the bytes a snapshot takes besides its pages.
func (s Shape) SnapshotBytes() int { return s.FixedBytes() / 2 }

// Bytes returns what a sequence of so many tokens takes, pages being whole.
func (s Shape) Bytes(tokens int) int64 {
	return int64(s.FixedBytes()) + int64(s.pages(tokens))*PageLen*int64(s.TokenBytes())
}

func (s Shape) pages(tokens int) int { return (tokens + PageLen - 1) / PageLen }

// A Page holds keys and values of PageLen tokens: head after head, those of
// [Seq.HeadBytes], as [kernel.KVStoreKey] and [kernel.KVStoreValue] lay them out.
type Page struct {
	K, V []byte       // halves of kv
	kv   []byte       // goes to another page when nobody holds this one
	refs atomic.Int32 // sequences that hold it
}

func newPage(kv []byte) *Page {
	size := len(kv) / 2
	p := &Page{K: kv[:size:size], V: kv[size:], kv: kv}
	p.refs.Store(1)
	return p
}

// A Seq is the memory of one sequence. It belongs to one goroutine at a time,
// but for Clone.
type Seq struct {
	shape  Shape
	limit  int
	budget *Budget
	pos    int       // tokens committed
	pages  [][]*Page // [layer], none for convolution layers
	conv   [][]float32
	next   [][]float32 // like conv, being written by the step in progress
	marks  []mark      // of the step in progress, or the last one
	asked  bool        // marks are for a step that has not begun

	fixed int64 // bytes of the convolution states that the budget knows of
	grant int64 // bytes taken from the budget for pages to come
}

// New returns an empty sequence that can grow to limit tokens.
func New(shape Shape, limit int) *Seq { return NewWithin(nil, shape, limit) }

// NewWithin is New for a sequence whose memory b counts. [Seq.Release] ends that.
func NewWithin(b *Budget, shape Shape, limit int) *Seq {
	n := len(shape.KVHeads)
	s := &Seq{shape: shape, limit: limit, budget: b, pages: make([][]*Page, n), conv: make([][]float32, n), next: make([][]float32, n)}
	for l, heads := range shape.KVHeads {
		if heads == 0 {
			s.conv[l] = make([]float32, (shape.Taps-1)*shape.Dim)
			s.next[l] = make([]float32, (shape.Taps-1)*shape.Dim)
		}
	}
	return s
}

// Pos returns the number of tokens in the sequence.
func (s *Seq) Pos() int { return s.pos }

// Limit returns the number of tokens it can have.
func (s *Seq) Limit() int { return s.limit }

// KV returns the type of its keys and values.
func (s *Seq) KV() quant.Type { return s.shape.KV }

// Promise takes from the budget what n more tokens will need, so that steps until
// then cannot fail for memory. It fails with a [*MemoryError] if that is not
// there now, and with a [*ContextError] if the tokens do not fit the limit.
func (s *Seq) Promise(n int) error {
	if n > s.limit-s.pos {
		return &ContextError{Needed: s.pos + n, Limit: s.limit}
	}
	if err := s.begin(); err != nil {
		return err
	}
	var need int64
	want := s.shape.pages(s.pos + n)
	for l, heads := range s.shape.KVHeads {
		if heads > 0 {
			need += int64(max(0, want-len(s.pages[l])) * s.pageBytes(l))
			if s.sharesLast(l) {
				need += int64(s.pageBytes(l))
			}
		}
	}
	if need -= s.grant; need <= 0 {
		return nil
	}
	if err := s.budget.take(need); err != nil {
		return err
	}
	s.grant += need
	return nil
}

// begin makes the budget know of the sequence.
func (s *Seq) begin() error {
	if s.fixed > 0 {
		return nil
	}
	need := int64(s.shape.FixedBytes())
	if err := s.budget.take(need); err != nil {
		return err
	}
	s.fixed = need
	return nil
}

func (s *Seq) pageBytes(layer int) int {
	return 2 * s.shape.KVHeads[layer] * PageLen * s.shape.RowBytes()
}

// page allocates a page of a layer.
func (s *Seq) page(layer int) (*Page, error) {
	size := s.pageBytes(layer)
	if s.grant >= int64(size) {
		s.grant -= int64(size)
	} else if err := s.budget.take(int64(size)); err != nil {
		return nil, err
	}
	return newPage(s.budget.memory(size)), nil
}

// drop lets go of a page.
func (s *Seq) drop(p *Page) {
	if p.refs.Add(-1) == 0 {
		s.budget.give(int64(len(p.kv)))
		s.budget.keep(p.kv)
		p.K, p.V, p.kv = nil, nil, nil // whoever still looks at it fails, instead of seeing another's
	}
}

// sharesLast reports whether the next token would be written to a shared page.
func (s *Seq) sharesLast(layer int) bool {
	return s.pos%PageLen != 0 && s.pages[layer][s.pos/PageLen].refs.Load() > 1
}

// Reserve makes room for n more tokens, so that steps until then allocate
// nothing. It fails with a [*ContextError] if they do not fit the limit, and with
// a [*MemoryError] if the budget does not have their memory.
func (s *Seq) Reserve(n int) error {
	if n > s.limit-s.pos {
		return &ContextError{Needed: s.pos + n, Limit: s.limit}
	}
	if err := s.begin(); err != nil {
		return err
	}
	want := s.shape.pages(s.pos + n)
	for l, heads := range s.shape.KVHeads {
		if heads > 0 && n > 0 && s.sharesLast(l) {
			p, err := s.page(l)
			if err != nil {
				return err
			}
			last := &s.pages[l][s.pos/PageLen]
			copy(p.K, (*last).K)
			copy(p.V, (*last).V)
			s.drop(*last)
			*last = p
		}
		for heads > 0 && len(s.pages[l]) < want {
			p, err := s.page(l)
			if err != nil {
				return err
			}
			s.pages[l] = append(s.pages[l], p)
		}
	}
	return nil
}

// Begin starts a step of n tokens: it reserves their room and prepares the
// convolution states. What an abandoned step wrote is forgotten.
func (s *Seq) Begin(n int) error {
	if err := s.Reserve(n); err != nil {
		return err
	}
	for l := range s.conv {
		copy(s.next[l], s.conv[l])
	}
	if !s.asked {
		s.marks = s.marks[:0]
	}
	s.asked = false
	return nil
}

// Put stores key and value, [kvHeads][headDim] each, of the token at pos for an
// attention layer. Pos lies within the step in progress.
func (s *Seq) Put(layer, pos int, k, v []float32) {
	hd, page, at := s.shape.HeadDim, s.pages[layer][pos/PageLen], pos%PageLen
	row, size := s.shape.RowBytes(), s.HeadBytes()
	for h := range s.shape.KVHeads[layer] {
		kernel.KVStoreKey(s.shape.KV, page.K[h*size:][:size], at, k[h*hd:(h+1)*hd])
		kernel.KVStoreValue(s.shape.KV, page.V[h*size+at*row:][:row], v[h*hd:(h+1)*hd])
	}
}

// HeadBytes returns the bytes of one head's keys, or values, in a page.
func (s *Seq) HeadBytes() int { return PageLen * s.shape.RowBytes() }

// Pages returns the keys and values of an attention layer; page i holds the
// tokens from i*PageLen on. They are to be read only up to the step in progress.
func (s *Seq) Pages(layer int) []*Page { return s.pages[layer] }

// Conv returns the last Taps-1 inputs of a convolution layer, [Taps-1][Dim],
// oldest first, for the step in progress to shift its own into.
func (s *Seq) Conv(layer int) []float32 { return s.next[layer] }

// Commit ends a step: its n tokens are now part of the sequence.
func (s *Seq) Commit(n int) {
	s.pos += n
	s.conv, s.next = s.next, s.conv
}

// Clone returns an independent sequence in the same state. The two share all
// pages until one of them writes. Several goroutines may clone a sequence at the
// same time if nobody advances it. The clone is empty-handed as to promises.
func (s *Seq) Clone() *Seq {
	c := NewWithin(s.budget, s.shape, s.limit)
	c.pos = s.pos
	for l := range s.conv {
		copy(c.conv[l], s.conv[l])
	}
	c.share(s, s.pos)
	return c
}

// Release gives the sequence's memory back to its budget; what clones share stays
// counted until they are released too. The sequence must not be used afterwards,
// but for releasing it again, which is harmless.
func (s *Seq) Release() {
	for l, pages := range s.pages {
		for _, p := range pages {
			s.drop(p)
		}
		s.pages[l] = nil
	}
	s.budget.give(s.fixed + s.grant)
	s.pos, s.limit, s.grant, s.fixed, s.marks = 0, 0, 0, 0, nil
}

// Bytes returns the memory the sequence holds, shared pages included.
func (s *Seq) Bytes() int {
	n := s.shape.FixedBytes()
	for _, pages := range s.pages {
		for _, p := range pages {
			n += len(p.K) + len(p.V)
		}
	}
	return n
}
