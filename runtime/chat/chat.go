// Package chat turns messages into the prompt text an LFM2 model was trained
// on, and the text it writes back into content, reasoning and tool calls.
//
// [Render] and [RenderParts] write prompts; [Parser] reads outputs as they are
// generated, [Parse] all at once. Both know control tokens by their text:
// "<|im_start|>", "<|tool_call_start|>" and so on.
package chat

import (
	"encoding/json"
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

// A Style is a generation of chat templates.
type Style uint8

const (
	// LFM25 is LFM2.5 (350M, 1.2B): bare tool list, bare tool results.
	LFM25 Style = iota
	// LFM2 is the first generation: tool list and results between control tokens.
	LFM2
	// LFM25C is LFM2.5-8B-A1B: dated tool list, structured calls after content.
	LFM25C
	// LFM25D is LFM2.5-2.6B: as LFM25C, and every answer begins inside a thought.
	LFM25D
)

// String returns the name of s as model cards write it.
func (s Style) String() string {
	switch s {
	case LFM25:
		return "LFM2.5"
	case LFM2:
		return "LFM2"
	case LFM25C:
		return "LFM2.5-8B-A1B"
	case LFM25D:
		return "LFM2.5-2.6B"
	}
	return "unknown"
}

// StartsThinking reports whether the generation prompt of s opens a thought, so
// that the output begins inside it. See [ParserOptions].
func (s Style) StartsThinking() bool { return s == LFM25D }

// StyleOf recognises a model's Jinja template (tokenizer.chat_template) by the
// constructs only one generation has. A template with none of them, or no
// template, is LFM25, the plainest.
func StyleOf(template string) Style {
	const gen = "add_generation_prompt"
	switch i := strings.LastIndex(template, gen); {
	case strings.Contains(template, "tool_list_start"):
		return LFM2
	case i >= 0 && strings.Contains(template[i:], thinkStart):
		return LFM25D
	case strings.Contains(template, "Today's date"):
		return LFM25C
	}
	return LFM25
}
