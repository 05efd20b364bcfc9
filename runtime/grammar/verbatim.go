package grammar

// copying is what a Matcher that has a Source, and its clones, know of it. What
// uses it holds the lock of their space.
//
// A thread inside a verbatim terminal keeps a span of the Source where others keep
// the state of a DFA: lo in q, hi in n, and depth+1 in x, which is 0 before the
// opening quote.
type copying struct {
	*Source
	wide map[span]*copied // of spans that many tokens can follow; depth is -1 before the quote

	last   *copied // of span lastOf, the last that was asked for
	lastOf span

	seen   []uint32 // of each of own.sets and 1 more, the turn in which it came up
	turn   uint32
	others []int32 // scratch: places that have no own token
}

const (
	// wideFrom is from how many places on what a span lets through is kept, and
	// maxWide of how many spans.
	wideFrom = 256
	maxWide  = 64
)

// copied is what a span lets through, whatever the stack.
type copied struct {
	ids   []int32 // tokens that stay inside the string
	exits []int32 // nodes of the trie at which the string has just ended
}

func (t *thread) span() span { return span{t.q, t.n, t.x - 1} }

// copies adds to out, if it is not nil, what t becomes with byte b, and reports
// whether it can read b.
func (s *space) copies(t *thread, b byte, out *config) bool {
	var p span
	ok := false
	if t.x == 0 {
		p, ok = s.src.all(), b == '"'
	} else if p, ok = s.src.next(t.span(), b); !ok || s.own {
		// Quotes in the text are spelled \", so that this is the string's own.
		if b != '"' || !s.src.done(t.span()) {
			return false
		}
		if out != nil {
			s.close(t.after)
			out.join(&t.after.config)
		}
		return true
	}
	if ok && out != nil {
		out.add(thread{t.term, p.lo, p.hi, p.depth + 1, t.after})
	}
	return ok
}

// onlyCopied returns the byte that must follow in t, and whether there is just one.
func (s *space) onlyCopied(t *thread) (byte, bool) {
	if t.x == 0 {
		return '"', true
	}
	return s.src.only(t.span())
}

// verbatim adds the tokens that t, which is inside a verbatim terminal, can read.
func (w *maskWalk) verbatim(dst []uint64, t *thread) {
	c := w.through(t)
	set(dst, c.ids)
	if len(c.exits) == 0 {
		return
	}
	w.close(t.after)
	w.out = w.out[:0]
	for _, n := range c.exits {
		if id := w.v.trie.tok[n]; id >= 0 {
			w.out = append(w.out, id)
		}
		w.children(n, t.after, nil, 0)
	}
	set(dst, w.out)
}

// through returns what t, which is inside a verbatim terminal, lets through.
func (w *maskWalk) through(t *thread) *copied {
	p, keep := t.span(), w.own == (w.src.own != nil)
	if keep {
		if w.src.last != nil && w.src.lastOf == p {
			return w.src.last
		}
		if c, ok := w.src.wide[p]; ok {
			return c
		}
	}
	c := &copied{}
	quote := w.v.trie.first['"']
	switch {
	case t.x > 0 && w.own:
		w.owned(p, c)
	case t.x > 0:
		w.pieces(w.src.Source, 0, p, c)
	case quote >= 0:
		if id := w.v.trie.tok[quote]; id >= 0 {
			c.ids = append(c.ids, id)
		}
		if !w.own {
			w.pieces(w.src.Source, quote, w.src.all(), c)
		}
	}
	if keep {
		w.src.last, w.src.lastOf = c, p
		if (t.x == 0 || p.hi-p.lo >= wideFrom) && len(w.src.wide) < maxWide {
			w.src.wide[p] = c
		}
	}
	return c
}

// pieces goes through the trie below node and the places of p in src together, both
// of which are in the order of their bytes.
func (w *maskWalk) pieces(src *Source, node int32, p span, c *copied) {
	tr := &w.v.trie
	left := p
	for n := node + 1; n < tr.end[node]; n = tr.end[n] {
		b := tr.char[n]
		if b > 0 && left.lo < left.hi && src.at(p, left.lo) < b {
			left.lo = src.upper(left, b-1)
		}
		switch {
		case b > 0 && left.lo < left.hi && src.at(p, left.lo) == b:
			below := span{left.lo, src.upper(left, b), p.depth + 1}
			left.lo = below.hi
			if id := tr.tok[n]; id >= 0 {
				c.ids = append(c.ids, id)
			}
			if !tr.leaf(n) {
				w.pieces(src, n, below, c)
			}
		case b == '"' && src.done(p):
			c.exits = append(c.exits, n)
		case b > '"' && left.lo == left.hi:
			return
		}
	}
}
