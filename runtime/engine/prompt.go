package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-ai/sluice/runtime/chat"
	"github.com/sluice-ai/sluice/runtime/chat/template"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

// ErrTemplate says that the model's own chat template refuses a conversation.
var ErrTemplate = errors.New("the model's chat template refuses the conversation")

// A prompter writes prompts as the model was trained on them: by the built-in
// renderer of its generation where that writes what the file's own template
// does, and by the template elsewhere.
type prompter struct {
	style chat.Style
	own   *template.Template // nil: the built-in renderer
	how   string             // for Info.Prompts
}

// probes are conversations on which a renderer and a template must agree. They
// hold no structured tool calls: the templates of the first generations render
// none, and the built-in renderers write them as the model cards show.
var probes = []struct {
	messages []chat.Message
	tools    []json.RawMessage
}{
	{messages: []chat.Message{{Role: "user", Content: " One. "}}},
	{messages: []chat.Message{{Role: "system", Content: "Be brief."}, {Role: "user", Content: "Two\n"}, {Role: "assistant", Content: "2"}, {Role: "user", Content: "three"}}},
	{
		messages: []chat.Message{
			{Role: "system", Content: "Be brief."}, {Role: "user", Content: "Weather?"},
			{Role: "assistant", Content: `<|tool_call_start|>[w(c="x")]<|tool_call_end|>`}, {Role: "tool", Content: `{"t": 1}`},
		},
		tools: []json.RawMessage{json.RawMessage(`{"name": "w", "parameters": {"type": "object", "properties": {"c": {"type": "string"}}}}`)},
	},
	{
		messages: []chat.Message{{Role: "user", Content: "Weather?"}},
		tools:    []json.RawMessage{json.RawMessage(`{"name": "w"}`), json.RawMessage(`{"name": "é", "description": "<a & b>"}`)},
	},
}

// newPrompter reads a template. One that cannot be read is no reason to refuse
// the model: its generation is recognised all the same, and Info.Prompts says so.
func newPrompter(source, bos string) prompter {
	p := prompter{style: chat.StyleOf(source), how: "built in"}
	if source == "" {
		return p
	}
	t, err := template.Parse(source)
	if err != nil {
		p.how = "built in, for the file's template cannot be read: " + err.Error()
		return p
	}
	for _, probe := range probes {
		o := chat.Options{Tools: probe.tools, AddGenerationPrompt: true, BOS: bos, Date: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)}
		own, err := t.Render(probe.messages, o)
		if err != nil || own != chat.Render(p.style, probe.messages, o) {
			p.own, p.how = t, "by the file's template"
			return p
		}
	}
	return p
}

// parts returns the prompt for a conversation.
func (p prompter) parts(messages []chat.Message, o chat.Options) ([]tokenizer.Part, error) {
	if p.own == nil {
		return chat.RenderParts(p.style, messages, o), nil
	}
	parts, err := p.own.RenderParts(messages, o)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTemplate, err)
	}
	return slices.Clip(parts), nil
}
