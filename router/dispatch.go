package router

import (
	"context"
	"errors"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/internal/semconv"
)

// Run dispatches the exchange: it tries the targets in order until one
// answers, and passes the answer to emit. Before the first emit x.Target and
// x.Route say who is answering; after it they do not change. Run returns nil
// when an answer is complete, and otherwise an error for the client.
func (x *Exchange) Run(ctx context.Context, emit func(llm.Event) error) error {
	if x.err != nil {
		return x.err
	}
	x.r.scored(ctx, x.Assessment)
	x.err = x.run(ctx, emit)
	x.remember()
	if x.err != nil && x.first == 0 {
		x.Route = llm.RouteBlocked
		x.Target = llm.Target{}
	}
	return x.err
}

func (x *Exchange) run(ctx context.Context, emit func(llm.Event) error) error {
	var last error
	doubted := -1 // the local target whose answer was stopped as doubtful
	for i := range x.Order {
		err := x.hop(ctx, i, i > 0, emit)
		switch {
		case err == nil || x.first > 0:
			return err
		case errors.Is(err, errSkip):
			continue
		case ctx.Err() != nil:
			return canceled(ctx)
		case errors.Is(err, errUnsure) && doubted < 0:
			doubted = i
		}
		if x.refused(err) {
			if doubted < 0 {
				return err
			}
			break
		}
		last = err
	}
	if doubted >= 0 { // a doubtful answer is better than none
		x.settled = true
		if err := x.hop(ctx, doubted, true, emit); err == nil || x.first > 0 {
			return err
		}
	}
	if last == nil {
		return x.nobody()
	}
	return exhausted(last)
}

// refused reports whether no other target is to be tried after err.
func (x *Exchange) refused(err error) bool {
	switch llm.KindOf(err) {
	case llm.Invalid, llm.Denied:
		return !unsupported(err) // another target would refuse it too
	}
	return x.r.cfg.Format.final(err)
}

// errSkip is a target that policy no longer permits.
var errSkip = errors.New("policy no longer permits the target")

// hop offers the request to the target at x.Order[i]; before a later one policy is asked again.
func (x *Exchange) hop(ctx context.Context, i int, later bool, emit func(llm.Event) error) error {
	c := x.Order[i]
	hop, decision := llm.First, x.Decision
	if later {
		hop = llm.Fallback
		if x.home && !c.Target.Local() {
			hop = llm.Escalate
		}
		d, err := x.ask(ctx, hop)
		if err != nil {
			return err
		}
		if !d.Allow || !permits(d, c.Target) {
			return errSkip
		}
		if err := x.bind(d); err != nil {
			return err
		}
		decision = d
	}
	x.Target, x.Route, x.home = c.Target, routeOf(c), c.Target.Local()
	if c.Target.Local() && later && x.want.Want != WantLocal {
		x.Route = llm.RouteDegraded
	}
	err := x.try(ctx, i, hop, decision, emit)
	if err != nil && x.first == 0 && ctx.Err() == nil {
		x.r.cfg.Log.Warn("attempt failed", "decision", x.Req.ID, "target", c.Target.ID, "hop", hop, "err", llm.Cause(err))
	}
	return err
}

// try makes the target at x.Order[at] answer.
func (x *Exchange) try(ctx context.Context, at int, hop llm.Hop, d llm.Decision, emit func(llm.Event) error) error {
	t := x.Order[at].Target
	req := *x.Req
	req.Target, req.Hop, req.Watch = t, hop, t.Local()
	x.Usage = llm.Usage{} // of the answer that counts, not of one that came to nothing
	var restore llm.Restorer
	redacted := 0
	if !t.Local() {
		types, r, err := x.redact(&req, d)
		if err != nil {
			return err
		}
		defer forget(r)
		if d.Rehydrate {
			restore = r
		}
		x.Redacted, redacted = types, len(types)
	}
	kind, operation := trace.SpanKindClient, "chat "+t.Model
	if t.Local() {
		kind = trace.SpanKindInternal
	}
	ctx, span := x.r.tracer.Start(ctx, operation, trace.WithSpanKind(kind), trace.WithAttributes(
		attribute.String(semconv.OperationName, semconv.OperationChat),
		attribute.String(semconv.ProviderName, t.Provider),
		attribute.String(semconv.RequestModel, t.Model),
		attribute.Bool(semconv.RequestStream, req.Stream),
		attribute.String("sluice.target", t.ID),
		attribute.String("sluice.hop", string(hop)),
		attribute.String("sluice.zone.region", t.Zone.Region),
	))
	defer span.End()
	req.OnAttempt = func(a llm.Attempt) {
		a.Target, a.Hop, a.Redacted = t.ID, hop, redacted
		if a.Usage.Estimated {
			x.Usage = a.Usage
		}
		x.Attempts = append(x.Attempts, a)
	}
	tried := len(x.Attempts)
	gate := x.newGate(ctx, at, &req, restore, emit)
	gate.check = x.newChecker(ctx, t, d, gate.out)
	defer gate.check.stop()
	err := x.r.backend(t).Generate(ctx, &req, gate.event)
	made := len(x.Attempts) // what closing the answer adds are repairs
	if err == nil {
		err = gate.close(ctx)
		gate.check.checked(ctx, t, made-1)
	}
	gate.check.stop()
	if gate.stopped != nil && made > tried { // the backend could not know
		x.Attempts[made-1].Outcome, x.Attempts[made-1].Code = llm.Insufficient, gate.why
		err = gate.stopped
	}
	for _, a := range x.Attempts[tried:made] {
		x.r.meters.attempted(ctx, t, a)
		x.r.took.add(a)
	}
	if restore != nil {
		x.restored += restore.Restored()
	}
	span.SetAttributes(
		attribute.Int(semconv.InputTokens, x.Usage.Input+x.Usage.Cached),
		attribute.Int(semconv.CacheReadTokens, x.Usage.Cached),
		attribute.Int(semconv.OutputTokens, x.Usage.Output+x.Usage.Reasoning),
		attribute.Int(semconv.ReasoningTokens, x.Usage.Reasoning),
	)
	if req.Stream && x.first > 0 {
		span.SetAttributes(attribute.Float64(semconv.TimeToFirstChunk, x.first.Seconds()))
	}
	gate.describe(ctx, span)
	if gate.finish != "" {
		span.SetAttributes(attribute.StringSlice(semconv.FinishReasons, []string{gate.finish.Name()}))
	}
	if err != nil {
		span.SetStatus(codes.Error, kindName(llm.KindOf(err)))
		span.SetAttributes(attribute.String(semconv.ErrorType, kindName(llm.KindOf(err))))
	}
	return err
}

// redact prepares the copy of the request that a cloud target may see.
func (x *Exchange) redact(req *llm.Request, d llm.Decision) ([]string, llm.Restorer, error) {
	var types []string
	for _, f := range x.Findings {
		if slices.Contains(d.Redact, f.Type) && !slices.Contains(types, f.Type) {
			types = append(types, f.Type)
		}
	}
	if len(types) == 0 {
		return nil, nil, nil
	}
	slices.Sort(types)
	body, restore, err := x.r.cfg.Inspector.Redact(x.Req, x.Findings, types)
	if err != nil {
		return nil, nil, &llm.Error{Kind: llm.Denied, Code: llm.CodePIIBlocked, Err: err,
			Msg: "the personal data in the request could not be redacted, so nothing was sent"}
	}
	clean, err := x.r.cfg.Parse(x.Req.Dialect, body)
	if err != nil {
		forget(restore)
		return nil, nil, &llm.Error{Kind: llm.Denied, Code: llm.CodePIIBlocked, Err: err,
			Msg: "the redacted request could not be read again, so nothing was sent"}
	}
	req.Body, req.Messages, req.Tools, req.ToolChoice, req.Format, req.Form, req.Guided = clean.Body, clean.Messages, clean.Tools, clean.ToolChoice, clean.Format, clean.Form, clean.Guided
	return types, restore, nil
}

// forget makes r forget the values that were redacted, if it can.
func forget(r llm.Restorer) {
	if c, ok := r.(interface{ Close() }); ok {
		c.Close()
	}
}

// exhausted is the client's error when every target failed; last is the last one's.
func exhausted(last error) error {
	e := &llm.Error{Kind: llm.Unavailable, Code: llm.CodeUpstream, Err: last,
		Msg: "every target that may serve this request failed: try again later"}
	if l, ok := errors.AsType[*llm.Error](last); ok {
		e.RetryAfter = l.RetryAfter
		switch l.Code {
		case llm.CodeLocalInsufficient, llm.CodeBusy, llm.CodeAnswerInvalid, llm.CodeUnsupportedSchema:
			e.Code, e.Msg, e.Kind, e.Param = l.Code, l.Msg, l.Kind, l.Param
		case llm.CodeContextLength:
			e.Code, e.Msg, e.Kind, e.Param = l.Code, l.Msg, llm.Invalid, l.Param
		}
	}
	return e
}

// unsupported reports whether err says that a target cannot be held to the
// request's schema. Another, which only promises to follow it, may take it.
func unsupported(err error) bool {
	e, ok := errors.AsType[*llm.Error](err)
	return ok && e.Code == llm.CodeUnsupportedSchema
}

func canceled(ctx context.Context) error {
	return &llm.Error{Kind: llm.Canceled, Code: llm.CodeTimeout, Err: context.Cause(ctx),
		Msg: "the request was cancelled or its deadline passed"}
}

func kindName(k llm.Kind) string {
	return [...]string{"internal", "invalid", "unauthenticated", "denied", "not_found", "busy", "unavailable", "canceled"}[k]
}
