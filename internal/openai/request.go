package openai

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-ai/sluice/internal/llm"
)

// wireRequest is the part of a chat completions body that Sluice reads.
type wireRequest struct {
	Model    string        `json:"model"`
	Messages []wireMessage `json:"messages"`
	Tools    []wireTool    `json:"tools"`
	// Functions is the deprecated form of Tools; upstreams still take it.
	Functions []wireFunction  `json:"functions"`
	Choice    json.RawMessage `json:"tool_choice"`
	Format    json.RawMessage `json:"response_format"`
	User      string          `json:"user"`
	N         *int            `json:"n"`
	Stream    bool            `json:"stream"`
	Options   struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`

	MaxTokens           *int               `json:"max_tokens"`
	MaxCompletionTokens *int               `json:"max_completion_tokens"`
	Temperature         *float64           `json:"temperature"`
	TopP                *float64           `json:"top_p"`
	TopK                *int               `json:"top_k"`
	MinP                *float64           `json:"min_p"`
	RepetitionPenalty   *float64           `json:"repetition_penalty"`
	FrequencyPenalty    *float64           `json:"frequency_penalty"`
	PresencePenalty     *float64           `json:"presence_penalty"`
	Seed                *int64             `json:"seed"`
	Stop                json.RawMessage    `json:"stop"`
	Logprobs            bool               `json:"logprobs"`
	TopLogprobs         *int               `json:"top_logprobs"`
	LogprobsMode        string             `json:"logprobs_mode"`
	LogitBias           map[string]float64 `json:"logit_bias"`

	wireForms
}

type wireMessage struct {
	Role       string          `json:"role"`
	Content    json.RawMessage `json:"content"`
	Name       string          `json:"name"`
	ToolCalls  []wireToolCall  `json:"tool_calls"`
	ToolCallID string          `json:"tool_call_id"`
}

type wireToolCall struct {
	Index    *int   `json:"index"`
	ID       string `json:"id"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

type wireTool struct {
	Type     string       `json:"type"`
	Function wireFunction `json:"function"`
	Custom   struct {
		Name        string `json:"name"`
		Description string `json:"description"`
	} `json:"custom"`
	raw json.RawMessage
}

type wireFunction struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters,omitempty"`
}

// tool returns t under the name that policy knows it by: a tool that the
// upstream brings itself has no name but its type.
func (t *wireTool) tool() llm.Tool {
	return llm.Tool{
		Name:        cmp.Or(t.Function.Name, t.Custom.Name, t.Type),
		Description: cmp.Or(t.Function.Description, t.Custom.Description),
		Parameters:  present(t.Function.Parameters), Raw: t.raw,
	}
}

// UnmarshalJSON keeps the bytes of the tool beside its reading.
func (t *wireTool) UnmarshalJSON(b []byte) error {
	type plain wireTool
	if err := json.Unmarshal(b, (*plain)(t)); err != nil {
		return err
	}
	t.raw = bytes.Clone(b)
	return nil
}

// ParseRequest reads a chat completions body. The errors are of kind
// [llm.Invalid] and name the field at fault; they repeat nothing of the body
// but field names and roles. The request keeps body; the caller must not change it.
func ParseRequest(body []byte) (*llm.Request, error) {
	if err := checkShape(body); err != nil {
		return nil, err
	}
	var w wireRequest
	if err := json.Unmarshal(body, &w); err != nil {
		return nil, typeError(err)
	}
	if w.Model == "" {
		return nil, invalid("model", "model is missing: name one, for example \"auto\"")
	}
	if len(w.Messages) == 0 {
		return nil, invalid("messages", "messages is missing or empty: at least one is needed")
	}
	req := &llm.Request{
		Dialect: llm.OpenAIChat, Body: body,
		Model: w.Model, ToolChoice: present(w.Choice), Format: present(w.Format),
		N: 1, Stream: w.Stream, StreamUse: w.Options.IncludeUsage,
		Principal: llm.Principal{User: w.User},
	}
	for i, m := range w.Messages {
		msg, err := parseMessage(m, req)
		if err != nil {
			return nil, invalid(fmt.Sprintf("messages[%d].%s", i, err.field), err.msg)
		}
		req.Messages = append(req.Messages, msg)
	}
	for i, t := range w.Tools {
		if t.Type == "function" && t.Function.Name == "" {
			return nil, invalid(fmt.Sprintf("tools[%d].function.name", i), "a function tool needs a name")
		}
		req.Tools = append(req.Tools, t.tool())
	}
	for i, f := range w.Functions {
		if f.Name == "" {
			return nil, invalid(fmt.Sprintf("functions[%d].name", i), "a function needs a name")
		}
		t, err := wireTool{Function: f}, error(nil)
		if t.raw, err = json.Marshal(map[string]any{"type": "function", "function": f}); err != nil {
			return nil, invalid(fmt.Sprintf("functions[%d]", i), "a function is not valid JSON")
		}
		req.Tools = append(req.Tools, t.tool())
	}
	if err := sampling(req, &w); err != nil {
		return nil, err
	}
	if err := w.read(req); err != nil {
		return nil, err
	}
	return req, nil
}

// fieldError is a mistake in one field of a message.
type fieldError struct{ field, msg string }

var roles = map[string]llm.Role{
	"system": llm.System, "developer": llm.System, "user": llm.User, "assistant": llm.Assistant,
	"tool": llm.ToolRole, "function": llm.ToolRole,
}

func message(m wireMessage, addModality func(string)) (llm.Message, *fieldError) {
	role, ok := roles[m.Role]
	if !ok {
		return llm.Message{}, &fieldError{"role", "the role must be system, developer, user, assistant or tool"}
	}
	text, ferr := content(m.Content, addModality)
	if ferr != nil {
		return llm.Message{}, ferr
	}
	msg := llm.Message{Role: role, Text: text, Name: m.Name, ToolCallID: m.ToolCallID}
	for _, c := range m.ToolCalls {
		msg.ToolCalls = append(msg.ToolCalls, llm.ToolCall{ID: c.ID, Name: c.Function.Name, Arguments: c.Function.Arguments})
	}
	if role != llm.Assistant && present(m.Content) == nil {
		return llm.Message{}, &fieldError{"content", "content is missing: only an assistant's message may leave it out"}
	}
	return msg, nil
}

func parseMessage(m wireMessage, req *llm.Request) (llm.Message, *fieldError) {
	return message(m, func(kind string) {
		if !slices.Contains(req.Modalities, kind) {
			req.Modalities = append(req.Modalities, kind)
		}
	})
}

// content returns the text of a message's content: null, a string, or a list of parts.
func content(raw json.RawMessage, addModality func(string)) (string, *fieldError) {
	if present(raw) == nil {
		return "", nil
	}
	if raw[0] == '"' {
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return "", &fieldError{"content", "content is not a valid string"}
		}
		addModality("text")
		return s, nil
	}
	var parts []struct {
		Type    string `json:"type"`
		Text    string `json:"text"`
		Refusal string `json:"refusal"`
	}
	if raw[0] != '[' || json.Unmarshal(raw, &parts) != nil {
		return "", &fieldError{"content", "content must be a string or a list of parts with a type"}
	}
	var texts []string
	for i, p := range parts {
		switch p.Type {
		case "text", "input_text", "output_text":
			addModality("text")
			texts = append(texts, p.Text)
		case "refusal":
			texts = append(texts, p.Refusal)
		case "image_url", "input_image":
			addModality("image")
		case "input_audio":
			addModality("audio")
		case "file", "input_file":
			addModality("file")
		case "":
			return "", &fieldError{fmt.Sprintf("content[%d].type", i), "a content part needs a type"}
		default:
			addModality("other") // an upstream may know it; the local tier does not
		}
	}
	return strings.Join(texts, "\n"), nil
}

func sampling(req *llm.Request, w *wireRequest) error {
	s := &req.Sampling
	s.Temperature, s.TopP, s.TopK, s.MinP = w.Temperature, w.TopP, w.TopK, w.MinP
	s.RepetitionPenalty, s.FrequencyPenalty, s.PresencePenalty, s.Seed = w.RepetitionPenalty, w.FrequencyPenalty, w.PresencePenalty, w.Seed
	s.Logprobs = w.Logprobs
	ranges := []struct {
		name   string
		v      *float64
		lo, hi float64
	}{
		{"temperature", s.Temperature, 0, 2},
		{"top_p", s.TopP, 0, 1},
		{"min_p", s.MinP, 0, 1},
		{"repetition_penalty", s.RepetitionPenalty, 0, 10},
		{"frequency_penalty", s.FrequencyPenalty, -2, 2},
		{"presence_penalty", s.PresencePenalty, -2, 2},
	}
	for _, r := range ranges {
		if r.v != nil && (*r.v < r.lo || *r.v > r.hi) {
			return invalid(r.name, fmt.Sprintf("%s must lie between %g and %g", r.name, r.lo, r.hi))
		}
	}
	for _, c := range []struct {
		name string
		v    *int
		lo   int
		hi   int
		to   *int
	}{
		{"max_tokens", w.MaxTokens, 1, 1 << 24, &s.MaxTokens},
		{"max_completion_tokens", w.MaxCompletionTokens, 1, 1 << 24, &s.MaxTokens},
		{"n", w.N, 1, 128, &req.N},
		{"top_logprobs", w.TopLogprobs, 0, 20, &s.TopLogprobs},
	} {
		switch {
		case c.v == nil:
		case *c.v < c.lo || *c.v > c.hi:
			return invalid(c.name, fmt.Sprintf("%s must lie between %d and %d", c.name, c.lo, c.hi))
		default:
			*c.to = *c.v
		}
	}
	if err := biases(s, w); err != nil {
		return err
	}
	stop := present(w.Stop)
	if stop == nil {
		return nil
	}
	var one string
	if json.Unmarshal(stop, &one) == nil {
		s.Stop = []string{one}
	} else if json.Unmarshal(stop, &s.Stop) != nil {
		return invalid("stop", "stop must be a string or a list of strings")
	}
	s.Stop = slices.DeleteFunc(s.Stop, func(x string) bool { return x == "" })
	return nil
}

// present returns raw, or nil when the field is absent or null.
func present(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return nil
	}
	return raw
}

func invalid(param, msg string) error {
	return &llm.Error{Kind: llm.Invalid, Code: llm.CodeInvalidRequest, Param: param, Msg: msg}
}

// typeError turns a decoding error into a sentence that names the field and the type, never the value.
func typeError(err error) error {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		field := strings.TrimPrefix(t.Field, "wireForms.")
		if field == "" {
			return &llm.Error{Kind: llm.Invalid, Code: llm.CodeInvalidRequest, Msg: "the body must be a JSON object"}
		}
		return invalid(field, fmt.Sprintf("%s has the wrong type: a JSON %s where %s is expected", field, strings.Fields(t.Value)[0], kindName(t)))
	}
	return &llm.Error{Kind: llm.Invalid, Code: llm.CodeInvalidJSON, Msg: "the body is not valid JSON"}
}

func kindName(t *json.UnmarshalTypeError) string {
	switch t.Type.Kind().String() {
	case "string":
		return "a string"
	case "bool":
		return "true or false"
	case "int", "int64":
		return "a whole number"
	case "float64":
		return "a number"
	case "slice":
		return "a list"
	}
	return "an object"
}
