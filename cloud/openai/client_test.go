package openai

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"

	"github.com/sluice-ai/sluice/cloud"
	"github.com/sluice-ai/sluice/cloud/providertest"
	"github.com/sluice-ai/sluice/internal/llm"
	wire "github.com/sluice-ai/sluice/internal/openai"
	"github.com/sluice-ai/sluice/internal/secret"
)

func client(url string) cloud.Provider {
	return New(Config{
		BaseURL: url, Key: secret.New("sk-up"), FirstByteTimeout: providertest.FirstByte,
		IdleTimeout: providertest.Idle, MaxAnswer: providertest.MaxAnswer,
	})
}

func request(t *testing.T, stream bool, extra string) *llm.Request {
	t.Helper()
	s := "false"
	if stream {
		s = "true"
	}
	req, err := wire.ParseRequest([]byte(`{"model":"auto","stream":` + s + `,"messages":[{"role":"user","content":"` + providertest.Secret + `"}]` + extra + `}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Target = llm.Target{ID: "up/m@eu", Model: "m"}
	return req
}

func TestProvider(t *testing.T) {
	providertest.Run(t, client, func(stream bool) *llm.Request { return request(t, stream, "") }, providertest.Upstream{
		Stream: []string{
			`{"choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},"finish_reason":null}]}`,
			`{"choices":[{"index":0,"delta":{"content":" there"},"finish_reason":null}]}`,
			`{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`,
			`{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}`,
		},
		Response: `{"choices":[{"index":0,"message":{"role":"assistant","content":"Hello there"},"finish_reason":"stop"}]}`,
		Error:    `{"error":{"message":"you said ` + providertest.Secret + `","type":"overloaded"}}`,
		Done:     "data: [DONE]\n\n",
	})
}

// What the upstream gets is what the client sent, but for the model's name and
// the request for the usage.
func TestTheClientsOwnBytesAreSent(t *testing.T) {
	var got map[string]any
	var auth string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		auth = r.Header.Get("Authorization")
		if r.URL.Path != "/chat/completions" {
			t.Errorf("path %s", r.URL.Path)
		}
		if err := json.Unmarshal(b, &got); err != nil {
			t.Errorf("the upstream got %s: %v", b, err)
		}
		io.WriteString(w, `{"choices":[{"index":0,"message":{"content":"ok"},"finish_reason":"stop"}],"x_new":1}`)
	}))
	defer srv.Close()
	extra := `,"temperature":0,"x_unknown":{"a":[1,2]},"reasoning_effort":"low","store":false`
	var raw string
	err := client(srv.URL).Complete(t.Context(), request(t, false, extra), func(ev llm.Event) error { raw = string(ev.Raw); return nil })
	if err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]string{"model": `"m"`, "temperature": "0", "x_unknown": `{"a":[1,2]}`, "reasoning_effort": `"low"`, "store": "false"} {
		if b, _ := json.Marshal(got[k]); string(b) != want {
			t.Errorf("%s = %s, want %s", k, b, want)
		}
	}
	if _, ok := got["stream_options"]; ok || auth != "Bearer sk-up" || !strings.Contains(raw, "x_new") {
		t.Errorf("body %v, auth %q, answer %s", got, auth, raw)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		header, value string
		want          time.Duration
	}{
		{"Retry-After", "7", 7 * time.Second},
		{"Retry-After", "0.5", 500 * time.Millisecond},
		{"Retry-After", "Fri, 01 May 2026 12:00:30 GMT", 30 * time.Second},
		{"Retry-After", "Fri, 01 May 2126 12:00:30 GMT", longest},
		{"Retry-After", "1e300", longest},
		{"Retry-After", "-1", 0},
		{"Retry-After", "soon", 0},
		{"Retry-After-Ms", "1500", 1500 * time.Millisecond},
		{"Retry-After-Ms", "1e300", longest},
		{"Retry-After-Ms", "Inf", longest},
		{"Retry-After-Ms", "NaN", 0},
	} {
		if got := retryAfter(http.Header{tt.header: {tt.value}}, now); got != tt.want {
			t.Errorf("%s: %s = %v, want %v", tt.header, tt.value, got, tt.want)
		}
	}
}

// What a client's tracer says of itself is not for a cloud's eyes; the trace's id is.
func TestTraceparentAlone(t *testing.T) {
	old := otel.GetTextMapPropagator()
	otel.SetTextMapPropagator(propagation.TraceContext{})
	defer otel.SetTextMapPropagator(old)
	ctx := propagation.TraceContext{}.Extract(t.Context(), propagation.MapCarrier{
		"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "user=ann",
	})
	var got http.Header
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		io.WriteString(w, `{"choices":[{"index":0,"message":{"content":"ok"},"finish_reason":"stop"}]}`)
	}))
	defer srv.Close()
	if err := client(srv.URL).Complete(ctx, request(t, false, ""), func(llm.Event) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if got.Get("Traceparent") == "" || got.Get("Tracestate") != "" {
		t.Errorf("the upstream got %v", got)
	}
}
