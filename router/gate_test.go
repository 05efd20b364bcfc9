package router

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/internal/openai"
)

// reviewer supports every request at first, and gives an answer the p_local that
// its text names: "doubt" 0.1, others 0.9.
type reviewer struct{ seen []llm.Answer }

func (*reviewer) Assess(context.Context, *llm.Request) llm.Assessment {
	return llm.Assessment{Boundary: llm.Supported, PLocal: 0.8}
}

func (*reviewer) Compare(_ *llm.Request, a, b llm.Answer) (float64, map[string]float64) {
	return judge{}.Compare(nil, a, b)
}

func (r *reviewer) Review(_ context.Context, _ *llm.Request, a llm.Assessment, ans llm.Answer) llm.Assessment {
	r.seen = append(r.seen, ans)
	a.PLocal, a.Why, a.Thresholds = 0.9, "unsure", &llm.Thresholds{Escalate: 0.3}
	if strings.Contains(ans.Text, "doubt") {
		a.PLocal = 0.1
	}
	return a
}

// tokens answers with one event for each word, so long after another.
func tokens(every time.Duration, words ...string) func(*llm.Request, func(llm.Event) error) error {
	return func(req *llm.Request, emit func(llm.Event) error) error {
		for _, w := range words {
			time.Sleep(every)
			d := llm.Delta{Text: w}
			if req.Watch {
				d.Chosen = []float64{-0.1}
			}
			if err := emit(llm.Event{Choices: []llm.Delta{d}}); err != nil {
				return err
			}
		}
		return emit(llm.Event{Choices: []llm.Delta{{Finish: llm.Stop}}, Usage: &llm.Usage{Input: 10, Output: len(words)}})
	}
}

// streamed runs a streamed request, and returns the answer and when its first event came.
func (g *rig) streamed(t *testing.T) (text string, first time.Duration, x *Exchange, err error) {
	t.Helper()
	r, err := New(g.cfg)
	if err != nil {
		t.Fatal(err)
	}
	req, err := openai.ParseRequest([]byte(`{"model":"auto","stream":true,"messages":[{"role":"user","content":"hello"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	req.ID, req.Received, req.Principal = "dec_1", time.Now(), llm.Principal{Tenant: "acme"}
	if x, err = r.Plan(t.Context(), req); err == nil {
		err = x.Run(t.Context(), func(ev llm.Event) error {
			if first == 0 {
				first = time.Since(req.Received)
			}
			for _, d := range ev.Choices {
				text += d.Text
			}
			return nil
		})
	}
	_ = x.Record(t.Context(), 200)
	return text, first, x, err
}

func TestCommitWindow(t *testing.T) {
	const every = 10 * time.Millisecond
	long := slices.Repeat([]string{"word "}, 20)
	for _, tt := range []struct {
		name     string
		commit   Commit
		answer   []string
		setup    func(*rig)
		text     string        // of the answer: its beginning
		first    time.Duration // when its first event came
		attempts string
		code     string // of the first attempt
		reviewed int    // tokens that the first review saw
	}{
		{name: "no-window", answer: long, text: "word ", first: every, attempts: "local/a ok"},
		{name: "by-tokens", commit: Commit{Tokens: 4}, answer: long, text: "word ", first: 4 * every, attempts: "local/a ok", reviewed: 4},
		{name: "by-time", commit: Commit{Tokens: 16, Wait: 55 * time.Millisecond}, answer: long, text: "word ", first: 7 * every, attempts: "local/a ok", reviewed: 7},
		{name: "a-short-answer-closes-it", commit: Commit{Tokens: 16}, answer: []string{"yes", "!"}, text: "yes!", first: 2 * every, attempts: "local/a ok", reviewed: 2},
		{name: "escalates-unseen", commit: Commit{Tokens: 4}, answer: append([]string{"I ", "doubt ", "it "}, long...),
			text: "from c1", first: 4 * every, attempts: "local/a insufficient, c/1 ok", code: "unsure", reviewed: 4},
		{name: "never-after-the-commit-point", commit: Commit{Tokens: 4}, answer: append(slices.Clone(long), "doubt"),
			text: "word ", first: 4 * every, attempts: "local/a ok", reviewed: 4},
		{name: "policy-permits-no-cloud-for-the-hop", commit: Commit{Tokens: 4}, answer: append([]string{"doubt "}, long...),
			setup: func(g *rig) {
				g.cfg.Policy = policy(func(in llm.PolicyInput) (llm.Decision, error) {
					d, err := allowAll(in)
					d.LocalOnly = in.Hop != llm.First
					return d, err
				})
			}, text: "doubt ", first: every, attempts: "local/a ok", reviewed: 21},
		{name: "policy-refuses-the-hop", commit: Commit{Tokens: 4}, answer: append([]string{"doubt "}, long...),
			setup: func(g *rig) {
				g.cfg.Policy = policy(func(in llm.PolicyInput) (llm.Decision, error) {
					d, err := allowAll(in)
					d.Allow = in.Hop == llm.First
					return d, err
				})
			}, text: "doubt ", first: every, attempts: "local/a ok", reviewed: 21},
		{name: "policy-changes-its-mind", commit: Commit{Tokens: 4}, answer: append([]string{"doubt "}, long...),
			setup: func(g *rig) {
				asked := 0
				g.cfg.Policy = policy(func(in llm.PolicyInput) (llm.Decision, error) {
					d, err := allowAll(in)
					if in.Hop == llm.Escalate {
						asked++
					}
					d.LocalOnly = asked > 1
					return d, err
				})
			}, text: "doubt ", first: 4 * every, attempts: "local/a ok", reviewed: 4},
		{name: "the-cloud-is-sick", commit: Commit{Tokens: 4}, answer: append([]string{"doubt "}, long...),
			setup: func(g *rig) { g.cloud.sick = map[string]bool{"c/1": true, "c/2": true} },
			text:  "doubt ", first: every, attempts: "local/a ok", reviewed: 21},
		{name: "the-cloud-fails-after-all", commit: Commit{Tokens: 4}, answer: append([]string{"doubt "}, long...),
			setup: func(g *rig) {
				g.cloud.do["c/1"], g.cloud.do["c/2"] = fails(llm.Unavailable), fails(llm.Unavailable)
			}, text: "doubt ", first: 5 * every, attempts: "local/a insufficient, c/1 failed, c/2 failed, local/a ok", code: "unsure", reviewed: 4},
		{name: "empty", commit: Commit{Tokens: 4}, text: "from c1", attempts: "local/a insufficient, c/1 ok", code: "empty"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig()
				rv := &reviewer{}
				g.cfg.Judge, g.cfg.Commit = rv, tt.commit
				g.local.do["local/a"] = tokens(every, tt.answer...)
				if tt.setup != nil {
					tt.setup(g)
				}
				text, first, x, err := g.streamed(t)
				if !strings.HasPrefix(text, tt.text) || (err != nil) != (tt.text == "") || strings.Contains(text, "from c1") != (tt.text == "from c1") {
					t.Errorf("answer %q, %v; want %q…", text, err, tt.text)
				}
				if first != tt.first {
					t.Errorf("the first event came after %v, want %v", first, tt.first)
				}
				var got []string
				for _, a := range x.Attempts {
					got = append(got, a.Target+" "+string(a.Outcome))
				}
				if strings.Join(got, ", ") != tt.attempts || x.Attempts[0].Code != tt.code {
					t.Errorf("attempts %v with code %q, want %s with %q", got, x.Attempts[0].Code, tt.attempts, tt.code)
				}
				if len(x.Attempts) > 2 && x.Route != llm.RouteDegraded {
					t.Errorf("route %s, want degraded", x.Route)
				}
				if tt.reviewed > 0 && (len(rv.seen) == 0 || len(rv.seen[0].Chosen) != tt.reviewed) {
					t.Errorf("reviewed %+v, want %d tokens first", rv.seen, tt.reviewed)
				}
				if x.Held > 0 && len(x.Attempts) == 1 && x.Held != max(0, first-every) {
					t.Errorf("held for %v, the first event came %v after the first token", x.Held, first-every)
				}
			})
		})
	}
}

// An answer that is not streamed is reviewed whole, and may go to the cloud as late as that.
func TestReviewOfAWholeAnswer(t *testing.T) {
	g := newRig()
	g.cfg.Judge = &reviewer{}
	g.local.do["local/a"] = tokens(0, "no ", "doubt")
	text, x, err := g.ask(t, "auto", "hello")
	if err != nil || text != "from c1" || x.Attempts[0].Outcome != llm.Insufficient || x.Route != llm.RouteCloud {
		t.Errorf("answer %q, %v, %+v", text, err, x.Attempts)
	}
	if rec := g.rec.recs[0]; rec.Revised == nil || *rec.Revised != 0.1 || rec.CostNano == 0 {
		t.Errorf("record = %+v", rec)
	}
	text, _, err = g.ask(t, "local", "hello") // the client said that it never leaves
	if err != nil || text != "no doubt" {
		t.Errorf("answer %q, %v", text, err)
	}
}

// A token without text, for which only the review has a use, is no event for the client.
func TestSilentTokens(t *testing.T) {
	g := newRig()
	g.cfg.Judge = &reviewer{}
	g.local.do["local/a"] = tokens(0, "a", "", "b", "")
	r, err := New(g.cfg)
	if err != nil {
		t.Fatal(err)
	}
	req, err := openai.ParseRequest([]byte(`{"model":"auto","stream":true,"messages":[{"role":"user","content":"hello"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	x, err := r.Plan(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := x.Run(t.Context(), func(llm.Event) error { n++; return nil }); err != nil || n != 3 {
		t.Errorf("%d events, %v; want two texts and the end", n, err)
	}
}

// What is read for the review takes time as the answer's length, not as its square.
func TestReadManyPieces(t *testing.T) {
	g := &gate{}
	start := time.Now()
	const pieces = 300_000
	for i := range pieces {
		d := llm.ToolDelta{Arguments: "eight ch"}
		if i%(pieces/2) == 0 {
			d.ID, d.Name = "call", "f"
		}
		g.read(&llm.Delta{ToolCalls: []llm.ToolDelta{d}})
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("read in %v", took)
	}
	early := g.seen()
	g.read(&llm.Delta{ToolCalls: []llm.ToolDelta{{Arguments: "}"}}})
	for _, a := range []*llm.Answer{early, g.seen()} {
		more := map[bool]int{true: 0, false: 1}[a == early]
		if len(a.Calls) != 2 || len(a.Calls[0].Arguments) != 4*pieces || len(a.Calls[1].Arguments) != 4*pieces+more {
			t.Error("not all was read, or what was seen has changed")
		}
	}
}
