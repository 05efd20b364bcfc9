package llm

import "time"

// A Finding is a span of personal data or a secret.
type Finding struct {
	Type  string  `json:"type"`  // "EMAIL", "IBAN", …: the list is in docs/inspect.md
	Path  string  `json:"path"`  // JSON pointer into the request's body; "" for bare text
	Start int     `json:"start"` // code points, from the start of the string at Path
	End   int     `json:"end"`   // exclusive
	Score float64 `json:"score"` // 0 to 1
	By    string  `json:"by"`    // how it was found: "pattern", "pattern+checksum", "pattern+context", "tagger"
}

// Findings is what inspection found, summed up for policy: counts, never values.
type Findings struct {
	Types    map[string]int `json:"types"`
	MaxScore float64        `json:"max_score"`
	Secrets  int            `json:"secrets"`
}

// Summarize counts fs by type.
func Summarize(fs []Finding) Findings {
	s := Findings{Types: map[string]int{}}
	for _, f := range fs {
		s.Types[f.Type]++
		s.MaxScore = max(s.MaxScore, f.Score)
		switch f.Type {
		case "SECRET", "PRIVATE_KEY", "URL_CREDENTIALS", "CREDENTIAL_TEXT":
			s.Secrets++
		}
	}
	return s
}

// A Boundary is the judge's verdict in one word.
type Boundary string

// The verdicts. Unavailable is a verdict, never an error.
const (
	Supported   Boundary = "supported"
	Uncertain   Boundary = "uncertain"
	Unsupported Boundary = "unsupported"
	NoVerdict   Boundary = "unavailable"
)

// An Assessment is what the judge thinks of a request before it is answered.
type Assessment struct {
	Task     string   `json:"task"`    // "extraction", "maths", …; "" when unavailable
	PLocal   float64  `json:"p_local"` // calibrated probability that the local answer will do
	Boundary Boundary `json:"boundary"`
	By       string   `json:"by"`                // the model or rule that decided: "local/nano", "rule:modality"
	Version  string   `json:"version,omitempty"` // of the judge: its model, hints and weights
	Why      string   `json:"why,omitempty"`     // one clause, for people
	Signals  []Signal `json:"signals,omitempty"` // what it looked at
	Tokens   int      `json:"tokens,omitempty"`  // read by the judge's model
	// Thresholds are what PLocal was held to, nil when nothing was compared.
	Thresholds *Thresholds `json:"thresholds,omitempty"`
	Run        AgentRun    `json:"run,omitzero"` // how the agent's turn is going, when there is one
}

// An AgentRun counts what happened in an agent's turn: since the user last spoke.
type AgentRun struct {
	Steps   int  `json:"steps"`            // answers that called tools
	Errors  int  `json:"errors"`           // results that look like errors
	Repeats int  `json:"repeats"`          // calls that were made before, word for word
	Failed  bool `json:"failed,omitempty"` // the newest results hold an error
}

// Thresholds turn p_local into a boundary.
type Thresholds struct {
	Supported   float64 `json:"supported"`   // "supported" from here on
	Unsupported float64 `json:"unsupported"` // "unsupported" up to here
	Escalate    float64 `json:"escalate"`    // a local answer whose revised p_local is below goes to the cloud instead
	Origin      string  `json:"origin"`      // "default", "config", or "calibration cal_…"
	Weights     string  `json:"weights"`     // the version of the weights of the signals, and where they are from
}

// An Answer is what a judge sees of an answer, whole or as far as it came.
type Answer struct {
	Text   string
	Calls  []ToolCall
	Chosen []float64 // natural log-probabilities of the tokens that the model chose itself
	Finish Finish    // "" while it is still being written
	Broken bool      // it does not satisfy the format that was asked for
}

// Drift says whether the judge still does what it was calibrated to do.
type Drift struct {
	Calibration string  `json:"calibration,omitempty"` // its id; "" when there is none to hold the judge to
	Scores      int     `json:"scores"`                // verdicts in the window
	PSI         float64 `json:"psi"`                   // how far they are from the calibration's; 0 while there are too few
	State       string  `json:"state"`                 // "unknown", "ok", "watch", "drift"
	Outcomes    int     `json:"outcomes"`              // local answers whose outcome is known, since the start
	Bad         int     `json:"bad"`
	Evidence    float64 `json:"evidence"` // that more than alpha of them are bad
	Alarm       bool    `json:"alarm"`    // State is "drift", or Evidence passed its bound
}

// A Signal is one thing that the judge looked at, and what it added to the log-odds of p_local.
type Signal struct {
	Name   string  `json:"name"`
	Value  any     `json:"value"`  // a number, a truth value or a word of ours; never text of the request
	Weight float64 `json:"weight"` // what it added
}

// A PolicyInput is the document that policy is asked about.
type PolicyInput struct {
	Request    PolicyRequest    `json:"request"`
	Findings   Findings         `json:"findings"`
	Assessment PolicyAssessment `json:"assessment"`
	Targets    []PolicyTarget   `json:"targets"`
	Hop        Hop              `json:"hop"`
	Budget     Budget           `json:"budget"`
	Time       time.Time        `json:"time"`
}

// PolicyRequest is what policy may know of a request: never its text.
type PolicyRequest struct {
	Tenant     string   `json:"tenant"`
	User       string   `json:"user"`
	Key        string   `json:"key"`
	Roles      []string `json:"roles"`
	Session    string   `json:"session"`
	Dialect    Dialect  `json:"dialect"`
	Model      string   `json:"model"`
	Tools      []string `json:"tools"`
	Modalities []string `json:"modalities"`
	Stream     bool     `json:"stream"`
	Origin     string   `json:"origin"`
}

// PolicyAssessment is the part of an Assessment that policy sees.
type PolicyAssessment struct {
	Task     string   `json:"task"`
	PLocal   float64  `json:"p_local"`
	Boundary Boundary `json:"boundary"`
}

// A PolicyTarget is a target as policy sees it.
type PolicyTarget struct {
	ID      string `json:"id"`
	Local   bool   `json:"local"`
	Zone    Zone   `json:"zone"`
	Price   Price  `json:"price"`
	Healthy bool   `json:"healthy"`
}

// A Budget is money, in dollars. Unlimited when RemainingUSD is nil.
type Budget struct {
	RemainingUSD *float64 `json:"remaining_usd"`
	SpentUSD     float64  `json:"spent_usd"`
}

// A Decision is what policy returned. The zero Decision denies.
type Decision struct {
	Revision    string      `json:"revision"` // "sha256:…" of the policy that decided
	Allow       bool        `json:"allow"`
	Deny        []Denial    `json:"deny,omitempty"`
	Targets     []string    `json:"targets"` // ids, in no order that matters
	Redact      []string    `json:"redact"`  // finding types to take out before a cloud target sees the request
	Rehydrate   bool        `json:"rehydrate"`
	LocalOnly   bool        `json:"local_only"`
	Obligations Obligations `json:"obligations"`
	Reasons     []string    `json:"reasons"`
	// Excluded says, for each target that policy did not permit, why.
	Excluded map[string][]string `json:"excluded,omitempty"`
}

// A Denial is a rule that refused, and the sentence it gives.
type Denial struct {
	Rule    string `json:"rule"`
	Message string `json:"message"`
}

// Obligations are what policy demands of the gateway beside the choice of a target.
type Obligations struct {
	Audit         string   `json:"audit"` // "strict" or "group"
	RetentionDays int      `json:"retention_days,omitempty"`
	StoreContent  bool     `json:"store_content,omitempty"`
	ApproveTools  []string `json:"approve_tools,omitempty"`
	Repair        Repair   `json:"repair,omitempty"` // how far answers may be repaired at most; "": as configured
}

// Strict reports whether an answer may only be finished when its record is durable.
func (o Obligations) Strict() bool { return o.Audit == "strict" }
