package llm

import "time"

// A Route says, in one word, where a request went.
type Route string

// The routes.
const (
	RouteLocal    Route = "local"
	RouteCloud    Route = "cloud"
	RouteDegraded Route = "degraded" // local, because the cloud could not be reached
	RouteBlocked  Route = "blocked"
)

// An Outcome is how an attempt ended.
type Outcome string

// The outcomes of an attempt.
const (
	OK           Outcome = "ok"
	Rejected     Outcome = "rejected"     // the target understood and refused: 4xx but 408 and 429
	Throttled    Outcome = "throttled"    // 429
	Failed       Outcome = "failed"       // could not connect, 5xx, timeout before the first byte
	Broken       Outcome = "broken"       // the answer was cut, stalled or malformed after it began
	Skipped      Outcome = "skipped"      // the breaker was open: nothing was sent
	Abandoned    Outcome = "abandoned"    // the client went away
	Insufficient Outcome = "insufficient" // a local answer that did not stand
)

// An Attempt is one call of one target, with its outcome.
type Attempt struct {
	Target    string        `json:"target"`
	Hop       Hop           `json:"hop"`
	Try       int           `json:"try"` // 1 for the first call of this target
	Start     time.Time     `json:"start"`
	Duration  time.Duration `json:"duration_ns"`
	FirstByte time.Duration `json:"first_byte_ns"` // until the first piece of the answer; 0 when none came
	Outcome   Outcome       `json:"outcome"`
	Status    int           `json:"status,omitempty"` // HTTP status of the upstream; 0 when there was none
	Code      string        `json:"code,omitempty"`   // short class of the failure: "connect", "timeout", "cut", "malformed", …
	Usage     Usage         `json:"usage"`
	Breaker   string        `json:"breaker,omitempty"` // state after the attempt: "closed", "half-open", "open"
	Redacted  int           `json:"redacted,omitempty"`
	Format    *FormatCheck  `json:"format,omitempty"` // nil where the request asks for no format, or nothing was checked
}

// The kinds of record. A request's own has none.
const (
	KindFeedback = "feedback" // what somebody thought of an answer
	KindShadow   = "shadow"   // a local answer beside a cloud target's
)

// A Verdict says whether a local answer was good, as far as somebody can tell.
type Verdict struct {
	Good bool `json:"good"`
	// Score is from 0 (useless) to 1 (as good as can be); nil when only Good was said.
	Score *float64 `json:"score,omitempty"`
	// Measures are what a comparison's score is made of.
	Measures map[string]float64 `json:"measures,omitempty"`
}

// A Record is the ledger's line for one request, or of another Kind for what was
// learned of one later. It holds no text of the request or the answer.
type Record struct {
	ID         string           `json:"id"`
	Kind       string           `json:"kind,omitempty"`
	Of         string           `json:"of,omitempty"`      // the decision that a record of a Kind is about
	Verdict    *Verdict         `json:"verdict,omitempty"` // of a record of a Kind
	Time       time.Time        `json:"time"`
	Tenant     string           `json:"tenant"`
	User       string           `json:"user,omitempty"` // keyed hash, never the name
	Key        string           `json:"key,omitempty"`
	Session    string           `json:"session,omitempty"` // keyed hash
	Trace      string           `json:"trace,omitempty"`   // trace id, hexadecimal
	Dialect    Dialect          `json:"dialect"`
	Model      string           `json:"model"` // as asked
	Stream     bool             `json:"stream"`
	Route      Route            `json:"route"`
	Target     string           `json:"target,omitempty"` // the one that answered
	Status     int              `json:"status"`           // what the client got
	Code       Code             `json:"code,omitempty"`   // the error's code, when there was one
	Findings   map[string]int   `json:"findings,omitempty"`
	Redacted   []string         `json:"redacted,omitempty"` // types taken out
	Restored   int              `json:"restored,omitempty"`
	Assessment PolicyAssessment `json:"assessment"`
	AssessedBy string           `json:"assessed_by,omitempty"`
	Judge      string           `json:"judge,omitempty"`     // the version of the judge: its model, hints and weights
	Revised    *float64         `json:"p_revised,omitempty"` // p_local of the last local answer, once it was read
	Latched    bool             `json:"latched,omitempty"`   // a step of an agent that a latch sent to the cloud
	Policy     string           `json:"policy"`              // revision
	Rules      []string         `json:"rules,omitempty"`
	Reasons    []string         `json:"reasons,omitempty"`
	Attempts   []Attempt        `json:"attempts,omitempty"`
	Usage      Usage            `json:"usage"`
	CostNano   int64            `json:"cost_nano_usd"`
	CostKnown  bool             `json:"cost_known"`
	PriceID    string           `json:"price_id,omitempty"`
	Duration   time.Duration    `json:"duration_ns"`
	FirstByte  time.Duration    `json:"first_byte_ns,omitempty"`
	Held       time.Duration    `json:"held_ns,omitempty"`   // how long a local stream was held back
	InputMAC   string           `json:"input_mac,omitempty"` // keyed digest of the request's body: provable, not guessable
	Config     int64            `json:"config_generation"`
}
