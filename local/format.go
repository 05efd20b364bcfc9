package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/local/formats"
	"github.com/sluice-ai/sluice/local/outline"
	"github.com/sluice-ai/sluice/runtime/chat"
	"github.com/sluice-ai/sluice/runtime/engine"
)

// abilities returns what a model with the given abilities can do here: one that
// chats can be held to a format, and one that extracts answers in JSON.
func abilities(model []string) []string {
	out := slices.Clone(model)
	for _, a := range []string{"json", "grammar"} {
		if slices.Contains(model, "chat") && !slices.Contains(model, a) {
			out = append(out, a)
		}
	}
	if slices.Contains(model, "extraction") && !slices.Contains(out, "json") {
		out = append(out, "json")
	}
	return out
}

// calls reads OpenAI's tool_choice and parallel_tool_calls. It returns nil if no
// tool may be called.
func calls(req *llm.Request) (*engine.Calls, error) {
	var more struct {
		Parallel *bool `json:"parallel_tool_calls"`
	}
	_ = json.Unmarshal(req.Body, &more) // absent or of another type: the default
	c := &engine.Calls{Single: more.Parallel != nil && !*more.Parallel}
	wrong := invalid("tool_choice", "tool_choice must be none, auto, required or name a function")
	choice := req.ToolChoice
	switch {
	case len(choice) == 0 && len(req.Tools) == 0:
		return nil, nil
	case len(choice) == 0:
		return c, nil
	case choice[0] == '"':
		switch string(choice) {
		case `"none"`:
			return nil, nil
		case `"auto"`:
		case `"required"`:
			if len(req.Tools) == 0 {
				return nil, invalid("tools", "a call is required, but no tool is given")
			}
			c.Required = true
		default:
			return nil, wrong
		}
		return c, nil
	}
	var named struct {
		Type     string `json:"type"`
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	if json.Unmarshal(choice, &named) != nil || named.Type != "function" || named.Function.Name == "" {
		return nil, wrong
	}
	if !slices.Contains(req.ToolNames(), named.Function.Name) {
		return nil, invalid("tools", fmt.Sprintf("tool_choice names the tool %q, which is not given", named.Function.Name))
	}
	c.Required, c.Name = true, named.Function.Name
	return c, nil
}

func invalid(param, msg string) error {
	return &llm.Error{Kind: llm.Invalid, Code: llm.CodeInvalidRequest, Param: param, Msg: msg}
}

// constrain sets what er's answer is held to. It compiles the grammars, so that
// a schema that cannot be honoured is refused before anything is generated. Tools
// that may be called but need not, and cannot be put in a grammar, are left free.
func constrain(ctx context.Context, m *engine.Model, er *engine.Request, req *llm.Request, hide bool) error {
	schema, err := formats.Schema(req.Format)
	if err != nil {
		return err
	}
	if er.Calls, err = calls(req); err != nil {
		return err
	}
	param := "tools"
	if er.Calls == nil || !er.Calls.Required {
		free := engine.Request{Tools: er.Tools, Calls: er.Calls}
		if err := m.Check(ctx, &free); errors.Is(err, engine.ErrGrammar) {
			er.Calls = nil
		} else if err != nil {
			return err
		}
		param = "response_format"
	}
	if f := req.Form; f != nil {
		er.Form = &engine.Form{Regex: f.Regex, Choice: f.Choice, GBNF: f.Grammar}
	}
	er.Schema = schema
	if m.Info().Verbatim {
		er.Verbatim = said(er.Messages)
	}
	if !hide {
		er.Messages = showSchema(er.Messages, schema)
	}
	return grammarError(m.Check(ctx, er), param)
}

// said returns what users and tools wrote, which is what a model copies from. It
// is not nil.
func said(messages []chat.Message) []string {
	texts := []string{}
	for _, m := range messages {
		if m.Role == "user" || m.Role == "tool" {
			texts = append(texts, m.Content)
		}
	}
	return texts
}

// showSchema adds the outline of schema to the system text. The grammar holds the
// answer to it in any case; a model that has seen it fills it better.
func showSchema(messages []chat.Message, schema json.RawMessage) []chat.Message {
	text := outline.Of(schema)
	if text == "" {
		return messages
	}
	text = outline.Lead + text
	if len(messages) > 0 && messages[0].Role == "system" {
		first := messages[0]
		if first.Content != "" {
			text = first.Content + "\n" + text
		}
		first.Content = text
		return append([]chat.Message{first}, messages[1:]...)
	}
	return append([]chat.Message{{Role: "system", Content: text}}, messages...)
}

// grammarError turns the engine's refusal of a grammar into the client's error.
func grammarError(err error, param string) error {
	g, ok := errors.AsType[*engine.GrammarError](err)
	if !ok {
		return err
	}
	return &llm.Error{Kind: llm.Invalid, Code: llm.CodeUnsupportedSchema, Param: param,
		Msg: "the local model cannot be held to this: " + g.Error()}
}

// An answerReader splits what the engine writes.
type answerReader interface {
	Push(text string) []chat.Delta
	Flush() []chat.Delta
}

// newReader returns the reader of one answer to er.
func newReader(m *engine.Model, er *engine.Request, names []string) answerReader {
	thinks := m.Style().StartsThinking()
	if len(er.Schema) == 0 && er.Form == nil || er.Calls != nil && er.Calls.Required {
		return chat.NewParser(chat.ParserOptions{Thinking: thinks, Names: names, Exact: er.Calls != nil})
	}
	_, ends := m.Tokenizer().ID(endThought) // else the engine knows no thought, and begins with JSON
	return &jsonReader{thinking: thinks && ends, parser: chat.NewParser(chat.ParserOptions{Exact: er.Calls != nil})}
}

const endThought, startCall = "</think>", "<|tool_call_start|>"

// A jsonReader passes JSON on as it is: what looks like a marker in one of its
// strings is not one. An answer that begins with a tool call goes to parser.
type jsonReader struct {
	thinking bool   // inside the thought that the prompt opened
	held     string // of the thought: perhaps the beginning of its end
	begun    bool
	calls    bool
	parser   *chat.Parser
}

// Push takes more text.
func (r *jsonReader) Push(text string) (out []chat.Delta) {
	if r.thinking {
		text = r.held + text
		thought, rest, ended := strings.Cut(text, endThought)
		r.thinking, r.held = !ended, ""
		if !ended {
			for n := min(len(endThought)-1, len(text)); n > 0; n-- {
				if strings.HasSuffix(text, endThought[:n]) {
					thought, r.held = text[:len(text)-n], endThought[:n]
					break
				}
			}
		}
		if thought != "" {
			out = append(out, chat.Delta{Thinking: thought})
		}
		text = rest
	}
	if text == "" {
		return out
	}
	if !r.begun {
		r.begun, r.calls = true, strings.HasPrefix(text, startCall)
	}
	if r.calls {
		return append(out, r.parser.Push(text)...)
	}
	return append(out, chat.Delta{Text: text})
}

// Flush returns what was held back.
func (r *jsonReader) Flush() []chat.Delta {
	if r.thinking && r.held != "" {
		return []chat.Delta{{Thinking: r.held}}
	}
	return r.parser.Flush()
}
