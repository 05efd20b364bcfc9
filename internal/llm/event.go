package llm

import "encoding/json"

// An Event is a piece of an answer, as it comes. The deltas of one choice,
// put together in order, are the answer.
type Event struct {
	Choices []Delta
	Usage   *Usage // nil until the target reports it

	// Raw is the upstream's own JSON for this event: a chunk, or with Whole
	// set the body of an unstreamed answer. nil when the answer was made here.
	// It is in the request's dialect. Edited says that the typed fields were
	// changed after Raw was read, and win over it.
	Raw    json.RawMessage
	Whole  bool
	Edited bool

	// Alive says that there is nothing to pass on yet: the client learns that its request is still being worked on.
	Alive bool
}

// A Delta is what an event adds to one choice.
type Delta struct {
	Index     int // of the choice
	Text      string
	Reasoning string
	Refusal   string
	ToolCalls []ToolDelta
	Logprobs  json.RawMessage // OpenAI's logprobs object; nil when not asked for
	Finish    Finish          // "" until the choice is over
	Chosen    []float64       // when [Request.Watch]: the log-probabilities of what the model chose; not for clients
	Broken    bool            // with Finish: the answer does not satisfy the format that was asked for
}

// A ToolDelta is what an event adds to one tool call. ID and Name come once, with the first delta of an index.
type ToolDelta struct {
	Index     int
	ID        string
	Name      string
	Arguments string // a piece of JSON text; the pieces concatenate
}

// A Finish says why a choice ended.
type Finish string

// Why a choice ended, in OpenAI's words.
const (
	Stop          Finish = "stop"
	Length        Finish = "length"
	ToolCalls     Finish = "tool_calls"
	ContentFilter Finish = "content_filter"
)

// Name returns f when it is one of the known, and "other" when not: an upstream
// may write anything there.
func (f Finish) Name() string {
	switch f {
	case Stop, Length, ToolCalls, ContentFilter:
		return string(f)
	}
	return "other"
}

// A Restorer puts the values that redaction took out back into one answer.
// It is used by one goroutine at a time.
type Restorer interface {
	// Event rewrites ev in place. Text that may be the beginning of a
	// placeholder is held back and comes with a later event of its choice; an
	// event that finishes the choice, or is Whole, releases everything.
	Event(ev *Event)
	// Flush returns what is still held back, when an answer ended without a finish; nil when nothing is.
	Flush() []Delta
	// Restored returns how many placeholders have been put back so far.
	Restored() int
}
