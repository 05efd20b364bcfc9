package telemetry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// maxAttribute is how much of an attribute's text is kept, unless the
// environment says otherwise. No attribute of ours is as long.
const maxAttribute = 1 << 10

func newTraces(ctx context.Context, c Config, kind string, res *resource.Resource, log *slog.Logger) (*sdktrace.TracerProvider, *guard, error) {
	var exporter sdktrace.SpanExporter
	delay := 5 * time.Second
	switch kind {
	case exportStdout:
		var out io.Writer = os.Stderr
		if c.Out != nil {
			out = c.Out
		}
		exporter = &lines{out: out}
		delay = 500 * time.Millisecond // somebody is watching
	case exportOTLP:
		var err error
		if exporter, err = newOTLP(ctx, c.Traces); err != nil {
			return nil, nil, err
		}
	}
	g := newGuard(exporter, log)
	limits := sdktrace.NewSpanLimits()
	if limits.AttributeValueLengthLimit < 0 {
		limits.AttributeValueLengthLimit = maxAttribute
	}
	options := []sdktrace.TracerProviderOption{
		sdktrace.WithBatcher(g, batchOptions(delay)...),
		sdktrace.WithResource(res), sdktrace.WithRawSpanLimits(limits),
	}
	if s := sampler(c.Traces.Sample); s != nil {
		options = append(options, sdktrace.WithSampler(s))
	}
	return sdktrace.NewTracerProvider(options...), g, nil
}

// batchOptions leaves what the environment sets to the SDK, which reads it.
func batchOptions(delay time.Duration) []sdktrace.BatchSpanProcessorOption {
	var o []sdktrace.BatchSpanProcessorOption
	if os.Getenv("OTEL_BSP_SCHEDULE_DELAY") == "" {
		o = append(o, sdktrace.WithBatchTimeout(delay))
	}
	if os.Getenv("OTEL_BSP_MAX_QUEUE_SIZE") == "" {
		o = append(o, sdktrace.WithMaxQueueSize(8192)) // about a thousand requests
	}
	return o
}

func newOTLP(ctx context.Context, t Traces) (sdktrace.SpanExporter, error) {
	if err := checkProtocol(); err != nil {
		return nil, err
	}
	var options []otlptracehttp.Option
	switch {
	case t.Endpoint != "":
		u, err := t.url()
		if err != nil {
			return nil, err
		}
		options = append(options, otlptracehttp.WithEndpointURL(u))
	case !endpointInEnv():
		options = append(options, otlptracehttp.WithEndpointURL("http://localhost:4318/v1/traces"))
	}
	if len(t.Headers) > 0 {
		headers := map[string]string{}
		for _, h := range t.Headers {
			headers[h.Name] = h.Value.Reveal()
		}
		options = append(options, otlptracehttp.WithHeaders(headers))
	}
	return otlptracehttp.New(ctx, options...)
}

// A guard stands before an exporter. It keeps errors to itself, counts what
// was lost, and can abandon an export that hangs.
type guard struct {
	next    sdktrace.SpanExporter
	log     *slog.Logger
	stop    context.Context
	abandon context.CancelFunc

	mu    sync.Mutex
	lost  int
	cause string
	count metric.Int64Counter // nil without metrics
}

var (
	resultSent = metric.WithAttributeSet(attribute.NewSet(attribute.String("result", "sent")))
	resultLost = metric.WithAttributeSet(attribute.NewSet(attribute.String("result", "lost")))
)

func newGuard(next sdktrace.SpanExporter, log *slog.Logger) *guard {
	g := &guard{next: next, log: log}
	g.stop, g.abandon = context.WithCancel(context.Background())
	return g
}

// meter counts spans from now on.
func (g *guard) meter(p *sdkmetric.MeterProvider) error {
	c, err := p.Meter(scope).Int64Counter("sluice.telemetry.spans",
		metric.WithDescription("Spans handed to the exporter, by result: sent or lost."))
	g.mu.Lock()
	defer g.mu.Unlock()
	g.count = c
	return err
}

func (g *guard) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(g.stop, cancel)()
	err := g.next.ExportSpans(ctx, spans)
	cause := safe(err)
	g.mu.Lock()
	lost := 0
	if err != nil {
		lost = lostOf(err, len(spans))
		g.lost, g.cause = g.lost+lost, cause
	}
	count := g.count
	g.mu.Unlock()
	if count != nil {
		count.Add(context.Background(), int64(len(spans)-lost), resultSent)
		count.Add(context.Background(), int64(lost), resultLost)
	}
	if err != nil {
		g.log.Error("spans could not be sent", "spans", lost, "why", cause)
	}
	return nil // said already
}

func (g *guard) Shutdown(ctx context.Context) error { return g.next.Shutdown(ctx) }

// losses returns how many spans were lost so far, and why the last ones were.
func (g *guard) losses() (int, string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lost, g.cause
}

// httpStatus is how the OTLP exporter quotes a response, before its body.
var httpStatus = regexp.MustCompile(`: ([1-5][0-9][0-9] [A-Za-z ]{1,40}) \(body: `)

// rejected is how the OTLP exporter ends the error of a partial success.
var rejected = regexp.MustCompile(`\(([0-9]+) spans rejected\)$`)

// lostOf returns how many of n spans err means were lost.
func lostOf(err error, n int) int {
	if m := rejected.FindStringSubmatch(err.Error()); m != nil {
		if lost, err := strconv.Atoi(m[1]); err == nil && lost < n {
			return lost
		}
	}
	return n
}

// safe returns what may be logged of err: the class of the failure and the
// address, never what a collector answered, for it may quote spans.
func safe(err error) string {
	if err == nil {
		return ""
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Error()
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return "the collector did not answer in time"
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		if u.Timeout() {
			return "the collector did not answer in time"
		}
		if _, ok := errors.AsType[*tls.CertificateVerificationError](u.Err); ok {
			return "the collector's certificate is not trusted"
		}
		return "the connection failed: does the collector speak OTLP over HTTP there?"
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Error()
	}
	text := err.Error()
	if m := httpStatus.FindStringSubmatch(text); m != nil {
		return "the collector answered " + m[1]
	}
	switch {
	case strings.Contains(text, "partial success"):
		return "the collector rejected some of the spans"
	case strings.Contains(text, "retry-able"):
		return "the collector was too busy"
	case strings.Contains(text, "body:"):
		return "the collector answered with an error"
	}
	return fmt.Sprintf("the export failed (%T)", err)
}
