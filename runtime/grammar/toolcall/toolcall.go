// Package toolcall makes grammars of LFM2's tool calls for the tools of a
// request:
//
//	<|tool_call_start|>[get_time(city="Rome", utc=True), f()]<|tool_call_end|>
//
// Names are those of the tools, arguments satisfy their schemas and come in the
// schema's order, values are Python literals that chat.Parser reads back as
// JSON. The markers are the vocabulary's special tokens, so that no text can
// imitate them.
package toolcall

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/sluice-ai/sluice/runtime/grammar"
	"github.com/sluice-ai/sluice/runtime/grammar/automaton"
	"github.com/sluice-ai/sluice/runtime/grammar/jsonschema"
)

// The special tokens around a list of calls.
const (
	Start = "<|tool_call_start|>"
	End   = "<|tool_call_end|>"
)

// A Choice is what a request's tool_choice asks for.
type Choice uint8

const (
	Auto     Choice = iota // text, calls, or text and then calls; text may follow
	None                   // text only
	Required               // calls only, of any tool
)

// Options say which calls are wanted.
type Options struct {
	Choice Choice
	// Name is the only tool that may be called, which must then be called.
	Name string
	// Single allows one call only; else there may be several in the list.
	Single bool
	// Thoughts are special tokens that may stand in text, such as <think>.
	Thoughts []string
	// Open lets nested objects that name properties have others, unless their
	// schema closes them.
	Open bool
}

// A Compiled set of tools is immutable and safe for concurrent use.
type Compiled struct {
	Grammar *grammar.Grammar
	tools   map[string]*jsonschema.Checks
}

// PostChecks returns the conditions on a tool's arguments that only Validate
// checks.
func (c *Compiled) PostChecks(tool string) []jsonschema.PostCheck {
	if t, ok := c.tools[tool]; ok && t != nil {
		return t.PostChecks
	}
	return nil
}

// Bytes returns about how many bytes c takes beside its Grammar.
func (c *Compiled) Bytes() (n int64) {
	for _, t := range c.tools {
		n += t.Bytes()
	}
	return n
}

// ErrUnknown says that a call names no tool of the request.
var ErrUnknown = errors.New("the call names a tool that was not given")

// Validate checks the arguments of a call, a JSON object, against the tool's
// schema.
func (c *Compiled) Validate(tool string, arguments []byte) error {
	t, ok := c.tools[tool]
	if !ok {
		return ErrUnknown
	}
	return t.Validate(arguments)
}

type tool struct {
	Name       string          `json:"name"`
	Parameters json.RawMessage `json:"parameters"`
}

// Compile returns the grammar of answers that call tools, each given as
// {"type":"function","function":{"name":…,"parameters":…}} or as the bare
// function. Parameters may be left out for a tool without arguments.
func Compile(tools []json.RawMessage, o Options) (*Compiled, error) {
	c := &Compiled{tools: map[string]*jsonschema.Checks{}}
	b, work := grammar.NewBuilder(), automaton.MaxWork
	begin, open, calls, shut, end := b.Node(), b.Node(), b.Node(), b.Node(), b.Node()
	call, called := b.Node(), b.Node() // the rule of one call
	b.Final(end)
	b.Final(called)
	for i, raw := range tools {
		t, err := parse(raw)
		if err != nil {
			return nil, fmt.Errorf("tool %d: %w", i, err)
		}
		if _, twice := c.tools[t.Name]; twice {
			return nil, fmt.Errorf("two tools are called %q", t.Name)
		}
		to := called
		if o.Name != "" && o.Name != t.Name || o.Choice == None {
			to = b.Node() // compiled for Validate, but leading nowhere
		}
		args := b.Node()
		b.Literal(call, args, t.Name)
		checks, err := jsonschema.Arguments(b, args, to, t.Parameters, jsonschema.Options{
			Whitespace: jsonschema.Spaced, Python: true, Closed: !o.Open, Work: &work,
		})
		if err != nil {
			return nil, fmt.Errorf("tool %q: %w", t.Name, err)
		}
		c.tools[t.Name] = checks
	}
	if _, ok := c.tools[o.Name]; o.Name != "" && !ok {
		return nil, fmt.Errorf("%w: %q", ErrUnknown, o.Name)
	}
	wanted := o.Choice == Required || o.Name != ""
	if wanted && len(tools) == 0 {
		return nil, errors.New("a call is required, but no tool is given")
	}
	b.Special(begin, open, Start)
	b.Literal(open, calls, "[")
	b.Call(calls, shut, call)
	if !o.Single {
		again, next, done := b.Node(), b.Node(), b.Node()
		b.Final(done)
		b.Literal(again, next, ", ")
		b.Call(next, done, call)
		b.Repeat(shut, shut2(b, end), again, 0, maxCalls-1)
	} else {
		b.Skip(shut, shut2(b, end))
	}
	start := begin
	switch {
	case o.Choice == None && o.Name == "":
		start = text(b, end, o.Thoughts, end)
	case !wanted:
		start = text(b, begin, o.Thoughts, end)
	}
	g, err := b.Build(start)
	if err != nil {
		return nil, err
	}
	c.Grammar = g
	return c, nil
}

// maxCalls bounds the calls of one answer.
const maxCalls = 128

// shut2 returns the node from which the list and the block are closed.
func shut2(b *grammar.Builder, end grammar.Node) grammar.Node {
	from, mark := b.Node(), b.Node()
	b.Literal(from, mark, "]")
	b.Special(mark, end, End)
	return from
}

// text returns a node from which any text leads on to next, or ends.
func text(b *grammar.Builder, next grammar.Node, thoughts []string, end grammar.Node) grammar.Node {
	from, after := b.Node(), b.Node()
	b.Read(from, after, grammar.Terminal{DFA: automaton.AllText()})
	for _, t := range thoughts {
		b.Special(after, from, t)
	}
	b.Skip(after, end)
	if next != end {
		b.Skip(after, next)
	}
	return from
}

func parse(raw json.RawMessage) (tool, error) {
	var t struct {
		tool
		Function *tool `json:"function"`
	}
	if err := json.Unmarshal(raw, &t); err != nil {
		return tool{}, errors.New("a tool is an object with a name and parameters")
	}
	if t.Function != nil {
		t.tool = *t.Function
	}
	if !callable(t.Name) {
		return tool{}, errors.New("the name is empty or cannot be written in a call")
	}
	if len(t.Parameters) == 0 || string(t.Parameters) == "null" {
		t.Parameters = json.RawMessage(`{"type":"object","additionalProperties":false}`)
	}
	return t.tool, nil
}

// callable reports whether chat.Parser reads s as the name of a call.
func callable(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
	return s != "" && strings.Contains(letters, s[:1]) && strings.Trim(s, letters+"0123456789.-") == ""
}
