package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/internal/openai"
	"github.com/sluice-ai/sluice/router"
)

// world is everything that a router asks, as one fake: a local target that
// answers with do, policy that permits it, and a ledger that notes what it gets.
type world struct {
	do      func(ctx context.Context, req *llm.Request, emit func(llm.Event) error) error
	strict  bool
	ledger  error
	mu      sync.Mutex
	records []llm.Record
}

func (w *world) Targets() []llm.Target {
	return []llm.Target{{ID: "local/a", Provider: "local", Can: []string{"chat", "tools"}}}
}
func (w *world) Healthy(string) bool { return true }
func (w *world) Generate(ctx context.Context, req *llm.Request, emit func(llm.Event) error) error {
	return w.do(ctx, req, emit)
}
func (w *world) Inspect(context.Context, *llm.Request) ([]llm.Finding, error) { return nil, nil }
func (w *world) Redact(req *llm.Request, _ []llm.Finding, _ []string) ([]byte, llm.Restorer, error) {
	return req.Body, nil, nil
}
func (*world) Compare(_ *llm.Request, a, b llm.Answer) (float64, map[string]float64) {
	if a.Text == b.Text {
		return 1, nil
	}
	return 0, nil
}

func (w *world) Review(_ context.Context, _ *llm.Request, a llm.Assessment, _ llm.Answer) llm.Assessment {
	return a
}

func (w *world) Assess(context.Context, *llm.Request) llm.Assessment {
	return llm.Assessment{Boundary: llm.Supported}
}
func (w *world) Revision() string { return "sha256:test" }
func (w *world) Decide(context.Context, llm.PolicyInput) (llm.Decision, error) {
	d := llm.Decision{Allow: true, Targets: []string{"local/a"}}
	if w.strict {
		d.Obligations.Audit = "strict"
	}
	return d, nil
}
func (w *world) Record(_ context.Context, rec *llm.Record, _ bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records = append(w.records, *rec)
	return w.ledger
}

// recorded waits for the only record.
func (w *world) recorded(t *testing.T) llm.Record {
	t.Helper()
	for range 500 {
		w.mu.Lock()
		n := len(w.records)
		w.mu.Unlock()
		if n > 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.records) != 1 {
		t.Fatalf("%d records, want 1", len(w.records))
	}
	return w.records[0]
}

func words(texts ...string) func(context.Context, *llm.Request, func(llm.Event) error) error {
	return func(_ context.Context, _ *llm.Request, emit func(llm.Event) error) error {
		for _, s := range texts {
			if s == "PANIC" {
				panic("a SECRET-WORD")
			}
			if err := emit(llm.Event{Choices: []llm.Delta{{Text: s}}}); err != nil {
				return err
			}
		}
		return emit(llm.Event{Choices: []llm.Delta{{Finish: llm.Stop}}, Usage: &llm.Usage{Input: 1, Output: 2}})
	}
}

// start serves w. change, when not nil, sets what has no setting.
func start(t *testing.T, w *world, log io.Writer, change func(*Server)) string {
	t.Helper()
	l := slog.New(slog.NewTextHandler(log, nil))
	rt, err := router.New(router.Config{
		Local: w, Inspector: w, Judge: w, Policy: w, Recorder: w, MACKey: make([]byte, 32), Log: l,
		Parse: func(_ llm.Dialect, b []byte) (*llm.Request, error) { return openai.ParseRequest(b) },
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Router: rt, Inspector: w, MaxBody: 1 << 20, Log: l})
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(s)
	}
	srv := httptest.NewUnstartedServer(s)
	srv.Config.ErrorLog = slog.NewLogLogger(l.Handler(), slog.LevelWarn)
	srv.Start()
	t.Cleanup(srv.Close)
	return srv.URL
}

func body(stream bool, extra string) string {
	return fmt.Sprintf(`{"model":"auto","stream":%v,"messages":[{"role":"user","content":"SECRET-WORD"}]%s}`, stream, extra)
}

func post(t *testing.T, url, body string) (*http.Response, string, error) {
	t.Helper()
	resp, err := http.Post(url+"/v1/chat/completions", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

// lines is a log that may be written while it is read.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A stream is what OpenAI's clients expect: the role first, one finish, the
// usage only if asked for and then without choices, and [DONE].
func TestStream(t *testing.T) {
	for _, usage := range []bool{false, true} {
		w := &world{do: words("Hel", "lo")}
		extra := ""
		if usage {
			extra = `,"stream_options":{"include_usage":true}`
		}
		resp, got, err := post(t, start(t, w, io.Discard, nil), body(true, extra))
		if err != nil || resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
			t.Fatalf("status %d, %v, %s", resp.StatusCode, err, resp.Header.Get("Content-Type"))
		}
		text, roles, finishes, usages := "", 0, 0, 0
		events := strings.Split(strings.TrimSuffix(got, "\n\n"), "\n\n")
		for i, e := range events {
			data, _ := strings.CutPrefix(e, "data: ")
			if i == len(events)-1 {
				if data != "[DONE]" {
					t.Errorf("the last event is %s", e)
				}
				continue
			}
			var c struct {
				Choices []struct {
					Delta  struct{ Role, Content string }
					Finish *string `json:"finish_reason"`
				}
				Usage *struct{}
			}
			if err := json.Unmarshal([]byte(data), &c); err != nil {
				t.Fatalf("event %s: %v", e, err)
			}
			if c.Usage != nil {
				usages++
				if len(c.Choices) != 0 {
					t.Errorf("the usage has choices: %s", e)
				}
				continue
			}
			if c.Choices[0].Delta.Role != "" {
				roles++
				if i != 0 {
					t.Errorf("event %d gives the role", i)
				}
			}
			if c.Choices[0].Finish != nil {
				finishes++
			}
			text += c.Choices[0].Delta.Content
		}
		if text != "Hello" || roles != 1 || finishes != 1 || (usages == 1) != usage {
			t.Errorf("text %q, %d roles, %d finishes, %d usages (asked: %v)", text, roles, finishes, usages, usage)
		}
		if rec := w.recorded(t); rec.Status != 200 || rec.Route != llm.RouteLocal {
			t.Errorf("record %+v", rec)
		}
	}
}

// Under a strict audit that cannot be written no answer is finished.
func TestStrictAudit(t *testing.T) {
	for _, stream := range []bool{false, true} {
		w := &world{do: words("Hello"), strict: true, ledger: errors.New("disk full")}
		resp, got, _ := post(t, start(t, w, io.Discard, nil), body(stream, ""))
		if !strings.Contains(got, `"code":"audit_unavailable"`) || strings.Contains(got, "[DONE]") || !stream && resp.StatusCode != 503 {
			t.Errorf("stream %v: status %d, %s", stream, resp.StatusCode, got)
		}
		if !stream && strings.Contains(got, "Hello") {
			t.Errorf("the answer went out: %s", got)
		}
	}
}

// A panic is an error of the gateway's before the answer has begun, and a
// broken connection after it; it is in the ledger, and its value in no log.
func TestPanics(t *testing.T) {
	for _, tt := range []struct {
		name   string
		stream bool
		do     []string
		status int
		cut    bool
	}{
		{"unstreamed", false, []string{"Hel", "PANIC"}, 500, false},
		{"before-the-stream", true, []string{"PANIC"}, 500, false},
		{"in-the-stream", true, []string{"Hel", "PANIC"}, 200, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, log := &world{do: words(tt.do...)}, &lines{}
			resp, got, err := post(t, start(t, w, log, nil), body(tt.stream, ""))
			if resp.StatusCode != tt.status || (err != nil) != tt.cut {
				t.Errorf("status %d, %v, %s", resp.StatusCode, err, got)
			}
			if !tt.cut && !strings.Contains(got, `"code":"internal_error"`) || strings.Contains(got, "[DONE]") {
				t.Errorf("the client got %s", got)
			}
			if rec := w.recorded(t); rec.Status != 500 || rec.Code != llm.CodeInternal {
				t.Errorf("record %+v", rec)
			}
			if strings.Contains(log.String(), "SECRET-WORD") || !strings.Contains(log.String(), "server_test.go") {
				t.Errorf("the log says %s", log)
			}
		})
	}
}

// A body that dribbles in is given up; an answer may take longer than a body may.
func TestSlowBody(t *testing.T) {
	w := &world{do: func(ctx context.Context, req *llm.Request, emit func(llm.Event) error) error {
		select {
		case <-time.After(400 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
		return words("Hello")(ctx, req, emit)
	}}
	url := start(t, w, io.Discard, func(s *Server) { s.grace = 200 * time.Millisecond })
	if resp, got, err := post(t, url, body(false, "")); err != nil || resp.StatusCode != 200 {
		t.Errorf("a slow answer: %d, %v, %s", resp.StatusCode, err, got)
	}
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != http.StatusGatewayTimeout || !resp.Close {
		t.Fatalf("a body that never comes: %v, %v", resp, err)
	}
}

// A client that stops reading does not hold a model for ever.
func TestSlowReader(t *testing.T) {
	ended := make(chan error, 1)
	w := &world{do: func(_ context.Context, _ *llm.Request, emit func(llm.Event) error) error {
		var err error
		for err == nil {
			err = emit(llm.Event{Choices: []llm.Delta{{Text: strings.Repeat("x", 1<<16)}}})
		}
		ended <- err
		return err
	}}
	url := start(t, w, io.Discard, func(s *Server) { s.stall = 200 * time.Millisecond })
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := body(true, "")
	fmt.Fprintf(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(b), b)
	select {
	case err := <-ended:
		if llm.KindOf(err) != llm.Canceled {
			t.Errorf("the answer ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the answer still waits for its client")
	}
	w.recorded(t)
}

// The time of one answer is not taken from the next on the same connection.
func TestDeadlinesDoNotOutliveTheirRequest(t *testing.T) {
	w := &world{do: words("Hello")}
	url := start(t, w, io.Discard, func(s *Server) { s.grace, s.stall = 100*time.Millisecond, 100*time.Millisecond })
	for i := range 3 {
		if resp, got, err := post(t, url, body(i == 1, "")); err != nil || resp.StatusCode != 200 {
			t.Fatalf("request %d: %d, %v, %s", i, resp.StatusCode, err, got)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func TestLongHeaders(t *testing.T) {
	w := &world{do: words("Hello")}
	url := start(t, w, io.Discard, nil)
	r, err := http.NewRequestWithContext(t.Context(), "POST", url+"/v1/chat/completions", strings.NewReader(body(false, "")))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Sluice-Session", strings.Repeat("s", longestHeader+1))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 400 {
		t.Errorf("status %d, want 400", resp.StatusCode)
	}
}
