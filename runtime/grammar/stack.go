package grammar

import "sync/atomic"

// A frame is what follows when the piece at hand is done: go on at a node of a
// rule, in the context of the frames below; or, for a repetition, count one more.
// Frames are interned: equal frames are the same.
type frame struct {
	frameKey
	depth int32

	closed bool // whether what follows has been found
	config      // what can be read next
	first  [4]uint64
	extra  map[extraKey]*extra
}

type frameKey struct {
	node   Node  // where to go on; for a repetition, the node that its edge leaves
	rep    int32 // the repetition's place among the node's edges, or -1
	count  int32
	parent *frame
}

// A config is a set of threads, the special tokens that may come instead, and
// whether the text may end.
type config struct {
	threads  []thread
	specials []specialAt
	end      bool

	seen map[thread]struct{} // of threads, once they are many
	over bool                // there were more than maxThreads, or it took more than maxVisits to find them
}

func (c *config) reset() {
	c.threads, c.specials, c.end, c.over = c.threads[:0], c.specials[:0], false, false
	if c.seen != nil {
		c.seen = nil
	}
}

func (c *config) dead() bool { return len(c.threads) == 0 && len(c.specials) == 0 && !c.end }

// A thread is inside a terminal; after holds what follows it. See copying for
// what q, n and x are in a verbatim one.
type thread struct {
	term  int32
	q     int32 // the DFA's state
	n     int32 // code points read, if they are counted
	x     int32 // the state in the terminal's Not, -1 once it cannot apply
	after *frame
}

type specialAt struct {
	token int32 // index in Grammar.specials
	after *frame
}

const (
	// maxThreads bounds the ways in which a text may be read at the same time;
	// Accept fails where there are more.
	maxThreads = 4096
	few        = 32 // threads that are compared one by one
	// maxVisits bounds the places and edges that are looked at to find what follows one frame.
	maxVisits = 1 << 16
	// maxWork bounds what one call of a Matcher does: bytes read by threads, and places
	// looked at. It takes a second or so.
	maxWork = 1 << 23
	// maxSpace is how many bytes a space may take: Matchers do not go on beyond.
	maxSpace = 128 << 20
)

func (c *config) add(t thread) {
	if len(c.threads) < few {
		for i := range c.threads {
			if c.threads[i] == t {
				return
			}
		}
		c.threads = append(c.threads, t)
		return
	}
	if c.seen == nil {
		c.seen = make(map[thread]struct{}, 2*few)
		for _, o := range c.threads {
			c.seen[o] = struct{}{}
		}
	}
	if _, ok := c.seen[t]; ok {
		return
	}
	if len(c.threads) == maxThreads {
		c.over = true
		return
	}
	c.seen[t] = struct{}{}
	c.threads = append(c.threads, t)
}

func (c *config) addSpecial(s specialAt) {
	for _, o := range c.specials {
		if o == s {
			return
		}
	}
	c.specials = append(c.specials, s)
}

func (c *config) join(o *config) {
	if len(c.threads) == 0 {
		c.threads = append(c.threads, o.threads...) // they differ from each other
	} else {
		for _, t := range o.threads {
			c.add(t)
		}
	}
	c.over = c.over || o.over
	for _, s := range o.specials {
		c.addSpecial(s)
	}
	c.end = c.end || o.end
}

// A space holds the frames of a Program. Its owner locks it.
type space struct {
	g      *Grammar
	frames map[frameKey]*frame
	bytes  atomic.Int64 // about what frames and their extras take

	src   *copying // of the Matcher that holds the lock; nil if it has none
	work  int      // done since a Matcher took the lock, see maxWork
	asked bool     // some step came to a verbatim terminal: what it led to depends on src
	own   bool     // steps are those of one token: none goes on inside a verbatim string, see TokenSource
}

func newSpace(g *Grammar) *space { return &space{g: g, frames: map[frameKey]*frame{}} }

// spent reports whether what is being done takes too much time or memory.
func (s *space) spent() bool { return s.work > maxWork || s.bytes.Load() > maxSpace }

func (s *space) intern(k frameKey) *frame {
	if f, ok := s.frames[k]; ok {
		return f
	}
	f := &frame{frameKey: k, depth: 1}
	if k.parent != nil {
		f.depth = k.parent.depth + 1
	}
	s.frames[k] = f
	s.bytes.Add(frameBytes)
	return f
}

// start returns the frame of the whole grammar.
func (s *space) start() *frame {
	f := s.intern(frameKey{node: s.g.start, rep: -1})
	s.close(f)
	return f
}

// then returns the frame that goes on at node n above parent: parent itself when
// nothing is left to do at n.
func (s *space) then(n Node, parent *frame) *frame {
	if at := &s.g.nodes[n]; at.final && len(at.edges) == 0 && parent != nil {
		return parent
	}
	return s.intern(frameKey{node: n, rep: -1, parent: parent})
}

// close finds what can be read when f is reached.
func (s *space) close(f *frame) {
	if f.closed {
		return
	}
	f.closed = true
	e := expander{space: s, into: f}
	e.resume(f)
	f.seen = nil
	s.bytes.Add(threadBytes * int64(cap(f.threads)))
	for _, t := range f.threads {
		s.g.dfas[s.g.dfa[t.term]].Bytes(t.q, func(b byte) { f.first[b>>6] |= 1 << (b & 63) })
	}
}

// expander follows what can be reached without reading.
type expander struct {
	*space
	into *frame
	n    int // places looked at
	seen []visited
	many map[visited]struct{} // seen, once it is long
}

type visited struct {
	node   Node // -1 for resuming the frame
	parent *frame
}

// look counts a place or an edge that is looked at, and reports whether it may be.
func (e *expander) look() bool {
	e.work++
	e.n++
	e.into.over = e.into.over || e.n > maxVisits
	return !e.into.over
}

// visit reports whether v is to be looked at: it has not been, and there is room for more.
func (e *expander) visit(v visited) bool {
	if !e.look() {
		return false
	}
	if e.many != nil {
		if _, ok := e.many[v]; ok {
			return false
		}
		e.many[v] = struct{}{}
		return true
	}
	for _, o := range e.seen {
		if o == v {
			return false
		}
	}
	if e.seen = append(e.seen, v); len(e.seen) > few {
		e.many = make(map[visited]struct{}, 4*few)
		for _, o := range e.seen {
			e.many[o] = struct{}{}
		}
	}
	return true
}

func (e *expander) resume(f *frame) {
	if !e.visit(visited{-1, f}) {
		return
	}
	if f.rep < 0 {
		e.at(f.node, f.parent)
		return
	}
	r := &e.g.nodes[f.node].edges[f.rep]
	e.repeat(f.node, f.rep, r, f.count+1, f.parent)
}

// repeat goes on after n rounds of r.
func (e *expander) repeat(from Node, i int32, r *edge, n int32, parent *frame) {
	if n >= r.least {
		e.at(r.to, parent)
	}
	if r.most >= 0 && n >= r.most {
		return
	}
	if r.most < 0 {
		n = min(n, r.least)
	}
	if n < r.least || e.room(r, parent) {
		e.at(Node(r.arg), e.intern(frameKey{node: from, rep: i, count: n, parent: parent}))
	}
}

// room reports whether the stack may grow as much as edge r may need.
func (e *expander) room(r *edge, parent *frame) bool {
	return depthOf(parent)+max(r.needTo, r.needCall) <= MaxDepth
}

func depthOf(f *frame) int32 {
	if f == nil {
		return 0
	}
	return f.depth
}

func (e *expander) at(n Node, parent *frame) {
	if !e.visit(visited{n, parent}) {
		return
	}
	nd := &e.g.nodes[n]
	if nd.final {
		if parent == nil {
			e.into.end = true
		} else {
			e.resume(parent)
		}
	}
	for i := range nd.edges {
		if !e.look() {
			return
		}
		r := &nd.edges[i]
		if optional := r.kind == repeats && r.least == 0; !optional && !e.room(r, parent) || depthOf(parent)+r.needTo > MaxDepth {
			continue
		}
		switch r.kind {
		case empty:
			e.at(r.to, parent)
		case reads:
			e.into.add(thread{term: r.arg, after: e.then(r.to, parent)})
			if e.g.terms[r.arg].DFA.Accepts(0) {
				e.at(r.to, parent)
			}
		case special:
			e.into.addSpecial(specialAt{r.arg, e.then(r.to, parent)})
		case calls:
			e.at(Node(r.arg), e.then(r.to, parent))
		case repeats:
			e.repeat(n, int32(i), r, 0, parent)
		}
	}
}

// step reads byte b: it sets out to what the threads in become.
func (s *space) step(in []thread, b byte, out *config) {
	s.work += len(in)
	out.reset()
	for i := range in {
		if s.stepThread(&in[i], b, out); out.over {
			return // nobody goes on from there
		}
	}
}

// stepThread reads byte b in t, adding to out, if it is not nil, what t becomes.
// It reports whether t can read b.
func (s *space) stepThread(t *thread, b byte, out *config) bool {
	term := &s.g.terms[t.term]
	if term.Verbatim {
		if s.asked = true; s.src != nil {
			return s.copies(t, b, out)
		}
	}
	d := term.DFA
	q := d.Step(t.q, b)
	if q < 0 {
		return false
	}
	n, x := t.n, t.x
	if term.Least > 0 || term.Most > 0 {
		if d.Completes(t.q, q) {
			n++
		}
		if term.Most > 0 {
			if int(n)+int(d.Distance(q)) > term.Most {
				return false
			}
		} else {
			n = min(n, int32(term.Least))
		}
	}
	closed := d.Closed(q)
	if closed && int(n) < term.Least {
		return false
	}
	if term.Not != nil && t.q != 0 && x >= 0 {
		if closed {
			if term.Not.Accepts(x) {
				return false
			}
		} else {
			x = term.Not.Step(x, b)
		}
	}
	if out == nil {
		return true
	}
	if d.Accepts(q) && int(n) >= term.Least {
		s.close(t.after)
		s.work += len(t.after.threads)
		out.join(&t.after.config)
	}
	if !closed {
		out.add(thread{t.term, q, n, x, t.after})
	}
	return true
}
