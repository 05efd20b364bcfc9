package openai

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sluice-ai/sluice/internal/llm"
)

// wireAnswer is a chat completion or a chunk of one; they differ in message and delta.
type wireAnswer struct {
	Choices []struct {
		Index    int             `json:"index"`
		Delta    *wireDelta      `json:"delta"`
		Message  *wireDelta      `json:"message"`
		Finish   string          `json:"finish_reason"`
		Logprobs json.RawMessage `json:"logprobs"`
	} `json:"choices"`
	Usage *wireUsage      `json:"usage"`
	Error json.RawMessage `json:"error"`
}

type wireDelta struct {
	Content   json.RawMessage `json:"content"`
	Reasoning string          `json:"reasoning_content"`
	Thinking  json.RawMessage `json:"reasoning"` // another name for it, at some upstreams; or no text at all
	Refusal   string          `json:"refusal"`
	ToolCalls []wireToolCall  `json:"tool_calls"`
}

type wireUsage struct {
	Prompt        int `json:"prompt_tokens"`
	Completion    int `json:"completion_tokens"`
	Total         int `json:"total_tokens"`
	PromptDetails struct {
		Cached int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
	CompletionDetails struct {
		Reasoning int `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
}

// thinking returns the text of the member "reasoning", if it is one.
func (d *wireDelta) thinking() (text string) {
	_ = json.Unmarshal(d.Thinking, &text) // anything else goes through unread
	return text
}

func (u *wireUsage) usage() *llm.Usage {
	if u == nil || u.Prompt+u.Completion == 0 {
		return nil
	}
	prompt, completion := tokens(u.Prompt), tokens(u.Completion)
	cached := min(tokens(u.PromptDetails.Cached), prompt)
	reasoning := min(tokens(u.CompletionDetails.Reasoning), completion)
	return &llm.Usage{Input: prompt - cached, Cached: cached, Output: completion - reasoning, Reasoning: reasoning}
}

// tokens bounds a count that an upstream reports: one below zero would give
// money back to a budget, and one without an end would overflow the cost.
func tokens(n int) int { return min(max(n, 0), 1<<30) }

// ErrMalformed means that an upstream sent something that is no answer.
var ErrMalformed = errors.New("the upstream's answer is malformed")

// An UpstreamError is an error object inside an answer that began with status 200.
type UpstreamError struct {
	Type, Code string // as the upstream gave them, when they are words like "rate_limit_exceeded"
}

// Error returns the type and code. The upstream's message is left out: it may repeat the prompt.
func (e *UpstreamError) Error() string {
	return fmt.Sprintf("the upstream reported an error in its answer (type %q, code %q)", e.Type, e.Code)
}

// ParseChunk reads one data line of a stream. The event keeps raw; the caller must not reuse it.
func ParseChunk(raw []byte) (llm.Event, error) { return parseAnswer(raw, false) }

// ParseResponse reads the body of an unstreamed answer. The event keeps raw; the caller must not reuse it.
func ParseResponse(raw []byte) (llm.Event, error) { return parseAnswer(raw, true) }

func parseAnswer(raw []byte, whole bool) (llm.Event, error) {
	var w wireAnswer
	if err := json.Unmarshal(raw, &w); err != nil {
		return llm.Event{}, fmt.Errorf("%w: not the JSON of a chat completion", ErrMalformed)
	}
	if present(w.Error) != nil {
		return llm.Event{}, upstreamError(w.Error)
	}
	if whole && len(w.Choices) == 0 {
		return llm.Event{}, fmt.Errorf("%w: it has no choices", ErrMalformed)
	}
	ev := llm.Event{Raw: raw, Whole: whole, Usage: w.Usage.usage()}
	for _, c := range w.Choices {
		d := c.Delta
		if whole {
			d = c.Message
		}
		if d == nil {
			d = &wireDelta{}
		}
		text, ferr := content(d.Content, func(string) {})
		if ferr != nil {
			return llm.Event{}, fmt.Errorf("%w: a choice's content is neither text nor parts", ErrMalformed)
		}
		delta := llm.Delta{
			Index: c.Index, Text: text, Reasoning: cmp.Or(d.Reasoning, d.thinking()), Refusal: d.Refusal,
			Logprobs: present(c.Logprobs), Finish: llm.Finish(c.Finish),
		}
		if delta.Finish == "function_call" {
			delta.Finish = llm.ToolCalls
		}
		for i, t := range d.ToolCalls {
			at := i
			if t.Index != nil {
				at = *t.Index
			}
			delta.ToolCalls = append(delta.ToolCalls, llm.ToolDelta{Index: at, ID: t.ID, Name: t.Function.Name, Arguments: t.Function.Arguments})
		}
		ev.Choices = append(ev.Choices, delta)
	}
	return ev, nil
}

func upstreamError(raw json.RawMessage) error {
	var e struct {
		Type string          `json:"type"`
		Code json.RawMessage `json:"code"`
	}
	_ = json.Unmarshal(raw, &e) // a bare string carries nothing that may be repeated
	return &UpstreamError{Type: Word(e.Type), Code: Word(string(bytes.Trim(present(e.Code), `"`)))}
}

// Word returns s when it is a word such as "rate_limit_exceeded" or "stop", and
// otherwise "other": what an upstream writes may repeat the prompt, and must
// not reach a log or a span.
func Word(s string) string {
	if len(s) > 40 {
		return "other"
	}
	for _, c := range []byte(s) {
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return "other"
		}
	}
	return s
}
