package router

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/internal/openai"
)

// backend is a tier of funcs, one for each target.
type backend struct {
	targets []llm.Target
	do      map[string]func(req *llm.Request, emit func(llm.Event) error) error
	sick    map[string]bool
	seen    []string // "target hop body"
}

func (b *backend) Targets() []llm.Target  { return b.targets }
func (b *backend) Healthy(id string) bool { return !b.sick[id] }
func (b *backend) Generate(_ context.Context, req *llm.Request, emit func(llm.Event) error) error {
	b.seen = append(b.seen, req.Target.ID+" "+string(req.Hop)+" "+string(req.Body))
	err := b.do[req.Target.ID](req, emit)
	a := llm.Attempt{Try: 1, Outcome: llm.OK, Usage: llm.Usage{Input: 10, Output: 1}}
	if err != nil {
		a.Outcome, a.Usage = llm.Failed, llm.Usage{}
	}
	req.OnAttempt(a)
	return err
}

func answers(text string) func(*llm.Request, func(llm.Event) error) error {
	return func(_ *llm.Request, emit func(llm.Event) error) error {
		return emit(llm.Event{Choices: []llm.Delta{{Text: text, Finish: llm.Stop}}, Usage: &llm.Usage{Input: 10, Output: 1}})
	}
}

func fails(kind llm.Kind) func(*llm.Request, func(llm.Event) error) error {
	return func(*llm.Request, func(llm.Event) error) error { return &llm.Error{Kind: kind, Msg: "no"} }
}

// inspector knows one secret word, CAT, and calls it an EMAIL.
type inspector struct{ err error }

func (i inspector) Inspect(_ context.Context, req *llm.Request) ([]llm.Finding, error) {
	if strings.Contains(string(req.Body), "CAT") {
		return []llm.Finding{{Type: "EMAIL", Score: 1}}, i.err
	}
	return nil, i.err
}

func (i inspector) Redact(req *llm.Request, _ []llm.Finding, types []string) ([]byte, llm.Restorer, error) {
	return []byte(strings.ReplaceAll(string(req.Body), "CAT", "X1X")), &restorer{}, nil
}

// A restorer holds back an X at the end of what is not the last piece.
type restorer struct {
	n    int
	held string
}

func (r *restorer) Event(ev *llm.Event) {
	for i := range ev.Choices {
		d := &ev.Choices[i]
		d.Text, r.held = r.held+d.Text, ""
		if before, ok := strings.CutSuffix(d.Text, "X"); ok && d.Finish == "" && !strings.HasSuffix(d.Text, "X1X") {
			d.Text, r.held = before, "X"
		}
		if strings.Contains(d.Text, "X1X") {
			d.Text, ev.Edited, r.n = strings.ReplaceAll(d.Text, "X1X", "CAT"), true, r.n+1
		}
	}
}

func (r *restorer) Flush() []llm.Delta {
	if r.held == "" {
		return nil
	}
	rest := r.held
	r.held = ""
	return []llm.Delta{{Text: rest}}
}

func (r *restorer) Restored() int { return r.n }

type judge llm.Assessment

func (j judge) Assess(context.Context, *llm.Request) llm.Assessment { return llm.Assessment(j) }

func (judge) Compare(_ *llm.Request, a, b llm.Answer) (float64, map[string]float64) {
	if a.Text == b.Text {
		return 1, nil
	}
	return 0, nil
}

func (j judge) Review(_ context.Context, _ *llm.Request, a llm.Assessment, _ llm.Answer) llm.Assessment {
	return a
}

type policy func(llm.PolicyInput) (llm.Decision, error)

func (p policy) Decide(_ context.Context, in llm.PolicyInput) (llm.Decision, error) { return p(in) }
func (p policy) Revision() string                                                   { return "sha256:test" }

func allowAll(in llm.PolicyInput) (llm.Decision, error) {
	d := llm.Decision{Allow: true, Revision: "sha256:test", Redact: []string{"EMAIL"}, Rehydrate: true}
	for _, t := range in.Targets {
		d.Targets = append(d.Targets, t.ID)
	}
	return d, nil
}

type recorder struct {
	recs []*llm.Record
	wait []bool
	err  error
}

func (r *recorder) Record(_ context.Context, rec *llm.Record, wait bool) error {
	r.recs, r.wait = append(r.recs, rec), append(r.wait, wait)
	return r.err
}

// rig is a router among fakes: local/a and the cloud targets c/1 and c/2.
type rig struct {
	local, cloud *backend
	rec          *recorder
	cfg          Config
}

func newRig() *rig {
	g := &rig{
		local: &backend{targets: []llm.Target{{ID: "local/a", Provider: "local", Can: []string{"chat"}}}},
		cloud: &backend{targets: []llm.Target{
			{ID: "c/1", Provider: "c", Can: []string{"chat"}, Price: llm.Price{Known: true, ID: "p1", Input: 100, Output: 1000}},
			{ID: "c/2", Provider: "c", Can: []string{"chat"}, Price: llm.Price{Known: true, Input: 200, Output: 2000}},
		}},
		rec: &recorder{},
	}
	g.local.do = map[string]func(*llm.Request, func(llm.Event) error) error{"local/a": answers("from home")}
	g.cloud.do = map[string]func(*llm.Request, func(llm.Event) error) error{"c/1": answers("from c1"), "c/2": answers("from c2")}
	g.cfg = Config{
		Local: g.local, Cloud: g.cloud, Inspector: inspector{}, Judge: judge{Boundary: llm.Unsupported}, Policy: policy(allowAll), Recorder: g.rec,
		Parse:  func(_ llm.Dialect, b []byte) (*llm.Request, error) { return openai.ParseRequest(b) },
		MACKey: make([]byte, 32), Log: slog.New(slog.DiscardHandler),
	}
	return g
}

// ask runs one request and returns the answer's text and the exchange.
func (g *rig) ask(t *testing.T, model, text string) (string, *Exchange, error) {
	t.Helper()
	r, err := New(g.cfg)
	if err != nil {
		t.Fatal(err)
	}
	req, err := openai.ParseRequest([]byte(`{"model":"` + model + `","messages":[{"role":"user","content":"` + text + `"}],"x_kept":1}`))
	if err != nil {
		t.Fatal(err)
	}
	req.ID, req.Received, req.Principal = "dec_1", time.Now(), llm.Principal{Tenant: "acme", User: "ann"}
	x, err := r.Plan(t.Context(), req)
	got := ""
	if err == nil {
		err = x.Run(t.Context(), func(ev llm.Event) error {
			for _, d := range ev.Choices {
				got += d.Text
			}
			return nil
		})
	}
	if rerr := x.Record(t.Context(), 200); rerr != nil {
		err = errors.Join(err, rerr)
	}
	return got, x, err
}
