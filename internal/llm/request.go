package llm

import (
	"encoding/json"
	"time"
)

// A Dialect names the wire format in which a client spoke.
type Dialect string

// The dialects that Sluice serves.
const (
	OpenAIChat Dialect = "openai.chat" // POST /v1/chat/completions
)

// A Request is one call of a client.
//
// Body is the authority: it is the JSON object that the client sent, and the
// typed fields are a reading of it. Whoever changes what a request says (the
// redactor) changes Body and has it read again, so that the two never differ.
type Request struct {
	ID      string  // decision id, "dec_" and a ULID
	Dialect Dialect // how to read Body
	Body    []byte  // one JSON object, as the client sent it

	Model      string // the name that the client asked for
	Messages   []Message
	Tools      []Tool
	ToolChoice json.RawMessage // the dialect's own form; nil when absent
	Format     json.RawMessage // response_format; nil when absent
	Form       *Form           // the answer's text in another way than Format; nil when absent
	Guided     bool            // Format or Form came in a field that the dialect does not have by itself
	Sampling   Sampling
	N          int      // choices wanted; at least 1
	Stream     bool     // the client wants server-sent events
	StreamUse  bool     // … and a last event with the usage
	Modalities []string // kinds of content found in Messages: "text", "image", "audio", "file"

	Principal Principal
	Session   string // ties the calls of one agent run; "" when the client named none
	Origin    string // where the client says its data comes from, for example "DE"; "" when unknown
	Received  time.Time

	// Target, Hop and Watch are set by the router on the copy that it hands to a backend.
	Target Target
	Hop    Hop
	Watch  bool // wants Delta.Chosen, where the backend knows it
	// OnAttempt, when set, is called once for each attempt that a backend makes, after it ended.
	OnAttempt func(Attempt)
	// May is asked before any other target than Target sees something of the answer: whether
	// policy permits the target with the id. nil: none may.
	May func(target string) bool
}

// A Principal is who asks.
type Principal struct {
	Tenant string   // "default" when the gateway runs without keys
	User   string   // end user, as the client names it; may be empty
	Key    string   // the name of the virtual key, never its value
	Roles  []string // what policy may ask for
	Debug  bool     // may ask for the debug headers
}

// A Role says who speaks in a message.
type Role string

// The roles of a conversation.
const (
	System    Role = "system" // also OpenAI's "developer"
	User      Role = "user"
	Assistant Role = "assistant"
	ToolRole  Role = "tool"
)

// A Message is one turn.
type Message struct {
	Role       Role
	Text       string // the text parts, joined by newlines
	Name       string
	ToolCalls  []ToolCall
	ToolCallID string // for a tool's answer
}

// A Tool is a function that the model may call.
type Tool struct {
	Name        string
	Description string
	Parameters  json.RawMessage // JSON Schema; nil when the function takes nothing
	Raw         json.RawMessage // the caller's list item, unchanged
}

// A ToolCall is a call that a model asked for.
type ToolCall struct {
	ID        string
	Name      string
	Arguments string // JSON text, as the model wrote it
}

// Sampling holds the settings of generation. A nil pointer means "the target's default".
type Sampling struct {
	MaxTokens         int // 0: the target's default
	Temperature       *float64
	TopP              *float64
	TopK              *int
	MinP              *float64
	RepetitionPenalty *float64
	FrequencyPenalty  *float64
	PresencePenalty   *float64
	Seed              *int64
	Stop              []string
	Logprobs          bool
	TopLogprobs       int
	MaskedLogprobs    bool              // log-probabilities among the tokens that the format allows
	LogitBias         map[int32]float64 // by the target's own token ids
}

// LastText returns the text of the last message that a user or a tool wrote, or "".
func (r *Request) LastText() string {
	for i := len(r.Messages) - 1; i >= 0; i-- {
		if m := r.Messages[i]; m.Role == User || m.Role == ToolRole {
			return m.Text
		}
	}
	return ""
}

// ToolNames returns the names of the tools, in the caller's order.
func (r *Request) ToolNames() []string {
	names := make([]string, len(r.Tools))
	for i, t := range r.Tools {
		names[i] = t.Name
	}
	return names
}
