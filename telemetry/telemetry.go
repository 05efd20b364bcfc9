package telemetry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/sluice-ai/sluice/internal/semconv"
)

// grace is how long Shutdown takes at most when its context has no deadline.
const grace = 5 * time.Second

// Telemetry is what runs behind the global providers. It is safe for concurrent use.
type Telemetry struct {
	traces  *sdktrace.TracerProvider // nil when traces go nowhere
	guard   *guard
	metrics *sdkmetric.MeterProvider // nil when disabled
	page    http.Handler
	ledger  ledgerMeters
}

// Start sets the global tracer and meter providers, the propagator, and where
// OpenTelemetry's own errors go. It connects to nothing. The caller must call
// Shutdown, or the last spans are lost.
//
// The propagator carries the W3C trace context and no baggage: the cloud tier
// forwards what it carries to providers, and baggage is text of the client
// that no inspection has seen.
func Start(ctx context.Context, c Config) (*Telemetry, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	kind, err := c.Traces.exporter()
	if err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	log := slog.New(&limited{next: cmp.Or(c.Log, slog.Default()).Handler(), state: &limit{every: time.Minute}})
	res, err := newResource(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("telemetry: reading OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	t := &Telemetry{page: noMetrics}
	if !c.Metrics.Disable {
		if t.metrics, t.page, err = newMetrics(res, log); err != nil {
			return nil, fmt.Errorf("telemetry: %w", err)
		}
	}
	if kind != exportNone {
		if t.traces, t.guard, err = newTraces(ctx, c, kind, res, log); err != nil {
			err = errors.Join(fmt.Errorf("telemetry: %w", err), t.shutdownMetrics(ctx))
			return nil, err
		}
	}
	otel.SetLogger(logr.FromSlogHandler(log.Handler()))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Error("telemetry failed", "err", err) }))
	otel.SetTextMapPropagator(propagation.TraceContext{})
	if t.metrics != nil {
		otel.SetMeterProvider(t.metrics)
		if t.ledger, err = newLedgerMeters(t.metrics); err != nil {
			return nil, errors.Join(fmt.Errorf("telemetry: %w", err), t.Shutdown(ctx))
		}
		if t.guard != nil {
			if err := t.guard.meter(t.metrics); err != nil {
				return nil, errors.Join(fmt.Errorf("telemetry: %w", err), t.Shutdown(ctx))
			}
		}
	}
	if t.traces != nil {
		otel.SetTracerProvider(t.traces)
	}
	return t, nil
}

// newResource says who sends: the config goes before the environment.
func newResource(ctx context.Context, c Config) (*resource.Resource, error) {
	attrs := []attribute.KeyValue{attribute.String(semconv.ServiceVersion, cmp.Or(c.Version, "unknown"))}
	if c.Service != "" {
		attrs = append(attrs, attribute.String(semconv.ServiceName, c.Service))
	}
	return resource.New(ctx,
		resource.WithAttributes(attribute.String(semconv.ServiceName, "sluice")),
		resource.WithTelemetrySDK(), resource.WithHost(), resource.WithProcessPID(),
		resource.WithFromEnv(),
		resource.WithAttributes(attrs...),
	)
}

// MetricsHandler serves the metrics in Prometheus' formats; with OpenMetrics,
// histograms carry the ids of sampled traces as exemplars. When metrics are
// disabled it answers 404.
func (t *Telemetry) MetricsHandler() http.Handler { return t.page }

// Shutdown sends what is queued and stops. It returns by ctx's deadline, or
// within five seconds when there is none, and says what could not be sent.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, grace)
		defer cancel()
	}
	var errs []error
	if t.traces != nil {
		err := t.traces.Shutdown(ctx)
		t.guard.abandon()
		switch lost, cause := t.guard.losses(); {
		case err != nil:
			errs = append(errs, fmt.Errorf("telemetry: traces were not flushed in time: %w", err))
		case lost > 0:
			errs = append(errs, fmt.Errorf("telemetry: %d spans could not be sent, last because %s", lost, cause))
		}
	}
	if err := t.shutdownMetrics(ctx); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (t *Telemetry) shutdownMetrics(ctx context.Context) error {
	if t.metrics == nil {
		return nil
	}
	if err := t.metrics.Shutdown(ctx); err != nil && !errors.Is(err, sdkmetric.ErrReaderShutdown) {
		return fmt.Errorf("telemetry: metrics: %w", err)
	}
	return nil
}

func sampler(s *float64) sdktrace.Sampler {
	if s == nil && os.Getenv("OTEL_TRACES_SAMPLER") != "" {
		return nil // the SDK reads it
	}
	ratio := 1.0
	if s != nil {
		ratio = *s
	}
	return sdktrace.ParentBased(sdktrace.TraceIDRatioBased(ratio))
}
