// Package providertest is the suite that every provider of the cloud tier must
// pass: how an upstream may fail, and what each failure is to be called.
package providertest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/cloud"
	"github.com/sluice-ai/sluice/internal/llm"
)

// An Upstream is the dialect's way to say one thing.
type Upstream struct {
	Stream   []string // the data lines of a good stream that says "Hello there"
	Response string   // the body of a good unstreamed answer that says the same
	Error    string   // a data line that reports an error inside a stream
	Done     string   // what ends a stream, with its line breaks; "" for nothing
}

// Timeouts are what the provider under test must be made with: short ones.
const (
	FirstByte = 300 * time.Millisecond
	Idle      = 300 * time.Millisecond
	MaxAnswer = 1 << 16
)

// Secret is in every request; no error may repeat it.
const Secret = "KANGAROO-17"

// Run runs the suite. open returns a provider for an upstream at url, made
// with the timeouts above; request returns a request in its dialect that holds
// Secret.
func Run(t *testing.T, open func(url string) cloud.Provider, request func(stream bool) *llm.Request, up Upstream) {
	sse := func(lines ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for _, l := range lines {
				io.WriteString(w, "data: "+l+"\n\n")
			}
			io.WriteString(w, up.Done)
		}
	}
	first := up.Stream[0]
	status := func(code int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
			io.WriteString(w, `{"error":{"message":"you said `+Secret+`","type":"t"}}`)
		}
	}
	tests := []struct {
		name    string
		stream  bool
		handler http.HandlerFunc
		outcome llm.Outcome
		code    string
		began   bool // an event was emitted before the failure
	}{
		{"stream", true, sse(up.Stream...), llm.OK, "", true},
		{"whole", false, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, up.Response) }, llm.OK, "", true},
		{"comments-and-blank-lines", true, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, strings.Repeat(": keep-alive\n\n", 400))
			sse(up.Stream...)(w, r)
		}, llm.OK, "", true},
		{"cut", true, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "data: "+first+"\n\n")
		}, llm.Broken, "cut", true},
		{"reset", true, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "data: "+first+"\n\n")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, llm.Broken, "cut", true},
		{"stalled", true, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "data: "+first+"\n\n")
			_ = http.NewResponseController(w).Flush()
			wait(r.Context(), 5*Idle)
		}, llm.Broken, "stalled", true},
		{"silent", true, func(_ http.ResponseWriter, r *http.Request) { wait(r.Context(), 5*FirstByte) }, llm.Failed, "timeout", false},
		{"silent-after-its-headers", true, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, ": queued\n\n")
			_ = http.NewResponseController(w).Flush()
			wait(r.Context(), 5*FirstByte)
		}, llm.Failed, "timeout", false},
		{"silent-whole", false, func(_ http.ResponseWriter, r *http.Request) { wait(r.Context(), 5*FirstByte) }, llm.Failed, "timeout", false},
		{"error-in-stream", true, sse(first, up.Error), llm.Broken, "upstream_error", true},
		{"error-first", true, sse(up.Error), llm.Broken, "upstream_error", false},
		{"not-json", true, sse("<html>" + Secret), llm.Broken, "malformed", false},
		{"not-json-whole", false, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>"+Secret) }, llm.Broken, "malformed", false},
		{"another-json", false, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"ok":true}`) }, llm.Broken, "malformed", false},
		{"empty-stream", true, sse(), llm.Broken, "malformed", false},
		{"endless-line", true, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "data: "+strings.Repeat("x", 2*MaxAnswer))
		}, llm.Broken, "malformed", false},
		{"endless-answer", false, func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, strings.Repeat(" ", 2*MaxAnswer))
		}, llm.Broken, "malformed", false},
		{"500", true, status(500), llm.Failed, "status", false},
		{"503-whole", false, status(503), llm.Failed, "status", false},
		{"429", true, status(429, "Retry-After", "7"), llm.Throttled, "status", false},
		{"401", false, status(401), llm.Rejected, "auth", false},
		{"402", false, status(402), llm.Rejected, "auth", false},
		{"400", true, status(400), llm.Rejected, "status", false},
		{"redirect", true, status(307, "Location", "http://203.0.113.1/"), llm.Failed, "redirect", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(tt.handler)
			defer srv.Close()
			text := ""
			err := open(srv.URL).Complete(t.Context(), request(tt.stream), func(ev llm.Event) error {
				for _, d := range ev.Choices {
					text += d.Text
				}
				return nil
			})
			if tt.outcome == llm.OK {
				if err != nil || text != "Hello there" {
					t.Fatalf("answer %q, %v", text, err)
				}
				return
			}
			e, ok := errors.AsType[*cloud.CallError](err)
			if !ok {
				t.Fatalf("error %v is no CallError", err)
			}
			if e.Outcome != tt.outcome || e.Code != tt.code {
				t.Errorf("outcome %s (%s), want %s (%s)", e.Outcome, e.Code, tt.outcome, tt.code)
			}
			if (text != "") != tt.began {
				t.Errorf("text %q before the failure; want some: %v", text, tt.began)
			}
			if tt.name == "429" && e.RetryAfter != 7*time.Second {
				t.Errorf("Retry-After = %v, want 7s", e.RetryAfter)
			}
			if strings.Contains(err.Error(), Secret) {
				t.Errorf("the error repeats the request: %v", err)
			}
		})
	}

	t.Run("nobody-listens", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		url := "http://" + l.Addr().String()
		l.Close()
		err = open(url).Complete(t.Context(), request(true), func(llm.Event) error { return nil })
		if e, ok := errors.AsType[*cloud.CallError](err); !ok || e.Outcome != llm.Failed || e.Code != "connect" {
			t.Errorf("error = %v, want failed (connect)", err)
		}
	})

	t.Run("a-client-that-reads-slowly", func(t *testing.T) {
		srv := httptest.NewServer(sse(up.Stream...))
		defer srv.Close()
		text := ""
		err := open(srv.URL).Complete(t.Context(), request(true), func(ev llm.Event) error {
			if text == "" {
				time.Sleep(Idle * 3 / 2)
			}
			for _, d := range ev.Choices {
				text += d.Text
			}
			return nil
		})
		if err != nil || text != "Hello there" {
			t.Errorf("answer %q, %v: the upstream was blamed for its client", text, err)
		}
	})

	t.Run("client-leaves", func(t *testing.T) {
		left := make(chan struct{})
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "data: "+first+"\n\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			close(left)
		}))
		defer srv.Close()
		ctx, cancel := context.WithCancel(t.Context())
		_ = open(srv.URL).Complete(ctx, request(true), func(llm.Event) error { cancel(); return nil })
		select {
		case <-left: // the upstream was cancelled
		case <-time.After(5 * time.Second):
			t.Error("the upstream still runs although the client left")
		}
	})
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
