package llm

import "slices"

// A Target is a model in a place.
type Target struct {
	ID       string // "local/nano", "openai/gpt-5-mini" or "openai/gpt-5-mini@eu"
	Provider string // the name of the provider in the config; "local" for the embedded runtime
	Model    string // the model's name at the provider
	Zone     Zone
	Price    Price
	Context  int      // tokens; 0 when unknown
	Can      []string // abilities: "chat", "tools", "judge", "json", "grammar" (llm.Request.Form), and the modalities "image", "audio", "file"
}

// Local reports whether t runs in this process: no price and no egress.
func (t Target) Local() bool { return t.Provider == "local" }

// Has reports whether t has the ability.
func (t Target) Has(ability string) bool { return slices.Contains(t.Can, ability) }

// A Zone says where data is processed and whose law reaches it. "" and
// "unknown" are the same, and never satisfy a rule that asks for a place.
type Zone struct {
	Region        string `json:"region" yaml:"region"`                 // "EU", "US", "on-premises"
	Jurisdiction  string `json:"jurisdiction" yaml:"jurisdiction"`     // whose courts reach the operator: "US", "DE"
	Operator      string `json:"operator" yaml:"operator"`             // the company that runs it
	RetentionDays *int   `json:"retention_days" yaml:"retention_days"` // how long the operator keeps prompts; nil: unknown
	Trains        *bool  `json:"trains" yaml:"trains"`                 // whether it trains on them; nil: unknown
}

// A Price is what a target's operator bills, in nano-dollars per token (one
// dollar per million tokens is 1,000 nano-dollars per token). The buckets are disjoint.
type Price struct {
	ID     string `json:"id" yaml:"id"`         // version of the price, kept in the ledger
	Input  int64  `json:"input" yaml:"input"`   // uncached prompt tokens
	Cached int64  `json:"cached" yaml:"cached"` // prompt tokens read from the provider's cache
	Output int64  `json:"output" yaml:"output"` // completion tokens, reasoning included unless Reason is set
	Reason int64  `json:"reasoning" yaml:"reasoning"`
	Known  bool   `json:"known" yaml:"-"` // false: nobody gave a price, and cost is unknown, not zero
}

// Cost returns the price of u in nano-dollars, and whether the price is known.
func (p Price) Cost(u Usage) (nanoUSD int64, known bool) {
	reason := p.Reason
	if reason == 0 {
		reason = p.Output
	}
	cached := p.Cached
	if cached == 0 {
		cached = p.Input
	}
	return int64(u.Input)*p.Input + int64(u.Cached)*cached + int64(u.Output)*p.Output + int64(u.Reasoning)*reason, p.Known
}

// Usage counts tokens in disjoint buckets.
type Usage struct {
	Input     int  `json:"input"`     // prompt tokens that were not cached
	Cached    int  `json:"cached"`    // prompt tokens read from a cache
	Output    int  `json:"output"`    // completion tokens that are not reasoning
	Reasoning int  `json:"reasoning"` // completion tokens spent on hidden reasoning
	Estimated bool `json:"estimated"` // the provider reported none; counted or guessed by us
}

// Total returns the number of tokens in all buckets.
func (u Usage) Total() int { return u.Input + u.Cached + u.Output + u.Reasoning }

// A Hop says why policy is asked about a target.
type Hop string

// The hops of a request. Policy is asked again for each.
const (
	First    Hop = "first"
	Fallback Hop = "fallback" // the target before failed
	Escalate Hop = "escalate" // a local answer did not stand
	Hedge    Hop = "hedge"
	Cache    Hop = "cache"
	Shadow   Hop = "shadow"
	Mend     Hop = "repair" // a local model writes a broken answer again
)
