package grammar

// Masks with so many exits have their tails put together.
const (
	minTails = 256
	maxTails = 1 << 14
)

// tails is a trie of what tokens hold after the exits of a mask. Thousands of
// tokens leave a text, as in name": and name", but they do it in few ways.
type tails struct {
	nodes []tailNode // 0 is the root
	ids   []int32    // tokens by the node they end at
}

type tailNode struct {
	char        byte
	child, next int32 // first child and next sibling; 0 is none
	from, to    int32 // the tokens that end here lie at ids[from:to]
}

// at returns the tokens that end at node n.
func (ts *tails) at(n int32) []int32 { return ts.ids[ts.nodes[n].from:ts.nodes[n].to] }

// build fills ts from exits. At the root are the tokens that end at an exit
// after which the DFA cannot go on.
func (ts *tails) build(t *trie, exits []exit) {
	ts.nodes = make([]tailNode, 1, 256)
	var first [256]int32 // children of the root
	type end struct{ node, id int32 }
	var ends []end
	path := make([]int32, t.depth+1)
	add := func(node, id int32) {
		ends = append(ends, end{node, id})
		ts.nodes[node].to++
	}
	for _, e := range exits {
		if id := t.tok[e.node]; id >= 0 && e.closed {
			add(0, id)
		}
		level := t.level[e.node]
		for i := e.node + 1; i < t.end[e.node]; i++ {
			depth := t.level[i] - level
			var n int32
			if depth == 1 {
				if n = first[t.char[i]]; n == 0 {
					n = ts.child(0, t.char[i])
					first[t.char[i]] = n
				}
			} else {
				n = ts.child(path[depth-1], t.char[i])
			}
			path[depth] = n
			if t.tok[i] >= 0 {
				add(n, t.tok[i])
			}
		}
	}
	ts.ids = make([]int32, len(ends))
	at := int32(0)
	for i := range ts.nodes {
		n := &ts.nodes[i]
		n.from, n.to, at = at, at, at+n.to
	}
	for _, e := range ends {
		n := &ts.nodes[e.node]
		ts.ids[n.to] = e.id
		n.to++
	}
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
