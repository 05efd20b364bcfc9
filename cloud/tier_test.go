package cloud

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/cloud/breaker"
	"github.com/sluice-ai/sluice/internal/llm"
)

// script is a provider that answers by a rune per call: o well, f a 500, t a
// time-out, r a 429 that wants 2 s, R one that wants a minute, x a 400, a a 401,
// b a stream that breaks after an event, c the client's leaving.
type script struct {
	steps  string
	calls  int
	cancel context.CancelFunc
}

func (s *script) Complete(ctx context.Context, _ *llm.Request, emit func(llm.Event) error) error {
	step := rune(s.steps[min(s.calls, len(s.steps)-1)])
	s.calls++
	hello := llm.Event{Choices: []llm.Delta{{Text: "hello"}}, Usage: &llm.Usage{Input: 1, Output: 1}}
	switch step {
	case 'o':
		return emit(hello)
	case 'f':
		return &CallError{Outcome: llm.Failed, Status: 500, Code: "status"}
	case 't':
		return &CallError{Outcome: llm.Failed, Code: "timeout"}
	case 'r':
		return &CallError{Outcome: llm.Throttled, Status: 429, Code: "status", RetryAfter: 2 * time.Second}
	case 'R':
		return &CallError{Outcome: llm.Throttled, Status: 429, Code: "status", RetryAfter: time.Minute}
	case 'x':
		return &CallError{Outcome: llm.Rejected, Status: 400, Code: "status"}
	case 'a':
		return &CallError{Outcome: llm.Rejected, Status: 401, Code: "auth"}
	case 'b':
		if err := emit(hello); err != nil {
			return err
		}
		return &CallError{Outcome: llm.Broken, Status: 200, Code: "cut"}
	case 'c':
		s.cancel()
		return &CallError{Outcome: llm.Failed, Code: "canceled", Err: ctx.Err()}
	}
	panic("no such step")
}

func TestGenerate(t *testing.T) {
	tests := []struct {
		name, steps string
		requests    int
		kinds       string // of each request's end: O ok, I invalid, U unavailable, C canceled
		calls       int    // of the provider
		outcomes    string // of the attempts of all requests
		healthy     bool   // afterwards
	}{
		{"well", "o", 1, "O", 1, "ok", true},
		{"retried", "fo", 1, "O", 2, "failed ok", true},
		{"given-up", "f", 1, "U", 2, "failed failed", true},
		{"timeout-is-not-retried", "t", 1, "U", 1, "failed", true},
		{"throttled-then-well", "ro", 1, "O", 2, "throttled ok", true},
		{"throttled-too-long", "R", 2, "UU", 1, "throttled skipped", false},
		{"rejected-is-not-retried", "x", 1, "I", 1, "rejected", true},
		{"rejections-do-not-open", "x", 6, "IIIIII", 6, "rejected rejected rejected rejected rejected rejected", true},
		{"credentials-are-the-operators-business", "a", 1, "U", 1, "rejected", true},
		{"broken-is-not-retried", "b", 1, "U", 1, "broken", true},
		{"opens", "t", 4, "UUUU", 3, "failed failed failed skipped", false},
		{"broken-streams-open-it-too", "b", 4, "UUUU", 3, "broken broken broken skipped", false},
		{"a-client-that-leaves-is-no-failure", "c", 5, "CCCCC", 5, "abandoned abandoned abandoned abandoned abandoned", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{steps: tt.steps}
				target := llm.Target{ID: "c/1", Provider: "c"}
				tier, err := New([]Entry{{Target: target, Provider: s, Breaker: breaker.Config{Failures: 3}}}, slog.New(slog.DiscardHandler))
				if err != nil {
					t.Fatal(err)
				}
				var kinds string
				var outcomes []string
				for range tt.requests {
					ctx, cancel := context.WithCancel(t.Context())
					s.cancel = cancel
					req := &llm.Request{Target: target, OnAttempt: func(a llm.Attempt) { outcomes = append(outcomes, string(a.Outcome)) }}
					err := tier.Generate(ctx, req, func(llm.Event) error { return nil })
					cancel()
					switch {
					case err == nil:
						kinds += "O"
					case llm.KindOf(err) == llm.Invalid:
						kinds += "I"
					case llm.KindOf(err) == llm.Canceled:
						kinds += "C"
					default:
						kinds += "U"
					}
				}
				if kinds != tt.kinds || s.calls != tt.calls {
					t.Errorf("ends %s after %d calls, want %s after %d", kinds, s.calls, tt.kinds, tt.calls)
				}
				if got := strings.Join(outcomes, " "); got != tt.outcomes {
					t.Errorf("outcomes %q, want %q", got, tt.outcomes)
				}
				if tier.Healthy("c/1") != tt.healthy {
					t.Errorf("healthy = %v, want %v (breaker %s)", !tt.healthy, tt.healthy, tier.Breaker("c/1"))
				}
			})
		})
	}
}

// mute is a provider that reports no usage, and breaks off after its words when told to.
type mute struct{ err error }

func (m mute) Complete(_ context.Context, _ *llm.Request, emit func(llm.Event) error) error {
	if err := emit(llm.Event{Choices: []llm.Delta{{Text: "twelve bytes"}}}); err != nil {
		return err
	}
	return m.err
}

// A call that somebody bills costs something, reported or not.
func TestUsageIsGuessedWhenNobodyReportsIt(t *testing.T) {
	for name, end := range map[string]error{"whole": nil, "broken": &CallError{Outcome: llm.Broken, Code: "cut"}} {
		tier, err := New([]Entry{{Target: llm.Target{ID: "c/1"}, Provider: mute{end}}}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		var got llm.Attempt
		_ = tier.Generate(t.Context(), &llm.Request{
			Target: llm.Target{ID: "c/1"}, Messages: []llm.Message{{Text: "eight by"}}, OnAttempt: func(a llm.Attempt) { got = a },
		}, func(llm.Event) error { return nil })
		if want := (llm.Usage{Input: 3, Output: 3, Estimated: true}); got.Usage != want {
			t.Errorf("%s: usage %+v, want %+v", name, got.Usage, want)
		}
	}
}

// What the client's own side fails with comes back as it is, and counts as nothing.
func TestEmitFails(t *testing.T) {
	gone := errors.New("gone")
	s := &script{steps: "o"}
	tier, err := New([]Entry{{Target: llm.Target{ID: "c/1"}, Provider: s, Breaker: breaker.Config{Failures: 1}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = tier.Generate(t.Context(), &llm.Request{Target: llm.Target{ID: "c/1"}}, func(llm.Event) error { return gone })
	if !errors.Is(err, gone) || !tier.Healthy("c/1") {
		t.Errorf("error %v, healthy %v", err, tier.Healthy("c/1"))
	}
}

// A new configuration does not forget that a target is down.
func TestInherit(t *testing.T) {
	list := []Entry{
		{Target: llm.Target{ID: "c/same"}, Provider: &script{steps: "t"}, Breaker: breaker.Config{Failures: 1}},
		{Target: llm.Target{ID: "c/moved"}, Provider: &script{steps: "t"}, Breaker: breaker.Config{Failures: 1}},
	}
	old, err := New(list, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if err := old.Generate(t.Context(), &llm.Request{Target: e.Target}, func(llm.Event) error { return nil }); err == nil {
			t.Fatal("the call did not fail")
		}
	}
	list[1].Target.Zone.Region = "EU"
	now, err := New(list, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	now.Inherit(old)
	if now.Healthy("c/same") || !now.Healthy("c/moved") {
		t.Errorf("healthy: same %v, moved %v; want false, true", now.Healthy("c/same"), now.Healthy("c/moved"))
	}
}

func TestNewNamesEveryMistake(t *testing.T) {
	e := Entry{Target: llm.Target{ID: "c/1"}, Breaker: breaker.Config{Failures: -1}, Retry: Retry{Max: 99}}
	_, err := New([]Entry{e, e}, nil)
	for _, want := range []string{`"c/1" is defined twice`, "failures must not be negative", "max must lie between"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v, want it to say %q", err, want)
		}
	}
}
