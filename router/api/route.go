package api

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/router"
)

// A RouteAnswer is the body of POST /v1/route: the whole decision, for people and for tests.
type RouteAnswer struct {
	ID         string             `json:"id"`
	Route      llm.Route          `json:"route"`
	Target     string             `json:"target,omitempty"`
	Candidates []RouteCandidate   `json:"candidates"`
	Assessment llm.Assessment     `json:"assessment"`
	Findings   []llm.Finding      `json:"findings"`
	Policy     llm.Decision       `json:"policy"`
	Error      json.RawMessage    `json:"error,omitempty"` // what a chat request would get, when it is blocked
	TimingsMS  map[string]float64 `json:"timings_ms"`
}

// A RouteCandidate is one target, and what became of it.
type RouteCandidate struct {
	Target    string   `json:"target"`
	Permitted bool     `json:"permitted"`
	Why       []string `json:"why,omitempty"`
	CostUSD   *float64 `json:"predicted_cost_usd"` // null: no price is known
	MS        *float64 `json:"predicted_ms"`       // null: it has not answered yet
}

// route serves POST /v1/route: steps 1 to 4, and no model but the judge's.
func (s *Server) route(ctx context.Context, c *call, w http.ResponseWriter, r *http.Request) {
	req, err := c.request(r)
	if err != nil {
		s.turnAway(ctx, c, w, err)
		return
	}
	x, err := s.cfg.Router.Plan(ctx, req)
	setHeaders(w, x, c.who.Debug && r.Header.Get("Sluice-Debug") == "1")
	if err != nil && llm.KindOf(err) == llm.NotFound {
		c.fail(err)
		writeError(w, err, c.id)
		return
	}
	writeJSON(w, http.StatusOK, Explain(x, err))
}

// Explain returns the decision of x; err is what [router.Router.Plan] returned with it.
func Explain(x *router.Exchange, err error) RouteAnswer {
	out := RouteAnswer{
		ID: x.Req.ID, Route: x.Route, Target: x.Target.ID, Candidates: []RouteCandidate{},
		Assessment: x.Assessment, Findings: x.Findings, Policy: x.Decision,
		TimingsMS: map[string]float64{
			"inspect": ms(x.Timings.Inspect), "assess": ms(x.Timings.Assess), "decide": ms(x.Timings.Decide),
		},
	}
	if out.Findings == nil {
		out.Findings = []llm.Finding{}
	}
	for _, ch := range append(x.Order, x.Rejected...) {
		out.Candidates = append(out.Candidates, RouteCandidate{
			Target: ch.Target.ID, Permitted: ch.Permitted, Why: ch.Why, CostUSD: predict(ch.Target, x.Req), MS: latency(ch),
		})
	}
	if err != nil {
		var body struct {
			Error json.RawMessage `json:"error"`
		}
		_ = json.Unmarshal(failureOf(err).json(x.Req.ID), &body) // our own JSON
		out.Error = body.Error
	}
	return out
}

// latency is what the target's answers took lately, in milliseconds; nil when it has given none.
func latency(c router.Choice) *float64 {
	if c.Latency == 0 {
		return nil
	}
	v := ms(c.Latency)
	return &v
}

// predict guesses what req would cost at t: its text at four bytes a token, and
// an answer of 256 tokens or what the client allows, if less. nil without a price.
func predict(t llm.Target, req *llm.Request) *float64 {
	if t.Local() {
		return new(float64)
	}
	if !t.Price.Known {
		return nil
	}
	bytes := 0
	for _, m := range req.Messages {
		bytes += len(m.Text)
	}
	answer := 256
	if n := req.Sampling.MaxTokens; n > 0 {
		answer = min(answer, n)
	}
	nano, _ := t.Price.Cost(llm.Usage{Input: bytes/4 + 1, Output: answer})
	usd := float64(nano) / 1e9
	return &usd
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // the client is gone: nobody to tell
}
