package router

import (
	"context"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-ai/sluice/internal/llm"
)

// Shadow says how many requests that were answered at home are also sent to a cloud
// target, to compare the answers.
type Shadow struct {
	Share   float64       // of the requests that may be; 0: none
	Good    float64       // the score from which a comparison counts as good
	Timeout time.Duration // of one copy. Default 2 minutes
}

// largestShadow is the largest body that is copied, in bytes.
const largestShadow = 256 << 10

// Shadows are the workers that send copies, off the path of requests. They outlive
// a reload; a copy that waits meanwhile does not, for it was inspected and would be
// decided by what is no longer in force. A nil *Shadows does nothing.
type Shadows struct {
	jobs   chan func(context.Context)
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// NewShadows starts workers that take up to queue waiting copies.
func NewShadows(workers, queue int) *Shadows {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Shadows{jobs: make(chan func(context.Context), queue), cancel: cancel}
	for range workers {
		s.wg.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case job := <-s.jobs:
					job(ctx)
				}
			}
		})
	}
	return s
}

// Close stops the workers and waits for them. Copies that wait are dropped.
func (s *Shadows) Close() {
	if s != nil {
		s.cancel()
		s.wg.Wait()
	}
}

// offer hands job over, or reports false when everybody is busy.
func (s *Shadows) offer(job func(context.Context)) bool {
	select {
	case s.jobs <- job:
		return true
	default:
		return false
	}
}

// shadow offers a copy of x to the workers, if chance and the request permit. Of
// requests whose client asked for the local tier, or for a target by name, none is made.
func (x *Exchange) shadow(ctx context.Context) {
	cfg := x.r.cfg.Shadow
	if x.r.cfg.Shadows == nil || x.answer == nil || x.Route != llm.RouteLocal || x.want.Want != WantAuto ||
		len(x.Req.Body) > largestShadow || rand.Float64() >= cfg.Share { //nolint:gosec // a sample, not a secret
		return
	}
	link := trace.LinkFromContext(ctx)
	job := func(ctx context.Context) {
		if x.r.retired.Load() {
			x.r.meters.shadowed(ctx, "reloaded")
			return
		}
		defer func() {
			if recover() != nil { // nobody above would: a copy must not end the gateway
				x.r.meters.shadowed(ctx, "failed")
				x.r.cfg.Log.Error("a copy panicked", "decision", x.Req.ID, "stack", string(debug.Stack()))
			}
		}()
		x.copy(ctx, link)
	}
	if !x.r.cfg.Shadows.offer(job) {
		x.r.meters.shadowed(ctx, "busy")
	}
}

// copy sends the request to the first cloud target that policy permits for the hop
// shadow, compares the answers, and records what came of it. x is answered, and
// nobody else uses it any more.
func (x *Exchange) copy(ctx context.Context, link trace.Link) {
	timeout := x.r.cfg.Shadow.Timeout
	if timeout <= 0 {
		timeout = 2 * time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ctx, span := x.r.tracer.Start(ctx, "sluice.shadow", trace.WithLinks(link), trace.WithAttributes(attribute.String("sluice.decision", x.Req.ID)))
	defer span.End()
	started := time.Now()
	d, err := x.ask(ctx, llm.Shadow)
	if err != nil || !d.Allow || unmet(d.Obligations, x.Req) != nil {
		x.r.meters.shadowed(ctx, "denied")
		return
	}
	order, _ := Choose(Snapshot{Want: WantCloud, NoDegrade: true, Decision: d, Candidates: x.candidates(), Needs: needs(x.Req)})
	at := slices.IndexFunc(order, func(c Choice) bool { return !c.Target.Local() && x.r.Healthy(c.Target.ID) })
	if at < 0 {
		x.r.meters.shadowed(ctx, "denied")
		return
	}
	t := order[at].Target
	req := *x.Req
	req.Target, req.Hop = t, llm.Shadow
	types, restore, err := x.redact(&req, d)
	if err != nil {
		x.r.meters.shadowed(ctx, "denied")
		return
	}
	defer forget(restore)
	rec := &llm.Record{
		ID: "shd_" + ulid.Make().String(), Kind: llm.KindShadow, Of: x.Req.ID, Time: started.UTC(),
		Tenant: req.Principal.Tenant, User: x.r.mac([]byte(req.Principal.User)), Key: req.Principal.Key, Session: x.r.mac([]byte(req.Session)),
		Dialect: req.Dialect, Model: t.ID, Route: llm.RouteCloud, Target: t.ID, Status: 200, Redacted: types,
		Findings: llm.Summarize(x.Findings).Types, Policy: d.Revision, Reasons: d.Reasons, PriceID: t.Price.ID, CostKnown: true,
		Assessment: llm.PolicyAssessment{Task: x.Assessment.Task, PLocal: x.Assessment.PLocal, Boundary: x.Assessment.Boundary},
		AssessedBy: x.Assessment.By, Judge: x.Assessment.Version, InputMAC: x.r.mac(x.Req.Body), Config: x.r.cfg.Generation,
	}
	req.OnAttempt = func(a llm.Attempt) {
		a.Target, a.Hop, a.Redacted = t.ID, llm.Shadow, len(types)
		rec.Attempts = append(rec.Attempts, a)
		x.r.meters.attempted(ctx, t, a)
		if a.Usage.Total() > 0 {
			rec.Usage = a.Usage
			cost, known := t.Price.Cost(a.Usage)
			rec.CostNano += cost
			rec.CostKnown = rec.CostKnown && known
		}
	}
	g := &gate{x: x, req: &req, local: true} // only to read
	read := func(choices []llm.Delta) {
		for i := range choices {
			g.read(&choices[i])
		}
	}
	err = x.r.cfg.Cloud.Generate(ctx, &req, func(ev llm.Event) error {
		if restore != nil {
			restore.Event(&ev)
		}
		read(ev.Choices)
		return nil
	})
	if restore != nil { // what was held back, for it could have become a placeholder
		read(restore.Flush())
	}
	rec.Duration = time.Since(started)
	outcome := "failed"
	if err == nil {
		outcome = "compared"
		score, measures := x.r.cfg.Judge.Compare(x.Req, *x.answer, *g.seen())
		rec.Verdict = &llm.Verdict{Good: score >= x.r.cfg.Shadow.Good, Score: &score, Measures: measures}
		span.SetAttributes(attribute.Float64("sluice.shadow.score", score))
	} else {
		rec.Status, rec.Code = 503, llm.CodeUpstream
	}
	x.r.meters.shadowed(ctx, outcome)
	x.r.cfg.Budgets.Spend(rec.Tenant, rec.CostNano)
	end, stop := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer stop()
	if err := x.r.cfg.Recorder.Record(end, rec, d.Obligations.Strict()); err != nil {
		x.r.cfg.Log.Error("the ledger refused a record", "decision", rec.ID, "err", err)
	}
	if rec.Verdict != nil {
		x.r.meters.verdict(ctx, llm.KindShadow, rec.Verdict.Good)
		x.r.outcome(ctx, rec.Assessment, rec.Verdict.Good)
	}
}
