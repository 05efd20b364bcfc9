// Package chat turns messages into the prompt text an LFM2 model was trained
// on, and the text it writes back into content, reasoning and tool calls.
//
// [Render] and [RenderParts] write prompts; [Parser] reads outputs as they are
// generated, [Parse] all at once. Both know control tokens by their text:
// "<|im_start|>", "<|tool_call_start|>" and so on.
package chat

import (
	"encoding/json"
	"fmt"
	"strings"
)

// The texts of the control tokens that structure a conversation.
const (
	imStart           = "<|im_start|>"
	imEnd             = "<|im_end|>"
	toolListStart     = "<|tool_list_start|>"
	toolListEnd       = "<|tool_list_end|>"
	toolCallStart     = "<|tool_call_start|>"
	toolCallEnd       = "<|tool_call_end|>"
	toolResponseStart = "<|tool_response_start|>"
	toolResponseEnd   = "<|tool_response_end|>"
	thinkStart        = "<think>"
	thinkEnd          = "</think>"
)

// A Message is one turn of a conversation.
type Message struct {
	// Role is "system", "user", "assistant" or "tool".
	Role    string
	Content string
	// Name is whose turn it is; no LFM2 prompt shows it.
	Name string
	// ToolCalls are the calls an assistant made in this turn.
	ToolCalls []ToolCall
	// ToolCallID says which call a tool turn answers; no LFM2 prompt shows it.
	ToolCallID string
	// Thinking is the reasoning that led to an assistant's turn, without tags.
	Thinking string
}

// A ToolCall is one call of a tool. Arguments is a JSON object; an empty one
// may also be nil or null.
type ToolCall struct {
	Name      string
	Arguments json.RawMessage
	ID        string
}

// A Style is a generation of chat templates: the set of what its templates do
// differently from the plainest, [LFM25].
type Style uint8

const (
	toolTokens   Style = 1 << iota // tool list and tool results stand between control tokens
	dated                          // the tool list has a date, and a blank line before it
	callsLast                      // calls follow the content; their lists are written as Python's
	singleQuotes                   // strings in calls: as they are, between single quotes
	doubleQuotes                   // strings in calls: as they are, between double quotes
	sinceUser                      // reasoning is kept since the last user turn, not in the last answer
	opensThought                   // an answer begins inside a thought
)

const (
	// LFM25 is LFM2.5 (350M, 1.2B): bare tool list, bare tool results.
	LFM25 Style = 0
	// LFM2 is the first generation: tool list and results between control tokens.
	LFM2 = toolTokens
	// LFM25C is LFM2.5-8B-A1B as first released: dated tool list, calls after
	// content. Its later template, without the date, is another Style.
	LFM25C = dated | callsLast | singleQuotes | sinceUser
	// LFM25D is LFM2.5-2.6B: every answer begins inside a thought.
	LFM25D = callsLast | singleQuotes | sinceUser | opensThought
)

func (s Style) has(feature Style) bool { return s&feature != 0 }

// String returns the name of the models that use s.
func (s Style) String() string {
	switch s {
	case LFM25:
		return "LFM2.5"
	case LFM2:
		return "LFM2"
	case LFM25C, LFM25C &^ dated:
		return "LFM2.5-8B-A1B"
	case LFM25D, LFM25D | dated:
		return "LFM2.5-2.6B"
	}
	return fmt.Sprintf("LFM2.5 variant %#x", uint8(s))
}

// StartsThinking reports whether the generation prompt of s opens a thought, so
// that the output begins inside it. See [ParserOptions].
func (s Style) StartsThinking() bool { return s.has(opensThought) }

// ShowsDate reports whether prompts of s show Options.Date with the tools.
func (s Style) ShowsDate() bool { return s.has(dated) }

// StyleOf recognises the style of a model's Jinja template
// (tokenizer.chat_template) by constructs that Liquid's templates share. A
// template with none of them, or no template, is LFM25, the plainest.
func StyleOf(template string) Style {
	if strings.Contains(template, "tool_list_start") {
		return LFM2
	}
	var s Style
	for _, f := range []struct {
		text    string
		feature Style
	}{
		{"Today's date", dated},
		{"render_tool_calls", callsLast},
		{`"'" + arg_value`, singleQuotes},
		{`'"' + arg_value`, doubleQuotes},
		{"last_user_index", sinceUser},
	} {
		if strings.Contains(template, f.text) {
			s |= f.feature
		}
	}
	const prompt = "add_generation_prompt"
	if i := strings.LastIndex(template, prompt); i >= 0 && strings.Contains(template[i:], thinkStart) {
		s |= opensThought
	}
	return s
}
