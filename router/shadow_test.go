package router

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/internal/llm"
)

// A monitor keeps what it is told, as "score p" and "outcome p good".
type monitor struct {
	mu    sync.Mutex
	seen  []llm.Verdict
	n     int
	alarm bool
}

func (m *monitor) Scored(float64) { m.mu.Lock(); m.n++; m.mu.Unlock() }
func (m *monitor) Outcome(p float64, good bool) {
	m.mu.Lock()
	m.seen = append(m.seen, llm.Verdict{Good: good, Score: &p})
	m.mu.Unlock()
}
func (m *monitor) Drift() llm.Drift { return llm.Drift{Alarm: m.alarm} }

// locked is a recorder that two goroutines may use.
type locked struct {
	mu sync.Mutex
	recorder
}

func (l *locked) Record(ctx context.Context, rec *llm.Record, wait bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.recorder.Record(ctx, rec, wait)
}

func TestShadow(t *testing.T) {
	same, other := answers("from home"), answers("something else")
	for _, tt := range []struct {
		name  string
		model string
		text  string
		setup func(*rig)
		cloud func(*llm.Request, func(llm.Event) error) error
		want  string // of the second record: "" when there is none
		good  bool
	}{
		{"agrees", "auto", "hello", nil, same, "c/1 shadow", true},
		{"differs", "auto", "hello", nil, other, "c/1 shadow", false},
		{"the-cloud-fails", "auto", "hello", nil, fails(llm.Unavailable), "c/1 shadow", false},
		{"never-of-what-stays-by-name", "local", "hello", nil, same, "", false},
		{"policy-is-asked", "auto", "hello", func(g *rig) {
			g.cfg.Policy = policy(func(in llm.PolicyInput) (llm.Decision, error) {
				d, err := allowAll(in)
				d.Allow = in.Hop != llm.Shadow
				return d, err
			})
		}, same, "", false},
		{"policy-fails", "auto", "hello", func(g *rig) {
			g.cfg.Policy = policy(func(in llm.PolicyInput) (llm.Decision, error) {
				if in.Hop == llm.Shadow {
					return llm.Decision{}, errors.New("broken")
				}
				return allowAll(in)
			})
		}, same, "", false},
		{"policy-picks-the-target", "auto", "hello", func(g *rig) {
			g.cloud.do["c/2"] = same
			g.cfg.Policy = policy(func(in llm.PolicyInput) (llm.Decision, error) {
				d, err := allowAll(in)
				if in.Hop == llm.Shadow {
					d.Targets = []string{"local/a", "c/2"}
				}
				return d, err
			})
		}, other, "c/2 shadow", true},
		{"redacted", "auto", "my CAT", nil, same, "c/1 shadow", true},
		{"redacted-to-the-end", "auto", "my CAT", nil, func(_ *llm.Request, emit func(llm.Event) error) error {
			return emit(llm.Event{Choices: []llm.Delta{{Text: "from homeX"}}, Usage: &llm.Usage{Input: 10, Output: 1}})
		}, "c/1 shadow", false},
		{"not-sampled", "auto", "hello", func(g *rig) { g.cfg.Shadow.Share = 0 }, same, "", false},
		{"sick-clouds", "auto", "hello", func(g *rig) { g.cloud.sick = map[string]bool{"c/1": true, "c/2": true} }, same, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig()
				rec, m := &locked{}, &monitor{}
				g.cfg.Recorder, g.cfg.Monitor, g.cfg.Judge = rec, m, judge{Boundary: llm.Supported, PLocal: 0.8, By: "local/nano", Version: "v1"}
				g.cfg.Shadow, g.cfg.Shadows = Shadow{Share: 1, Good: 0.5}, NewShadows(1, 2)
				defer g.cfg.Shadows.Close()
				var err error
				if g.cfg.Budgets, err = NewBudgets([]Budget{{Tenant: "acme", USD: 1}}); err != nil {
					t.Fatal(err)
				}
				g.cloud.do["c/1"] = tt.cloud
				if tt.setup != nil {
					tt.setup(g)
				}
				text, x, err := g.ask(t, tt.model, tt.text)
				if err != nil || text != "from home" || x.Route != llm.RouteLocal {
					t.Fatalf("answer %q by %s, %v", text, x.Route, err)
				}
				synctest.Wait()
				rec.mu.Lock()
				defer rec.mu.Unlock()
				if tt.want == "" {
					if len(rec.recs) != 1 || len(g.cloud.seen) != 0 || len(m.seen) != 0 {
						t.Errorf("%d records, calls %v", len(rec.recs), g.cloud.seen)
					}
					return
				}
				if len(rec.recs) != 2 || len(g.cloud.seen) != 1 || !strings.HasPrefix(g.cloud.seen[0], tt.want) {
					t.Fatalf("%d records, calls %v, want %s", len(rec.recs), g.cloud.seen, tt.want)
				}
				if strings.Contains(g.cloud.seen[0], "CAT") {
					t.Errorf("the cloud saw %s", g.cloud.seen[0])
				}
				r := rec.recs[1]
				if r.Kind != llm.KindShadow || r.Of != "dec_1" || r.Judge != "v1" || r.Assessment.PLocal != 0.8 || len(r.Attempts) != 1 || r.User == "ann" || r.Tenant != "acme" {
					t.Errorf("record %+v", r)
				}
				if tt.name == "the-cloud-fails" {
					if r.Verdict != nil || len(m.seen) != 0 {
						t.Errorf("verdict %+v", r.Verdict)
					}
					return
				}
				if r.Verdict == nil || r.Verdict.Good != tt.good || len(m.seen) != 1 || m.seen[0].Good != tt.good || m.n != 1 {
					t.Errorf("verdict %+v, monitor %+v", r.Verdict, m)
				}
				if r.CostNano == 0 || g.cfg.Budgets.Of("acme").SpentUSD != float64(r.CostNano)/1e9 {
					t.Errorf("cost %d, spent %g", r.CostNano, g.cfg.Budgets.Of("acme").SpentUSD)
				}
			})
		})
	}
}

// A copy never delays a request: when everybody is busy it is dropped.
func TestShadowIsDroppedWhenBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig()
		rec := &locked{}
		g.cfg.Recorder, g.cfg.Judge = rec, judge{Boundary: llm.Supported}
		g.cfg.Shadow, g.cfg.Shadows = Shadow{Share: 1}, NewShadows(1, 1)
		var calls atomic.Int32
		g.cloud.do["c/1"] = func(*llm.Request, func(llm.Event) error) error {
			calls.Add(1)
			time.Sleep(time.Minute)
			return &llm.Error{Kind: llm.Unavailable}
		}
		start := time.Now()
		for range 5 {
			if _, _, err := g.ask(t, "auto", "hello"); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if took := time.Since(start); took > 0 {
			t.Errorf("five requests took %v", took)
		}
		time.Sleep(time.Hour)
		if n := calls.Load(); n != 2 {
			t.Errorf("%d copies were sent, want 2: one in work and one waiting", n)
		}
		g.cfg.Shadows.Close()
	})
}

// A copy that waits while the configuration is reloaded is not sent: another policy is in force.
func TestShadowIsDroppedWhenReloaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig()
		g.cfg.Recorder, g.cfg.Judge = &locked{}, judge{Boundary: llm.Supported}
		g.cfg.Shadow, g.cfg.Shadows = Shadow{Share: 1}, NewShadows(1, 4)
		defer g.cfg.Shadows.Close()
		var calls atomic.Int32
		g.cloud.do["c/1"] = func(*llm.Request, func(llm.Event) error) error {
			calls.Add(1)
			time.Sleep(time.Minute)
			return &llm.Error{Kind: llm.Unavailable}
		}
		var last *Exchange
		for range 2 { // the first is in work, the second waits
			_, x, err := g.ask(t, "auto", "hello")
			if err != nil {
				t.Fatal(err)
			}
			last = x
			synctest.Wait()
		}
		next, err := New(g.cfg)
		if err != nil {
			t.Fatal(err)
		}
		next.Inherit(last.r)
		time.Sleep(time.Hour)
		if n := calls.Load(); n != 1 {
			t.Errorf("%d copies were sent, want the one in work", n)
		}
		if _, _, err := g.ask(t, "auto", "hello"); err != nil {
			t.Fatal(err)
		}
		if time.Sleep(time.Hour); calls.Load() != 2 {
			t.Error("after the reload no copy is sent")
		}
	})
}

func TestFeedback(t *testing.T) {
	g := newRig()
	m := &monitor{}
	g.cfg.Monitor, g.cfg.Decided, g.cfg.Judge = m, NewDecided(), judge{Boundary: llm.Supported, PLocal: 0.8, By: "local/nano", Version: "v1"}
	_, x, err := g.ask(t, "auto", "hello")
	if err != nil {
		t.Fatal(err)
	}
	ann := llm.Principal{Tenant: "acme", User: "ann", Key: "k"}
	score := 0.2
	id, err := x.r.Feedback(t.Context(), ann, "dec_1", llm.Verdict{Score: &score})
	if err != nil || !strings.HasPrefix(id, "fbk_") {
		t.Fatalf("feedback %q, %v", id, err)
	}
	r := g.rec.recs[1]
	if r.Kind != llm.KindFeedback || r.Of != "dec_1" || r.Verdict.Good || *r.Verdict.Score != 0.2 || r.Target != "local/a" ||
		r.Judge != "v1" || r.Assessment.PLocal != 0.8 || r.User == "ann" || r.User == "" || len(m.seen) != 1 {
		t.Errorf("record %+v, monitor %+v", r, m)
	}
	if _, err := x.r.Feedback(t.Context(), ann, "dec_1", llm.Verdict{}); err != nil || len(g.rec.recs) != 3 || len(m.seen) != 1 {
		t.Errorf("told twice: %v, %d records, %d outcomes, want 3 and 1", err, len(g.rec.recs), len(m.seen))
	}
	for _, tt := range []struct {
		who llm.Principal
		of  string
	}{{llm.Principal{Tenant: "other"}, "dec_1"}, {ann, "dec_2"}} {
		if _, err := x.r.Feedback(t.Context(), tt.who, tt.of, llm.Verdict{Good: true}); llm.KindOf(err) != llm.NotFound {
			t.Errorf("%s on %s: %v, want not found", tt.who.Tenant, tt.of, err)
		}
	}
	g.rec.err = errors.New("disk full")
	if _, err := x.r.Feedback(t.Context(), ann, "dec_1", llm.Verdict{Good: true}); llm.KindOf(err) != llm.Unavailable {
		t.Errorf("with a full disk: %v", err)
	}
	m.alarm = true
	if g.rec.err = nil; !x.r.Drift().Alarm {
		t.Error("the drift is not shown")
	}
	if _, _, err := g.ask(t, "auto", "hello"); err != nil { // an alarm fails nobody
		t.Error(err)
	}
}

func TestDecidedIsBounded(t *testing.T) {
	d := NewDecided()
	for i := range mostDecided + 5 {
		d.Add(&llm.Record{ID: strings.Repeat("x", 1) + time.Duration(i).String(), Tenant: "a", Target: "local/a", Status: 200})
	}
	d.Add(&llm.Record{ID: "refused", Tenant: "a", Status: 403})
	d.Add(&llm.Record{ID: "fbk", Kind: llm.KindFeedback, Tenant: "a", Target: "local/a", Status: 200})
	if len(d.by) != mostDecided || d.used.Len() != mostDecided {
		t.Errorf("%d decisions", len(d.by))
	}
	if _, ok := d.find("x0s", "a"); ok {
		t.Error("the oldest decision is still there")
	}
}

// Where an answer must not be finished without a durable record, no copy is sent either;
// and a copy that panics ends neither the worker nor the gateway.
func TestShadowAfterTheRecord(t *testing.T) {
	for _, strict := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			g := newRig()
			g.rec.err = errors.New("the disk is full")
			g.cfg.Judge = judge{Boundary: llm.Supported}
			g.cfg.Shadow, g.cfg.Shadows = Shadow{Share: 1}, NewShadows(1, 1)
			defer g.cfg.Shadows.Close()
			g.cfg.Policy = policy(func(in llm.PolicyInput) (llm.Decision, error) {
				d, err := allowAll(in)
				if strict {
					d.Obligations.Audit = "strict"
				}
				return d, err
			})
			g.cloud.do["c/1"] = func(*llm.Request, func(llm.Event) error) error { panic("no") }
			for range 2 {
				_, _, _ = g.ask(t, "auto", "hello")
				synctest.Wait()
			}
			if want := map[bool]int{true: 0, false: 2}[strict]; len(g.cloud.seen) != want {
				t.Errorf("strict %v: %d copies were sent, want %d", strict, len(g.cloud.seen), want)
			}
		})
	}
}
