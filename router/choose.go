package router

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-ai/sluice/internal/llm"
)

// A Snapshot is everything that [Choose] looks at.
type Snapshot struct {
	Want       Want
	Assessment llm.Assessment
	Decision   llm.Decision
	Candidates []Candidate // in the order of the config
	Needs      Needs
	NoDegrade  bool // a cloud name must not be answered by the local tier
}

// Want is what the client's model name asked for.
type Want uint8

// The ways to ask.
const (
	WantAuto  Want = iota // the router decides
	WantLocal             // never leaves
	WantCloud             // any cloud target
	WantNamed             // the candidates that are Named, in their order
)

// Needs is what a request needs of a target.
type Needs struct {
	Tokens     int      // a guess of the prompt's length; 0 when unknown
	Tools      bool     // it offers tools
	Modalities []string // "text", "image", …
	Format     bool     // it asks for a structured answer
	Form       bool     // it says what its answer is in a field that only some targets know
}

// A Candidate is a target that might serve the request.
type Candidate struct {
	Target  llm.Target
	Named   bool // the client's name, or its fallbacks, mean this target
	Healthy bool
	Latency time.Duration // what its answers took lately; 0 when unknown
}

// A Choice is what became of one candidate.
type Choice struct {
	Target    llm.Target
	Permitted bool
	Degraded  bool          // an answer from here counts as degraded
	Latency   time.Duration // what its answers took lately; 0 when unknown
	Why       []string      // when not permitted: the reasons
}

// Choose orders the candidates that may serve the request, best first, and
// says of every other why not. It is a pure function of s.
//
// The local tier comes first when the judge supports it, when the client asked
// for it, or when policy permits nothing else; in it, models that chat come before
// those that only fill in forms. Cloud targets are ordered by
// health, then by price, then by what their answers took lately, then by the
// order of the config. A cloud target whose price nobody knows comes after those
// with one. Targets that the client named keep the order in which they were
// named, local ones among them, but for those that are not healthy.
func Choose(s Snapshot) (order, rejected []Choice) {
	localFirst := s.Want == WantLocal || s.Want == WantAuto && s.Assessment.Boundary == llm.Supported
	type ranked struct {
		c       Choice
		healthy bool
		at      int
	}
	var local, cloud []ranked
	for i, c := range s.Candidates {
		if why := refuse(s, c); why != nil {
			rejected = append(rejected, Choice{Target: c.Target, Latency: c.Latency, Why: why})
			continue
		}
		r := ranked{Choice{Target: c.Target, Permitted: true, Latency: c.Latency}, c.Healthy, i}
		if c.Target.Local() {
			named := s.Want == WantNamed && c.Named
			r.c.Degraded = !localFirst && !named
			local = append(local, r)
		} else {
			cloud = append(cloud, r)
		}
	}
	slices.SortStableFunc(local, func(a, b ranked) int { return rank(!a.c.Target.Has("chat")) - rank(!b.c.Target.Has("chat")) })
	slices.SortStableFunc(cloud, func(a, b ranked) int {
		return cmp.Or(
			rank(!a.healthy)-rank(!b.healthy),
			rank(!a.c.Target.Price.Known)-rank(!b.c.Target.Price.Known),
			cmp.Compare(typicalCost(a.c.Target), typicalCost(b.c.Target)),
			cmp.Compare(a.c.Latency, b.c.Latency),
		)
	})
	first, second := cloud, local
	if localFirst {
		first, second = local, cloud
	}
	all := append(first, second...)
	if s.Want == WantNamed {
		slices.SortStableFunc(all, func(a, b ranked) int {
			return cmp.Or(rank(a.c.Degraded)-rank(b.c.Degraded), rank(!a.healthy)-rank(!b.healthy), a.at-b.at)
		})
	}
	for _, r := range all {
		order = append(order, r.c)
	}
	return order, rejected
}

// refuse returns why c may not serve the request, or nil.
func refuse(s Snapshot, c Candidate) []string {
	t := c.Target
	switch {
	case s.Want == WantLocal && !t.Local():
		return []string{"name: the client asked for the local tier"}
	case s.Want == WantLocal && !c.Named:
		return []string{"name: the client asked for another local model"}
	case s.Want == WantNamed && !c.Named && !t.Local():
		return []string{"name: the client asked for another target"}
	case (s.Want == WantCloud || s.Want == WantNamed && !c.Named) && t.Local() && s.NoDegrade:
		return []string{"name: degrading to the local tier is switched off"}
	}
	if why := unable(s.Needs, t, c.Named); why != nil {
		return why
	}
	switch {
	case !s.Decision.Allow:
		return []string{"policy: the request was denied"}
	case s.Decision.LocalOnly && !t.Local():
		return orElse(s.Decision.Excluded[t.ID], "policy: the request must stay local")
	case !slices.Contains(s.Decision.Targets, t.ID):
		return orElse(s.Decision.Excluded[t.ID], "policy: the target is not permitted")
	}
	return nil
}

// unable returns what t lacks for the request, or nil. A model that fills in forms
// and cannot chat takes schemas and tools, but only from a client that asks for it:
// what the judge says of local answers is not said of such a model.
func unable(n Needs, t llm.Target, named bool) []string {
	var why []string
	switch fills := n.Format && t.Has("extraction") || n.Tools && t.Has("tools"); {
	case t.Has("chat") || fills && named:
	case fills:
		why = append(why, "ability: the model fills in forms, for those who ask for it by name")
	case t.Has("extraction"):
		why = append(why, "ability: the model has no chat ability; it answers requests with a JSON schema or tools")
	default:
		why = append(why, "ability: the model has no chat ability")
	}
	if n.Tools && !t.Has("tools") {
		why = append(why, "ability: the model calls no tools")
	}
	if n.Format && !t.Has("json") {
		why = append(why, "ability: the model gives no structured answers")
	}
	if n.Form && !t.Has("grammar") {
		why = append(why, "ability: the model does not take structured_outputs, guided_… or grammar")
	}
	for _, m := range n.Modalities {
		if m != "text" && !t.Has(m) {
			why = append(why, "ability: the model takes no "+m+" input")
		}
	}
	if t.Context > 0 && n.Tokens > t.Context {
		why = append(why, fmt.Sprintf("context: about %d tokens, the model takes %d", n.Tokens, t.Context))
	}
	return why
}

func orElse(why []string, otherwise string) []string {
	if len(why) > 0 {
		return why
	}
	return []string{otherwise}
}

func rank(b bool) int {
	if b {
		return 1
	}
	return 0
}

// typicalCost weighs a target's price as a request with three prompt tokens for each token of the answer.
func typicalCost(t llm.Target) int64 { return 3*t.Price.Input + t.Price.Output }
