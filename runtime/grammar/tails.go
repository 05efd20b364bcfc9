package grammar

import "github.com/sluice-ai/sluice/runtime/grammar/automaton"

// Masks with so many exits have their tails put together.
const (
	minTails = 256
	maxTails = 1 << 14
)

// tails is a trie of what tokens hold after the exits of a mask. Thousands of
// tokens leave a text, as in name": and name", but they do it in few ways.
type tails struct {
	nodes []tailNode // 0 is the root
}

type tailNode struct {
	char        byte
	child, next int32   // first child and next sibling; 0 is none
	ids         []int32 // the tokens that end here
}

// build fills ts from the exits of state q of d. At the root are the tokens that
// end at an exit after which d cannot go on.
func (ts *tails) build(t *trie, exits []exit, d *automaton.DFA, q int32) {
	ts.nodes = make([]tailNode, 1)
	path := make([]int32, t.depth+1)
	for _, e := range exits {
		level := int(t.level[e.node])
		path[0] = 0
		if t.tok[e.node] >= 0 && ts.closed(t, e.node, d, q) {
			ts.nodes[0].ids = append(ts.nodes[0].ids, t.tok[e.node])
		}
		for i := e.node + 1; i < t.end[e.node]; i++ {
			depth := int(t.level[i]) - level
			n := ts.child(path[depth-1], t.char[i])
			path[depth] = n
			if t.tok[i] >= 0 {
				ts.nodes[n].ids = append(ts.nodes[n].ids, t.tok[i])
			}
		}
	}
}

// closed reports whether d can read nothing more at a node that it reaches.
func (ts *tails) closed(t *trie, node int32, d *automaton.DFA, q int32) bool {
	at := int32(0)
	for at != node { // down to the node, by the children that hold it
		for c := at + 1; ; c = t.end[c] {
			if node < t.end[c] {
				at = c
				break
			}
		}
		q = d.Step(q, t.char[at])
	}
	return d.Closed(q)
}

func (ts *tails) child(n int32, c byte) int32 {
	for i := ts.nodes[n].child; i > 0; i = ts.nodes[i].next {
		if ts.nodes[i].char == c {
			return i
		}
	}
	id := int32(len(ts.nodes))
	ts.nodes = append(ts.nodes, tailNode{char: c, next: ts.nodes[n].child})
	ts.nodes[n].child = id
	return id
}
