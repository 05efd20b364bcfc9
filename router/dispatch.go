package router

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/internal/semconv"
)

// errEmpty is a local answer that said nothing.
var errEmpty = &llm.Error{Kind: llm.Unavailable, Code: llm.CodeLocalInsufficient, Msg: "the local model gave an empty answer"}

// Run dispatches the exchange: it tries the targets in order until one
// answers, and passes the answer to emit. Before the first emit x.Target and
// x.Route say who is answering; after it they do not change. Run returns nil
// when an answer is complete, and otherwise an error for the client.
func (x *Exchange) Run(ctx context.Context, emit func(llm.Event) error) error {
	if x.err != nil {
		return x.err
	}
	x.err = x.run(ctx, emit)
	if x.err != nil && x.first == 0 {
		x.Route = llm.RouteBlocked
		x.Target = llm.Target{}
	}
	return x.err
}

func (x *Exchange) run(ctx context.Context, emit func(llm.Event) error) error {
	var last error
	hop, decision := llm.First, x.Decision
	for i, c := range x.Order {
		if i > 0 {
			hop = llm.Fallback
			if x.Order[i-1].Target.Local() && !c.Target.Local() {
				hop = llm.Escalate
			}
			d, err := x.ask(ctx, hop)
			if err != nil {
				return err
			}
			if !d.Allow || !permits(d, c.Target) {
				continue // policy no longer permits what it permitted first
			}
			if err := x.bind(d); err != nil {
				return err
			}
			decision = d
		}
		x.Target, x.Route = c.Target, routeOf(c)
		if c.Target.Local() && i > 0 && x.want.Want != WantLocal {
			x.Route = llm.RouteDegraded
		}
		err := x.try(ctx, c.Target, hop, decision, emit)
		if err == nil || x.first > 0 {
			return err
		}
		if ctx.Err() != nil {
			return canceled(ctx)
		}
		switch llm.KindOf(err) {
		case llm.Invalid, llm.Denied:
			if !unsupported(err) {
				return err // another target would refuse it too
			}
		}
		if x.r.cfg.Format.final(err) {
			return err
		}
		x.r.cfg.Log.Warn("attempt failed", "decision", x.Req.ID, "target", c.Target.ID, "hop", hop, "err", llm.Cause(err))
		last = err
	}
	if last == nil {
		return x.nobody()
	}
	return exhausted(last)
}

// try makes one target answer.
func (x *Exchange) try(ctx context.Context, t llm.Target, hop llm.Hop, d llm.Decision, emit func(llm.Event) error) error {
	req := *x.Req
	req.Target, req.Hop = t, hop
	x.Usage = llm.Usage{} // of the answer that counts, not of one that came to nothing
	var restore llm.Restorer
	redacted := 0
	if !t.Local() {
		types, r, err := x.redact(&req, d)
		if err != nil {
			return err
		}
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
		x.r.meters.attempted(ctx, t, a)
		x.r.took.add(a)
	}
	gate := gate{x: x, emit: emit, restore: restore, hold: true, whole: t.Local() && !req.Stream, must: t.Local()}
	gate.check = x.newChecker(ctx, t, d, gate.out)
	err := x.r.backend(t).Generate(ctx, &req, gate.event)
	if err == nil {
		attempt := len(x.Attempts) - 1
		err = gate.close(ctx)
		gate.check.checked(ctx, t, attempt)
	}
	if restore != nil {
		x.restored += restore.Restored()
		if c, ok := restore.(interface{ Close() }); ok {
			c.Close() // forgets the values
		}
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
		return nil, nil, &llm.Error{Kind: llm.Denied, Code: llm.CodePIIBlocked, Err: err,
			Msg: "the redacted request could not be read again, so nothing was sent"}
	}
	req.Body, req.Messages, req.Tools, req.ToolChoice, req.Format = clean.Body, clean.Messages, clean.Tools, clean.ToolChoice, clean.Format
	return types, restore, nil
}

// A gate stands between a backend and the client. It restores what redaction
// took out, and holds an answer back until it says something: an upstream that
// opens a stream and then fails has not answered yet.
type gate struct {
	x       *Exchange
	emit    func(llm.Event) error
	restore llm.Restorer
	check   *checker // nil: the request asks for no format
	hold    bool     // nothing has been passed on
	whole   bool     // nothing is, before the answer is complete: the client gets it whole anyway
	must    bool     // an answer that says nothing is none
	said    bool
	held    []llm.Event
	finish  llm.Finish
}

// mostHeld bounds the events that are held back without saying anything.
const mostHeld = 64

func (g *gate) event(ev llm.Event) error {
	if ev.Usage != nil {
		g.x.Usage = *ev.Usage
	}
	if g.restore != nil {
		g.restore.Event(&ev)
	}
	for _, d := range ev.Choices {
		if d.Finish != "" {
			g.finish = d.Finish
		}
	}
	if g.check != nil {
		return g.check.event(ev)
	}
	return g.out(ev)
}

// out takes what has been restored and checked.
func (g *gate) out(ev llm.Event) error {
	if !g.hold || ev.Alive {
		return g.pass(ev)
	}
	g.held = append(g.held, ev)
	g.said = g.said || says(ev)
	if g.whole || !g.said && len(g.held) < mostHeld {
		return nil
	}
	return g.release()
}

// release passes on what was held back.
func (g *gate) release() error {
	held := g.held
	g.hold, g.held = false, nil
	for _, ev := range held {
		if err := g.pass(ev); err != nil {
			return err
		}
	}
	return nil
}

func (g *gate) pass(ev llm.Event) error {
	if g.x.first == 0 {
		g.x.first = max(time.Since(g.x.Req.Received), 1)
	}
	return g.emit(ev)
}

// close ends a complete answer.
func (g *gate) close(ctx context.Context) error {
	if g.restore != nil {
		if rest := g.restore.Flush(); rest != nil {
			if err := g.event(llm.Event{Choices: rest}); err != nil {
				return err
			}
		}
	}
	if g.check != nil {
		if err := g.check.close(ctx); err != nil {
			return err
		}
	}
	if g.hold && g.must && !g.said {
		return errEmpty
	}
	return g.release()
}

// says reports whether ev carries anything a client could use.
func says(ev llm.Event) bool {
	return slices.ContainsFunc(ev.Choices, func(d llm.Delta) bool {
		return d.Text != "" || d.Reasoning != "" || d.Refusal != "" || len(d.ToolCalls) > 0 || d.Finish == llm.Length
	})
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
