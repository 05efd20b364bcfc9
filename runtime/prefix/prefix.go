// Package prefix keeps what was made of sequences of tokens, and finds it again
// for a sequence that begins the same.
//
// A [Tree] is a radix tree for each group (a tenant): nothing kept for one is ever
// found for another, so that nobody can learn from the time a prompt takes what
// others have asked. What is kept is anything that belongs to a prefix, here a
// snapshot of a sequence, whose pages longer ones share.
//
// # What goes first
//
// When there is too much, the entry goes that saves the least for its bytes:
//
//	priority = L + uses * tokens / bytes
//
// tokens being what would have to be read again without it, up to the next entry
// above, and bytes what it alone holds. L is the priority of the last entry that
// went, as it was when this one was last used: so what is not used any more ages.
// That is Greedy-Dual-Size with frequency (Cherkasova 1998, after Cao and Irani).
package prefix

import "maps"

// A Config says how to keep values.
type Config[V any] struct {
	// Limit bounds the bytes of all entries together.
	Limit int64
	// Size returns the bytes of an entry of to tokens beyond those that it shares
	// with one of from tokens, its nearest above; 0 is none.
	Size func(from, to int) int64
	// Release is called once for each value that is no longer kept.
	Release func(V)
}

// maxEntries bounds them where they are tiny, for they are looked through to find
// the one that goes.
const maxEntries = 4096

// A Tree is not safe for concurrent use.
type Tree[V any] struct {
	cfg   Config[V]
	roots map[string]*node[V]
	count int
	bytes int64
	age   float64 // L
	clock int64   // counts uses
}

// A node is the tokens on the way from its parent.
type node[V any] struct {
	parent   *node[V]
	group    string // of a root
	edge     []int32
	depth    int // tokens from the root to the end of edge
	children map[int32]*node[V]
	kept     *entry[V]
}

type entry[V any] struct {
	value V
	age   float64 // the tree's when last used
	last  int64   // the use that was
	uses  int
}

// New returns an empty tree.
func New[V any](c Config[V]) *Tree[V] {
	return &Tree[V]{cfg: c, roots: map[string]*node[V]{}}
}

// Len returns the number of entries.
func (t *Tree[V]) Len() int { return t.count }

// Bytes returns what all entries hold, shared parts once.
func (t *Tree[V]) Bytes() int64 { return t.bytes }

// Find returns the value of the longest prefix of tokens that is kept for the
// group, and its length. It counts as a use.
func (t *Tree[V]) Find(group string, tokens []int32) (value V, n int, ok bool) {
	best := t.longest(group, tokens)
	if best == nil {
		return value, 0, false
	}
	best.kept.uses++
	t.touch(best.kept)
	return best.kept.value, best.depth, true
}

func (t *Tree[V]) touch(e *entry[V]) {
	t.clock++
	e.age, e.last = t.age, t.clock
}

// Has reports whether exactly tokens are kept for the group.
func (t *Tree[V]) Has(group string, tokens []int32) bool {
	n := t.longest(group, tokens)
	return n != nil && n.depth == len(tokens)
}

func (t *Tree[V]) longest(group string, tokens []int32) (best *node[V]) {
	for n := t.roots[group]; n != nil; {
		if n.kept != nil {
			best = n
		}
		rest := tokens[n.depth:]
		if len(rest) == 0 {
			break
		}
		n = n.children[rest[0]]
		if n == nil || common(n.edge, rest) < len(n.edge) {
			break
		}
	}
	return best
}

// common returns the length of the longest common prefix.
func common(a, b []int32) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// Insert keeps value for tokens, at least one of them. Values that have to go for
// it are released; it may be the one itself, and is when tokens are kept already.
func (t *Tree[V]) Insert(group string, tokens []int32, value V) {
	n := t.node(group, tokens)
	if n.kept != nil {
		t.touch(n.kept)
		t.cfg.Release(value)
		return
	}
	n.kept = &entry[V]{value: value, uses: 1}
	t.touch(n.kept)
	t.count++
	t.bytes += t.weight(n)
	for t.count > maxEntries || t.bytes > t.cfg.Limit {
		t.Evict()
	}
}

// node returns the node of exactly tokens, making it if need be.
func (t *Tree[V]) node(group string, tokens []int32) *node[V] {
	n := t.roots[group]
	if n == nil {
		n = &node[V]{group: group, children: map[int32]*node[V]{}}
		t.roots[group] = n
	}
	for n.depth < len(tokens) {
		rest := tokens[n.depth:]
		child := n.children[rest[0]]
		if child == nil {
			edge := append([]int32(nil), rest...) // not the caller's
			child = &node[V]{parent: n, edge: edge, depth: len(tokens), children: map[int32]*node[V]{}}
			n.children[rest[0]] = child
			return child
		}
		if same := common(child.edge, rest); same < len(child.edge) {
			split := &node[V]{parent: n, edge: child.edge[:same:same], depth: n.depth + same, children: map[int32]*node[V]{child.edge[same]: child}}
			n.children[rest[0]] = split
			child.parent, child.edge = split, child.edge[same:]
			child = split
		}
		n = child
	}
	return n
}

// above returns the length of the nearest entry above n, or 0.
func (n *node[V]) above() int {
	for n = n.parent; n != nil; n = n.parent {
		if n.kept != nil {
			return n.depth
		}
	}
	return 0
}

// below calls f with the length of each nearest entry below n.
func (n *node[V]) below(f func(depth int)) {
	for _, c := range n.children {
		if c.kept != nil {
			f(c.depth)
		} else {
			c.below(f)
		}
	}
}

// weight returns by how much the entry at n raises the bytes of all.
func (t *Tree[V]) weight(n *node[V]) int64 {
	above := n.above()
	w := t.cfg.Size(above, n.depth)
	n.below(func(d int) { w += t.cfg.Size(n.depth, d) - t.cfg.Size(above, d) })
	return w
}

// priority tells how much the entry at n is worth.
func (t *Tree[V]) priority(n *node[V]) float64 {
	bytes := max(1, t.weight(n))
	return n.kept.age + float64(n.kept.uses)*float64(n.depth-n.above())/float64(bytes)
}

// Evict drops the entry that is worth the least, of equals the one used longest ago, and reports whether there was one.
func (t *Tree[V]) Evict() bool {
	var worst *node[V]
	lowest := 0.0
	for _, root := range t.roots {
		root.each(func(n *node[V]) {
			if p := t.priority(n); worst == nil || p < lowest || p == lowest && n.kept.last < worst.kept.last {
				worst, lowest = n, p
			}
		})
	}
	if worst == nil {
		return false
	}
	t.age = max(t.age, lowest)
	t.drop(worst)
	return true
}

// each calls f for every entry at n and below.
func (n *node[V]) each(f func(*node[V])) {
	if n.kept != nil {
		f(n)
	}
	for _, c := range n.children {
		c.each(f)
	}
}

// drop removes the entry at n, and the nodes that were there for it alone.
func (t *Tree[V]) drop(n *node[V]) {
	t.bytes -= t.weight(n)
	t.count--
	t.cfg.Release(n.kept.value)
	n.kept = nil
	for n.parent != nil && n.kept == nil && len(n.children) == 0 {
		delete(n.parent.children, n.edge[0])
		n = n.parent
	}
	if n.parent == nil {
		if len(n.children) == 0 {
			delete(t.roots, n.group)
		}
		return
	}
	if n.kept == nil && len(n.children) == 1 { // join it with its child
		for _, c := range n.children {
			c.edge = append(n.edge[:len(n.edge):len(n.edge)], c.edge...)
			c.parent = n.parent
			n.parent.children[c.edge[0]] = c
		}
	}
}

// Clear drops everything.
func (t *Tree[V]) Clear() {
	for root := range maps.Values(t.roots) {
		root.each(func(n *node[V]) { t.cfg.Release(n.kept.value) })
	}
	clear(t.roots)
	t.count, t.bytes = 0, 0
}
