package jsonschema

import (
	"maps"
	"math/big"
	"slices"

	"github.com/sluice-ai/sluice/runtime/grammar/automaton"
)

// A shape is one alternative of what a goal allows: the conditions of all its
// schemas, merged by type. Shapes are immutable once made.
type shape struct {
	types typeset
	hasE  bool  // whether one of the values is meant; they are filtered when built
	enum  []any // in the order of the first schema that lists them
	not   []notValue

	num       automaton.Range
	multiples []multiple

	minLen, maxLen int
	langs          []language
	formats        []formatAt

	minItems, maxItems int
	arrays             []*schema

	minProps, maxProps int
	minPropsPtr        string
	objects            []*schema
	required           []string
	forbidden          map[string]bool
	must               map[string]goal // conditions on a member from elsewhere
	names              []*schema
	rest               []*schema // unevaluatedProperties, for what nothing else covers
}

type notValue struct {
	value any
	ptr   string
}

type multiple struct {
	of  *big.Rat
	ptr string
}

type language struct {
	lang *automaton.Language
	ptr  string
}

type formatAt struct{ name, ptr string }

func anyShape() *shape { return &shape{types: tAll, maxLen: -1, maxItems: -1, maxProps: -1} }

// least returns the smaller of two bounds, of which a negative one is none.
func least(a, b int) int {
	if a < 0 || b >= 0 && b < a {
		return b
	}
	return a
}

// meet returns the shape of what is in both, or nil if that is nothing.
func meet(a, b *shape) *shape {
	m := &shape{
		types:    a.types & b.types,
		not:      slices.Concat(a.not, b.not),
		minLen:   max(a.minLen, b.minLen),
		maxLen:   least(a.maxLen, b.maxLen),
		langs:    slices.Concat(a.langs, b.langs),
		formats:  slices.Concat(a.formats, b.formats),
		minItems: max(a.minItems, b.minItems),
		maxItems: least(a.maxItems, b.maxItems),
		arrays:   unite(a.arrays, b.arrays),
		minProps: max(a.minProps, b.minProps),
		maxProps: least(a.maxProps, b.maxProps),
		objects:  unite(a.objects, b.objects),
		required: unite(a.required, b.required),
		names:    unite(a.names, b.names),
	}
	m.minPropsPtr = a.minPropsPtr
	if b.minProps > a.minProps {
		m.minPropsPtr = b.minPropsPtr
	}
	m.meetValues(a, b)
	m.meetNumbers(a, b)
	m.rest = unite(a.rest, b.rest)
	m.forbidden = a.forbidden
	if len(b.forbidden) > 0 {
		m.forbidden = maps.Clone(b.forbidden)
		maps.Copy(m.forbidden, a.forbidden)
	}
	m.must = a.must
	if len(b.must) > 0 {
		m.must = maps.Clone(b.must)
		for name, g := range a.must {
			m.must[name] = join(m.must[name], g)
		}
	}
	m.prune()
	if m.types == 0 || m.hasE && len(m.enum) == 0 {
		return nil
	}
	return m
}

func unite[T comparable](a, b []T) []T {
	out := slices.Clone(a)
	for _, e := range b {
		if !slices.Contains(a, e) {
			out = append(out, e)
		}
	}
	return out
}

func (m *shape) meetValues(a, b *shape) {
	switch {
	case a.hasE && b.hasE:
		m.hasE = true
		for _, v := range a.enum {
			if contains(b.enum, v) {
				m.enum = append(m.enum, v)
			}
		}
	case a.hasE:
		m.hasE, m.enum = true, a.enum
	case b.hasE:
		m.hasE, m.enum = true, b.enum
	}
	if !m.hasE {
		return
	}
	kept := make([]any, 0, len(m.enum))
	var types typeset
	for _, v := range m.enum {
		if t := typeOf(v); t&m.types != 0 {
			kept = append(kept, v)
			types |= t
		}
	}
	m.enum, m.types = kept, types
}

func (m *shape) meetNumbers(a, b *shape) {
	m.num = a.num
	m.num.Integer = a.num.Integer || b.num.Integer
	if x := b.num.Min; x != nil {
		c := 1
		if m.num.Min != nil {
			c = x.Cmp(m.num.Min)
		}
		if c > 0 {
			m.num.Min, m.num.OpenMin = x, b.num.OpenMin
		} else if c == 0 {
			m.num.OpenMin = m.num.OpenMin || b.num.OpenMin
		}
	}
	if x := b.num.Max; x != nil {
		c := -1
		if m.num.Max != nil {
			c = x.Cmp(m.num.Max)
		}
		if c < 0 {
			m.num.Max, m.num.OpenMax = x, b.num.OpenMax
		} else if c == 0 {
			m.num.OpenMax = m.num.OpenMax || b.num.OpenMax
		}
	}
	m.multiples = slices.Concat(a.multiples, b.multiples)
}

// prune drops types of which no value is left.
func (m *shape) prune() {
	if n := m.num; n.Min != nil && n.Max != nil {
		if c := n.Min.Cmp(n.Max); c > 0 || c == 0 && (n.OpenMin || n.OpenMax) {
			m.types &^= tNumber
		}
	}
	if m.maxLen >= 0 && m.maxLen < m.minLen {
		m.types &^= tString
	}
	if m.maxItems >= 0 && m.maxItems < m.minItems {
		m.types &^= tArray
	}
	if m.maxProps >= 0 && m.maxProps < max(m.minProps, len(m.required)) {
		m.types &^= tObject
	}
	for _, r := range m.required {
		if m.forbidden[r] {
			m.types &^= tObject
		}
	}
	for _, n := range m.not {
		if t := typeOf(n.value); t&(tNull|tTrue|tFalse) != 0 {
			m.types &^= t
		}
	}
}

// A goal is a set of literals that a value must satisfy together, in the order
// they were met; what identifies it is its key.
type goal []literal

// A literal is a schema or, if neg, its negation.
type literal struct {
	s   *schema
	neg bool
}

// join returns the goal of both.
func join(a, b goal) goal {
	out := slices.Clone(a)
	for _, l := range b {
		if !slices.Contains(out, l) && !(l.s.isTrue() && !l.neg) {
			out = append(out, l)
		}
	}
	return out
}

func goalOf(schemas ...*schema) goal {
	var g goal
	for _, s := range schemas {
		g = join(g, goal{{s, false}})
	}
	return g
}

// valid reports whether v satisfies every literal of g. Once c has done its
// work, run fails.
func (g goal) valid(c *validator, v any) bool {
	for _, l := range g {
		if (c.check(l.s, v, "", &seen{}) == nil) == l.neg {
			return false
		}
	}
	return true
}
