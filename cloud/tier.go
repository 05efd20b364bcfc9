package cloud

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-ai/sluice/cloud/breaker"
	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/internal/semconv"
)

// An Entry is a target and who speaks to it.
type Entry struct {
	Target   llm.Target
	Provider Provider
	Breaker  breaker.Config
	Retry    Retry
}

// A Tier is the cloud tier. It is safe for concurrent use.
type Tier struct {
	entries map[string]*entry
	targets []llm.Target
	tracer  trace.Tracer
}

type entry struct {
	Entry
	breaker *breaker.Breaker
	until   atomic.Int64 // Unix nanoseconds until which the target throttles us
}

// New returns a tier of the targets in list, or every mistake in it.
func New(list []Entry, log *slog.Logger) (*Tier, error) {
	if log == nil {
		log = slog.Default()
	}
	t := &Tier{entries: map[string]*entry{}, tracer: otel.Tracer("github.com/sluice-ai/sluice/cloud")}
	var errs []error
	for _, e := range list {
		id := e.Target.ID
		if _, twice := t.entries[id]; twice {
			errs = append(errs, fmt.Errorf("target %q is defined twice", id))
		}
		if err := errors.Join(e.Breaker.Validate(), e.Retry.Validate()); err != nil {
			errs = append(errs, fmt.Errorf("target %q: %w", id, err))
		}
		e.Retry = e.Retry.withDefaults()
		t.entries[id] = &entry{Entry: e, breaker: breaker.New(id, e.Breaker, func(from, to string) {
			log.Warn("breaker changed", "target", id, "from", from, "to", to)
		})}
		t.targets = append(t.targets, e.Target)
	}
	return t, errors.Join(errs...)
}

// Inherit takes over what old has learnt of the targets that are configured as
// before: the state of their breakers, and how long they want to be left alone.
// It must be called before t is used.
func (t *Tier) Inherit(old *Tier) {
	for id, e := range t.entries {
		was := old.entries[id]
		if was == nil || was.Breaker != e.Breaker || !reflect.DeepEqual(was.Target, e.Target) {
			continue
		}
		e.breaker = was.breaker
		e.until.Store(was.until.Load())
	}
}

// Targets returns the targets in the order of the config.
func (t *Tier) Targets() []llm.Target { return t.targets }

// Healthy reports whether the target's breaker is not open and it does not throttle us.
func (t *Tier) Healthy(id string) bool {
	e := t.entries[id]
	return e != nil && e.breaker.State() != "open" && e.throttled() <= 0
}

// Breaker returns the state of the target's breaker, or "".
func (t *Tier) Breaker(id string) string {
	if e := t.entries[id]; e != nil {
		return e.breaker.State()
	}
	return ""
}

// throttled returns how long the target still wants to be left alone.
func (e *entry) throttled() time.Duration {
	return time.Duration(e.until.Load() - time.Now().UnixNano())
}

// Generate calls req.Target, again where its retry policy says so. After the
// first event nothing is retried: what the client has seen stands.
func (t *Tier) Generate(ctx context.Context, req *llm.Request, emit func(llm.Event) error) error {
	e := t.entries[req.Target.ID]
	if e == nil {
		return &llm.Error{Kind: llm.Internal, Msg: "the target is not one of the cloud tier's"}
	}
	for try := 1; ; try++ {
		began, call, err := t.attempt(ctx, e, req, try, emit)
		if call == nil {
			return err
		}
		wait, again := e.Retry.next(try, call, jitter())
		if began || !again {
			return clientError(call)
		}
		select {
		case <-ctx.Done():
			return clientError(call)
		case <-time.After(wait):
		}
	}
}

// attempt makes one call. began says that an event has been emitted. A failure
// of the target is call; what failed on the client's side is err.
func (t *Tier) attempt(ctx context.Context, e *entry, req *llm.Request, try int, emit func(llm.Event) error) (began bool, call *CallError, err error) {
	a := llm.Attempt{Try: try, Start: time.Now(), Outcome: llm.OK}
	ctx, span := t.tracer.Start(ctx, "sluice.attempt", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("sluice.target", e.Target.ID), attribute.Int("sluice.try", try),
	))
	defer func() {
		a.Duration, a.Breaker = time.Since(a.Start), e.breaker.State()
		span.SetAttributes(attribute.String("sluice.outcome", string(a.Outcome)), attribute.String("sluice.breaker", a.Breaker))
		if a.Status != 0 {
			span.SetAttributes(attribute.Int(semconv.HTTPStatus, a.Status))
		}
		if a.Outcome != llm.OK {
			span.SetStatus(codes.Error, a.Code)
		}
		span.End()
		if req.OnAttempt != nil {
			req.OnAttempt(a)
		}
	}()
	fail := func(c *CallError) (bool, *CallError, error) {
		a.Outcome, a.Status, a.Code = c.Outcome, c.Status, c.Code
		return began, c, nil
	}
	if wait := e.throttled(); wait > 0 {
		return fail(&CallError{Outcome: llm.Skipped, Code: "throttled", RetryAfter: wait})
	}
	permit := e.breaker.Allow()
	if permit == nil {
		return fail(&CallError{Outcome: llm.Skipped, Code: "breaker_open"})
	}
	defer permit.Nothing() // whatever happens, the permit is given back
	var emitErr error
	reported, said := false, 0
	defer func() {
		if began && !reported { // whoever bills does not forget: nor does the budget
			a.Usage = estimate(req, said)
		}
	}()
	err = e.Provider.Complete(ctx, req, func(ev llm.Event) error {
		if !began {
			began, a.FirstByte = true, time.Since(a.Start)
			permit.FirstByte()
		}
		if ev.Usage != nil {
			reported, a.Usage = true, *ev.Usage
		}
		said += size(ev)
		emitErr = emit(ev)
		return emitErr
	})
	switch {
	case err == nil:
		a.Status = 200
		permit.Success()
		return began, nil, nil
	case emitErr != nil:
		a.Outcome, a.Code = llm.Abandoned, "client_gone"
		return began, nil, emitErr
	case ctx.Err() != nil:
		// The caller's own context: a timeout of ours is a CallError with ctx still alive.
		a.Outcome, a.Code = llm.Abandoned, "canceled"
		return began, nil, &llm.Error{Kind: llm.Canceled, Code: llm.CodeTimeout, Msg: "the request was cancelled or its deadline passed", Err: err}
	}
	call = asCall(err)
	switch call.Outcome {
	case llm.Rejected:
		if call.Code != "auth" {
			permit.Success() // the target works; the request does not
		}
	case llm.Throttled:
		if call.RetryAfter > 0 {
			e.until.Store(time.Now().Add(min(call.RetryAfter, time.Minute)).UnixNano())
		}
	default:
		permit.Failure()
	}
	return fail(call)
}

// size returns the bytes of an answer in ev.
func size(ev llm.Event) (n int) {
	for _, d := range ev.Choices {
		n += len(d.Text) + len(d.Reasoning) + len(d.Refusal)
		for _, c := range d.ToolCalls {
			n += len(c.Name) + len(c.Arguments)
		}
	}
	return n
}

// estimate guesses the tokens of a call whose usage nobody reported, because the
// upstream never does or the answer broke off: four bytes make a token.
func estimate(req *llm.Request, said int) llm.Usage {
	asked := 0
	for _, m := range req.Messages {
		asked += len(m.Text)
		for _, c := range m.ToolCalls {
			asked += len(c.Name) + len(c.Arguments)
		}
	}
	for _, t := range req.Tools {
		asked += len(t.Raw)
	}
	return llm.Usage{Input: asked/4 + 1, Output: (said + 3) / 4, Estimated: true}
}
