package openai

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/sluice-ai/sluice/internal/llm"
)

// A Head is what every chunk of one answer repeats.
type Head struct {
	ID      string // "chatcmpl-…"
	Model   string // the target that answers
	Created int64  // seconds since 1970
}

type outChunk struct {
	ID      string      `json:"id"`
	Object  string      `json:"object"`
	Created int64       `json:"created"`
	Model   string      `json:"model"`
	Choices []outChoice `json:"choices"`
	Usage   *wireUsage  `json:"usage,omitempty"`
}

type outChoice struct {
	Index    int             `json:"index"`
	Message  *outMessage     `json:"message,omitempty"`
	Delta    *outMessage     `json:"delta,omitempty"`
	Logprobs json.RawMessage `json:"logprobs,omitempty"`
	Finish   *llm.Finish     `json:"finish_reason"`
}

type outMessage struct {
	Role      string        `json:"role,omitempty"`
	Content   *string       `json:"content,omitempty"`
	Reasoning string        `json:"reasoning_content,omitempty"`
	Refusal   string        `json:"refusal,omitempty"`
	ToolCalls []outToolCall `json:"tool_calls,omitempty"`
}

type outToolCall struct {
	Index    *int   `json:"index,omitempty"`
	ID       string `json:"id,omitempty"`
	Type     string `json:"type,omitempty"`
	Function struct {
		Name      string `json:"name,omitempty"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

// A Stream writes one answer as chunks. It is used by one goroutine.
type Stream struct {
	Head  Head
	Usage bool // the client asked for the usage

	opened map[int]bool // choices whose role has been sent
}

// Chunk returns the JSON of ev as a chat completion chunk, or nil when the
// client should see nothing of it.
func (s *Stream) Chunk(ev *llm.Event) ([]byte, error) {
	if s.opened == nil {
		s.opened = map[int]bool{}
	}
	if ev.Usage != nil && !s.Usage && len(ev.Choices) == 0 {
		return nil, nil // we asked the upstream for it, the client did not
	}
	if ev.Raw != nil && !ev.Whole {
		return s.overlay(ev)
	}
	out := outChunk{ID: s.Head.ID, Object: "chat.completion.chunk", Created: s.Head.Created, Model: s.Head.Model, Choices: []outChoice{}}
	for _, d := range ev.Choices {
		m := &outMessage{Reasoning: d.Reasoning, Refusal: d.Refusal}
		if !s.opened[d.Index] {
			s.opened[d.Index] = true
			m.Role = "assistant"
		}
		if d.Text != "" || m.Role != "" && len(d.ToolCalls) == 0 && d.Reasoning == "" && d.Refusal == "" {
			m.Content = &d.Text
		}
		for _, t := range d.ToolCalls {
			m.ToolCalls = append(m.ToolCalls, toolCall(t, true))
		}
		out.Choices = append(out.Choices, outChoice{Index: d.Index, Delta: m, Logprobs: d.Logprobs, Finish: finish(d.Finish)})
	}
	if ev.Usage != nil && s.Usage {
		out.Usage = usage(ev.Usage)
	}
	return json.Marshal(out)
}

// overlay returns the upstream's own chunk with the edited fields put in.
func (s *Stream) overlay(ev *llm.Event) ([]byte, error) {
	raw := []byte(ev.Raw)
	for _, d := range ev.Choices {
		s.opened[d.Index] = true
	}
	var err error
	if ev.Edited {
		if raw, err = overlay(raw, ev, "delta"); err != nil {
			return nil, err
		}
	}
	if s.Usage || !bytes.Contains(raw, []byte(`"usage"`)) {
		return raw, nil
	}
	if len(ev.Choices) == 0 && gjson.GetBytes(raw, "usage").IsObject() {
		return nil, nil // a report of no tokens at all is one too
	}
	return sjson.DeleteBytes(raw, "usage")
}

// overlay writes the texts and the arguments of ev over those in raw. where is "delta" or "message".
func overlay(raw []byte, ev *llm.Event, where string) ([]byte, error) {
	var at struct {
		Choices []struct {
			Delta, Message map[string]json.RawMessage
		} `json:"choices"`
	}
	if err := json.Unmarshal(raw, &at); err != nil || len(at.Choices) < len(ev.Choices) {
		return nil, fmt.Errorf("%w: an edited chunk lost its shape", ErrMalformed)
	}
	var err error
	set := func(path string, v any) {
		if err == nil {
			raw, err = sjson.SetBytes(raw, path, v)
		}
	}
	for i, d := range ev.Choices {
		has := at.Choices[i].Delta
		if where == "message" {
			has = at.Choices[i].Message
		}
		base := fmt.Sprintf("choices.%d.%s.", i, where)
		thinking := present(has["reasoning"]) != nil && has["reasoning"][0] == '"'
		for _, f := range []struct {
			name, text string
			add        bool // where it was not before
		}{
			{"content", d.Text, true}, {"refusal", d.Refusal, true},
			{"reasoning_content", d.Reasoning, !thinking}, {"reasoning", d.Reasoning, false},
		} {
			if f.add && f.text != "" || present(has[f.name]) != nil && (f.name != "reasoning" || thinking) {
				set(base+f.name, f.text)
			}
		}
		var calls []json.RawMessage
		_ = json.Unmarshal(has["tool_calls"], &calls) // absent: none
		for j, t := range d.ToolCalls {
			if j < len(calls) {
				for _, f := range []struct{ name, text string }{{"arguments", t.Arguments}, {"name", t.Name}} {
					if gjson.GetBytes(calls[j], "function."+f.name).String() != f.text {
						set(fmt.Sprintf("%stool_calls.%d.function.%s", base, j, f.name), f.text)
					}
				}
			} else {
				set(base+"tool_calls.-1", toolCall(t, where == "delta"))
			}
		}
		if was := gjson.GetBytes(raw, fmt.Sprintf("choices.%d.finish_reason", i)).String(); was != string(d.Finish) && was != "function_call" {
			set(fmt.Sprintf("choices.%d.finish_reason", i), d.Finish)
		}
	}
	return raw, err
}

// An Answer gathers the events of an unstreamed answer.
type Answer struct {
	Head Head

	whole   *llm.Event
	choices []gathered
	usage   *llm.Usage
}

type gathered struct {
	text, reasoning, refusal strings.Builder
	calls                    []llm.ToolDelta
	logprobs                 []json.RawMessage // the content lists of the deltas' logprobs
	finish                   llm.Finish
}

// Add takes one event.
func (a *Answer) Add(ev llm.Event) {
	if ev.Usage != nil {
		a.usage = ev.Usage
	}
	if ev.Whole && ev.Raw != nil {
		a.whole = &ev
		return
	}
	for _, d := range ev.Choices {
		for len(a.choices) <= d.Index {
			a.choices = append(a.choices, gathered{})
		}
		g := &a.choices[d.Index]
		g.text.WriteString(d.Text)
		g.reasoning.WriteString(d.Reasoning)
		g.refusal.WriteString(d.Refusal)
		for _, t := range d.ToolCalls {
			g.calls = addCall(g.calls, t)
		}
		if d.Logprobs != nil {
			g.logprobs = append(g.logprobs, d.Logprobs)
		}
		if d.Finish != "" {
			g.finish = d.Finish
		}
	}
}

// addCall adds a piece to the call with its index: deltas are keyed by index, never by order.
func addCall(calls []llm.ToolDelta, t llm.ToolDelta) []llm.ToolDelta {
	for i := range calls {
		if c := &calls[i]; c.Index == t.Index {
			c.Arguments += t.Arguments
			if c.ID == "" {
				c.ID = t.ID
			}
			if c.Name == "" {
				c.Name = t.Name
			}
			return calls
		}
	}
	return append(calls, t)
}

// JSON returns the body of the chat completion.
func (a *Answer) JSON() ([]byte, error) {
	if a.whole != nil {
		if !a.whole.Edited {
			return a.whole.Raw, nil
		}
		return overlay(a.whole.Raw, a.whole, "message")
	}
	out := outChunk{ID: a.Head.ID, Object: "chat.completion", Created: a.Head.Created, Model: a.Head.Model, Usage: &wireUsage{}}
	for i := range a.choices {
		g := &a.choices[i]
		text := g.text.String()
		m := &outMessage{Role: "assistant", Content: &text, Reasoning: g.reasoning.String(), Refusal: g.refusal.String()}
		for _, t := range g.calls {
			m.ToolCalls = append(m.ToolCalls, toolCall(t, false))
		}
		lp, err := joinLogprobs(g.logprobs)
		if err != nil {
			return nil, err
		}
		out.Choices = append(out.Choices, outChoice{Index: i, Message: m, Logprobs: lp, Finish: finish(g.finish)})
	}
	if a.usage != nil {
		out.Usage = usage(a.usage)
	}
	return json.Marshal(out)
}

// joinLogprobs concatenates the content lists of several logprobs objects.
func joinLogprobs(parts []json.RawMessage) (json.RawMessage, error) {
	if len(parts) == 0 {
		return nil, nil
	}
	var all struct {
		Content []json.RawMessage `json:"content"`
	}
	for _, p := range parts {
		var one struct {
			Content []json.RawMessage `json:"content"`
		}
		if err := json.Unmarshal(p, &one); err != nil {
			return nil, fmt.Errorf("%w: logprobs", ErrMalformed)
		}
		all.Content = append(all.Content, one.Content...)
	}
	return json.Marshal(all)
}

func toolCall(t llm.ToolDelta, delta bool) outToolCall {
	c := outToolCall{ID: t.ID}
	if t.ID != "" || !delta {
		c.Type = "function"
	}
	if delta {
		c.Index = &t.Index
	}
	c.Function.Name, c.Function.Arguments = t.Name, t.Arguments
	return c
}

func finish(f llm.Finish) *llm.Finish {
	if f == "" {
		return nil
	}
	return &f
}

func usage(u *llm.Usage) *wireUsage {
	w := &wireUsage{Prompt: u.Input + u.Cached, Completion: u.Output + u.Reasoning}
	w.Total = w.Prompt + w.Completion
	w.PromptDetails.Cached, w.CompletionDetails.Reasoning = u.Cached, u.Reasoning
	return w
}
