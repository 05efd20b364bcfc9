package grammar

import (
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sluice-ai/sluice/runtime/grammar/automaton"
)

// masks holds what each state of a DFA lets through, found when first asked for.
type masks struct {
	d      *automaton.DFA
	once   sync.Once // for finding all
	states []atomic.Pointer[mask]
	room   *atomic.Int64 // bytes that may still be kept; nil is no bound
}

func newMasks(d *automaton.DFA, room *atomic.Int64) *masks {
	return &masks{d: d, states: make([]atomic.Pointer[mask], d.States()), room: room}
}

// What a Program may keep of masks, and a space of what follows them.
const (
	maxMaskBytes = 64 << 20
	maxExtras    = 1 << 13
)

// take reports whether there is room to keep n more bytes, which are then taken.
func (ms *masks) take(n int64) bool {
	if ms.room == nil || ms.room.Add(-n) >= 0 {
		return true
	}
	ms.room.Add(n)
	return false
}

// size returns about how many bytes m takes, tails included.
func (m *mask) size() int64 {
	return int64(256 + 8*len(m.bits) + 4*len(m.ids) + 48*len(m.exits))
}

// A mask is what one state of a DFA lets through, whatever the stack.
type mask struct {
	ids  []int32  // tokens that stay inside the DFA, in the order of the trie
	bits []uint64 // the same, when they are many
	// exits are where the DFA may end, in the order of the trie.
	exits []exit
	ends  bool // some exit ends in a state that nothing can follow

	tailsOnce sync.Once
	tails     tails // what follows the exits, if it was asked for

	byNeed atomic.Pointer[needs] // once it was asked for
}

// needs are the tokens of a mask by the code points that they need to the end of the text.
type needs struct {
	ids  []int32
	need []uint16   // of ids, ascending
	mark [][]uint64 // the first i*markEvery of ids as a mask
}

// size returns about how many bytes n takes.
func (n *needs) size() int64 {
	size := int64(128 + 6*len(n.ids))
	for _, m := range n.mark {
		size += 24 + 8*int64(len(m))
	}
	return size
}

const (
	denseFrom = 1024 // tokens from which a bit set is kept
	markEvery = 8192
)

// An exit is a node of the trie at which a DFA accepts. If nothing can follow
// inside the DFA, the token at the node depends on the exit too.
type exit struct {
	node   int32
	count  int32 // code points read until there
	closed bool  // whether nothing can follow inside the DFA
}

// mask returns the mask of state q.
func (v *Vocab) mask(m *masks, q int32) *mask {
	if got := m.states[q].Load(); got != nil {
		return got
	}
	got := v.walk(m.d, q)
	if !m.take(got.size()) {
		return got // used once
	}
	m.states[q].CompareAndSwap(nil, got)
	return m.states[q].Load()
}

// narrow is how many bytes a state may read for the walk to look them up
// instead of trying every first byte of a token.
const narrow = 16

// walk goes through the trie with d, beginning in state q.
func (v *Vocab) walk(d *automaton.DFA, q int32) *mask {
	t := &v.trie
	out := &mask{}
	path := make([]walkAt, t.depth+1)
	path[0] = walkAt{q: q}
	if d.Width(q) <= narrow {
		d.Bytes(q, func(b byte) {
			if c := t.first[b]; c >= 0 {
				v.walkRange(d, path, c, t.end[c], out, nil)
			}
		})
	} else {
		v.walkRange(d, path, 1, int32(len(t.char)), out, nil)
	}
	out.exits = slices.Clip(out.exits)
	if len(out.ids) >= denseFrom {
		out.bits = make([]uint64, v.Words())
		set(out.bits, out.ids)
		out.ids = nil
		return out
	}
	out.ids = slices.Clip(out.ids)
	return out
}

type walkAt struct{ q, n int32 }

// walkRange goes through nodes from to to-1, whole subtrees below the root. It
// notes in free, if that is not nil, at which nodes d is in a free state.
func (v *Vocab) walkRange(d *automaton.DFA, path []walkAt, from, to int32, out *mask, free []bool) {
	t := &v.trie
	counted := d.Counted()
	for i := from; i < to; {
		level := t.level[i]
		p := path[level-1]
		next := d.Step(p.q, t.char[i])
		if next < 0 {
			i = t.end[i]
			continue
		}
		n := p.n
		if counted && d.Completes(p.q, next) {
			n++
		}
		if d.Free(next) {
			if free != nil {
				free[i] = true
			} else if v.free.plain[i] {
				v.copyFree(i, out)
				i = t.end[i]
				continue
			}
		}
		accepts, closed := d.Accepts(next), d.Closed(next)
		if accepts && (closed || !t.leaf(i)) {
			out.exits = append(out.exits, exit{i, n, closed})
			out.ends = out.ends || closed
		}
		if closed {
			i = t.end[i]
			continue
		}
		if t.tok[i] >= 0 {
			out.ids = append(out.ids, t.tok[i])
		}
		path[level] = walkAt{next, n}
		i++
	}
}

// copyFree adds what lies below node i in free text.
func (v *Vocab) copyFree(i int32, out *mask) {
	f, t := &v.free, &v.trie
	before := func(id, node int32) int { return int(t.node[id]) - int(node) }
	from, _ := slices.BinarySearchFunc(f.ids, i, before)
	to, _ := slices.BinarySearchFunc(f.ids, t.end[i], before)
	out.ids = append(out.ids, f.ids[from:to]...)
	at := func(e exit, node int32) int { return int(e.node) - int(node) }
	from, _ = slices.BinarySearchFunc(f.exits, i, at)
	to, _ = slices.BinarySearchFunc(f.exits, t.end[i], at)
	if from < to {
		out.exits = append(out.exits, f.exits[from:to]...)
		out.ends = true
	}
}

func set(b []uint64, ids []int32) {
	for _, id := range ids {
		b[id>>6] |= 1 << (id & 63)
	}
}

// inside adds the tokens of m that need at most room more code points; a
// negative room is no bound.
func (v *Vocab) inside(dst []uint64, m *mask, ms *masks, q, room int32) {
	if room < 0 || room >= v.long+ms.d.Farthest() {
		if m.bits == nil {
			set(dst, m.ids)
			return
		}
		for i, w := range m.bits[:len(dst)] {
			dst[i] |= w
		}
		return
	}
	by := m.byNeed.Load()
	if by == nil {
		if by = v.sortByNeed(m, ms.d, q); ms.take(by.size()) {
			m.byNeed.Store(by) // or it is used once
		}
	}
	n, _ := slices.BinarySearch(by.need, uint16(min(room, 1<<15))+1)
	if i := n / markEvery; i > 0 {
		for j, w := range by.mark[i][:len(dst)] {
			dst[j] |= w
		}
		set(dst, by.ids[i*markEvery:n])
		return
	}
	set(dst, by.ids[:n])
}

// sortByNeed returns the tokens of m, the mask of d's state q, by their need.
func (v *Vocab) sortByNeed(m *mask, d *automaton.DFA, q int32) *needs {
	type needing struct {
		id   int32
		need uint16
	}
	var all []needing
	ids := m.ids
	if m.bits != nil {
		for i, w := range m.bits {
			for ; w != 0; w &= w - 1 {
				ids = append(ids, int32(i*64+bits.TrailingZeros64(w)))
			}
		}
	}
	for _, id := range ids {
		at, n := q, int32(0)
		for _, c := range v.tok.Piece(id) {
			to := d.Step(at, c)
			if d.Completes(at, to) {
				n++
			}
			at = to
		}
		all = append(all, needing{id, uint16(min(n+d.Distance(at), 1<<15))})
	}
	slices.SortStableFunc(all, func(a, b needing) int { return int(a.need) - int(b.need) })
	by := &needs{ids: make([]int32, len(all)), need: make([]uint16, len(all))}
	for i, n := range all {
		by.ids[i], by.need[i] = n.id, n.need
	}
	mark := make([]uint64, v.Words())
	for i := 0; i < len(all); i += markEvery {
		by.mark = append(by.mark, slices.Clone(mark))
		set(mark, by.ids[i:min(i+markEvery, len(all))])
	}
	if len(all)%markEvery == 0 {
		by.mark = append(by.mark, mark)
	}
	return by
}

type extraKey struct{ dfa, q int32 }

// extra is what a terminal's exits let through above one frame.
type extra struct {
	ids   []int32
	bits  []uint64
	asked bool // see space.asked; holds for Matchers without a Source only
}

// A maskWalk makes masks for one Program; its owner locks the space.
type maskWalk struct {
	*space
	v     *Vocab
	level []config // one for each byte of a token
	out   []int32
	skip  []int32 // exits that Terminal.Not forbids
	kept  int     // extras kept
}

// thread adds the tokens that t can read.
func (w *maskWalk) thread(dst []uint64, t *thread, ms *masks) {
	term := &w.g.terms[t.term]
	if term.Verbatim && w.src != nil {
		w.verbatim(dst, t)
		return
	}
	m := w.v.mask(ms, t.q)
	room := int32(-1)
	if term.Most > 0 {
		room = int32(term.Most) - t.n
	}
	w.v.inside(dst, m, ms, t.q, room)
	if len(m.exits) == 0 {
		return
	}
	w.close(t.after)
	if len(t.after.threads) == 0 && !m.ends {
		return
	}
	bounded := int(t.n) < term.Least || room >= 0 && room < w.v.long
	if bounded || len(m.exits) > maxTails && term.Not != nil {
		w.exits(t, m) // each exit for itself
		set(dst, w.out)
		return
	}
	if term.Not != nil && t.x >= 0 {
		w.tails(t, m)
		w.unforbid(t)
		set(dst, w.out)
		return
	}
	k := extraKey{w.g.dfa[t.term], t.q}
	x, ok := t.after.extra[k]
	if ok && x.asked && w.src != nil {
		w.tails(t, m) // for this Source
		set(dst, w.out)
		return
	}
	if !ok {
		w.asked = false
		w.tails(t, m)
		if w.asked && w.src != nil || w.spent() {
			set(dst, w.out)
			return
		}
		x = &extra{asked: w.asked}
		if len(w.out) >= denseFrom {
			x.bits = make([]uint64, w.v.Words())
			set(x.bits, w.out)
		} else {
			x.ids = slices.Clone(w.out)
		}
		if w.kept++; w.kept <= maxExtras {
			if t.after.extra == nil {
				t.after.extra = map[extraKey]*extra{}
			}
			t.after.extra[k] = x
			w.bytes.Add(extraBytes + 8*int64(len(x.bits)) + 4*int64(len(x.ids)))
		}
	}
	set(dst, x.ids)
	for i, b := range x.bits {
		dst[i] |= b
	}
}

// tails sets out to the tokens that leave t's terminal, whatever their exits.
func (w *maskWalk) tails(t *thread, m *mask) {
	if !m.hasTails() {
		w.exits(t, m)
		return
	}
	w.v.makeTails(m)
	w.out = append(w.out[:0], m.tails.at(0)...)
	w.tail(&m.tails, 0, t.after, nil, 0)
}

// hasTails reports whether it pays to put the tails of m together.
func (m *mask) hasTails() bool { return len(m.exits) > minTails && len(m.exits) <= maxTails }

func (v *Vocab) makeTails(m *mask) {
	m.tailsOnce.Do(func() { m.tails.build(&v.trie, m.exits) })
}

// tail adds the tokens below a node of ts that can be read from after, or,
// deeper, from the threads given.
func (w *maskWalk) tail(ts *tails, node int32, after *frame, in []thread, depth int) {
	if after != nil {
		in = after.threads
	}
	if len(in) == 0 {
		return
	}
	for len(w.level) <= depth {
		w.level = append(w.level, config{})
	}
	for c := ts.nodes[node].child; c > 0 && !w.spent(); c = ts.nodes[c].next {
		n := &ts.nodes[c]
		if after != nil && after.first[n.char>>6]>>(n.char&63)&1 == 0 {
			continue
		}
		w.step(in, n.char, &w.level[depth])
		if w.level[depth].dead() {
			continue
		}
		w.out = append(w.out, ts.at(c)...)
		if n.child > 0 {
			w.tail(ts, c, nil, w.level[depth].threads, depth+1)
		}
	}
}

// unforbid takes out of out the tokens that would read a text of t's Not.
func (w *maskWalk) unforbid(t *thread) {
	w.forbidden(t)
	if len(w.skip) == 0 {
		return
	}
	tr := &w.v.trie
	w.out = slices.DeleteFunc(w.out, func(id int32) bool {
		at := tr.node[id]
		return slices.ContainsFunc(w.skip, func(n int32) bool { return at >= n && at < tr.end[n] })
	})
}

// exits sets out to the tokens that leave t's terminal where its bounds allow.
func (w *maskWalk) exits(t *thread, m *mask) {
	w.out = w.out[:0]
	term := &w.g.terms[t.term]
	tr := &w.v.trie
	w.forbidden(t)
	for _, e := range m.exits {
		n := int(t.n) + int(e.count)
		if n < term.Least || term.Most > 0 && n > term.Most || slices.Contains(w.skip, e.node) {
			continue
		}
		if e.closed && tr.tok[e.node] >= 0 {
			w.out = append(w.out, tr.tok[e.node])
		}
		w.children(e.node, t.after, nil, 0)
	}
}

// forbidden sets skip to the exits at which t would have read a text of Not.
func (w *maskWalk) forbidden(t *thread) {
	w.skip = w.skip[:0]
	not := w.g.terms[t.term].Not
	if not == nil || t.x < 0 {
		return
	}
	tr := &w.v.trie
	var walk func(node, x int32)
	walk = func(node, x int32) {
		if not.Accepts(x) {
			if c := tr.child(node, '"'); c >= 0 {
				w.skip = append(w.skip, c)
			}
		}
		for c := node + 1; c < tr.end[node]; c = tr.end[c] {
			if to := not.Step(x, tr.char[c]); to >= 0 {
				walk(c, to)
			}
		}
	}
	node := int32(0)
	if t.q == 0 {
		if node = tr.child(0, '"'); node < 0 {
			return
		}
	}
	walk(node, t.x)
}

// children adds the tokens below a node that can be read from after, or, deeper,
// from the threads given.
func (w *maskWalk) children(node int32, after *frame, in []thread, depth int) {
	tr := &w.v.trie
	if after != nil {
		in = after.threads
	}
	if len(in) == 0 {
		return
	}
	for len(w.level) <= depth {
		w.level = append(w.level, config{})
	}
	for c := node + 1; c < tr.end[node] && !w.spent(); c = tr.end[c] {
		b := tr.char[c]
		if after != nil && after.first[b>>6]>>(b&63)&1 == 0 {
			continue
		}
		w.step(in, b, &w.level[depth])
		if w.level[depth].dead() {
			continue
		}
		if tr.tok[c] >= 0 {
			w.out = append(w.out, tr.tok[c])
		}
		if !tr.leaf(c) {
			w.children(c, nil, w.level[depth].threads, depth+1)
		}
	}
}
