package router

import (
	"context"

	"github.com/sluice-ai/sluice/internal/llm"
)

// A Backend answers completion requests. Both tiers are Backends; the router
// knows nothing else about them. Backends are safe for concurrent use.
type Backend interface {
	// Generate runs req on req.Target, passing each event to emit in order, and
	// returns when the completion is over. It calls emit from one goroutine at
	// a time and never after returning. If emit fails, Generate stops and
	// returns that error.
	//
	// An error returned before the first emit means the client has seen nothing,
	// so the router may offer req to another target. After the first emit it may not.
	//
	// Generate calls req.OnAttempt once for each call it made of the target.
	Generate(ctx context.Context, req *llm.Request, emit func(llm.Event) error) error

	// Targets returns the targets that the backend serves, in the order of the config.
	Targets() []llm.Target

	// Healthy reports whether the target with the id would be tried now: its
	// breaker is not open, its model is loaded.
	Healthy(id string) bool
}

// An Inspector finds personal data and secrets in a request, and takes them out.
type Inspector interface {
	// Inspect scans every text of req.Body. The findings are ordered by path
	// and start, and do not overlap within a path. An error means that the
	// request was not fully scanned, and the router refuses it.
	Inspect(ctx context.Context, req *llm.Request) ([]llm.Finding, error)

	// Redact returns a copy of req.Body in which the findings of the given
	// types are replaced by placeholders, and what puts them back. The same
	// value gets the same placeholder, different values different ones.
	Redact(req *llm.Request, findings []llm.Finding, types []string) ([]byte, llm.Restorer, error)
}

// A Judge says how surely the local tier can answer a request.
type Judge interface {
	// Assess never fails: what goes wrong, also ctx's deadline, is an
	// assessment whose boundary is unavailable.
	Assess(ctx context.Context, req *llm.Request) llm.Assessment

	// Review revises an assessment by what the local tier has answered so far; the
	// answer is whole when it has a finish. Its Thresholds.Escalate is the p_local
	// below which an answer does not stand; without Thresholds every answer does.
	Review(ctx context.Context, req *llm.Request, before llm.Assessment, ans llm.Answer) llm.Assessment

	// Compare says how far local, an answer to req, does what cloud does: a score
	// from 0 to 1, and the measures that make it.
	Compare(req *llm.Request, local, cloud llm.Answer) (score float64, measures map[string]float64)
}

// A Monitor watches whether the judge still does what it was calibrated to do.
// It is safe for concurrent use, and never fails a request.
type Monitor interface {
	// Scored sees each verdict of the judge's model.
	Scored(pLocal float64)
	// Outcome sees whether a local answer was good, and what p_local was.
	Outcome(pLocal float64, good bool)
	// Drift says how it stands.
	Drift() llm.Drift
}

// A Policy decides what may leave.
type Policy interface {
	// Decide evaluates in. An error means deny; the router never reads the
	// decision beside one.
	Decide(ctx context.Context, in llm.PolicyInput) (llm.Decision, error)
	// Revision names the policy in force, "sha256:…".
	Revision() string
}

// A Recorder writes the ledger.
type Recorder interface {
	// Record appends rec and returns when it is durable. When wait is false
	// it returns as soon as the record is queued, and only fails when the
	// ledger no longer accepts records.
	Record(ctx context.Context, rec *llm.Record, wait bool) error
}
