package opa

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// dataSchema is a bundle's schema/data.json: what the keys of its data are called and hold.
const dataSchema = "schema/data.json"

// A schema is a JSON Schema that says in people's words what does not fit it. It knows the keywords
// below and refuses others: a keyword that nobody enforces would be worse than none.
type schema struct {
	Schema      string `json:"$schema"`
	Title       string `json:"title"`
	Description string `json:"description"`

	Ref         string             `json:"$ref"` // "#/definitions/NAME"
	Definitions map[string]*schema `json:"definitions"`

	Type       types              `json:"type"`
	Enum       []any              `json:"enum"`
	Properties map[string]*schema `json:"properties"`
	Additional *additional        `json:"additionalProperties"`
	Required   []string           `json:"required"`
	AnyOf      []anyOf            `json:"anyOf"`
	Items      *schema            `json:"items"`
	MinItems   int                `json:"minItems"`
	MinLength  int                `json:"minLength"`
	Pattern    *pattern           `json:"pattern"`
	Minimum    *float64           `json:"minimum"`
	Maximum    *float64           `json:"maximum"`
}

// types is one type's name or a list of them.
type types []string

// kinds says what a value of each of JSON Schema's types is called.
var kinds = map[string]string{
	"object": "a map of fields", "array": "a list", "string": "a text", "number": "a number",
	"integer": "a whole number", "boolean": "true or false", "null": "null",
}

func (t *types) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*t = types{one}
	} else if err := json.Unmarshal(b, (*[]string)(t)); err != nil {
		return err
	}
	for _, name := range *t {
		if kinds[name] == "" {
			return fmt.Errorf("there is no type %q", name)
		}
	}
	return nil
}

// additional is a schema for the fields without a name, or false when there may be none.
type additional struct {
	none   bool
	schema *schema
}

func (a *additional) UnmarshalJSON(b []byte) error {
	var allowed bool
	if json.Unmarshal(b, &allowed) == nil {
		a.none = !allowed
		return nil
	}
	return strictly(b, &a.schema)
}

// anyOf is one of several sets of fields of which one must be there; "required" is all it may hold.
type anyOf struct {
	Required []string `json:"required"`
}

func (a *anyOf) UnmarshalJSON(b []byte) error {
	type plain anyOf
	return strictly(b, (*plain)(a))
}

func (a anyOf) in(v map[string]any) bool {
	return !slices.ContainsFunc(a.Required, func(name string) bool { _, ok := v[name]; return !ok })
}

type pattern struct{ *regexp.Regexp }

func (p *pattern) UnmarshalText(b []byte) (err error) {
	p.Regexp, err = regexp.Compile(string(b))
	return err
}

func (s *schema) UnmarshalJSON(b []byte) error {
	type plain schema
	return strictly(b, (*plain)(s))
}

// strictly decodes b and refuses what v has no field for.
func strictly(b []byte, v any) error {
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	d.UseNumber()
	return d.Decode(v)
}

// parseSchema reads a schema and checks that its references lead somewhere.
func parseSchema(text []byte) (*schema, error) {
	if !json.Valid(text) {
		return nil, fmt.Errorf("not valid JSON")
	}
	var s schema
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("not a schema that Sluice can check: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return &s, s.resolve(s.Definitions, map[*schema]bool{})
}

// resolve replaces references by what they name.
func (s *schema) resolve(defs map[string]*schema, seen map[*schema]bool) error {
	if s == nil || seen[s] {
		return nil
	}
	seen[s] = true
	if s.Ref != "" {
		name, ok := strings.CutPrefix(s.Ref, "#/definitions/")
		to := defs[name]
		if !ok || to == nil || to.Ref != "" {
			return fmt.Errorf("$ref %q names no definition", s.Ref)
		}
		*s = *to
	}
	below := []*schema{s.Items}
	if s.Additional != nil {
		below = append(below, s.Additional.schema)
	}
	for _, m := range []map[string]*schema{s.Properties, s.Definitions} {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			below = append(below, m[name])
		}
	}
	for _, b := range below {
		if err := b.resolve(defs, seen); err != nil {
			return err
		}
	}
	return nil
}

// check returns a sentence for each thing in v that does not fit s. v is made of JSON's types, its
// numbers are [json.Number].
func (s *schema) check(v any) []string {
	var c checker
	c.value(s, place{}, v)
	return c.problems
}

// A place is where a value stands: `tenants[1] "acme"` is the item, residency.regions a field inside it.
type place struct{ item, field string }

func (p place) under(name string) place {
	if p.field != "" {
		name = p.field + "." + name
	}
	return place{p.item, name}
}

// at is the i-th item of the list at p. An item with a name is called by it.
func (p place) at(i int, v any) place {
	index := p.field + "[" + strconv.Itoa(i) + "]"
	if m, ok := v.(map[string]any); ok {
		if name, ok := m["name"].(string); ok {
			return place{item: p.prefix() + index + " " + strconv.Quote(name)}
		}
	}
	return place{p.item, index}
}

func (p place) prefix() string {
	if p.item == "" {
		return ""
	}
	return p.item + ": "
}

// must begins a sentence about the value as a whole.
func (p place) must() string {
	switch {
	case p.field != "":
		return p.prefix() + p.field
	case p.item != "":
		return p.item
	}
	return "the data"
}

// says begins a sentence about something in the value.
func (p place) says() string {
	if p.field == "" {
		return p.prefix()
	}
	return p.must() + ": "
}

type checker struct{ problems []string }

func (c *checker) add(format string, a ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, a...))
}

func (c *checker) value(s *schema, at place, v any) {
	if len(s.Type) > 0 && !slices.ContainsFunc(s.Type, func(t string) bool { return is(v, t) }) {
		var wanted []string
		for _, t := range s.Type {
			wanted = append(wanted, kinds[t])
		}
		c.add("%s must be %s", at.must(), strings.Join(wanted, " or "))
		return
	}
	if len(s.Enum) > 0 && !slices.ContainsFunc(s.Enum, func(e any) bool { return reflect.DeepEqual(e, v) }) {
		c.add("%s: %s is none of %s", at.must(), show(v), strings.Join(shown(s.Enum), ", "))
		return
	}
	switch v := v.(type) {
	case string:
		if n := utf8.RuneCountInString(v); n < s.MinLength {
			c.add("%s must not be %s", at.must(), map[bool]string{true: "empty", false: "so short"}[n == 0])
		} else if s.Pattern != nil && !s.Pattern.MatchString(v) {
			c.add("%s: %s is not of the form %s", at.must(), show(v), s.Pattern)
		}
	case json.Number:
		n, _ := v.Float64()
		if s.Minimum != nil && n < *s.Minimum {
			c.add("%s must be at least %v, not %s", at.must(), *s.Minimum, v)
		}
		if s.Maximum != nil && n > *s.Maximum {
			c.add("%s must be at most %v, not %s", at.must(), *s.Maximum, v)
		}
	case []any:
		switch {
		case len(v) == 0 && s.MinItems > 0:
			c.add("%s must not be empty", at.must())
		case len(v) < s.MinItems:
			c.add("%s must have at least %d items", at.must(), s.MinItems)
		}
		if s.Items != nil {
			for i, item := range v {
				c.value(s.Items, at.at(i, item), item)
			}
		}
	case map[string]any:
		c.fields(s, at, v)
	}
}

func (c *checker) fields(s *schema, at place, v map[string]any) {
	for _, name := range s.Required {
		if _, ok := v[name]; !ok {
			c.add("%s%s is missing", at.says(), name)
		}
	}
	if len(s.AnyOf) > 0 && !slices.ContainsFunc(s.AnyOf, func(a anyOf) bool { return a.in(v) }) {
		var sets []string
		for _, a := range s.AnyOf {
			sets = append(sets, strings.Join(a.Required, " and "))
		}
		c.add("%s%s is missing", at.says(), strings.Join(sets, " or "))
	}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		switch known := s.Properties[name]; {
		case known != nil:
			c.value(known, at.under(name), v[name])
		case s.Additional == nil:
		case s.Additional.none:
			c.add("%sunknown field %s", at.says(), name)
		case s.Additional.schema != nil:
			c.value(s.Additional.schema, at.under(name), v[name])
		}
	}
}

// is reports whether v has JSON Schema's type t.
func is(v any, t string) bool {
	switch v := v.(type) {
	case nil:
		return t == "null"
	case bool:
		return t == "boolean"
	case string:
		return t == "string"
	case json.Number:
		n, err := v.Float64()
		return err == nil && (t == "number" || t == "integer" && n == math.Trunc(n))
	case []any:
		return t == "array"
	}
	return t == "object"
}

// show returns v, a value that is no map and no list in all that matters, as people write it.
func show(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

// shown returns the values of an enum: words without quotation marks.
func shown(values []any) (out []string) {
	for _, v := range values {
		if s, ok := v.(string); ok {
			out = append(out, s)
		} else {
			out = append(out, show(v))
		}
	}
	return out
}
