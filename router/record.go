package router

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-ai/sluice/internal/llm"
)

// recordTimeout bounds the wait for a durable record.
const recordTimeout = 10 * time.Second

// Fail says that the exchange failed after [Exchange.Run], or within it without an error.
func (x *Exchange) Fail(err error) {
	if x.err == nil {
		x.err = err
	}
}

// Record writes the exchange to the ledger, once: a second call does nothing.
// status is what the client gets.
// When policy asks for a strict audit, Record returns only when the record is
// durable, and an error means that the answer must not be finished. Otherwise
// an error is logged, and nil returned.
func (x *Exchange) Record(ctx context.Context, status int) error {
	if x.recorded {
		return nil
	}
	x.recorded = true
	rec := x.record(ctx, status)
	x.r.meters.recorded(ctx, rec)
	x.r.cfg.Decided.Add(rec)
	if x.r.cfg.Budgets != nil && rec.CostNano > 0 {
		x.r.cfg.Budgets.Spend(rec.Tenant, rec.CostNano)
	}
	strict := x.strict
	// A record outlives its client: a request that was cancelled is recorded too.
	// But it does not wait for ever on a disk that hangs.
	ctx, span := x.r.tracer.Start(context.WithoutCancel(ctx), "sluice.record", trace.WithAttributes(attribute.Bool("sluice.record.strict", strict)))
	defer span.End()
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	err := x.r.cfg.Recorder.Record(ctx, rec, strict)
	if status < 400 && (err == nil || !strict) {
		x.shadow(ctx)
	}
	if err == nil {
		return nil
	}
	span.SetStatus(codes.Error, "the ledger refused the record")
	x.r.cfg.Log.Error("the ledger refused a record", "decision", x.Req.ID, "err", err)
	if !strict {
		return nil
	}
	return &llm.Error{Kind: llm.Unavailable, Code: llm.CodeAudit, Err: err,
		Msg: "the audit ledger cannot be written, and policy demands it: try again later"}
}

func (x *Exchange) record(ctx context.Context, status int) *llm.Record {
	req := x.Req
	cost, known := x.Cost()
	model := clipName(req.Model)
	if !x.known {
		model = "unknown" // a name that nobody configured may be any text
	}
	rec := &llm.Record{
		ID: req.ID, Time: req.Received.UTC(),
		Tenant: req.Principal.Tenant, User: x.r.mac([]byte(req.Principal.User)), Key: req.Principal.Key,
		Session: x.r.mac([]byte(req.Session)),
		Dialect: req.Dialect, Model: model, Stream: req.Stream,
		Route: x.Route, Target: x.Target.ID, Status: status,
		Findings: llm.Summarize(x.Findings).Types, Redacted: x.Redacted, Restored: x.restored,
		Assessment: llm.PolicyAssessment{Task: x.Assessment.Task, PLocal: x.Assessment.PLocal, Boundary: x.Assessment.Boundary},
		AssessedBy: x.Assessment.By, Judge: x.Assessment.Version,
		Policy: x.Decision.Revision, Reasons: x.Decision.Reasons,
		Attempts: x.Attempts, Usage: x.Usage, CostNano: cost, CostKnown: known, PriceID: x.Target.Price.ID,
		Duration: time.Since(req.Received), FirstByte: x.first, Held: x.Held, Latched: x.Latched,
		InputMAC: x.r.mac(req.Body), Config: x.r.cfg.Generation,
	}
	if x.Revised != nil {
		rec.Revised = &x.Revised.PLocal
	}
	for _, d := range x.Decision.Deny {
		rec.Rules = append(rec.Rules, d.Rule)
	}
	if e, ok := errors.AsType[*llm.Error](x.err); ok {
		rec.Code = e.Code
	} else if x.err != nil {
		rec.Code = llm.CodeInternal
	}
	if sc := trace.SpanContextFromContext(ctx); sc.HasTraceID() {
		rec.Trace = sc.TraceID().String()
	}
	return rec
}

// Cost returns what the exchange cost, over all its attempts, in nano-dollars,
// and whether every price is known.
func (x *Exchange) Cost() (nanoUSD int64, known bool) {
	known = true
	for _, a := range x.Attempts {
		for _, t := range x.r.targets {
			if t.ID == a.Target && !t.Local() && a.Usage.Total() > 0 {
				c, k := t.Price.Cost(a.Usage)
				nanoUSD += c
				known = known && k
			}
		}
	}
	return nanoUSD, known
}
