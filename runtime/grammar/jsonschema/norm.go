package jsonschema

import (
	"errors"
	"fmt"
	"slices"
)

// A PostCheck is a condition of a schema that its grammar does not hold an
// answer to: [Compiled.Validate] checks it afterwards.
type PostCheck struct {
	Pointer string // JSON pointer to the keyword
	Why     string
}

// A compiler turns goals into shapes and rules.
type compiler struct {
	o      Options
	shapes map[literal][]*shape
	busy   map[literal]bool
	post   []PostCheck
	work   int
	*build
}

var (
	errLoop    = errors.New("the schema refers to itself without end")
	errLarge   = errors.New("the schema has too many alternatives")
	errMembers = fmt.Errorf("an object has more than %d properties", maxMembers)
	errNegate  = errors.New("what this denies cannot be denied while decoding")
)

const (
	maxShapes     = 512
	maxShapesWork = 200_000
)

func (c *compiler) check(ptr, why string) {
	p := PostCheck{ptr, why}
	if !slices.Contains(c.post, p) {
		c.post = append(c.post, p)
	}
}

// norm returns the shapes of g; none if nothing satisfies it.
func (c *compiler) norm(g goal) ([]*shape, error) {
	out := []*shape{anyShape()}
	for _, l := range g {
		more, err := c.shapesOf(l)
		if err != nil {
			return nil, err
		}
		if out, err = c.cross(out, more); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// cross returns what is in a shape of a and in a shape of b.
func (c *compiler) cross(a, b []*shape) ([]*shape, error) {
	if c.work += len(a) * len(b); c.work > maxShapesWork {
		return nil, errLarge
	}
	var out []*shape
	for _, x := range a {
		for _, y := range b {
			if m := meet(x, y); m != nil {
				out = append(out, m)
			}
		}
	}
	if len(out) > maxShapes {
		return nil, errLarge
	}
	return out, nil
}

// shapesOf returns the shapes of one literal.
func (c *compiler) shapesOf(l literal) ([]*shape, error) {
	if got, ok := c.shapes[l]; ok {
		return got, nil
	}
	if c.busy[l] {
		return nil, errLoop
	}
	c.busy[l] = true
	defer delete(c.busy, l)
	var out []*shape
	var err error
	if l.neg {
		out, err = c.denied(l.s)
	} else {
		out, err = c.asserted(l.s)
	}
	if err != nil {
		return nil, err
	}
	c.shapes[l] = out
	return out, nil
}

// plain returns the shape of the keywords of s that need no alternatives.
func (c *compiler) plain(s *schema) *shape {
	m := anyShape()
	m.types = s.types
	m.num.Integer = s.integer
	m.num.Min, m.num.OpenMin, m.num.Max, m.num.OpenMax = s.min, s.min != nil && s.openMin, s.max, s.max != nil && s.openMax
	if s.multipleOf != nil {
		m.multiples = []multiple{{s.multipleOf, s.ptr + "/multipleOf"}}
	}
	m.minLen, m.maxLen = s.minLen, s.maxLen
	if s.pattern != nil {
		m.langs = []language{{s.pattern, s.ptr + "/pattern"}}
	}
	if s.format != "" {
		m.formats = []formatAt{{s.format, s.ptr + "/format"}}
	}
	m.minItems, m.maxItems = s.minItems, s.maxItems
	if s.aboutArrays() {
		m.arrays = []*schema{s}
	}
	m.minProps, m.maxProps, m.minPropsPtr = s.minProps, s.maxProps, s.ptr+"/minProperties"
	if s.aboutObjects() {
		m.objects = []*schema{s}
	}
	m.required = s.required
	if s.names != nil {
		m.names = []*schema{s.names}
	}
	if s.restProps != nil {
		m.rest = []*schema{s.restProps}
	}
	if s.unique {
		c.check(s.ptr+"/uniqueItems", "items are not compared while decoding")
	}
	if s.contains != nil && !(s.minContains == 0 && s.maxContains < 0) {
		c.check(s.ptr+"/contains", "items are not counted by what they are while decoding")
		m.minItems = max(m.minItems, s.minContains)
	}
	if s.hasE {
		m.meetValues(&shape{}, &shape{hasE: true, enum: s.enum})
	}
	m.prune()
	return m
}

func (c *compiler) asserted(s *schema) ([]*shape, error) {
	if s.always != nil {
		if *s.always {
			return []*shape{anyShape()}, nil
		}
		return nil, nil
	}
	m := c.plain(s)
	if m.types == 0 || m.hasE && len(m.enum) == 0 {
		return nil, nil
	}
	out := []*shape{m}
	var err error
	and := func(more []*shape, e error) {
		if err = errors.Join(err, e); err == nil {
			out, err = c.cross(out, more)
		}
	}
	if s.ref != nil {
		and(c.shapesOf(literal{s.ref, false}))
	}
	for _, sub := range s.all {
		and(c.shapesOf(literal{sub, false}))
	}
	if s.any != nil {
		and(c.union(s.any))
	}
	if s.one != nil {
		and(c.union(s.one))
		if err == nil && !c.disjoint(s.one) {
			c.check(s.ptr+"/oneOf", "several alternatives may hold at once; decoded as anyOf")
		}
	}
	if s.not != nil {
		and(c.orCheck(s.ptr+"/not", literal{s.not, true}))
	}
	if s.cond != nil && (s.then != nil || s.other != nil) {
		and(c.conditional(s))
	}
	for _, d := range s.needs {
		and(c.dependent(s, d))
	}
	if err != nil {
		return nil, err
	}
	if s.restProps != nil && c.denies(s, map[*schema]bool{}) {
		c.check(s.ptr+"/unevaluatedProperties", "what a negation looks at is found afterwards")
	}
	if s.restItems != nil && len(out) > 0 {
		c.check(s.ptr+"/unevaluatedItems", "which items are covered is found afterwards")
	}
	return out, nil
}

// denies reports whether s, or a schema that it applies to the same value, has
// the keyword not: what that looks at does not count as evaluated.
func (c *compiler) denies(s *schema, seen map[*schema]bool) bool {
	if s == nil || seen[s] {
		return false
	}
	seen[s] = true
	if s.not != nil {
		return true
	}
	subs := slices.Concat(s.all, s.any, s.one, []*schema{s.ref, s.cond, s.then, s.other})
	for _, d := range s.needs {
		subs = append(subs, d.schema)
	}
	return slices.ContainsFunc(subs, func(sub *schema) bool { return c.denies(sub, seen) })
}

func (c *compiler) union(list []*schema) ([]*shape, error) {
	var out []*shape
	for _, s := range list {
		more, err := c.shapesOf(literal{s, false})
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	if len(out) > maxShapes {
		return nil, errLarge
	}
	return out, nil
}

// orCheck returns the shapes of l, or those of anything, with a check
// afterwards, if l cannot be held while decoding.
func (c *compiler) orCheck(ptr string, l literal) ([]*shape, error) {
	out, err := c.shapesOf(l)
	if errors.Is(err, errNegate) {
		c.check(ptr, errNegate.Error())
		return []*shape{anyShape()}, nil
	}
	return out, err
}

// conditional returns the shapes of if, then and else: the condition with then,
// and its negation with else.
func (c *compiler) conditional(s *schema) ([]*shape, error) {
	branch := func(cond literal, then *schema) ([]*shape, error) {
		out, err := c.shapesOf(cond)
		if err != nil || then == nil {
			return out, err
		}
		more, err := c.shapesOf(literal{then, false})
		if err != nil {
			return nil, err
		}
		return c.cross(out, more)
	}
	yes, err := branch(literal{s.cond, false}, s.then)
	if err != nil {
		return nil, err
	}
	no, err := branch(literal{s.cond, true}, s.other)
	if errors.Is(err, errNegate) {
		c.check(s.ptr+"/if", "the condition cannot be denied while decoding")
		return []*shape{anyShape()}, nil
	}
	return append(slices.Clip(yes), no...), err
}

// dependent returns the shapes of an entry of dependentRequired or
// dependentSchemas: without the member, or with what it needs.
func (c *compiler) dependent(s *schema, d dependency) ([]*shape, error) {
	without := anyShape()
	without.forbidden = map[string]bool{d.name: true}
	with := anyShape()
	with.types = tObject
	with.required = unite([]string{d.name}, d.required)
	out := []*shape{with}
	if d.schema != nil {
		more, err := c.shapesOf(literal{d.schema, false})
		if err != nil {
			return nil, err
		}
		if out, err = c.cross(out, more); err != nil {
			return nil, err
		}
	}
	return append([]*shape{without}, out...), nil
}

// disjoint reports whether no value can satisfy two of the schemas, as far as
// their shapes tell.
func (c *compiler) disjoint(list []*schema) bool {
	var shapes [][]*shape
	for _, s := range list {
		more, err := c.shapesOf(literal{s, false})
		if err != nil {
			return false
		}
		shapes = append(shapes, more)
	}
	for i := range shapes {
		for j := range i {
			for _, a := range shapes[i] {
				for _, b := range shapes[j] {
					if c.work++; c.work > maxShapesWork || !c.apart(a, b) {
						return false
					}
				}
			}
		}
	}
	return true
}

// apart reports whether a and b have no value in common: no type, no listed
// value, or a member that both require and that is a different one in each.
func (c *compiler) apart(a, b *shape) bool {
	m := meet(a, b)
	if m == nil {
		return true
	}
	if m.types != tObject || m.hasE {
		return false
	}
	for _, name := range m.required {
		x, ok := c.listed(a, name)
		if !ok {
			continue
		}
		y, ok := c.listed(b, name)
		if !ok || slices.ContainsFunc(x, func(v any) bool { return contains(y, v) }) {
			continue
		}
		return true
	}
	return false
}

// listed returns the values that a member can have, if its schemas list them.
func (c *compiler) listed(m *shape, name string) ([]any, bool) {
	for _, s := range m.objects {
		if sub := s.property(name); sub != nil {
			shapes, err := c.shapesOf(literal{sub, false})
			if err != nil || len(shapes) == 0 || slices.ContainsFunc(shapes, func(m *shape) bool { return !m.hasE }) {
				continue
			}
			var out []any
			for _, sh := range shapes {
				out = append(out, sh.enum...)
			}
			return out, true
		}
	}
	return nil, false
}

// at adds where a problem is to an error of the compiler.
func at(s *schema, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*UnsupportedError](err); ok {
		return err
	}
	return &UnsupportedError{s.ptr, fmt.Sprint(err)}
}
