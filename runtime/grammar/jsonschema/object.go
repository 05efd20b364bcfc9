package jsonschema

import (
	"slices"
	"sync"

	"github.com/sluice-ai/sluice/runtime/grammar"
	"github.com/sluice-ai/sluice/runtime/grammar/automaton"
)

const (
	maxPatterns     = 4       // patternProperties that may overlap
	maxMembers      = 1000    // properties of one object
	maxCountedNodes = 1 << 14 // of an object whose members are counted
)

// A member is a property that an object may have.
type member struct {
	name     string
	goal     goal
	required bool
}

// others are the members without a name of their own: a set of keys, and what
// their values satisfy.
type others struct {
	key  grammar.Terminal
	goal goal
}

// object leads from one node to another over the objects of m.
func (c *compiler) object(g goal, m *shape, from, to grammar.Node) error {
	for _, n := range m.not {
		if typeOf(n.value) == tObject {
			c.check(n.ptr, "an object that must not be is found afterwards")
		}
	}
	if len(m.rest) > 0 && !(len(m.rest) == 1 && len(g) == 1 && g[0].s.restProps == m.rest[0]) {
		c.check(g[0].s.ptr+"/unevaluatedProperties", "which members are covered is found afterwards")
	}
	keys, err := c.keysOf(m)
	if err != nil {
		return err
	}
	members, ok := c.members(m, keys)
	if !ok {
		return nil
	}
	if len(members) > maxMembers {
		return errMembers
	}
	more, err := c.others(m, keys, members)
	if err != nil {
		return err
	}
	o := &objects{
		compiler: c, members: members, more: more, to: to,
		least: m.minProps, most: m.maxProps, nodes: map[place]grammar.Node{},
	}
	required := 0
	for _, p := range members {
		if p.required {
			required++
		}
	}
	if len(more) == 0 {
		if o.most >= len(members) {
			o.most = -1
		}
		if o.least > len(members) {
			return nil
		}
	}
	if o.least <= required {
		o.least = 0
	}
	if o.least > 0 && len(more) > 0 {
		c.check(m.minPropsPtr, "members may repeat a name; they are counted again afterwards")
	}
	if o.least > 0 || o.most >= 0 {
		if bound := max(o.least, o.most) + 1; bound > maxCountedNodes/(len(members)+1) {
			return errLarge
		}
	}
	o.start(from)
	return nil
}

// members returns the properties that m names, in order. It reports false if a
// required one cannot be.
func (c *compiler) members(m *shape, keys *keyset) ([]member, bool) {
	var names []string
	for _, s := range m.objects {
		for _, p := range s.props {
			if !slices.Contains(names, p.name) {
				names = append(names, p.name)
			}
		}
	}
	names = unite(names, m.required)
	if keys.words != nil {
		names = unite(names, keys.words)
	}
	var out []member
	for _, name := range names {
		required := slices.Contains(m.required, name)
		goal := m.memberGoal(name)
		if m.forbidden[name] || !keys.allows(name) || never(goal) {
			if required {
				return nil, false
			}
			continue
		}
		if c.o.Closed && keys.words != nil && !required && m.named() && !m.covers(name) {
			continue
		}
		out = append(out, member{name, goal, required})
	}
	return out, true
}

// memberGoal returns what m demands of the member of that name.
func (m *shape) memberGoal(name string) goal {
	g := m.must[name]
	covered := false
	for _, s := range m.objects {
		for _, sub := range s.membersOf(name) {
			covered = true
			g = join(g, goalOf(sub))
		}
	}
	if !covered {
		g = join(g, goalOf(m.rest...))
	}
	return g
}

func (m *shape) covers(name string) bool {
	return slices.ContainsFunc(m.objects, func(s *schema) bool { return len(s.membersOf(name)) > 0 })
}

// named reports whether m names properties and says nothing about others.
func (m *shape) named() bool {
	return len(m.objects) > 0 && len(m.rest) == 0 && !slices.ContainsFunc(m.objects, func(s *schema) bool { return s.additional != nil })
}

// others returns the members that m does not name.
func (c *compiler) others(m *shape, keys *keyset, named []member) ([]others, error) {
	if keys.words != nil {
		return nil, nil
	}
	var patterns []patternProperty
	var exclude []string
	for _, s := range m.objects {
		patterns = append(patterns, s.patterns...)
		for _, p := range s.props {
			exclude = append(exclude, p.name)
		}
	}
	exclude = unite(exclude, m.required)
	for name := range m.forbidden {
		exclude = unite(exclude, []string{name})
	}
	slices.Sort(exclude)
	for _, p := range named {
		exclude = unite(exclude, []string{p.name})
	}
	if len(patterns) > maxPatterns {
		return nil, &UnsupportedError{m.objects[0].ptr + "/patternProperties", "more than 4 patterns"}
	}
	var out []others
	for set := range 1 << len(patterns) {
		if set == 0 && c.o.Closed && m.named() {
			continue
		}
		matched := func(i int) bool { return set>>i&1 != 0 }
		goal := m.otherGoal(matched)
		if never(goal) {
			continue
		}
		key, err := c.key(keys, patterns, matched, exclude)
		if err != nil {
			return nil, err
		}
		if key.DFA != nil && !key.DFA.Empty() {
			out = append(out, others{key, goal})
		}
	}
	return out, nil
}

// otherGoal returns what m demands of a member whose name matches those of its
// patterns, counted through all its schemas.
func (m *shape) otherGoal(matched func(int) bool) goal {
	var g goal
	covered := false
	i := 0
	for _, s := range m.objects {
		here := false
		for _, p := range s.patterns {
			if matched(i) {
				here = true
				g = join(g, goalOf(p.schema))
			}
			i++
		}
		if !here && s.additional != nil {
			here = true
			g = join(g, goalOf(s.additional))
		}
		covered = covered || here
	}
	if !covered {
		g = join(g, goalOf(m.rest...))
	}
	return g
}

// key returns the names that match those patterns and no others, and are not
// excluded. Its DFA is nil if there are none.
func (c *compiler) key(keys *keyset, patterns []patternProperty, matched func(int) bool, not []string) (grammar.Terminal, error) {
	if len(patterns) == 0 && keys.lang == nil {
		t := grammar.Terminal{DFA: automaton.Text(c.texts)}
		if len(not) > 0 {
			return t, exclude(&t, not)
		}
		return t, nil
	}
	l := keys.lang
	if l == nil {
		l = automaton.Any()
	}
	var err error
	for i, p := range patterns {
		with := p.lang
		if !matched(i) {
			with = with.Complement()
		}
		if l, err = l.Intersect(with); err != nil {
			return grammar.Terminal{}, err
		}
	}
	if len(not) > 0 {
		words, err := automaton.Exactly(not...)
		if err != nil {
			return grammar.Terminal{}, err
		}
		if l, err = l.Intersect(words.Complement()); err != nil {
			return grammar.Terminal{}, err
		}
	}
	if l.Empty() {
		return grammar.Terminal{}, nil
	}
	d, err := l.Quoted(0)
	return grammar.Terminal{DFA: d}, err
}

// objects writes the graph of one shape: a node for each place between members.
type objects struct {
	*compiler
	members     []member
	more        []others
	least, most int // members; a least of 0 and a negative most need no counting
	nodes       map[place]grammar.Node
	to          grammar.Node
	todo        []place
}

// A place is before member i, after count members if they are counted.
type place struct {
	i, count int
	kind     placeKind
}

type placeKind uint8

const (
	first placeKind = iota // there was no member yet
	after                  // a member has ended
	comma                  // a member must follow
)

func (o *objects) node(p place) grammar.Node {
	switch {
	case o.least == 0 && o.most < 0:
		p.count = 0
	case o.most < 0:
		p.count = min(p.count, o.least)
	}
	n, ok := o.nodes[p]
	if !ok {
		n = o.g.Node()
		o.nodes[p] = n
		o.todo = append(o.todo, p)
	}
	return n
}

func (o *objects) start(from grammar.Node) {
	begin, end := "{", "}"
	if o.style.open != "" {
		begin, end = o.style.open, o.style.close
	}
	equal := o.style.equal
	// Only the object itself is written as arguments, not what is in it.
	o.style.open, o.style.close, o.style.equal = "", "", ""
	last := len(o.members) - 1 // the last required one
	for last >= 0 && !o.members[last].required {
		last--
	}
	o.g.Skip(o.gap(o.literal(from, begin)), o.node(place{}))
	for len(o.todo) > 0 {
		p := o.todo[len(o.todo)-1]
		o.todo = o.todo[:len(o.todo)-1]
		n := o.nodes[p]
		if p.kind != comma && p.i > last && p.count >= o.least {
			o.g.Literal(o.gap(n), o.to, end)
		}
		if o.most >= 0 && p.count >= o.most {
			continue
		}
		switch {
		case p.kind == after:
			o.g.Skip(o.gap(o.literal(n, o.style.comma)), o.node(place{p.i, p.count, comma}))
		case p.i < len(o.members):
			m := o.members[p.i]
			key := quote(m.name) + o.style.colon
			if equal != "" {
				key = m.name + equal
			}
			next := place{p.i + 1, p.count + 1, after}
			o.g.Call(o.gap(o.literal(n, key)), o.node(next), o.rule(m.goal))
			if !m.required {
				// The place before the next member, as far as keys go: the end is seen to above.
				o.g.Skip(n, o.node(place{p.i + 1, p.count, comma}))
			}
		case equal == "":
			o.others(n, p)
		case len(o.members) == 0 && len(o.more) > 0:
			// Nothing is named: any keyword may be written.
			key := o.g.Node()
			o.g.Read(n, key, grammar.Terminal{DFA: keyword()})
			o.g.Call(o.literal(key, equal), o.node(place{p.i, p.count + 1, after}), o.rule(o.more[0].goal))
		}
	}
}

// keyword is what may name an argument that the schema does not name.
var keyword = sync.OnceValue(func() *automaton.DFA {
	l, err := automaton.Regex(`[A-Za-z_][A-Za-z0-9_]{0,63}`, nil)
	if err != nil {
		panic(err)
	}
	d, err := l.Raw()
	if err != nil {
		panic(err)
	}
	d.Shared = true
	return d
})

// others writes the members without a name of their own.
func (o *objects) others(n grammar.Node, p place) {
	for _, x := range o.more {
		colon := o.g.Node()
		o.g.Read(n, colon, x.key)
		o.g.Call(o.gap(o.literal(colon, o.style.colon)), o.node(place{p.i, p.count + 1, after}), o.rule(x.goal))
	}
}
