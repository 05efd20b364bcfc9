package chat

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

// Options say how to render a conversation.
type Options struct {
	// Tools are shown to the model in the order given, each as the caller wrote
	// it: {"type":"function","function":{…}} or the bare function object. A JSON
	// string is shown as its contents, unless the style dates the list.
	Tools []json.RawMessage
	// AddGenerationPrompt ends the text where the assistant's answer begins.
	AddGenerationPrompt bool
	// Date is shown with the tools by the styles that do so; the zero time is not.
	Date time.Time
	// BOS begins the text: the tokenizer's BOSText, or "" to let Encode add it.
	BOS string
	// KeepThinking shows the reasoning of every turn, not only of the current ones.
	KeepThinking bool
}

// Render returns the prompt for messages. Only a first message of role system
// is joined with the tool list; nothing is added to a conversation without one.
func Render(style Style, messages []Message, opts Options) string {
	var b strings.Builder
	for _, p := range RenderParts(style, messages, opts) {
		b.WriteString(p.Text)
	}
	return b.String()
}

// RenderParts is Render with all text that came with the request marked as
// literal, so that [tokenizer.Tokenizer.EncodeParts] cannot mistake what a user,
// a document or a tool wrote for the structure of the conversation. Only the
// content of assistant turns is not: it may hold the text of tool calls.
func RenderParts(style Style, messages []Message, opts Options) []tokenizer.Part {
	w := &writer{}
	w.special(opts.BOS)
	system := ""
	if len(messages) > 0 && messages[0].Role == "system" {
		system, messages = messages[0].Content, messages[1:]
	}
	if system != "" || len(opts.Tools) > 0 {
		w.special(imStart + "system\n")
		w.literal(system)
		w.tools(style, opts, system != "")
		w.special(imEnd + "\n")
	}
	current := currentTurns(style, messages)
	for i, m := range messages {
		w.special(imStart)
		w.role(m.Role)
		switch m.Role {
		case "assistant":
			w.assistant(style, m, opts.KeepThinking || current(i))
		case "tool":
			if style.has(toolTokens) {
				w.special(toolResponseStart)
				w.literal(m.Content)
				w.special(toolResponseEnd)
				break
			}
			w.literal(m.Content)
		default:
			w.literal(m.Content)
		}
		w.special(imEnd + "\n")
	}
	if opts.AddGenerationPrompt {
		w.special(imStart + "assistant\n")
		if style.StartsThinking() {
			w.special(thinkStart)
		}
	}
	return w.parts
}

// currentTurns returns which assistant turns keep their reasoning: the last
// one, or those since the last user turn. LFM2 has no reasoning to drop and
// keeps content as it is.
func currentTurns(style Style, messages []Message) func(i int) bool {
	last := func(role string) int {
		for i, m := range slices.Backward(messages) {
			if m.Role == role {
				return i
			}
		}
		return -1
	}
	switch {
	case style.has(toolTokens):
		return func(int) bool { return true }
	case style.has(sinceUser):
		n := last("user")
		return func(i int) bool { return i > n }
	}
	n := last("assistant")
	return func(i int) bool { return i == n }
}

type writer struct{ parts []tokenizer.Part }

func (w *writer) add(text string, literal bool) {
	if text == "" {
		return
	}
	if n := len(w.parts); n > 0 && w.parts[n-1].Literal == literal {
		w.parts[n-1].Text += text
		return
	}
	w.parts = append(w.parts, tokenizer.Part{Text: text, Literal: literal})
}

func (w *writer) special(text string) { w.add(text, false) }
func (w *writer) literal(text string) { w.add(text, true) }

func (w *writer) role(role string) {
	switch role {
	case "system", "user", "assistant", "tool":
		w.special(role + "\n")
	default:
		w.literal(role + "\n")
	}
}

// assistant writes the body of an assistant turn.
func (w *writer) assistant(style Style, m Message, current bool) {
	if m.Thinking != "" && current && !style.has(toolTokens) {
		w.special(thinkStart)
		w.literal(m.Thinking)
		w.special(thinkEnd)
	}
	content := m.Content
	if i := strings.LastIndex(content, thinkEnd); i >= 0 && !current {
		content = strings.TrimSpace(content[i+len(thinkEnd):])
	}
	if style.has(callsLast) {
		w.special(content)
	}
	if len(m.ToolCalls) > 0 {
		w.special(toolCallStart)
		w.literal(callList(style, m.ToolCalls))
		w.special(toolCallEnd)
	}
	if !style.has(callsLast) {
		w.special(content)
	}
}

// callList writes calls as Python: [f(a=1), g()].
func callList(style Style, calls []ToolCall) string {
	out := []byte("[")
	for i, c := range calls {
		if i > 0 {
			out = append(out, ", "...)
		}
		out = append(out, c.Name...)
		out = append(out, '(')
		out = appendArguments(out, style, c.Arguments)
		out = append(out, ')')
	}
	return string(append(out, ']'))
}

// tools writes the tool list, set off from the system text if it is joined to one.
func (w *writer) tools(style Style, opts Options, joined bool) {
	if len(opts.Tools) == 0 {
		return
	}
	if joined {
		w.literal("\n")
		if style.has(dated) {
			w.literal("\n")
		}
	}
	if style.has(dated) && !opts.Date.IsZero() {
		w.literal("Today's date: " + opts.Date.Format(time.DateOnly) + "\n\n")
	}
	w.literal("List of tools: ")
	if style.has(toolTokens) {
		w.special(toolListStart)
	}
	list := []byte("[")
	for i, tool := range opts.Tools {
		if i > 0 {
			list = append(list, ", "...)
		}
		var text string
		if err := json.Unmarshal(tool, &text); err == nil && !style.has(dated) && string(tool) != "null" {
			list = append(list, text...)
			continue
		}
		list = appendJSON(list, tool)
	}
	w.literal(string(append(list, ']')))
	if style.has(toolTokens) {
		w.special(toolListEnd)
	}
}
