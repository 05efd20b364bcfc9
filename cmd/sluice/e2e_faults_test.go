package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func (s *suite) fallback(t *testing.T) {
	first, second := s.proxy.lane("first"), s.proxy.lane("second")
	bothWays(t, func(t *testing.T, stream bool) {
		first.set(fault{kind: faultStatus, status: http.StatusBadGateway}, fault{})
		n := len(second.requests())
		a := s.gw.chat(t, stream, ask("duo", "Fall back to the second, please"))
		a.expect(t, http.StatusOK, "cloud", "second/tiny")
		if got := len(second.requests()) - n; got != 1 {
			t.Errorf("the second cloud saw %d requests", got)
		}
		s.gw.chat(t, stream, ask("duo", "And the first works again")).expect(t, http.StatusOK, "cloud", "first/tiny")
	})
}

func (s *suite) retry(t *testing.T) {
	lane := s.proxy.lane("retry")
	bothWays(t, func(t *testing.T, stream bool) {
		lane.set(fault{kind: faultStatus, status: http.StatusServiceUnavailable}, fault{kind: faultThrottle, wait: 10 * time.Millisecond}, fault{})
		n := len(lane.requests())
		s.gw.chat(t, stream, ask("retry/tiny", "Third time lucky, so they say")).expect(t, http.StatusOK, "cloud", "retry/tiny")
		if got := len(lane.requests()) - n; got != 3 {
			t.Errorf("the cloud saw %d requests, want 3", got)
		}
		if got := s.gw.breaker(t, "retry/tiny"); got != "closed" {
			t.Errorf("the breaker is %s after a success", got)
		}
	})
}

// A cloud that asks to be left alone is left alone, and that is no failure of it.
func (s *suite) throttled(t *testing.T) {
	lane := s.proxy.lane("throttle")
	lane.set(fault{kind: faultThrottle, wait: time.Minute})
	s.gw.chat(t, false, ask("throttle/tiny", "You are asked too much already")).expect(t, http.StatusOK, "degraded", home)
	bothWays(t, func(t *testing.T, stream bool) {
		s.untouched(t, func() {
			s.gw.chat(t, stream, ask("throttle/tiny", "You are asked too much still")).expect(t, http.StatusOK, "degraded", home)
		})
	})
	for _, target := range s.gw.status(t).Targets {
		if target.ID == "throttle/tiny" && (target.Breaker != "closed" || target.Healthy) {
			t.Errorf("/status: breaker %s, healthy %v; want closed and not healthy", target.Breaker, target.Healthy)
		}
	}
}

// breakages are the ways in which a cloud fails, each with a lane of its own.
var breakages = []struct {
	lane          string
	whole, stream fault
	begun         bool // streamed, the client has seen something when it breaks
}{
	{"break-silent", fault{kind: faultSilent}, fault{kind: faultSilent}, false},
	{"break-stall", fault{kind: faultStall, after: 40}, fault{kind: faultStall, after: 2}, true},
	{"break-status", fault{kind: faultStatus, status: 500}, fault{kind: faultStatus, status: 503}, false},
	{"break-cut", fault{kind: faultCut, after: 40}, fault{kind: faultCut, after: 2}, true},
	{"break-end", fault{kind: faultEnd, after: 40}, fault{kind: faultEnd, after: 2}, true},
	{"break-error", fault{kind: faultError}, fault{kind: faultError}, false},
	{"break-garbage", fault{kind: faultGarbage}, fault{kind: faultGarbage}, false},
	{"break-hangup", fault{kind: faultHangUp}, fault{kind: faultHangUp}, false},
	{"break-empty", fault{kind: faultEmpty}, fault{kind: faultEmpty}, false},
}

// Each opens its breaker after two failures in a row, streamed or not; then
// requests are answered at home without touching the cloud; and after the
// cooldown one that succeeds closes it.
func (s *suite) breakers(t *testing.T) {
	bothWays(t, func(t *testing.T, stream bool) {
		opened := map[string]bool{}
		for _, tt := range breakages {
			opened[tt.lane] = t.Run(tt.lane+"-opens", func(t *testing.T) {
				target := tt.lane + "/tiny"
				s.proxy.lane(tt.lane).set(tt.whole)
				if stream {
					s.proxy.lane(tt.lane).set(tt.stream)
				}
				for i := range 2 {
					if got := s.gw.breaker(t, target); got != "closed" {
						t.Fatalf("the breaker is %s after %d failures", got, i)
					}
					a := s.gw.chat(t, stream, ask(target, "This one is going to fail for sure"))
					if stream && tt.begun {
						brokenOff(t, a, target)
					} else {
						a.expect(t, http.StatusOK, "degraded", home)
					}
				}
				if got := s.gw.breaker(t, target); got != "open" {
					t.Fatalf("the breaker is %s after two failures in a row", got)
				}
				s.untouched(t, func() {
					for _, again := range []bool{stream, !stream} {
						s.gw.chat(t, again, ask(target, "And this one stays at home")).expect(t, http.StatusOK, "degraded", home)
					}
				})
			})
		}
		for _, tt := range breakages {
			t.Run(tt.lane+"-recovers", func(t *testing.T) {
				if !opened[tt.lane] {
					t.Skip("it has not opened")
				}
				target := tt.lane + "/tiny"
				s.proxy.lane(tt.lane).set(fault{})
				s.gw.waitBreaker(t, target, "half-open")
				s.gw.chat(t, stream, ask(target, "The probe is answered well")).expect(t, http.StatusOK, "cloud", target)
				if got := s.gw.breaker(t, target); got != "closed" {
					t.Errorf("the breaker is %s after a probe that succeeded", got)
				}
			})
		}
	})
}

// brokenOff checks a stream that broke after it began: what came stands, then
// an error in OpenAI's form, and no [DONE].
func brokenOff(t *testing.T, a *answer, target string) {
	t.Helper()
	if a.status != http.StatusOK || a.header.Get("Sluice-Target") != target || a.events < 2 {
		t.Errorf("status %d, target %s, %d events", a.status, a.header.Get("Sluice-Target"), a.events)
	}
	if a.done || a.code != "upstream_unavailable" || a.message == "" {
		t.Errorf("a broken stream ended with done=%v, code %q, message %q", a.done, a.code, a.message)
	}
}

// A client that leaves takes its upstream call with it, and the cloud is not blamed.
func (s *suite) clientLeaves(t *testing.T) {
	lane := s.proxy.lane("patient")
	t.Run("stream", func(t *testing.T) {
		lane.set(fault{kind: faultDrip})
		for range 3 { // more often than the breaker takes
			gone := lane.left()
			b := ask("patient/tiny", "I shall leave before you have ended", body{"stream": true})
			s.gw.remember(b)
			ctx, cancel := context.WithCancel(t.Context())
			resp := s.gw.open(ctx, t, b)
			if line, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil || !strings.Contains(line, "drip") {
				t.Fatalf("the first event is %q, %v", line, err)
			}
			s.gw.expectRecord(resp, expected{"cloud", http.StatusGatewayTimeout})
			cancel()
			resp.Body.Close()
			eventually(t, "the upstream call to be cancelled", func() error { return more(lane.left(), gone) })
		}
	})
	t.Run("whole", func(t *testing.T) {
		lane.set(fault{kind: faultSilent})
		for range 3 {
			gone, n := lane.left(), len(lane.requests())
			b := ask("patient/tiny", "I shall leave before you have begun")
			s.gw.remember(b)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				resp, err := s.gw.post(ctx, "/v1/chat/completions", []byte(jsonOf(b)))
				if err == nil {
					resp.Body.Close()
				}
				ended <- err
			}()
			eventually(t, "the request to reach the cloud", func() error { return more(len(lane.requests()), n) })
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("the call ended with %v", err)
			}
			eventually(t, "the upstream call to be cancelled", func() error { return more(lane.left(), gone) })
			s.gw.mu.Lock()
			s.gw.unseen++
			s.gw.mu.Unlock()
		}
	})
	if got := s.gw.breaker(t, "patient/tiny"); got != "closed" {
		t.Errorf("six clients left, and the breaker is %s", got)
	}
	lane.set(fault{})
	s.gw.chat(t, true, ask("patient/tiny", "This client stays until the end")).expect(t, http.StatusOK, "cloud", "patient/tiny")
}

func more(now, before int) error {
	if now > before {
		return nil
	}
	return fmt.Errorf("still %d", now)
}

// expectRecord notes what the ledger must say of a response that nobody reads to its end.
func (p *process) expectRecord(resp *http.Response, e expected) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.want[resp.Header.Get("Sluice-Decision")] = e
}

// badRequests are refused before anything is sent, each with one clear sentence.
func (s *suite) badRequests(t *testing.T) {
	for _, tt := range []struct {
		name, path, body string
		key              string
		status           int
		code, message    string // message is a part of it
		recorded         bool
	}{
		{"no-key", "/v1/chat/completions", `{}`, "-", 401, "invalid_api_key", "Authorization: Bearer", false},
		{"wrong-key", "/v1/chat/completions", `{}`, "sk-nobody", 401, "invalid_api_key", "not known", false},
		{"empty", "/v1/chat/completions", ``, "", 400, "invalid_json", "empty", false},
		{"malformed", "/v1/chat/completions", `{"model":"auto",}`, "", 400, "invalid_json", "not valid JSON", false},
		{"cut-off", "/v1/chat/completions", `{"model":"auto"`, "", 400, "invalid_json", "ends too early", false},
		{"list", "/v1/chat/completions", `[]`, "", 400, "invalid_request", "object", false},
		{"no-messages", "/v1/chat/completions", `{"model":"auto"}`, "", 400, "invalid_request", "messages", false},
		{"no-model", "/v1/chat/completions", `{"messages":[{"role":"user","content":"hello"}]}`, "", 400, "invalid_request", "model", false},
		{"wrong-type", "/v1/chat/completions", `{"model":7,"messages":[]}`, "", 400, "invalid_request", "model has the wrong type", false},
		{"wrong-role", "/v1/chat/completions", `{"model":"auto","messages":[{"role":"king","content":"hello"}]}`, "", 400, "invalid_request", "role", false},
		{"out-of-range", "/v1/chat/completions", `{"model":"auto","temperature":9,"messages":[{"role":"user","content":"hello"}]}`, "", 400, "invalid_request", "temperature", false},
		{"same-key-twice", "/v1/chat/completions", `{"model":"auto","model":"cloud","messages":[{"role":"user","content":"hello"}]}`, "", 400, "invalid_request", "twice", false},
		{"too-deep", "/v1/chat/completions", `{"model":"auto","x":` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + `}`, "", 400, "invalid_request", "nested", false},
		{"unknown-model", "/v1/chat/completions", `{"model":"gpt-99","messages":[{"role":"user","content":"hello"}]}`, "", 404, "model_not_found", "GET /v1/models", true},
		{"too-large", "/v1/chat/completions", `{"model":"auto","messages":[{"role":"user","content":"` + strings.Repeat("a", 200_000) + `"}]}`, "", 413, "request_too_large", "200000 bytes", false},
		{"private-key", "/v1/chat/completions", jsonOf(ask("cloud", privateKey)), "", 403, "pii_blocked", "private key", true},
		{"route-unknown-model", "/v1/route", `{"model":"gpt-99","messages":[{"role":"user","content":"hello"}]}`, "", 404, "model_not_found", "GET /v1/models", false},
		{"route-malformed", "/v1/route", `{`, "", 400, "invalid_json", "ends too early", false},
		{"inspect-malformed", "/v1/inspect", `{`, "", 400, "invalid_json", `{"text": "…"}`, false},
		{"inspect-nothing", "/v1/inspect", `{}`, "", 400, "invalid_request", `{"text": "…"}`, false},
		{"no-such-path", "/v1/completions", `{}`, "", 404, "not_found", "/v1/chat/completions", false},
		{"wrong-method", "/v1/models", `{}`, "", 405, "invalid_request", "GET", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.untouched(t, func() {
				var hs []header
				switch tt.key {
				case "-":
					hs = append(hs, header{"Authorization", ""})
				case "":
				default:
					hs = append(hs, header{"Authorization", "Bearer " + tt.key})
				}
				resp, err := s.gw.post(t.Context(), tt.path, []byte(tt.body), hs...)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				a := &answer{status: resp.StatusCode, header: resp.Header}
				a.read(t, resp)
				if a.status != tt.status || a.code != tt.code || !strings.Contains(a.message, tt.message) {
					t.Errorf("status %d, code %s, message %q\nwant %d, %s, …%s…", a.status, a.code, a.message, tt.status, tt.code, tt.message)
				}
				if len(a.message) > 200 || strings.Contains(a.message, "hello") || bytes.Contains(a.raw, []byte("PRIVATE KEY-")) {
					t.Errorf("the message is long, or repeats the request: %q", a.message)
				}
				if tt.recorded {
					s.gw.expectRecord(resp, expected{"blocked", tt.status})
				}
			})
		})
	}
}

// privateKey is no key: its base64 is a sentence.
const privateKey = "-----BEGIN PRIVATE KEY-----\nTm90IGEga2V5IGF0IGFsbCwganVzdCBhIHNlbnRlbmNlIGluIGJhc2U2NC4gTm90\nIGEga2V5Lg==\n-----END PRIVATE KEY-----"
