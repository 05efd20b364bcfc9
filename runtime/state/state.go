// Package state holds what a model remembers of one sequence: the keys and
// values of its attention layers and the last inputs of its short convolutions.
//
// A [Seq] grows by steps. A step writes the new tokens' keys, values and
// convolution inputs next to what is there, and [Seq.Commit] makes them part of
// the sequence; a step that is abandoned before Commit leaves no trace. That is
// what makes cancelling in the middle of a forward pass safe.
//
// Keys and values live in pages of [PageLen] tokens that are never moved. A full
// page never changes again, so [Seq.Clone] shares it: a clone costs one partly
// filled page per attention layer and the convolution state. A convolution state
// cannot be cut back to an earlier position, so neither can a Seq: whoever wants
// to return to a position keeps a clone of it.
package state

import (
	"errors"
	"fmt"
	"slices"
)

// PageLen is the number of tokens in a page of keys and values.
const PageLen = 128

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
}

// A Page holds keys and values of PageLen tokens, [kvHeads][PageLen][headDim] each.
type Page struct{ K, V []float32 }

// A Seq is the memory of one sequence. It belongs to one goroutine at a time.
type Seq struct {
	shape Shape
	limit int
	pos   int      // tokens committed
	pages [][]Page // [layer], none for convolution layers
	conv  [][]float32
	next  [][]float32 // like conv, being written by the step in progress
}

// New returns an empty sequence that can grow to limit tokens.
func New(shape Shape, limit int) *Seq {
	n := len(shape.KVHeads)
	s := &Seq{shape: shape, limit: limit, pages: make([][]Page, n), conv: make([][]float32, n), next: make([][]float32, n)}
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

// Reserve makes room for n more tokens, so that steps until then allocate
// nothing. It fails with a [*ContextError] if they do not fit.
func (s *Seq) Reserve(n int) error {
	if n > s.limit-s.pos {
		return &ContextError{Needed: s.pos + n, Limit: s.limit}
	}
	want := (s.pos + n + PageLen - 1) / PageLen
	for l, heads := range s.shape.KVHeads {
		for heads > 0 && len(s.pages[l]) < want {
			s.pages[l] = append(s.pages[l], newPage(heads*PageLen*s.shape.HeadDim))
		}
	}
	return nil
}

func newPage(n int) Page {
	kv := make([]float32, 2*n)
	return Page{K: kv[:n:n], V: kv[n:]}
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
	return nil
}

// Put stores key and value, [kvHeads][headDim] each, of the token at pos for an
// attention layer. Pos lies within the step in progress.
func (s *Seq) Put(layer, pos int, k, v []float32) {
	hd, page, at := s.shape.HeadDim, s.pages[layer][pos/PageLen], pos%PageLen
	for h := range s.shape.KVHeads[layer] {
		to := (h*PageLen + at) * hd
		copy(page.K[to:to+hd], k[h*hd:])
		copy(page.V[to:to+hd], v[h*hd:])
	}
}

// Pages returns the keys and values of an attention layer; page i holds the
// tokens from i*PageLen on. They are to be read only up to the step in progress.
func (s *Seq) Pages(layer int) []Page { return s.pages[layer] }

// Conv returns the last Taps-1 inputs of a convolution layer, [Taps-1][Dim],
// oldest first, for the step in progress to shift its own into.
func (s *Seq) Conv(layer int) []float32 { return s.next[layer] }

// Commit ends a step: its n tokens are now part of the sequence.
func (s *Seq) Commit(n int) {
	s.pos += n
	s.conv, s.next = s.next, s.conv
}

// Clone returns an independent copy. The two share the pages that are full.
func (s *Seq) Clone() *Seq {
	c := &Seq{shape: s.shape, limit: s.limit, pos: s.pos, pages: make([][]Page, len(s.pages)), conv: make([][]float32, len(s.conv)), next: make([][]float32, len(s.next))}
	full := s.pos / PageLen
	for l, pages := range s.pages {
		if s.shape.KVHeads[l] == 0 {
			c.conv[l] = slices.Clone(s.conv[l])
			c.next[l] = make([]float32, len(s.next[l]))
			continue
		}
		c.pages[l] = slices.Clone(pages[:full])
		if s.pos%PageLen != 0 {
			last := newPage(len(pages[full].K))
			copy(last.K, pages[full].K)
			copy(last.V, pages[full].V)
			c.pages[l] = append(c.pages[l], last)
		}
	}
	return c
}

// Bytes returns the memory the sequence holds, shared pages included.
func (s *Seq) Bytes() int {
	n := 0
	for l := range s.pages {
		for _, p := range s.pages[l] {
			n += 8 * len(p.K)
		}
		n += 8 * len(s.conv[l])
	}
	return n
}
