package jsonschema

import (
	"fmt"
	"math/big"
	"strconv"

	"github.com/sluice-ai/sluice/runtime/grammar/automaton"
)

// A ValidationError says where an instance breaks its schema. It holds names of
// members, never values.
type ValidationError struct {
	Instance string // JSON pointer into the instance
	Schema   string // JSON pointer to the schema that is broken
	Keyword  string
}

func (e *ValidationError) Error() string {
	return fmt.Sprintf("the value at %q does not satisfy %s of the schema at %q", "#"+e.Instance, e.Keyword, "#"+e.Schema)
}

// seen notes which members and items some schema has looked at.
type seen struct {
	names map[string]bool
	items int // the first so many
	some  map[int]bool
}

func (s *seen) name(n string) {
	if s.names == nil {
		s.names = map[string]bool{}
	}
	s.names[n] = true
}

func (s *seen) item(i int) {
	if s.some == nil {
		s.some = map[int]bool{}
	}
	s.some[i] = true
}

func (s *seen) join(o *seen) {
	for n := range o.names {
		s.name(n)
	}
	s.items = max(s.items, o.items)
	for i := range o.some {
		s.item(i)
	}
}

// A validator checks one instance. Its work is bounded, since references can make
// a schema of n bytes visit 2^n times.
type validator struct {
	work  int
	depth int
}

const maxWork = 5_000_000

func (c *validator) check(s *schema, v any, at string, out *seen) *ValidationError {
	fail := func(keyword string) *ValidationError { return &ValidationError{at, s.ptr, keyword} }
	if c.work++; c.work > maxWork || c.depth > 4*maxDepth {
		return fail("the bounds of checking")
	}
	c.depth++
	defer func() { c.depth-- }()
	if s.always != nil {
		if !*s.always {
			return fail("false")
		}
		return nil
	}
	t := typeOf(v)
	if t&s.types == 0 {
		return fail("type")
	}
	if s.integer {
		if n, ok := v.(*number); ok && !n.rat.IsInt() {
			return fail("type")
		}
	}
	if s.hasE && !contains(s.enum, v) {
		return fail("enum")
	}
	var here seen
	if err := c.combined(s, v, at, &here); err != nil {
		return err
	}
	var keyword string
	var err *ValidationError
	switch v := v.(type) {
	case *number:
		keyword = checkNumber(s, v)
	case string:
		keyword = checkString(s, v)
	case []any:
		keyword, err = c.array(s, v, at, &here)
	case *object:
		keyword, err = c.object(s, v, at, &here)
	}
	if err != nil {
		return err
	}
	if keyword != "" {
		return fail(keyword)
	}
	out.join(&here)
	return nil
}

func contains(list []any, v any) bool {
	for _, e := range list {
		if equal(e, v) {
			return true
		}
	}
	return false
}

// combined checks the keywords that apply other schemas to the same value.
func (c *validator) combined(s *schema, v any, at string, here *seen) *ValidationError {
	fail := func(keyword string) *ValidationError { return &ValidationError{at, s.ptr, keyword} }
	if s.ref != nil {
		if err := c.check(s.ref, v, at, here); err != nil {
			return err
		}
	}
	for _, sub := range s.all {
		if err := c.check(sub, v, at, here); err != nil {
			return err
		}
	}
	count := func(list []*schema) (n int) {
		for _, sub := range list {
			if c.check(sub, v, at, here) == nil {
				n++
			}
		}
		return n
	}
	if s.any != nil && count(s.any) == 0 {
		return fail("anyOf")
	}
	if s.one != nil && count(s.one) != 1 {
		return fail("oneOf")
	}
	if s.not != nil && c.check(s.not, v, at, &seen{}) == nil {
		return fail("not")
	}
	if s.cond != nil {
		branch := s.other
		if c.check(s.cond, v, at, here) == nil {
			branch = s.then
		}
		if branch != nil {
			if err := c.check(branch, v, at, here); err != nil {
				return err
			}
		}
	}
	o, ok := v.(*object)
	if !ok {
		return nil
	}
	for _, d := range s.needs {
		if _, ok := o.member[d.name]; !ok {
			continue
		}
		for _, r := range d.required {
			if _, ok := o.member[r]; !ok {
				return fail("dependentRequired")
			}
		}
		if d.schema != nil {
			if err := c.check(d.schema, v, at, here); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkNumber(s *schema, v *number) string {
	if s.min != nil {
		if d := v.rat.Cmp(s.min); d < 0 || d == 0 && s.openMin {
			return "minimum"
		}
	}
	if s.max != nil {
		if d := v.rat.Cmp(s.max); d > 0 || d == 0 && s.openMax {
			return "maximum"
		}
	}
	if s.multipleOf != nil && !new(big.Rat).Quo(v.rat, s.multipleOf).IsInt() {
		return "multipleOf"
	}
	return ""
}

func checkString(s *schema, v string) string {
	n := -1
	if s.minLen > 0 || s.maxLen >= 0 {
		n = runes(v)
	}
	switch {
	case n >= 0 && n < s.minLen:
		return "minLength"
	case s.maxLen >= 0 && n > s.maxLen:
		return "maxLength"
	case s.pattern != nil && !s.pattern.Match(v):
		return "pattern"
	}
	if s.format != "" {
		f, _ := automaton.FormatOf(s.format)
		if !f.Language.Match(v) || f.Most > 0 && runes(v) > f.Most {
			return "format"
		}
	}
	return ""
}

func (c *validator) array(s *schema, v []any, at string, here *seen) (string, *ValidationError) {
	if len(v) < s.minItems {
		return "minItems", nil
	}
	if s.maxItems >= 0 && len(v) > s.maxItems {
		return "maxItems", nil
	}
	for i, e := range v {
		sub := s.items
		if i < len(s.prefix) {
			sub = s.prefix[i]
		}
		if sub == nil {
			break
		}
		if err := c.check(sub, e, at+"/"+strconv.Itoa(i), &seen{}); err != nil {
			return "", err
		}
		here.items = max(here.items, i+1)
	}
	if s.contains != nil {
		n := 0
		for i, e := range v {
			if c.check(s.contains, e, at, &seen{}) == nil {
				n++
				here.item(i)
			}
		}
		if n < s.minContains || s.maxContains >= 0 && n > s.maxContains {
			return "contains", nil
		}
	}
	if s.unique {
		for i := range v {
			if c.work += i; c.work > maxWork {
				return "the bounds of checking", nil
			}
			if contains(v[:i], v[i]) {
				return "uniqueItems", nil
			}
		}
	}
	if s.restItems != nil {
		for i := here.items; i < len(v); i++ {
			if here.some[i] {
				continue
			}
			if err := c.check(s.restItems, v[i], at+"/"+strconv.Itoa(i), &seen{}); err != nil {
				return "", err
			}
		}
		here.items = len(v)
	}
	return "", nil
}

func (c *validator) object(s *schema, v *object, at string, here *seen) (string, *ValidationError) {
	if len(v.keys) < s.minProps {
		return "minProperties", nil
	}
	if s.maxProps >= 0 && len(v.keys) > s.maxProps {
		return "maxProperties", nil
	}
	for _, r := range s.required {
		if _, ok := v.member[r]; !ok {
			return "required", nil
		}
	}
	for _, k := range v.keys {
		member := at + "/" + escapePointer(k)
		if s.names != nil {
			if err := c.check(s.names, k, member, &seen{}); err != nil {
				return "", err
			}
		}
		for _, sub := range s.membersOf(k) {
			here.name(k)
			if err := c.check(sub, v.member[k], member, &seen{}); err != nil {
				return "", err
			}
		}
	}
	if s.restProps != nil {
		for _, k := range v.keys {
			if here.names[k] {
				continue
			}
			if err := c.check(s.restProps, v.member[k], at+"/"+escapePointer(k), &seen{}); err != nil {
				return "", err
			}
			here.name(k)
		}
	}
	return "", nil
}

// membersOf returns the schemas that s has for a member of that name.
func (s *schema) membersOf(name string) []*schema {
	var out []*schema
	if sub := s.property(name); sub != nil {
		out = append(out, sub)
	}
	for _, p := range s.patterns {
		if p.lang.Match(name) {
			out = append(out, p.schema)
		}
	}
	if len(out) == 0 && s.additional != nil {
		out = append(out, s.additional)
	}
	return out
}
