package grammar

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/sluice-ai/sluice/runtime/grammar/automaton"
)

var (
	// ErrTooLarge says that a grammar would need too much memory or time.
	ErrTooLarge = errors.New("the grammar is too large")
	// ErrEmpty says that a grammar allows no text at all.
	ErrEmpty = errors.New("nothing satisfies the grammar")
	// ErrLeftRecursion says that a rule begins with itself.
	ErrLeftRecursion = errors.New("a rule of the grammar begins with itself")
)

const (
	// MaxDepth bounds how deep rules may be nested while matching.
	MaxDepth = 256
	maxNodes = 1 << 18
)

// A Node is a place in a grammar. A rule is named by the node it begins at.
type Node int32

// A Terminal reads the strings of a DFA.
type Terminal struct {
	DFA *automaton.DFA
	// Least and Most bound the code points, if the DFA counts them; a Most of 0 is
	// no bound. Least needs a DFA in which texts of any length follow every state,
	// as in [automaton.Text].
	Least, Most int
	// Not holds texts, as spelled between the quotes, that a quoted DFA must not read.
	Not *automaton.DFA
	// Verbatim says of the strings of a [automaton.Text], of at least one code point
	// and no other condition, that a Matcher with a [Source] reads its pieces only.
	Verbatim bool
}

type kind uint8

const (
	empty kind = iota
	reads
	calls
	repeats
	special
)

type edge struct {
	kind kind
	to   Node
	arg  int32 // terminal, rule or special token
	// repeats: how often, most < 0 is no bound.
	least, most int32
	// What the rest of the rule and the called rule need of the stack.
	needTo, needCall int32
}

type node struct {
	edges []edge
	final bool
}

// A Grammar is a language over bytes and special tokens. It is immutable.
type Grammar struct {
	nodes    []node
	start    Node
	terms    []Terminal
	dfas     []*automaton.DFA
	dfa      []int32 // of each terminal, its place in dfas
	specials []string
}

// A Builder makes a Grammar.
type Builder struct {
	g       Grammar
	dfas    map[*automaton.DFA]int32
	special map[string]int32
}

// NewBuilder returns a Builder without nodes.
func NewBuilder() *Builder {
	return &Builder{dfas: map[*automaton.DFA]int32{}, special: map[string]int32{}}
}

// Node adds a place.
func (b *Builder) Node() Node {
	b.g.nodes = append(b.g.nodes, node{})
	return Node(len(b.g.nodes) - 1)
}

// Size returns how many nodes there are.
func (b *Builder) Size() int { return len(b.g.nodes) }

// Final makes n an end of its rule.
func (b *Builder) Final(n Node) { b.g.nodes[n].final = true }

func (b *Builder) edge(from Node, e edge) {
	b.g.nodes[from].edges = append(b.g.nodes[from].edges, e)
}

// Skip leads from one node to another without reading.
func (b *Builder) Skip(from, to Node) { b.edge(from, edge{kind: empty, to: to}) }

// Read leads from one node to another over the strings of t.
func (b *Builder) Read(from, to Node, t Terminal) {
	if t.DFA.Empty() {
		return
	}
	d, ok := b.dfas[t.DFA]
	if !ok {
		d = int32(len(b.g.dfas))
		b.dfas[t.DFA] = d
		b.g.dfas = append(b.g.dfas, t.DFA)
	}
	b.g.terms = append(b.g.terms, t)
	b.g.dfa = append(b.g.dfa, d)
	b.edge(from, edge{kind: reads, to: to, arg: int32(len(b.g.terms) - 1)})
}

// Literal leads from one node to another over s.
func (b *Builder) Literal(from, to Node, s string) {
	if s == "" {
		b.Skip(from, to)
		return
	}
	b.Read(from, to, Terminal{DFA: automaton.Literal(s)})
}

// Call leads from one node to another through the rule that begins at rule.
func (b *Builder) Call(from, to, rule Node) {
	b.edge(from, edge{kind: calls, to: to, arg: int32(rule)})
}

// Repeat is Call, least to most times; a negative most is no bound. The rule
// must read something.
func (b *Builder) Repeat(from, to, rule Node, least, most int) {
	if most >= 0 && most < least {
		return
	}
	if least > math.MaxInt32 || most > math.MaxInt32 {
		most = -1
		least = min(least, math.MaxInt32)
	}
	b.edge(from, edge{kind: repeats, to: to, arg: int32(rule), least: int32(least), most: int32(most)})
}

// Special leads from one node to another over the special token of that text.
func (b *Builder) Special(from, to Node, token string) {
	i, ok := b.special[token]
	if !ok {
		i = int32(len(b.g.specials))
		b.special[token] = i
		b.g.specials = append(b.g.specials, token)
	}
	b.edge(from, edge{kind: special, to: to, arg: i})
}

// Build returns the grammar whose first rule begins at start. Edges that cannot
// lead to an end are left out. It fails with [ErrEmpty], [ErrTooLarge] or
// [ErrLeftRecursion]. The Builder must not be used again.
func (b *Builder) Build(start Node) (*Grammar, error) {
	g := &b.g
	g.start = start
	if len(g.nodes) > maxNodes {
		return nil, ErrTooLarge
	}
	need := g.needs()
	if need[start] > MaxDepth {
		return nil, ErrEmpty
	}
	for i := range g.nodes {
		n := &g.nodes[i]
		kept := n.edges[:0]
		for _, e := range n.edges {
			e.needTo = need[e.to]
			if e.kind == calls || e.kind == repeats {
				e.needCall = need[e.arg] + 1
			}
			if e.needTo > MaxDepth || e.kind == calls && e.needCall > MaxDepth {
				continue
			}
			if e.kind == repeats && e.needCall > MaxDepth {
				if e.least > 0 {
					continue
				}
				e.kind, e.needCall = empty, 0 // what cannot be repeated is left out
			}
			kept = append(kept, e)
		}
		n.edges = slices.Clip(kept)
	}
	if err := g.checkRecursion(); err != nil {
		return nil, err
	}
	return g, nil
}

// needs returns, for each node, how deep the stack must be able to grow to reach
// an end of its rule; more than MaxDepth if it cannot be reached.
func (g *Grammar) needs() []int32 {
	const never = MaxDepth + 1
	need := make([]int32, len(g.nodes))
	type use struct {
		from Node
		edge int32
	}
	uses := make([][]use, len(g.nodes)) // edges that depend on a node
	buckets := make([][]Node, MaxDepth+1)
	for i := range g.nodes {
		need[i] = never
		if g.nodes[i].final {
			buckets[0] = append(buckets[0], Node(i))
		}
		for j, e := range g.nodes[i].edges {
			uses[e.to] = append(uses[e.to], use{Node(i), int32(j)})
			if e.kind == calls || e.kind == repeats && e.least > 0 {
				uses[e.arg] = append(uses[e.arg], use{Node(i), int32(j)})
			}
		}
	}
	for d := int32(0); d <= MaxDepth; d++ {
		for len(buckets[d]) > 0 {
			n := buckets[d][len(buckets[d])-1]
			buckets[d] = buckets[d][:len(buckets[d])-1]
			if need[n] <= d {
				continue
			}
			need[n] = d
			for _, u := range uses[n] {
				e := &g.nodes[u.from].edges[u.edge]
				v := need[e.to]
				if e.kind == calls || e.kind == repeats && e.least > 0 {
					v = max(v, need[e.arg]+1)
				}
				if v <= MaxDepth && v < need[u.from] {
					buckets[v] = append(buckets[v], u.from)
				}
			}
		}
	}
	return need
}

// checkRecursion finds rules that begin with themselves, and repetitions of
// rules that may read nothing, which could go on for ever.
func (g *Grammar) checkRecursion() error {
	nullable := make([]bool, len(g.nodes)) // an end of the rule can be reached without reading
	silent := func(e *edge) bool {
		switch e.kind {
		case empty:
			return true
		case reads:
			return g.terms[e.arg].DFA.Accepts(0)
		case calls:
			return nullable[e.arg]
		case repeats:
			return e.least == 0 || nullable[e.arg]
		}
		return false
	}
	for changed := true; changed; {
		changed = false
		for i := len(g.nodes) - 1; i >= 0; i-- {
			if nullable[i] {
				continue
			}
			n := &g.nodes[i]
			ok := n.final
			for j := range n.edges {
				ok = ok || silent(&n.edges[j]) && nullable[n.edges[j].to]
			}
			if ok {
				nullable[i], changed = true, true
			}
		}
	}
	// Find cycles of silent steps that enter a rule.
	component := g.components(silent)
	for i := range g.nodes {
		for _, e := range g.nodes[i].edges {
			switch {
			case e.kind == repeats && nullable[e.arg]:
				return fmt.Errorf("%w: what it repeats may be empty", ErrLeftRecursion)
			case (e.kind == calls || e.kind == repeats) && component[i] == component[e.arg]:
				return ErrLeftRecursion
			}
		}
	}
	return nil
}

// components numbers the strongly connected components of the graph of silent
// steps: over silent edges, and into the rules that edges call (Tarjan's
// algorithm, with a stack of its own since graphs are deep).
func (g *Grammar) components(silent func(*edge) bool) []int32 {
	next := func(i Node, dst []Node) []Node {
		for j := range g.nodes[i].edges {
			e := &g.nodes[i].edges[j]
			if silent(e) {
				dst = append(dst, e.to)
			}
			if e.kind == calls || e.kind == repeats {
				dst = append(dst, Node(e.arg))
			}
		}
		return dst
	}
	n := len(g.nodes)
	component, index, low := make([]int32, n), make([]int32, n), make([]int32, n)
	for i := range component {
		component[i] = -1
	}
	type visit struct {
		at   Node
		todo []Node
	}
	var stack []Node
	clock, comps := int32(0), int32(0)
	for root := range n {
		if index[root] != 0 {
			continue
		}
		work := []visit{{Node(root), nil}}
		for len(work) > 0 {
			v := &work[len(work)-1]
			if index[v.at] == 0 {
				clock++
				index[v.at], low[v.at] = clock, clock
				stack = append(stack, v.at)
				v.todo = next(v.at, nil)
			}
			if len(v.todo) > 0 {
				t := v.todo[len(v.todo)-1]
				if index[t] == 0 {
					work = append(work, visit{t, nil})
					continue
				}
				v.todo = v.todo[:len(v.todo)-1]
				if component[t] < 0 {
					low[v.at] = min(low[v.at], low[t])
				}
				continue
			}
			if low[v.at] == index[v.at] {
				for {
					top := stack[len(stack)-1]
					stack = stack[:len(stack)-1]
					component[top] = comps
					if top == v.at {
						break
					}
				}
				comps++
			}
			work = work[:len(work)-1]
		}
	}
	return component
}
