package openai

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/sluice-ai/sluice/internal/llm"
)

// The bounds of a body's structure. They are far above what any client sends,
// and keep a hostile body from costing more than its bytes do.
const (
	maxDepth = 128
	maxNodes = 1 << 20
)

// opened are the members whose objects and lists our own reader looks into;
// the rest of a body is free in its keys: schemas, metadata, what we don't know.
var opened = map[string]bool{
	"messages": true, "content": true, "tool_calls": true, "tools": true, "functions": true, "function": true, "custom": true,
	"stream_options": true, "response_format": true,
}

// checkShape reports whether body is one JSON object within bounds, in which no
// object has a key twice: readers differ on which of the two counts, and what
// was decided about must be what is sent. Where our own reader looks, keys that
// differ only in case count as equal, for encoding/json takes either.
func checkShape(body []byte) error {
	if !json.Valid(body) {
		return &llm.Error{Kind: llm.Invalid, Code: llm.CodeInvalidJSON, Msg: jsonSentence(body)}
	}
	s := shape{body: body}
	return s.scan()
}

// jsonSentence says where body stops being JSON, without quoting it.
func jsonSentence(body []byte) string {
	if len(body) == 0 {
		return "the body is empty: send a JSON object"
	}
	var v json.RawMessage
	err := json.Unmarshal(body, &v)
	if se, ok := errors.AsType[*json.SyntaxError](err); ok {
		if strings.HasPrefix(se.Error(), "unexpected end") {
			return fmt.Sprintf("the body is not valid JSON: it ends too early, after %d bytes", len(body))
		}
		return fmt.Sprintf("the body is not valid JSON: byte %d is unexpected", se.Offset)
	}
	return "the body is not valid JSON"
}

// fold returns the form that keys share when encoding/json takes one for the
// other: equal under Unicode's simple folding, so that "toolſ" is "tools".
func fold(key string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return unicode.ToLower(least)
	}, key)
}

// shape walks over valid JSON, counting.
type shape struct {
	body  []byte
	nodes int
}

func (s *shape) scan() error {
	type object struct {
		keys   map[string]struct{} // nil in an array
		expect bool                // the next string is a key
		read   bool                // our reader looks in here
		member string              // the key of the value at hand, folded; only where read
	}
	var stack []object
	for i := 0; i < len(s.body); i++ {
		switch c := s.body[i]; c {
		case '{', '[':
			s.nodes++
			if len(stack) == 0 && c == '[' {
				return &llm.Error{Kind: llm.Invalid, Code: llm.CodeInvalidRequest, Msg: "the body must be a JSON object, not a list"}
			}
			if len(stack) == maxDepth {
				return &llm.Error{Kind: llm.Invalid, Code: llm.CodeInvalidRequest, Msg: fmt.Sprintf("the body is nested more than %d deep", maxDepth)}
			}
			o := object{read: true}
			if n := len(stack); n > 0 {
				up := &stack[n-1]
				o.read = up.read && (up.keys == nil || opened[up.member])
			}
			if c == '{' {
				o.keys, o.expect = map[string]struct{}{}, true
			}
			stack = append(stack, o)
		case '}', ']':
			stack = stack[:len(stack)-1]
		case ',':
			s.nodes++
			if top := &stack[len(stack)-1]; top.keys != nil {
				top.expect = true
			}
		case '"':
			start := i
			for i++; s.body[i] != '"'; i++ {
				if s.body[i] == '\\' {
					i++
				}
			}
			if len(stack) == 0 {
				break
			}
			if top := &stack[len(stack)-1]; top.expect {
				top.expect = false
				var key string
				if err := json.Unmarshal(s.body[start:i+1], &key); err != nil {
					return &llm.Error{Kind: llm.Invalid, Code: llm.CodeInvalidJSON, Msg: "the body has a key that is not valid JSON"}
				}
				if top.read {
					key = fold(key)
					top.member = key
				}
				if _, twice := top.keys[key]; twice {
					return &llm.Error{Kind: llm.Invalid, Code: llm.CodeInvalidRequest,
						Msg: fmt.Sprintf("an object in the body has the same key twice, at byte %d", start)}
				}
				top.keys[key] = struct{}{}
			}
		}
		if s.nodes > maxNodes {
			return &llm.Error{Kind: llm.Invalid, Code: llm.CodeInvalidRequest, Msg: fmt.Sprintf("the body has more than %d values", maxNodes)}
		}
	}
	if s.nodes == 0 {
		return &llm.Error{Kind: llm.Invalid, Code: llm.CodeInvalidRequest, Msg: "the body must be a JSON object"}
	}
	return nil
}
