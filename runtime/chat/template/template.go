// Package template renders conversations by the Jinja template that a model file
// carries (tokenizer.chat_template), for templates that package chat's own
// renderers do not know, and to check those that they do.
package template

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/runtime/chat"
	"github.com/sluice-ai/sluice/runtime/jinja"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

// A Template is a model's chat template. It is immutable and safe for
// concurrent use.
type Template struct{ t *jinja.Template }

// Parse reads a chat template. It fails, with a line number, for one that is
// malformed or uses more of Jinja than chat templates do.
func Parse(source string) (*Template, error) {
	t, err := jinja.Parse(source)
	if err != nil {
		return nil, err
	}
	return &Template{t}, nil
}

// Timeout bounds one rendering; real ones take well below a millisecond.
const Timeout = 2 * time.Second

// Render returns the prompt for messages.
func (t *Template) Render(messages []chat.Message, o chat.Options) (string, error) {
	text, err := t.render(messages, o)
	return text.String(), err
}

// RenderParts is Render with all text that came with the request marked as
// literal, through whatever the template does with it, so that
// [tokenizer.Tokenizer.EncodeParts] cannot mistake it for the structure of the
// conversation. As with [chat.RenderParts], only the content of assistant turns
// is not: it may hold the text of tool calls.
func (t *Template) RenderParts(messages []chat.Message, o chat.Options) ([]tokenizer.Part, error) {
	text, err := t.render(messages, o)
	if err != nil {
		return nil, err
	}
	var parts []tokenizer.Part
	for _, p := range text.Parts() {
		parts = append(parts, tokenizer.Part{Text: p.Text, Literal: p.Literal})
	}
	return parts, nil
}

func (t *Template) render(messages []chat.Message, o chat.Options) (jinja.Text, error) {
	list := &jinja.List{}
	for _, m := range messages {
		d, err := message(m)
		if err != nil {
			return jinja.Text{}, err
		}
		list.Items = append(list.Items, d)
	}
	vars := map[string]any{
		"messages": list, "add_generation_prompt": o.AddGenerationPrompt, "bos_token": jinja.Plain(o.BOS), "tools": nil,
	}
	if o.KeepThinking {
		vars["keep_past_thinking"], vars["preserve_thinking"] = true, true
	}
	if len(o.Tools) > 0 {
		tools := &jinja.List{}
		for i, raw := range o.Tools {
			v, err := jinja.FromJSON(raw, true)
			if err != nil {
				return jinja.Text{}, fmt.Errorf("tool %d: %w", i, err)
			}
			tools.Items = append(tools.Items, v)
		}
		vars["tools"] = tools
	}
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	defer cancel()
	return t.t.Render(ctx, vars, jinja.Options{Now: o.Date})
}

// message returns m as transformers passes it: what is absent is undefined, the
// arguments of calls are objects.
func message(m chat.Message) (*jinja.Dict, error) {
	d := &jinja.Dict{}
	set := func(key string, v any) { d.Set(jinja.Plain(key), v) }
	given := func(key, s string) {
		if s != "" {
			set(key, jinja.Literal(s))
		}
	}
	role := jinja.Literal(m.Role)
	switch m.Role {
	case "system", "user", "assistant", "tool":
		role = jinja.Plain(m.Role)
	}
	set("role", role)
	if m.Role == "assistant" {
		set("content", jinja.Plain(m.Content))
	} else {
		set("content", jinja.Literal(m.Content))
	}
	given("name", m.Name)
	given("tool_call_id", m.ToolCallID)
	given("thinking", m.Thinking)
	given("reasoning_content", m.Thinking)
	if len(m.ToolCalls) == 0 {
		return d, nil
	}
	calls := &jinja.List{}
	for _, c := range m.ToolCalls {
		arguments := any(&jinja.Dict{})
		if s := strings.TrimSpace(string(c.Arguments)); s != "" && s != "null" {
			v, err := jinja.FromJSON(json.RawMessage(s), true)
			if err != nil {
				return nil, fmt.Errorf("the arguments of a tool call: %w", err)
			}
			arguments = v
		}
		f := &jinja.Dict{}
		f.Set(jinja.Plain("name"), jinja.Literal(c.Name))
		f.Set(jinja.Plain("arguments"), arguments)
		call := &jinja.Dict{}
		if c.ID != "" {
			call.Set(jinja.Plain("id"), jinja.Literal(c.ID))
		}
		call.Set(jinja.Plain("type"), jinja.Plain("function"))
		call.Set(jinja.Plain("function"), f)
		calls.Items = append(calls.Items, call)
	}
	set("tool_calls", calls)
	return d, nil
}
