package router

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/internal/llm"
)

// hops returns what the cloud targets saw, without bodies.
func hops(b *backend) (out []string) {
	for _, s := range b.seen {
		out = append(out, strings.Join(strings.Fields(s)[:2], " "))
	}
	return out
}

// A policy that permits no escalation is not got round by a second cloud target:
// while nobody but the local tier was tried, the hop is still an escalation.
func TestSkippedTargetsDoNotChangeTheHop(t *testing.T) {
	for _, tt := range []struct {
		name   string
		permit map[llm.Hop][]string // cloud targets
		c1     func(*llm.Request, func(llm.Event) error) error
		want   []string
	}{
		{"no-escalation", map[llm.Hop][]string{llm.First: {"c/1", "c/2"}, llm.Fallback: {"c/1", "c/2"}}, answers("from c1"), nil},
		{"one-may", map[llm.Hop][]string{llm.First: {"c/1", "c/2"}, llm.Escalate: {"c/2"}}, answers("from c1"), []string{"c/2 escalate"}},
		{"then-fallback", map[llm.Hop][]string{llm.First: {"c/1", "c/2"}, llm.Escalate: {"c/1"}, llm.Fallback: {"c/2"}}, fails(llm.Unavailable), []string{"c/1 escalate", "c/2 fallback"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig()
			g.cfg.Judge = judge{Boundary: llm.Supported}
			g.local.do["local/a"] = fails(llm.Unavailable)
			g.cloud.do["c/1"] = tt.c1
			g.cfg.Policy = policy(func(in llm.PolicyInput) (llm.Decision, error) {
				return llm.Decision{Allow: true, Targets: append([]string{"local/a"}, tt.permit[in.Hop]...)}, nil
			})
			_, _, _ = g.ask(t, "auto", "hello")
			if got := hops(g.cloud); !slices.Equal(got, tt.want) {
				t.Errorf("cloud targets saw %q, want %q", got, tt.want)
			}
		})
	}
}

// A cloud target that refuses an escalated request, or may not see it after all, does
// not take the local answer away.
func TestDoubtfulAnswerAfterARefusal(t *testing.T) {
	for _, kind := range []llm.Kind{llm.Invalid, llm.Denied} {
		g := newRig()
		g.cfg.Judge = &reviewer{}
		g.local.do["local/a"] = answers("doubt")
		g.cloud.do["c/1"] = fails(kind)
		got, x, err := g.ask(t, "auto", "hello")
		if err != nil || got != "doubt" || x.Target.ID != "local/a" {
			t.Errorf("kind %v: %q from %s, %v; want the local answer", kind, got, x.Target.ID, err)
		}
		if seen := hops(g.cloud); !slices.Equal(seen, []string{"c/1 escalate"}) {
			t.Errorf("kind %v: cloud targets saw %q", kind, seen)
		}
	}
}

// What a local model failed to repair was the cloud's answer, not the local tier's.
func TestRepairsDoNotLatch(t *testing.T) {
	g := newRig()
	g.cfg.Latch = Latch{After: 1}
	r, err := New(g.cfg)
	if err != nil {
		t.Fatal(err)
	}
	x := &Exchange{r: r, step: &step{key: "k"}, Attempts: []llm.Attempt{{Target: "local/a", Hop: llm.Mend, Outcome: llm.Insufficient}}}
	x.remember()
	if k := r.latches.runs.by["k"].Value.(*run); k.turns[0].failed != 0 || k.latched {
		t.Errorf("a repair counts as %d local answers that came to nothing", k.turns[0].failed)
	}
}

// What a target says about an invalid request may repeat the client's own patterns
// and names: the log has the code only, also when every target has failed.
func TestLogHasNoPatterns(t *testing.T) {
	var log strings.Builder
	g := newRig()
	g.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	g.cfg.Judge = judge{Boundary: llm.Supported}
	g.local.do["local/a"] = func(*llm.Request, func(llm.Event) error) error {
		return &llm.Error{Kind: llm.Invalid, Code: llm.CodeUnsupportedSchema, Msg: "missing closing ): `(CAT`"}
	}
	_, _, err := g.ask(t, "local", "hello")
	log.WriteString(llm.Cause(err).Error())
	if got := log.String(); strings.Contains(got, "CAT") || !strings.Contains(got, "unsupported_schema") {
		t.Errorf("the log says %s", got)
	}
}

// A forgetful inspector counts the restorers that it made, and those that were closed.
type forgetful struct {
	inspector
	made, closed int
}

func (f *forgetful) Redact(req *llm.Request, _ []llm.Finding, _ []string) ([]byte, llm.Restorer, error) {
	f.made++
	body, r, err := f.inspector.Redact(req, nil, nil)
	return body, &forgetting{r, f}, err
}

type forgetting struct {
	llm.Restorer
	of *forgetful
}

func (f *forgetting) Close() { f.of.closed++ }

// Whatever becomes of a request, the values that were redacted are forgotten.
func TestRedactedValuesAreForgotten(t *testing.T) {
	for name, setup := range map[string]func(*rig, *llm.Decision){
		"restored":     func(*rig, *llm.Decision) {},
		"not-restored": func(_ *rig, d *llm.Decision) { d.Rehydrate = false },
		"failed":       func(g *rig, _ *llm.Decision) { g.cloud.do["c/1"] = fails(llm.Unavailable) },
		"unreadable": func(g *rig, _ *llm.Decision) {
			g.cfg.Parse = func(llm.Dialect, []byte) (*llm.Request, error) { return nil, errors.New("no") }
		},
		"panics": func(g *rig, _ *llm.Decision) {
			g.cloud.do["c/1"] = func(*llm.Request, func(llm.Event) error) error { panic("no") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			g, f := newRig(), &forgetful{}
			g.cfg.Inspector = f
			g.cfg.Policy = policy(func(in llm.PolicyInput) (llm.Decision, error) {
				d, err := allowAll(in)
				setup(newRig(), &d)
				return d, err
			})
			setup(g, &llm.Decision{})
			func() {
				defer func() { _ = recover() }()
				_, _, _ = g.ask(t, "auto", "my CAT")
			}()
			if f.made == 0 || f.closed != f.made {
				t.Errorf("%d of %d restorers were closed", f.closed, f.made)
			}
		})
	}
}
