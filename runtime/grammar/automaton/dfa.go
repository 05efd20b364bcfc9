package automaton

import "slices"

// A DFA recognises byte strings. State 0 is the start and is entered by no
// edge of a quoted DFA. Every state but the start of an empty DFA can reach an
// accepting state.
type DFA struct {
	rows   []row
	next   []int32 // targets, -1 is none; rows say where
	accept []bool
	// count[q] says that entering q, other than from the start, completes a code
	// point; nil when code points are not counted.
	count []bool
	dist  []int32 // code points that acceptance is away, at least; nil like count
	far   int32   // the greatest of dist
	free  int32   // see Free; 0 is none
	// Shared DFAs live as long as the process: what depends on them may be cached.
	Shared bool
}

// A row says that bytes lo to lo+n-1 have their targets at next[off:].
type row struct {
	off uint32
	lo  uint16
	n   uint16
}

// Step returns the state after byte b in state q, or -1.
func (d *DFA) Step(q int32, b byte) int32 {
	r := d.rows[q]
	i := uint32(b) - uint32(r.lo)
	if i >= uint32(r.n) {
		return -1
	}
	return d.next[r.off+i]
}

// Accepts reports whether q accepts.
func (d *DFA) Accepts(q int32) bool { return d.accept[q] }

// Closed reports whether no byte can follow in q.
func (d *DFA) Closed(q int32) bool { return d.rows[q].n == 0 }

// States returns the number of states.
func (d *DFA) States() int { return len(d.rows) }

// Size returns about how many bytes d takes.
func (d *DFA) Size() int64 {
	return int64(8*len(d.rows) + 4*len(d.next) + len(d.accept) + len(d.count) + 4*len(d.dist))
}

// Empty reports whether d accepts nothing.
func (d *DFA) Empty() bool { return len(d.rows) == 1 && !d.accept[0] && d.rows[0].n == 0 }

// Counted reports whether d counts code points.
func (d *DFA) Counted() bool { return d.count != nil }

// Completes reports whether the step from q to t completes a code point.
func (d *DFA) Completes(q, t int32) bool { return d.count != nil && q != 0 && d.count[t] }

// Distance returns how many more code points acceptance needs from q, at least.
func (d *DFA) Distance(q int32) int32 {
	if d.dist == nil {
		return 0
	}
	return d.dist[q]
}

// Farthest returns the greatest Distance of any state.
func (d *DFA) Farthest() int32 { return d.far }

// Free reports whether any text may follow in q, in the one spelling of
// [Text](0), before the closing quote: q is like the inside of that DFA.
func (d *DFA) Free(q int32) bool { return q == d.free && q != 0 }

// Width returns how many bytes state q has edges for, at most.
func (d *DFA) Width(q int32) int { return int(d.rows[q].n) }

// Bytes calls f for each byte that can follow in q.
func (d *DFA) Bytes(q int32, f func(b byte)) {
	r := d.rows[q]
	for i := range int(r.n) {
		if d.next[int(r.off)+i] >= 0 {
			f(byte(int(r.lo) + i))
		}
	}
}

// Match reports whether d accepts s.
func (d *DFA) Match(s string) bool {
	q := int32(0)
	for i := range len(s) {
		if q = d.Step(q, s[i]); q < 0 {
			return false
		}
	}
	return d.accept[q]
}

// span is an edge of a DFA in the making.
type span struct {
	lo, hi byte
	to     int32
}

// draft is a DFA in the making: deterministic, not trimmed.
type draft struct {
	edges  [][]span
	accept []bool
	count  []bool // nil when nothing is counted
	free   int32  // see DFA.Free; 0 is none
}

func (b *draft) state(accept bool) int32 {
	b.edges = append(b.edges, nil)
	b.accept = append(b.accept, accept)
	return int32(len(b.edges) - 1)
}

func (b *draft) edge(from int32, lo, hi byte, to int32) {
	b.edges[from] = append(b.edges[from], span{lo, hi, to})
}

// finish trims the draft and packs it.
func (b *draft) finish() *DFA {
	live := b.live()
	ids := make([]int32, len(b.edges))
	for i := range ids {
		ids[i] = -1
	}
	// Number what is reachable, breadth first, so that neighbours lie together.
	order := []int32{0}
	ids[0] = 0
	for i := 0; i < len(order); i++ {
		for _, e := range b.edges[order[i]] {
			if live[e.to] && ids[e.to] < 0 {
				ids[e.to] = int32(len(order))
				order = append(order, e.to)
			}
		}
	}
	d := &DFA{rows: make([]row, len(order)), accept: make([]bool, len(order))}
	if b.count != nil {
		d.count = make([]bool, len(order))
	}
	for i, old := range order {
		d.accept[i] = b.accept[old]
		if b.count != nil {
			d.count[i] = b.count[old]
		}
		lo, hi := 256, -1
		for _, e := range b.edges[old] {
			if live[e.to] {
				lo, hi = min(lo, int(e.lo)), max(hi, int(e.hi))
			}
		}
		d.rows[i].off = uint32(len(d.next))
		if hi < 0 {
			continue
		}
		d.rows[i].lo, d.rows[i].n = uint16(lo), uint16(hi-lo+1)
		at := len(d.next)
		for range hi - lo + 1 {
			d.next = append(d.next, -1)
		}
		for _, e := range b.edges[old] {
			if !live[e.to] {
				continue
			}
			for c := int(e.lo); c <= int(e.hi); c++ {
				d.next[at+c-lo] = ids[e.to]
			}
		}
	}
	d.next = slices.Clip(d.next)
	d.free = max(ids[b.free], 0)
	if d.count != nil {
		d.distances()
	}
	return d
}

// live marks the states from which acceptance can be reached.
func (b *draft) live() []bool {
	from := make([][]int32, len(b.edges))
	for q, es := range b.edges {
		for _, e := range es {
			from[e.to] = append(from[e.to], int32(q))
		}
	}
	live := make([]bool, len(b.edges))
	var todo []int32
	for q, a := range b.accept {
		if a {
			live[q] = true
			todo = append(todo, int32(q))
		}
	}
	for len(todo) > 0 {
		q := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, p := range from[q] {
			if !live[p] {
				live[p] = true
				todo = append(todo, p)
			}
		}
	}
	return live
}

// distances fills dist: edges cost 1 if they complete a code point, else 0.
func (d *DFA) distances() {
	type edge struct {
		from int32
		cost int32
	}
	back := make([][]edge, len(d.rows))
	for q := range d.rows {
		seen := int32(-1)
		r := d.rows[q]
		for _, t := range d.next[r.off : r.off+uint32(r.n)] {
			if t < 0 || t == seen {
				continue
			}
			seen = t
			cost := int32(0)
			if d.Completes(int32(q), t) {
				cost = 1
			}
			back[t] = append(back[t], edge{int32(q), cost})
		}
	}
	const far = 1 << 30
	d.dist = make([]int32, len(d.rows))
	var now, later []int32 // at the current distance, and one further
	for q := range d.dist {
		d.dist[q] = far
		if d.accept[q] {
			d.dist[q] = 0
			now = append(now, int32(q))
		}
	}
	for len(now) > 0 {
		for len(now) > 0 {
			q := now[len(now)-1]
			now = now[:len(now)-1]
			for _, e := range back[q] {
				if n := d.dist[q] + e.cost; n < d.dist[e.from] {
					d.dist[e.from] = n
					if e.cost == 0 {
						now = append(now, e.from)
					} else {
						later = append(later, e.from)
					}
				}
			}
		}
		now, later = later, now
	}
	d.far = slices.Max(d.dist)
}

// Words returns the DFA of a finite set of byte strings.
func Words(words ...string) (*DFA, error) {
	sorted := slices.Clone(words)
	slices.Sort(sorted)
	b := &draft{}
	b.state(false)
	var path []int32 // the states along the last word
	last := ""
	for i, w := range sorted {
		if i > 0 && w == last {
			continue
		}
		n := 0
		for n < len(last) && n < len(w) && last[n] == w[n] {
			n++
		}
		if i == 0 {
			path = []int32{0}
		}
		path = path[:n+1]
		for ; n < len(w); n++ {
			if len(b.edges) >= maxByteStates*4 {
				return nil, ErrTooLarge
			}
			q := b.state(false)
			b.edge(path[n], w[n], w[n], q)
			path = append(path, q)
		}
		b.accept[path[len(w)]] = true
		last = w
	}
	return b.finish(), nil
}

// Literal returns the DFA of one byte string.
func Literal(s string) *DFA {
	b := &draft{}
	q := b.state(s == "")
	for i := range len(s) {
		next := b.state(i+1 == len(s))
		b.edge(q, s[i], s[i], next)
		q = next
	}
	return b.finish()
}

// explore makes a DFA out of a function: the states are what step reaches from
// start, at most limit of them.
func explore[S comparable](start S, step func(S, byte) (S, bool), accept func(S) bool, alphabet string, limit int) (*DFA, error) {
	b := &draft{}
	ids := map[S]int32{start: b.state(accept(start))}
	states := []S{start}
	for i := 0; i < len(states); i++ {
		for j := range len(alphabet) {
			next, ok := step(states[i], alphabet[j])
			if !ok {
				continue
			}
			id, seen := ids[next]
			if !seen {
				if len(states) >= limit {
					return nil, ErrTooLarge
				}
				id = b.state(accept(next))
				ids[next] = id
				states = append(states, next)
			}
			b.edge(int32(i), alphabet[j], alphabet[j], id)
		}
	}
	return b.finish(), nil
}
