package router

import (
	"context"
	"errors"
	"strconv"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/sluice-ai/sluice/internal/llm"
)

// meters are the router's instruments. Every label has a bound: targets and
// tenants come from the config, never from a client.
type meters struct {
	requests   metric.Int64Counter
	duration   metric.Float64Histogram
	firstByte  metric.Float64Histogram
	attempts   metric.Int64Counter
	tokens     metric.Int64Counter
	cost       metric.Int64Counter
	findings   metric.Int64Counter
	judge      metric.Float64Histogram
	commit     metric.Float64Histogram
	latched    metric.Int64Counter
	verdicts   metric.Int64Counter
	shadows    metric.Int64Counter
	psi        metric.Float64Gauge
	evidence   metric.Float64Gauge
	alarm      metric.Float64Gauge
	policy     metric.Float64Histogram
	policyFail metric.Int64Counter
	formats    metric.Int64Counter
	fixes      metric.Int64Counter
}

var (
	fast = metric.WithExplicitBucketBoundaries(.00001, .00003, .0001, .0003, .001, .003, .01, .03, .1, .3, 1)
	slow = metric.WithExplicitBucketBoundaries(.001, .003, .01, .03, .1, .3, 1, 3, 10, 30, 100)
)

func newMeters() (*meters, error) {
	m := otel.Meter("github.com/sluice-ai/sluice/router")
	var errs []error
	counter := func(name, unit, what string) metric.Int64Counter {
		c, err := m.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(what))
		errs = append(errs, err)
		return c
	}
	histogram := func(name, what string, bounds metric.HistogramOption) metric.Float64Histogram {
		h, err := m.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(what), bounds)
		errs = append(errs, err)
		return h
	}
	out := &meters{
		requests:   counter("sluice.requests", "", "Requests, by route, target, tenant and status."),
		duration:   histogram("sluice.request.duration", "From the first byte in to the last byte out.", slow),
		firstByte:  histogram("sluice.request.first_byte", "From the first byte in to the first byte of the answer.", slow),
		attempts:   counter("sluice.attempts", "", "Calls of a target, by outcome."),
		tokens:     counter("sluice.tokens", "", "Tokens by target and kind; the kinds are disjoint."),
		cost:       counter("sluice.cost.nano_usd", "", "Money spent on cloud targets, in nano-dollars."),
		findings:   counter("sluice.findings", "", "Personal data and secrets found, by type."),
		judge:      histogram("sluice.assess.duration", "The judge, per request.", fast),
		commit:     histogram("sluice.commit.wait", "How long a local stream was held back and reviewed before its first byte went out.", fast),
		verdicts:   counter("sluice.verdicts", "", "What was learned of local answers later, by feedback and by shadow copies."),
		shadows:    counter("sluice.shadows", "", "Copies of requests for comparison, by what became of them."),
		latched:    counter("sluice.latched", "", "Steps of agents that a latch sent to the cloud."),
		policy:     histogram("sluice.decide.duration", "One policy decision.", fast),
		formats:    counter("sluice.format.answers", "", "Answers held against a schema of their request, by verdict; those repaired were saved from a retry or a refusal."),
		fixes:      counter("sluice.format.fixes", "", "What was repaired in answers, by kind."),
		policyFail: counter("sluice.decide.errors", "", "Policy decisions that failed, and so denied."),
	}
	gauge := func(name, what string) metric.Float64Gauge {
		g, err := m.Float64Gauge(name, metric.WithDescription(what))
		errs = append(errs, err)
		return g
	}
	out.psi = gauge("sluice.judge.psi", "How far the judge's scores are from those it was calibrated on: the population stability index.")
	out.evidence = gauge("sluice.judge.evidence", "Evidence that more local answers are bad than the calibration allows.")
	out.alarm = gauge("sluice.judge.alarm", "1 when the judge is no longer as it was calibrated.")
	return out, errors.Join(errs...)
}

// verdict counts what was learned of an answer later.
func (m *meters) verdict(ctx context.Context, kind string, good bool) {
	m.verdicts.Add(ctx, 1, metric.WithAttributes(attribute.String("kind", kind), attribute.Bool("good", good)))
}

func (m *meters) shadowed(ctx context.Context, outcome string) {
	m.shadows.Add(ctx, 1, metric.WithAttributes(attribute.String("outcome", outcome)))
}

func (m *meters) drifted(ctx context.Context, d llm.Drift) {
	m.psi.Record(ctx, d.PSI)
	m.evidence.Record(ctx, d.Evidence)
	alarm := 0.0
	if d.Alarm {
		alarm = 1
	}
	m.alarm.Record(ctx, alarm)
}

func (m *meters) assessed(ctx context.Context, a llm.Assessment, took time.Duration) {
	m.judge.Record(ctx, took.Seconds(), metric.WithAttributes(attribute.String("boundary", string(a.Boundary))))
}

func (m *meters) committed(ctx context.Context, wait time.Duration, passed bool) {
	m.commit.Record(ctx, wait.Seconds(), metric.WithAttributes(attribute.Bool("passed", passed)))
}

func (m *meters) decided(ctx context.Context, hop llm.Hop, d llm.Decision, err error, took time.Duration) {
	if err != nil {
		m.policyFail.Add(ctx, 1)
		return
	}
	m.policy.Record(ctx, took.Seconds(), metric.WithAttributes(attribute.String("hop", string(hop)), attribute.Bool("allow", d.Allow)))
}

func (m *meters) attempted(ctx context.Context, t llm.Target, a llm.Attempt) {
	target := attribute.String("target", t.ID)
	m.attempts.Add(ctx, 1, metric.WithAttributes(target, attribute.String("outcome", string(a.Outcome)), attribute.String("hop", string(a.Hop))))
	for _, k := range []struct {
		kind string
		n    int
	}{{"input", a.Usage.Input}, {"cached", a.Usage.Cached}, {"output", a.Usage.Output}, {"reasoning", a.Usage.Reasoning}} {
		if k.n > 0 {
			m.tokens.Add(ctx, int64(k.n), metric.WithAttributes(target, attribute.String("kind", k.kind)))
		}
	}
	if c, known := t.Price.Cost(a.Usage); known && c > 0 {
		m.cost.Add(ctx, c, metric.WithAttributes(target))
	}
}

// checked counts an answer's format. The kinds of fix are words of the program.
func (m *meters) checked(ctx context.Context, t llm.Target, c llm.FormatCheck) {
	m.formats.Add(ctx, 1, metric.WithAttributes(
		attribute.String("target", t.ID), attribute.String("verdict", c.Verdict), attribute.String("by", c.By),
	))
	if c.Verdict != llm.FormatRepaired {
		return
	}
	for _, f := range c.Fixes {
		m.fixes.Add(ctx, 1, metric.WithAttributes(attribute.String("kind", f.Kind)))
	}
}

func (m *meters) refused(ctx context.Context, tenant string, status int) {
	m.requests.Add(ctx, 1, metric.WithAttributes(
		attribute.String("route", string(llm.RouteBlocked)), attribute.String("target", ""),
		attribute.String("tenant", tenant), attribute.String("status", strconv.Itoa(status)),
	))
}

func (m *meters) recorded(ctx context.Context, r *llm.Record) {
	m.requests.Add(ctx, 1, metric.WithAttributes(
		attribute.String("route", string(r.Route)), attribute.String("target", r.Target),
		attribute.String("tenant", r.Tenant), attribute.String("status", strconv.Itoa(r.Status)),
	))
	route := metric.WithAttributes(attribute.String("route", string(r.Route)))
	m.duration.Record(ctx, r.Duration.Seconds(), route)
	if r.FirstByte > 0 {
		m.firstByte.Record(ctx, r.FirstByte.Seconds(), route)
	}
	for t, n := range r.Findings {
		m.findings.Add(ctx, int64(n), metric.WithAttributes(attribute.String("type", t)))
	}
}
