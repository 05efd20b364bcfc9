package state

import (
	"fmt"
	"slices"
)

// A mark is a position inside a step at which the convolution states are kept,
// so that the sequence can be had as it was there.
type mark struct {
	pos  int
	conv [][]float32 // per layer, as in Seq
}

// Mark asks the next step to remember the sequence as it is after pos tokens, for
// each of the positions given, which lie in that step: greater than Pos, in
// ascending order. [Seq.Rewind] and [Seq.Snapshot] then reach them until the step
// after it begins. The call replaces an earlier one; without positions it asks
// for nothing.
func (s *Seq) Mark(positions ...int) {
	s.marks = s.marks[:0]
	for _, pos := range positions {
		if n := len(s.marks); n < cap(s.marks) {
			s.marks = s.marks[:n+1] // with the buffers of an earlier step
		} else {
			s.marks = append(s.marks, mark{})
		}
		m := &s.marks[len(s.marks)-1]
		m.pos = pos
		if m.conv == nil {
			m.conv = make([][]float32, len(s.conv))
			for l, c := range s.conv {
				m.conv[l] = make([]float32, len(c))
			}
		}
	}
	s.asked = true
}

// Marked reports whether a mark is set, so that [Seq.Pass] is worth calling.
func (s *Seq) Marked() bool { return len(s.marks) > 0 }

// Pass says that the channels [from, to) in [Seq.Conv] of this layer have taken in
// the token at pos and no later one. A forward pass says it for each token of a
// marked sequence, in order, and for all channels, in any.
func (s *Seq) Pass(layer, pos, from, to int) {
	for i := range s.marks {
		if m := &s.marks[i]; m.pos == pos+1 {
			for row := 0; row < len(s.next[layer]); row += s.shape.Dim {
				copy(m.conv[layer][row+from:row+to], s.next[layer][row+from:])
			}
			return
		}
	}
}

// at returns the convolution states after pos tokens, or nil if they are not known.
func (s *Seq) at(pos int) [][]float32 {
	if pos == s.pos {
		return s.conv
	}
	if pos < s.pos {
		for i := range s.marks {
			if s.marks[i].pos == pos {
				return s.marks[i].conv
			}
		}
	}
	return nil
}

// Rewind drops the tokens after the first pos. It fails, changing nothing, unless
// pos is where the sequence ends or a mark of its last step. The memory of the
// tokens stays the sequence's.
func (s *Seq) Rewind(pos int) error {
	conv := s.at(pos)
	if conv == nil {
		return fmt.Errorf("state: no mark at %d of %d tokens", pos, s.pos)
	}
	for l := range s.conv {
		copy(s.conv[l], conv[l]) // of itself, where nothing is dropped
	}
	s.pos = pos
	return nil
}

// Snapshot returns the sequence as it was after pos tokens, where it ends or a
// mark of its last step is, to keep and to make clones of. It shares pages like a
// clone and can do nothing but be cloned and released. Its convolution states
// count in the budget; it fails with a [*MemoryError] if they do not fit.
func (s *Seq) Snapshot(pos int) (*Seq, error) {
	conv := s.at(pos)
	if conv == nil {
		return nil, fmt.Errorf("state: no mark at %d of %d tokens", pos, s.pos)
	}
	fixed := int64(s.shape.SnapshotBytes())
	if err := s.budget.take(fixed); err != nil {
		return nil, err
	}
	c := &Seq{shape: s.shape, limit: s.limit, budget: s.budget, pos: pos, pages: make([][]*Page, len(s.pages)), conv: make([][]float32, len(conv)), fixed: fixed}
	for l := range conv {
		c.conv[l] = slices.Clone(conv[l])
	}
	c.share(s, pos)
	return c, nil
}

// share takes the pages of the first pos tokens from s.
func (c *Seq) share(s *Seq, pos int) {
	held := s.shape.pages(pos)
	for l, heads := range s.shape.KVHeads {
		if heads > 0 {
			c.pages[l] = slices.Clone(s.pages[l][:held])
			for _, p := range c.pages[l] {
				p.refs.Add(1)
			}
		}
	}
}
