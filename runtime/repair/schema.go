package repair

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/sluice-ai/sluice/runtime/chat"
	"github.com/sluice-ai/sluice/runtime/grammar/automaton"
	"github.com/sluice-ai/sluice/runtime/grammar/jsonschema"
)

// A Schema checks and mends documents. It is safe for concurrent use.
type Schema struct{ checks *jsonschema.Checks }

// Read reads a JSON Schema. What no validator here knows goes unchecked: unknown
// keywords and formats, patterns with look-around. It fails where the schema
// cannot be read at all: a reference to another document, say.
func Read(schema json.RawMessage) (*Schema, error) { return read(schema, nil) }

// read is Read; patterns take from work, which schemas of one request share.
func read(schema json.RawMessage, work *int) (*Schema, error) {
	c, err := jsonschema.Read(schema, work)
	if err != nil {
		return nil, err
	}
	return &Schema{c}, nil
}

// Bytes returns about how many bytes s takes.
func (s *Schema) Bytes() int64 { return s.checks.Bytes() }

// A BrokenError says where a document breaks its schema. It holds no values.
type BrokenError struct {
	Keyword string // of the schema, or "json" where the text is none
	Path    string // JSON pointer to the part of the schema that is broken
	err     error
}

func (e *BrokenError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *BrokenError) Unwrap() error { return e.err }

func broken(err error) error {
	if v, ok := errors.AsType[*jsonschema.ValidationError](err); ok {
		return &BrokenError{v.Keyword, v.Schema, fmt.Errorf("it does not satisfy %s of the schema at %q", v.Keyword, "#"+v.Schema)}
	}
	return &BrokenError{"json", "", ErrNoJSON}
}

// Check fails with a [*BrokenError] if text is no JSON that satisfies the schema.
func (s *Schema) Check(text string) error {
	if !json.Valid([]byte(text)) {
		return broken(ErrNoJSON)
	}
	if err := s.checks.Validate([]byte(text)); err != nil {
		return broken(err)
	}
	return nil
}

// Mend returns the document of text that satisfies the schema, and the changes
// that made it so. It fails with a [*BrokenError] where there is none, or more
// than one.
func (s *Schema) Mend(text string) (string, []Fix, error) {
	var failed error
	var good []candidate
	for _, c := range candidates(text) {
		fixed, fixes, err := s.checks.Mend([]byte(c.json))
		if err != nil {
			failed = err
			continue
		}
		for _, f := range fixes {
			c.fixes = append(c.fixes, Fix(f))
		}
		c.json = string(fixed)
		good = append(good, c)
	}
	if len(good) != 1 {
		if len(good) > 1 || failed == nil {
			failed = ErrNoJSON
		}
		return "", nil, broken(failed)
	}
	return good[0].json, good[0].fixes, nil
}

// Tools check and mend calls of a request's tools. They are safe for concurrent use.
type Tools struct {
	names []string
	by    map[string]*Schema // nil for a tool whose arguments go unchecked
}

// A Tool is a function and the schema of its arguments.
type Tool struct {
	Name       string
	Parameters json.RawMessage // none: anything goes
	Free       bool            // its input is no JSON
}

// ReadTools reads the schemas of tools. One that cannot be read leaves its
// tool's arguments unchecked, but for being a JSON object.
func ReadTools(tools []Tool) *Tools {
	t, work := &Tools{by: map[string]*Schema{}}, automaton.MaxWork
	for _, tool := range tools {
		t.names = append(t.names, tool.Name)
		params := tool.Parameters
		if len(params) == 0 || string(params) == "null" {
			params = json.RawMessage(`{"type":"object"}`)
		}
		s, err := read(params, &work)
		if err != nil {
			s, _ = Read(json.RawMessage(`{"type":"object"}`)) // always one
		}
		if tool.Free {
			s = nil
		}
		t.by[tool.Name] = s
	}
	return t
}

// Bytes returns about how many bytes t takes.
func (t *Tools) Bytes() (n int64) {
	for name, s := range t.by {
		if n += int64(len(name)); s != nil {
			n += s.Bytes()
		}
	}
	return n
}

// KindTool is a fix of a tool's name.
const KindTool = "tool"

// ErrUnknownTool says that a call names no tool of the request.
var ErrUnknownTool = &BrokenError{Keyword: "name", err: errors.New("a call names a tool that the request does not have")}

// Check fails with a [*BrokenError] if the call is none of the tools', or its
// arguments break their schema.
func (t *Tools) Check(name, arguments string) error {
	s, ok := t.by[name]
	if !ok {
		return ErrUnknownTool
	}
	if s == nil {
		return nil
	}
	return s.Check(arguments)
}

// Mend returns the call as it should be, and the changes. Arguments that are
// missing altogether are an empty object.
func (t *Tools) Mend(name, arguments string) (string, string, []Fix, error) {
	var fixes []Fix
	s, ok := t.by[name]
	if !ok {
		var meant []string
		for _, n := range t.names {
			if plainName(n) == plainName(name) {
				meant = append(meant, n)
			}
		}
		if len(meant) != 1 {
			return "", "", nil, ErrUnknownTool
		}
		fixes = append(fixes, Fix{Op: "replace", Path: "/name", Kind: KindTool})
		name = meant[0]
		s = t.by[name]
	}
	if s == nil {
		return name, arguments, fixes, nil
	}
	if strings.TrimSpace(arguments) == "" {
		arguments = "{}"
		fixes = append(fixes, Fix{Op: "add", Kind: KindDefault})
	}
	fixed, more, err := s.Mend(arguments)
	if err != nil {
		return "", "", nil, err
	}
	return name, fixed, append(fixes, more...), nil
}

// KindDefault is the kind of fix that adds what is missing.
const KindDefault = jsonschema.KindDefault

// plainName is a tool's name without case, the space that models write for _, and a namespace.
func plainName(s string) string {
	for _, prefix := range []string{"functions.", "tools."} {
		s = strings.TrimPrefix(strings.TrimSpace(s), prefix)
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" _-", r) {
			return -1
		}
		return r
	}, strings.ToLower(s))
}

// A Call is a call of a tool that a model wrote into its text.
type Call struct{ Name, Arguments string }

// KindText is the fix that takes calls out of a text.
const KindText = "text"

// Calls returns the calls that text consists of, where a model wrote them as
// text and not as calls: as JSON or in LFM2's way, in a fence or not, and nothing else.
func (t *Tools) Calls(text string) []Call {
	text = strings.TrimSpace(text)
	if body, ok := fenced(text); ok && strings.HasPrefix(text, "```") {
		text = body
	}
	if strings.HasPrefix(text, "<tool_call>") {
		text = strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(text, "<tool_call>"), "</tool_call>"))
	}
	if strings.HasPrefix(text, "{") {
		text = "[" + text + "]"
	}
	out := chat.Parse(text, chat.ParserOptions{Names: t.names})
	if strings.TrimSpace(out.Content) != "" || out.Malformed > 0 {
		return nil
	}
	var calls []Call
	for _, c := range out.Calls {
		if _, ok := t.by[c.Name]; !ok {
			return nil
		}
		calls = append(calls, Call{c.Name, string(c.Arguments)})
	}
	return calls
}
