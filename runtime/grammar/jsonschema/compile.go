package jsonschema

import (
	"errors"
	"fmt"

	"github.com/sluice-ai/sluice/runtime/grammar"
	"github.com/sluice-ai/sluice/runtime/grammar/automaton"
)

// Whitespace says which white space stands between the parts of a value.
type Whitespace uint8

const (
	// Compact is none: {"a":1,"b":[2,3]}.
	Compact Whitespace = iota
	// Spaced is one space after commas and colons: {"a": 1, "b": [2, 3]}.
	Spaced
	// Flexible is whatever the model likes, up to 32 characters at each place.
	Flexible
)

// Options say how to read a schema and how values are written.
type Options struct {
	Whitespace Whitespace
	// Closed keeps objects that name properties from having others, unless the
	// schema speaks of them: what additionalProperties: false would do.
	Closed bool
	// Python writes True, False and None.
	Python bool
	// IgnoreUnknown takes unknown keywords and formats for annotations instead of
	// refusing the schema.
	IgnoreUnknown bool
	// Work is what patterns may take, of [automaton.MaxWork]; what this schema's take is
	// taken from it, so that schemas of one request can share it. nil is a bound of its own.
	Work *int
}

// A Compiled schema is immutable and safe for concurrent use.
type Compiled struct {
	Grammar *grammar.Grammar
	Checks
}

// Checks are what a grammar does not hold an answer to.
type Checks struct {
	// PostChecks lists the conditions of the schema that only Validate checks.
	PostChecks []PostCheck
	root       *schema
	size       int64
}

// Bytes returns about how many bytes c takes.
func (c *Checks) Bytes() int64 { return c.size }

// Validate checks an instance against the whole schema. It fails with a
// [*ValidationError], or another error if the instance is no JSON.
func (c *Checks) Validate(instance []byte) error {
	v, err := decode(instance)
	if err != nil {
		return fmt.Errorf("the answer is no JSON: %w", err)
	}
	if err := (&validator{}).check(c.root, v, "", &seen{}); err != nil {
		return err
	}
	return nil
}

// Read returns the checks of a schema of which no grammar is made. It is lenient
// with what it does not know: unknown keywords, formats, and patterns that are no
// regular language go unchecked. It fails with [*UnsupportedError]s, joined,
// where the schema cannot be read at all. Patterns take from work as [Options].Work
// says; those that it does not suffice for go unchecked.
func Read(schema []byte, work *int) (*Checks, error) {
	p, root, err := parseDocument(schema, Options{IgnoreUnknown: true, Work: work}, true)
	if err != nil {
		return nil, err
	}
	return &Checks{root: root, size: p.bytes(len(schema))}, nil
}

// Compile returns the grammar of the values that satisfy schema. It fails with
// [*UnsupportedError]s, joined, for what cannot be honoured, or with
// [grammar.ErrEmpty] if nothing satisfies the schema.
func Compile(schema []byte, o Options) (*Compiled, error) {
	b := grammar.NewBuilder()
	start, end := b.Node(), b.Node()
	b.Final(end)
	checks, err := Value(b, start, end, schema, o)
	if err != nil {
		return nil, err
	}
	g, err := b.Build(start)
	if err != nil {
		return nil, err
	}
	return &Compiled{Grammar: g, Checks: *checks}, nil
}

// Object returns the grammar of all JSON objects.
func Object(o Options) (*Compiled, error) { return Compile([]byte(`{"type":"object"}`), o) }

// Value leads in b from one node to another over the values that satisfy schema.
func Value(b *grammar.Builder, from, to grammar.Node, schema []byte, o Options) (*Checks, error) {
	return compile(b, from, to, schema, o, styleOf(o))
}

// Arguments leads in b from one node to another over a list of keyword arguments
// in parentheses, (a=…, b=…), that together are an object that satisfies schema.
// Arguments that schema does not name are written only if it names none and
// allows others. It fails if a name cannot be written as a keyword.
func Arguments(b *grammar.Builder, from, to grammar.Node, schema []byte, o Options) (*Checks, error) {
	s := styleOf(o)
	s.open, s.close, s.equal = "(", ")", "="
	return compile(b, from, to, schema, o, s)
}

func compile(b *grammar.Builder, from, to grammar.Node, text []byte, o Options, s style) (*Checks, error) {
	p, root, err := parseDocument(text, o, false)
	if err != nil {
		return nil, err
	}
	c := &compiler{
		o: o, shapes: map[literal][]*shape{}, busy: map[literal]bool{},
		build: &build{g: b, style: s, rules: map[string]grammar.Node{}, quoted: map[string]*automaton.DFA{}, texts: automaton.Unicode | automaton.Slash},
	}
	if o.Python {
		c.texts = automaton.Unicode // Python knows no \/
	}
	goal := goalOf(root)
	if s.equal != "" {
		err = c.arguments(goal, from, to)
	} else {
		b.Call(from, to, c.rule(goal))
	}
	if err == nil {
		err = c.run()
	}
	if err != nil {
		return nil, err
	}
	return &Checks{c.post, root, p.bytes(len(text))}, nil
}

// arguments leads over the objects of g, written as keyword arguments.
func (c *compiler) arguments(g goal, from, to grammar.Node) error {
	shapes, err := c.norm(g)
	if err != nil {
		return c.fail(g, err)
	}
	call := c.style
	for _, m := range shapes {
		if m.types&tObject == 0 {
			continue
		}
		if m.hasE {
			return c.fail(g, errors.New("arguments cannot be listed whole"))
		}
		for _, s := range m.objects {
			for _, p := range s.props {
				if !identifier(p.name) {
					return &UnsupportedError{s.ptr + "/properties/" + escapePointer(p.name), "the name cannot be written as a keyword argument"}
				}
			}
		}
		for _, name := range m.required {
			if !identifier(name) {
				return &UnsupportedError{g[0].s.ptr + "/required", "a name cannot be written as a keyword argument"}
			}
		}
		c.style = call
		if err := c.object(g, m, from, to); err != nil {
			return c.fail(g, err)
		}
	}
	call.open, call.close, call.equal = "", "", ""
	c.style = call
	return nil
}

func identifier(s string) bool {
	for i := range len(s) {
		b := s[i]
		word := b == '_' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' && i > 0
		if !word {
			return false
		}
	}
	return s != ""
}
