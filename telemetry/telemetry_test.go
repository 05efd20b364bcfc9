package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/sluice-ai/sluice/internal/secret"
	"github.com/sluice-ai/sluice/telemetry/ledger"
)

// private is what the tests put in spans, and never want to see in a log.
const private = "4111-1111-1111-1111"

// A buffer takes what is logged; many goroutines may write to it.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func start(t *testing.T, c Config) (*Telemetry, *buffer) {
	t.Helper()
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); strings.HasPrefix(name, "OTEL_") && !strings.Contains(t.Name(), "Environment") {
			t.Setenv(name, "")
		}
	}
	log := new(buffer)
	c.Log = slog.New(slog.NewTextHandler(log, nil))
	tel, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		tel.Shutdown(ctx)
	})
	return tel, log
}

// running returns the stacks of all goroutines while one of the SDK's runs,
// after giving it two seconds to end.
func running() string {
	var all string
	buf := make([]byte, 1<<20)
	for range 200 {
		all = string(buf[:runtime.Stack(buf, true)])
		if !strings.Contains(all, "opentelemetry.io/otel/sdk") {
			return ""
		}
		time.Sleep(10 * time.Millisecond)
	}
	return all
}

// A collector is a loopback OTLP receiver.
type collector struct {
	*httptest.Server
	mu      sync.Mutex
	spans   map[string]*tracepb.Span
	service string
	header  http.Header
}

func newCollector(t *testing.T, answer func(w http.ResponseWriter, body []byte)) *collector {
	c := &collector{spans: map[string]*tracepb.Span{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil && answer != nil {
			return // given up by the client
		}
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("POST %s: %v", r.URL, err)
		}
		if answer != nil {
			answer(w, body)
			return
		}
		var req coltrace.ExportTraceServiceRequest
		if err := proto.Unmarshal(body, &req); err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.header = r.Header
		for _, rs := range req.ResourceSpans {
			for _, a := range rs.Resource.Attributes {
				if a.Key == "service.name" {
					c.service = a.Value.GetStringValue()
				}
			}
			for _, ss := range rs.ScopeSpans {
				for _, s := range ss.Spans {
					c.spans[s.Name] = s
				}
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// request makes the spans of one request, and returns its trace id.
func request(ctx context.Context) string {
	tr := otel.Tracer("test")
	ctx, root := tr.Start(ctx, "POST /v1/chat/completions", trace.WithSpanKind(trace.SpanKindServer))
	_, child := tr.Start(ctx, "chat gpt", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("gen_ai.operation.name", "chat"), attribute.String("test.private", private)))
	child.SetStatus(codes.Error, "unavailable")
	child.AddEvent("gen_ai.guardrail.result", trace.WithAttributes(attribute.Bool("ok", true)))
	child.End()
	root.End()
	return root.SpanContext().TraceID().String()
}

func TestMain(m *testing.M) {
	code := m.Run()
	if left := running(); code == 0 && left != "" {
		fmt.Fprintf(os.Stderr, "goroutines outlive Shutdown:\n%s\n", left)
		code = 1
	}
	os.Exit(code)
}

func TestOTLP(t *testing.T) {
	c := newCollector(t, nil)
	tel, _ := start(t, Config{Service: "edge", Traces: Traces{Exporter: "otlp", Endpoint: c.URL,
		Headers: []Header{{"X-Key", secret.New("s3cret")}}}})
	id := request(t.Context())
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	root, child := c.spans["POST /v1/chat/completions"], c.spans["chat gpt"]
	if root == nil || child == nil {
		t.Fatalf("spans that arrived: %v", c.spans)
	}
	if got := fmt.Sprintf("%x", root.TraceId); got != id {
		t.Errorf("trace %s, want %s", got, id)
	}
	if !bytes.Equal(child.ParentSpanId, root.SpanId) || child.Kind != tracepb.Span_SPAN_KIND_CLIENT ||
		child.Status.Code != tracepb.Status_STATUS_CODE_ERROR || child.Attributes[0].Value.GetStringValue() != "chat" {
		t.Errorf("child: %v", child)
	}
	if c.service != "edge" || c.header.Get("X-Key") != "s3cret" {
		t.Errorf("service %q, headers %v", c.service, c.header)
	}
}

func TestEnvironment(t *testing.T) {
	c := newCollector(t, nil)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=from-env")
	t.Setenv("OTEL_SERVICE_NAME", "from-env")
	tel, _ := start(t, Config{})
	request(t.Context())
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(c.spans) != 2 || c.service != "from-env" || c.header.Get("X-Key") != "from-env" {
		t.Errorf("%d spans, service %q, headers %v", len(c.spans), c.service, c.header)
	}
	// The config goes before the environment.
	tel, _ = start(t, Config{Service: "edge", Traces: Traces{Exporter: "none"}})
	clear(c.spans)
	request(t.Context())
	if err := tel.Shutdown(t.Context()); err != nil || len(c.spans) > 0 {
		t.Errorf("%d spans despite exporter: none, %v", len(c.spans), err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	if _, err := Start(t.Context(), Config{}); err == nil || !strings.Contains(err.Error(), "http/protobuf") {
		t.Errorf("gRPC: %v", err)
	}
}

func TestSample(t *testing.T) {
	for _, ratio := range []float64{0, 1} {
		c := newCollector(t, nil)
		tel, _ := start(t, Config{Traces: Traces{Exporter: "otlp", Endpoint: c.URL, Sample: &ratio}})
		request(t.Context())
		if err := tel.Shutdown(t.Context()); err != nil || len(c.spans) != int(ratio)*2 {
			t.Errorf("sample %g: %d spans, %v", ratio, len(c.spans), err)
		}
	}
}

func TestLines(t *testing.T) {
	out := new(buffer)
	tel, _ := start(t, Config{Traces: Traces{Exporter: "stdout"}, Out: out})
	id := request(t.Context())
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(got) != 2 {
		t.Fatalf("%d lines, want 2:\n%s", len(got), out)
	}
	var child, root line
	for i, l := range []*line{&child, &root} {
		if err := json.Unmarshal([]byte(got[i]), l); err != nil {
			t.Fatal(err)
		}
	}
	if root.Name != "POST /v1/chat/completions" || root.Kind != "server" || root.Parent != "" || root.Error != "" {
		t.Errorf("root: %+v", root)
	}
	if child.Parent != root.Span || child.Trace != id || child.Error != "unavailable" ||
		child.Attributes["gen_ai.operation.name"] != "chat" || child.Events[0].Attributes["ok"] != true {
		t.Errorf("child: %+v", child)
	}
}

// A collector that is down, stuck, or angry never slows a request, and what
// the log says of it holds nothing of a span.
func TestBadCollectors(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	release := make(chan struct{})
	defer close(release)
	stuck := newCollector(t, func(http.ResponseWriter, []byte) { <-release })
	angry := newCollector(t, func(w http.ResponseWriter, body []byte) {
		w.WriteHeader(http.StatusBadRequest)
		w.Write(body) // quotes the spans
	})
	picky := newCollector(t, func(w http.ResponseWriter, body []byte) {
		w.Header().Set("Content-Type", "application/x-protobuf")
		b, _ := proto.Marshal(&coltrace.ExportTraceServiceResponse{PartialSuccess: &coltrace.ExportTracePartialSuccess{
			RejectedSpans: 1, ErrorMessage: "bad span: " + private}})
		w.Write(b)
	})
	tests := []struct{ name, endpoint, why string }{
		{"closed", "http://" + closed.Addr().String(), "refused"},
		{"stuck", stuck.URL, "did not answer in time"},
		{"angry", angry.URL, "400 Bad Request"},
		{"picky", picky.URL, "rejected some"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tel, log := start(t, Config{Traces: Traces{Exporter: "otlp", Endpoint: tt.endpoint}})
			var slowest time.Duration
			begin := time.Now()
			for range 5000 { // 10,000 spans: more than the queue holds
				at := time.Now()
				request(t.Context())
				slowest = max(slowest, time.Since(at))
			}
			took := time.Since(begin)
			t.Logf("10,000 spans in %v, slowest request %v", took, slowest)
			if took > 3*time.Second {
				t.Errorf("10,000 spans took %v", took)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			begin = time.Now()
			err := tel.Shutdown(ctx)
			if err == nil || !strings.Contains(err.Error(), "telemetry: ") {
				t.Errorf("Shutdown does not say what was lost: %v", err)
			}
			if d := time.Since(begin); d > 1500*time.Millisecond {
				t.Errorf("Shutdown took %v", d)
			}
			if left := running(); left != "" {
				t.Errorf("goroutines outlive Shutdown:\n%s", left)
			}
			said := log.String()
			if n := strings.Count(said, "\n"); n != 1 || !strings.Contains(said, tt.why) {
				t.Errorf("%d lines, want one with %q: %s", n, tt.why, said)
			}
			if err != nil {
				said += err.Error()
			}
			if lost, _ := tel.guard.losses(); tt.name == "picky" && lost > 100 {
				t.Errorf("%d spans counted as lost, where one of each batch was", lost)
			}
			if strings.Contains(said, private) || strings.Contains(said, "chat gpt") {
				t.Errorf("the log quotes a span: %s", said)
			}
		})
	}
}

// failing is an exporter whose errors quote spans.
type failing struct{ sdktrace.SpanExporter }

func (failing) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error {
	return errors.New("cannot send " + private)
}

// OpenTelemetry would log the exporter's error as it is, if it got it.
func TestGuard(t *testing.T) {
	log := new(buffer)
	g := newGuard(failing{}, slog.New(slog.NewTextHandler(log, nil)))
	defer g.abandon()
	if err := g.ExportSpans(t.Context(), make([]sdktrace.ReadOnlySpan, 7)); err != nil {
		t.Errorf("ExportSpans = %v", err)
	}
	if n, cause := g.losses(); n != 7 || strings.Contains(cause+log.String(), private) || !strings.Contains(log.String(), "spans=7") {
		t.Errorf("%d spans lost because %s: %s", n, cause, log)
	}
}

func TestMetrics(t *testing.T) {
	c := newCollector(t, nil)
	tel, _ := start(t, Config{Version: "1.2.3", Traces: Traces{Exporter: "otlp", Endpoint: c.URL}})
	ctx, span := otel.Tracer("test").Start(t.Context(), "request")
	h, err := otel.Meter("test").Float64Histogram("sluice.request.duration")
	if err != nil {
		t.Fatal(err)
	}
	h.Record(ctx, 0.25)
	span.End()
	tel.Committed(ledger.Commit{Records: 3, Took: time.Millisecond})
	tel.Committed(ledger.Commit{Records: 2, Err: errors.New("disk full")})
	if err := tel.traces.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	get := func(accept string) string {
		r := httptest.NewRequest("GET", "/metrics", nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		tel.MetricsHandler().ServeHTTP(w, r)
		if w.Code != 200 {
			t.Errorf("%d: %s", w.Code, w.Body)
		}
		return w.Body.String()
	}
	page := get("application/openmetrics-text; version=1.0.0")
	for _, want := range []string{
		"sluice_request_duration_count 1", "go_goroutines", `service_version="1.2.3"`,
		"sluice_ledger_records_total 3", "sluice_ledger_lost_total 2", "sluice_ledger_commit_duration_seconds_count 1",
		`sluice_telemetry_spans_total{result="sent"} 1`,
		fmt.Sprintf(`trace_id="%s"`, span.SpanContext().TraceID()), "# EOF",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if runtime.GOOS == "linux" && !strings.Contains(page, "process_resident_memory_bytes") {
		t.Error("the page lacks the process")
	}
	if page := get("text/plain"); strings.Contains(page, "trace_id") || !strings.Contains(page, "sluice_request_duration_count 1") {
		t.Errorf("plain text: %s", page)
	}

	tel, _ = start(t, Config{Metrics: Metrics{Disable: true}})
	w := httptest.NewRecorder()
	tel.MetricsHandler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	tel.Committed(ledger.Commit{Records: 1}) // without effect, like every instrument
	if w.Code != http.StatusNotFound {
		t.Errorf("disabled metrics: %d", w.Code)
	}
}

// What the client says of its trace goes on; its baggage, which nobody
// inspected, does not.
func TestPropagation(t *testing.T) {
	start(t, Config{})
	in := propagation.MapCarrier{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "baggage": "card=" + private}
	p := otel.GetTextMapPropagator()
	out := propagation.MapCarrier{}
	p.Inject(p.Extract(t.Context(), in), out)
	if out["traceparent"] != in["traceparent"] || out["baggage"] != "" {
		t.Errorf("forwarded: %v", out)
	}
}

func TestValidate(t *testing.T) {
	half, two := 0.5, 2.0
	tests := []struct {
		name string
		c    Config
		want []string // what the error says; none: valid
	}{
		{"zero", Config{}, nil},
		{"otlp", Config{Traces: Traces{Exporter: "otlp", Endpoint: "collector:4318", Insecure: true, Sample: &half}}, nil},
		{"all-mistakes", Config{Traces: Traces{Exporter: "zipkin", Endpoint: "ftp://x", Sample: &two, Headers: []Header{{Name: "a b"}}}},
			[]string{`"zipkin"`, "only used with", `"ftp"`, "2 is not between", `"a b"`}},
		{"insecure-https", Config{Traces: Traces{Exporter: "otlp", Endpoint: "https://x", Insecure: true}}, []string{"contradicts"}},
		{"password", Config{Traces: Traces{Exporter: "otlp", Endpoint: "https://me:" + private + "@x"}}, []string{"traces.headers"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.c.Validate()
			if len(tt.want) == 0 && err != nil {
				t.Error(err)
			}
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), private) {
					t.Errorf("Validate() = %v, want %q", err, want)
				}
			}
		})
	}
	for in, want := range map[string]string{
		"collector:4318": "https://collector:4318/v1/traces", "http://c:4318/": "http://c:4318/v1/traces", "https://c/otlp/t": "https://c/otlp/t",
	} {
		if got, err := (Traces{Endpoint: in}).url(); got != want || err != nil {
			t.Errorf("%s is %s, %v", in, got, err)
		}
	}
}

func TestLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := new(buffer)
		log := slog.New(&limited{slog.NewTextHandler(out, nil), &limit{every: time.Minute}})
		for i := range 150 { // one a second
			log.With("a", 1).Error("failed", "i", i)
			time.Sleep(time.Second)
		}
		got := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(got) != 3 || !strings.Contains(got[1], "i=60 left_out=59") || !strings.Contains(got[2], "i=120") {
			t.Errorf("%q", got)
		}
	})
}

// BenchmarkRequest is what six spans cost a request.
func BenchmarkRequest(b *testing.B) {
	tel, err := Start(b.Context(), Config{Traces: Traces{Exporter: "stdout"}, Out: io.Discard})
	if err != nil {
		b.Fatal(err)
	}
	defer tel.Shutdown(context.Background())
	for b.Loop() {
		ctx, root := otel.Tracer("bench").Start(b.Context(), "POST /v1/chat/completions")
		for range 5 {
			_, s := otel.Tracer("bench").Start(ctx, "step", trace.WithAttributes(
				attribute.String("sluice.target", "local/nano"), attribute.String("sluice.hop", "first")))
			s.End()
		}
		root.End()
	}
}
