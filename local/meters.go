package local

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/sluice-ai/sluice/runtime/engine"
)

// meters are the local tier's instruments. Their one label, but for those with
// two values, is the target, which comes from the config.
type meters struct {
	steps        metric.Int64Counter
	sequences    metric.Int64Counter
	stepDuration metric.Float64Histogram
	stepWait     metric.Float64Histogram
	queue        metric.Float64Histogram
	found        metric.Int64Counter
	guessed      metric.Int64Counter

	running, waiting, memory, cache, grammars metric.Int64ObservableGauge
	meter                                     metric.Meter
	observed                                  []metric.Registration
}

var seconds = metric.WithExplicitBucketBoundaries(.0001, .0003, .001, .003, .01, .03, .1, .3, 1, 3, 10)

func newMeters() (*meters, error) {
	m := &meters{meter: otel.Meter("github.com/sluice-ai/sluice/local")}
	var errs []error
	counter := func(name, what string) metric.Int64Counter {
		c, err := m.meter.Int64Counter(name, metric.WithDescription(what))
		errs = append(errs, err)
		return c
	}
	histogram := func(name, what string) metric.Float64Histogram {
		h, err := m.meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(what), seconds)
		errs = append(errs, err)
		return h
	}
	gauge := func(name, what string) metric.Int64ObservableGauge {
		g, err := m.meter.Int64ObservableGauge(name, metric.WithDescription(what))
		errs = append(errs, err)
		return g
	}
	m.steps = counter("sluice.engine.steps", "Steps of a local model.")
	m.sequences = counter("sluice.engine.sequences", "Sequences that these steps advanced; over the steps it is the width of a batch.")
	m.stepDuration = histogram("sluice.engine.step.duration", "The computation of one step.")
	m.stepWait = histogram("sluice.engine.step.wait", "How long the one that waited longest for a step waited.")
	m.queue = histogram("sluice.engine.queue.duration", "How long a request waited until a local model began with it.")
	m.found = counter("sluice.engine.prefixes", "Requests, by whether some of their prompt had been read before.")
	m.guessed = counter("sluice.engine.guesses", "Tokens guessed ahead and verified, by whether they were right.")
	m.running = gauge("sluice.engine.running", "Requests that a local model is answering.")
	m.waiting = gauge("sluice.engine.waiting", "Requests that wait for a local model.")
	m.memory = gauge("sluice.engine.memory.bytes", "Memory of a local model's sequences, kept prompts included.")
	m.cache = gauge("sluice.engine.cache.bytes", "Memory of prompts kept for requests that begin the same.")
	m.grammars = gauge("sluice.engine.grammar.bytes", "Memory of compiled formats kept for requests with the same.")
	return m, errors.Join(errs...)
}

// step returns what an engine calls after each step.
func (m *meters) step(target string) func(engine.Step) {
	ctx, label := context.Background(), metric.WithAttributeSet(attribute.NewSet(attribute.String("target", target)))
	return func(s engine.Step) {
		m.steps.Add(ctx, 1, label)
		m.sequences.Add(ctx, int64(s.Sequences), label)
		m.stepDuration.Record(ctx, s.Duration.Seconds(), label)
		m.stepWait.Record(ctx, s.Wait.Seconds(), label)
	}
}

// observe reads a model's gauges whenever somebody looks at them, until close.
func (m *meters) observe(target string, model *engine.Model) error {
	label := metric.WithAttributeSet(attribute.NewSet(attribute.String("target", target)))
	r, err := m.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := model.Stats()
		o.ObserveInt64(m.running, int64(s.Running), label)
		o.ObserveInt64(m.waiting, int64(s.Waiting), label)
		o.ObserveInt64(m.memory, s.MemoryUsed, label)
		o.ObserveInt64(m.cache, s.CacheBytes, label)
		o.ObserveInt64(m.grammars, s.GrammarBytes, label)
		return nil
	}, m.running, m.waiting, m.memory, m.cache, m.grammars)
	m.observed = append(m.observed, r)
	return err
}

func (m *meters) close() error {
	var errs []error
	for _, r := range m.observed {
		if r != nil {
			errs = append(errs, r.Unregister())
		}
	}
	return errors.Join(errs...)
}

// generated records one generation, however it ended.
func (m *meters) generated(ctx context.Context, target string, r engine.Result) {
	label := attribute.String("target", target)
	m.queue.Record(ctx, r.Queue.Seconds(), metric.WithAttributes(label))
	if r.Prefill > 0 {
		m.found.Add(ctx, 1, metric.WithAttributes(label, attribute.Bool("found", r.CachedTokens > 0)))
	}
	if r.Drafted > 0 {
		m.guessed.Add(ctx, int64(r.Accepted), metric.WithAttributes(label, attribute.Bool("right", true)))
		m.guessed.Add(ctx, int64(r.Drafted-r.Accepted), metric.WithAttributes(label, attribute.Bool("right", false)))
	}
}
