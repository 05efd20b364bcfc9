package eval

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/internal/openai"
	"github.com/sluice-ai/sluice/local/entities"
	"github.com/sluice-ai/sluice/runtime/chat"
)

// Suites are what can be measured. The judge's has files and reports of its own.
var Suites = []string{"judge", "entities", "tools", "extraction"}

// A Sample is a line of a suite's file with the answer that is wanted. Which of
// the fields are used depends on the suite.
type Sample struct {
	Lang string `json:"l"`
	// entities, extraction: the text, or document.
	Text string `json:"t,omitempty"`
	// entities: type and text, in order of appearance.
	Entities [][2]string `json:"e,omitempty"`
	// tools: the functions, the turns ([role, text], where a role "call" holds
	// calls as the model writes them), and one of three outcomes: Calls, a question
	// for the missing argument Ask, or neither. Say is what could be said then.
	Tools []json.RawMessage `json:"tools,omitempty"`
	Turns [][2]string       `json:"m,omitempty"`
	Calls []Call            `json:"calls,omitempty"`
	Ask   *string           `json:"ask,omitempty"`
	Say   *string           `json:"say,omitempty"`
	// extraction: the schema, and the value that is wanted.
	Schema json.RawMessage `json:"schema,omitempty"`
	Value  json.RawMessage `json:"v,omitempty"`
}

// A Call is a tool call; Arguments is an object.
type Call struct {
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"`
}

// ReadSamples reads a suite's file: one sample a line, empty lines ignored,
// unknown keys errors. An error names the line, and quotes nothing of its text.
func ReadSamples(suite string, r io.Reader) ([]Sample, error) {
	var out []Sample
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		var s Sample
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&s); err != nil {
			return nil, fmt.Errorf("line %d is no sample of the suite %s: %s", n, suite, sentence(err))
		}
		if err := s.check(suite); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		out = append(out, s)
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return nil, fmt.Errorf("a line is longer than %d bytes", maxLine)
		}
		return nil, err
	}
	if len(out) == 0 {
		return nil, errors.New("there is no sample in it")
	}
	return out, nil
}

// check returns why s cannot be used in suite.
func (s *Sample) check(suite string) error {
	if s.Lang == "" {
		return errors.New(`"l", the language, is missing`)
	}
	object := func(raw json.RawMessage) bool {
		return json.Valid(raw) && bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{"))
	}
	switch suite {
	case "entities":
		if s.Text == "" {
			return errors.New(`"t", the text, is missing`)
		}
		at := 0
		for i, e := range s.Entities {
			if !slices.Contains(entities.Types, e[0]) {
				return fmt.Errorf(`"e"[%d] has a type that is none of %v`, i, entities.Types)
			}
			k := strings.Index(s.Text[at:], e[1])
			if e[1] == "" || k < 0 {
				return fmt.Errorf(`"e"[%d] does not stand in the text behind the one before it`, i)
			}
			at += k + len(e[1])
		}
	case "tools":
		if len(s.Tools) == 0 || len(s.Turns) == 0 {
			return errors.New(`"tools" and "m", the turns, are needed`)
		}
		for i, t := range s.Tools {
			if !object(t) {
				return fmt.Errorf(`"tools"[%d] is no object`, i)
			}
		}
		for i, t := range s.Turns {
			if !slices.Contains([]string{"system", "user", "assistant", "tool", "call"}, t[0]) {
				return fmt.Errorf(`"m"[%d] has a role that is none of system, user, assistant, call, tool`, i)
			}
		}
		for i, c := range s.Calls {
			if c.Name == "" || !object(c.Arguments) {
				return fmt.Errorf(`"calls"[%d] needs a name, and arguments that are an object`, i)
			}
		}
		if len(s.Calls) > 0 && s.Ask != nil {
			return errors.New(`"calls" and "ask" exclude each other`)
		}
	case "extraction":
		if s.Text == "" || !object(s.Schema) || !json.Valid(s.Value) {
			return errors.New(`"t", "schema" and "v", the value that is wanted, are needed`)
		}
	default:
		return fmt.Errorf("the suite %q is none of %v", suite, Suites)
	}
	return nil
}

// Request returns the request that a gateway would have been sent, for the suites
// tools and extraction.
func (s *Sample) Request() (*llm.Request, error) {
	body := map[string]any{"model": "local", "temperature": 0}
	if s.Schema != nil {
		body["messages"] = []any{map[string]any{"role": "user", "content": s.Text}}
		body["response_format"] = map[string]any{"type": "json_schema", "json_schema": map[string]any{"name": "wanted", "schema": s.Schema}}
	} else {
		var tools []any
		for _, t := range s.Tools {
			tools = append(tools, map[string]any{"type": "function", "function": t})
		}
		body["messages"], body["tools"] = messages(s.Turns), tools
	}
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return openai.ParseRequest(b)
}

// messages writes turns as OpenAI's messages.
func messages(turns [][2]string) (out []any) {
	last := ""
	for i, t := range turns {
		role, text := t[0], t[1]
		switch role {
		case "call":
			last = fmt.Sprint("call_", i)
			var calls []any
			for _, c := range chat.Parse("<|tool_call_start|>"+text+"<|tool_call_end|>", chat.ParserOptions{}).Calls {
				calls = append(calls, map[string]any{"id": last, "type": "function",
					"function": map[string]any{"name": c.Name, "arguments": string(c.Arguments)}})
			}
			out = append(out, map[string]any{"role": "assistant", "content": nil, "tool_calls": calls})
		case "tool":
			out = append(out, map[string]any{"role": role, "tool_call_id": last, "content": text})
		default:
			out = append(out, map[string]any{"role": role, "content": text})
		}
	}
	return out
}
