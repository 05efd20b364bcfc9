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
	// string is shown as its contents.
	Tools []json.RawMessage
	// AddGenerationPrompt ends the text where the assistant's answer begins.
	AddGenerationPrompt bool
	// Date is shown with the tools by the styles that show one; the zero time is not.
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

// RenderParts is Render with the text that users and tools wrote marked as
// literal, so that [tokenizer.Tokenizer.EncodeParts] cannot mistake what they
// wrote for the structure of the conversation.
func RenderParts(style Style, messages []Message, opts Options) []tokenizer.Part {
	w := &writer{}
	w.special(opts.BOS)
	system := ""
	if len(messages) > 0 && messages[0].Role == "system" {
		system, messages = messages[0].Content, messages[1:]
	}
	if system += toolList(style, opts, system != ""); system != "" {
		w.special(imStart + "system\n" + system + imEnd + "\n")
	}
	current := currentTurns(style, messages)
	for i, m := range messages {
		w.special(imStart)
		w.role(m.Role)
		switch m.Role {
		case "assistant":
			w.assistant(style, m, opts.KeepThinking || current(i))
		case "tool":
			if style == LFM2 {
				w.special(toolResponseStart)
				w.literal(m.Content)
				w.special(toolResponseEnd)
				break
			}
			w.literal(m.Content)
		case "system":
			w.special(m.Content)
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

// toolList returns what follows the system text, if there is any, in its turn.
func toolList(style Style, opts Options, joined bool) string {
	if len(opts.Tools) == 0 {
		return ""
	}
	var b strings.Builder
	dated := style == LFM25C || style == LFM25D
	if joined {
		b.WriteString("\n")
		if dated {
			b.WriteString("\n")
		}
	}
	if dated && !opts.Date.IsZero() {
		b.WriteString("Today's date: " + opts.Date.Format(time.DateOnly) + "\n\n")
	}
	b.WriteString("List of tools: ")
	if style == LFM2 {
		b.WriteString(toolListStart)
	}
	b.WriteString("[")
	for i, tool := range opts.Tools {
		if i > 0 {
			b.WriteString(", ")
		}
		var text string
		if err := json.Unmarshal(tool, &text); err == nil && !dated && string(tool) != "null" {
			b.WriteString(text)
			continue
		}
		b.Write(appendJSON(nil, tool))
	}
	b.WriteString("]")
	if style == LFM2 {
		b.WriteString(toolListEnd)
	}
	return b.String()
}

// currentTurns returns which assistant turns keep their reasoning: in LFM25
// the last one, in later styles those after the last user turn. LFM2 has no
// reasoning to drop and keeps content as it is.
func currentTurns(style Style, messages []Message) func(i int) bool {
	last := func(role string) int {
		for i, m := range slices.Backward(messages) {
			if m.Role == role {
				return i
			}
		}
		return -1
	}
	switch style {
	case LFM2:
		return func(int) bool { return true }
	case LFM25:
		n := last("assistant")
		return func(i int) bool { return i == n }
	}
	n := last("user")
	return func(i int) bool { return i > n }
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

// assistant writes the body of an assistant turn. Its content is not literal:
// it may hold the text of tool calls.
func (w *writer) assistant(style Style, m Message, current bool) {
	if m.Thinking != "" && current && style != LFM2 {
		w.special(thinkStart)
		w.literal(m.Thinking)
		w.special(thinkEnd)
	}
	content := m.Content
	if i := strings.LastIndex(content, thinkEnd); i >= 0 && !current {
		content = strings.TrimSpace(content[i+len(thinkEnd):])
	}
	after := style == LFM25C || style == LFM25D
	if after {
		w.special(content)
	}
	if len(m.ToolCalls) > 0 {
		w.special(toolCallStart)
		w.literal(callList(style, m.ToolCalls))
		w.special(toolCallEnd)
	}
	if !after {
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
