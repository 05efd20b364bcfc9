package router

import (
	"errors"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/internal/openai"
)

func TestRoutes(t *testing.T) {
	tests := []struct {
		name  string
		model string
		setup func(*rig)
		text  string    // of the answer
		route llm.Route // as recorded
		code  llm.Code  // of the error; "" for an answer
		seen  string    // targets and hops called, in order
	}{
		{"cloud", "auto", func(*rig) {}, "from c1", llm.RouteCloud, "", "c/1 first"},
		{"local-when-supported", "auto", func(g *rig) { g.cfg.Judge = judge{Boundary: llm.Supported} }, "from home", llm.RouteLocal, "", "local/a first"},
		{"fallback", "auto", func(g *rig) { g.cloud.do["c/1"] = fails(llm.Unavailable) }, "from c2", llm.RouteCloud, "", "c/1 first, c/2 fallback"},
		{"degraded", "cloud", func(g *rig) {
			g.cloud.do["c/1"], g.cloud.do["c/2"] = fails(llm.Unavailable), fails(llm.Busy)
		}, "from home", llm.RouteDegraded, "", "c/1 first, c/2 fallback, local/a fallback"},
		{"no-degrade", "cloud", func(g *rig) {
			g.cfg.NoDegrade = true
			g.cloud.do["c/1"], g.cloud.do["c/2"] = fails(llm.Unavailable), fails(llm.Unavailable)
		}, "", llm.RouteBlocked, llm.CodeUpstream, "c/1 first, c/2 fallback"},
		{"escalate-an-empty-answer", "auto", func(g *rig) {
			g.cfg.Judge = judge{Boundary: llm.Supported}
			g.local.do["local/a"] = answers("")
		}, "from c1", llm.RouteCloud, "", "local/a first, c/1 escalate"},
		{"a-stream-that-fails-before-it-says-anything", "auto", func(g *rig) {
			g.cloud.do["c/1"] = func(_ *llm.Request, emit func(llm.Event) error) error {
				if err := emit(llm.Event{Choices: []llm.Delta{{}}}); err != nil { // the role
					return err
				}
				return &llm.Error{Kind: llm.Unavailable, Msg: "overloaded"}
			}
		}, "from c2", llm.RouteCloud, "", "c/1 first, c/2 fallback"},
		{"an-unstreamed-local-answer-that-breaks", "auto", func(g *rig) {
			g.cfg.Judge = judge{Boundary: llm.Supported}
			g.local.do["local/a"] = func(req *llm.Request, emit func(llm.Event) error) error {
				if err := emit(llm.Event{Choices: []llm.Delta{{Text: "half"}}}); err != nil {
					return err
				}
				return &llm.Error{Kind: llm.Unavailable, Msg: "no"}
			}
		}, "from c1", llm.RouteCloud, "", "local/a first, c/1 escalate"},
		{"too-long-for-the-only-target", "local", func(g *rig) {
			g.local.do["local/a"] = func(*llm.Request, func(llm.Event) error) error {
				return &llm.Error{Kind: llm.Unavailable, Code: llm.CodeContextLength, Msg: "too long"}
			}
		}, "", llm.RouteBlocked, llm.CodeContextLength, "local/a first"},
		{"a-later-hop-demands-what-nobody-can-do", "auto", func(g *rig) {
			g.cloud.do["c/1"] = fails(llm.Unavailable)
			g.cfg.Policy = policy(func(in llm.PolicyInput) (llm.Decision, error) {
				d, err := allowAll(in)
				d.Obligations.StoreContent = in.Hop != llm.First
				return d, err
			})
		}, "", llm.RouteBlocked, llm.CodePolicyDenied, "c/1 first"},
		{"local-never-leaves", "local", func(g *rig) { g.local.do["local/a"] = answers("") }, "", llm.RouteBlocked, llm.CodeLocalInsufficient, "local/a first"},
		{"invalid-is-not-retried", "auto", func(g *rig) { g.cloud.do["c/1"] = fails(llm.Invalid) }, "", llm.RouteBlocked, "", "c/1 first"},
		{"sick-target-last", "auto", func(g *rig) { g.cloud.sick = map[string]bool{"c/1": true} }, "from c2", llm.RouteCloud, "", "c/2 first"},
		{"policy-breaks", "auto", func(g *rig) {
			g.cfg.Policy = policy(func(llm.PolicyInput) (llm.Decision, error) {
				return llm.Decision{Allow: true, Targets: []string{"c/1"}}, errors.New("rego is broken")
			})
		}, "", llm.RouteBlocked, llm.CodePolicyDenied, ""},
		{"policy-denies", "auto", func(g *rig) {
			g.cfg.Policy = policy(func(llm.PolicyInput) (llm.Decision, error) {
				return llm.Decision{Deny: []llm.Denial{{Rule: "pii.private_key", Message: "private keys never leave"}}}, nil
			})
		}, "", llm.RouteBlocked, llm.CodePIIBlocked, ""},
		{"residency", "auto", func(g *rig) {
			g.local.targets[0].Can = []string{"judge"}
			g.cfg.Policy = policy(func(llm.PolicyInput) (llm.Decision, error) {
				return llm.Decision{Allow: true, Targets: []string{"local/a"}, Excluded: map[string][]string{
					"c/1": {"residency: EU only"}, "c/2": {"residency: EU only"}}}, nil
			})
		}, "", llm.RouteBlocked, llm.CodeResidency, ""},
		{"policy-is-asked-for-every-hop", "auto", func(g *rig) {
			g.cloud.do["c/1"] = fails(llm.Unavailable)
			g.cfg.Policy = policy(func(in llm.PolicyInput) (llm.Decision, error) {
				d, err := allowAll(in)
				if in.Hop != llm.First { // c/2 was permitted first, and no longer is
					d.Targets = []string{"local/a"}
				}
				return d, err
			})
		}, "from home", llm.RouteDegraded, "", "c/1 first, local/a fallback"},
		{"an-obligation-that-nobody-can-meet", "auto", func(g *rig) {
			g.cfg.Policy = policy(func(in llm.PolicyInput) (llm.Decision, error) {
				d, err := allowAll(in)
				d.Obligations.StoreContent = true
				return d, err
			})
		}, "", llm.RouteBlocked, llm.CodePolicyDenied, ""},
		{"inspection-breaks", "auto", func(g *rig) { g.cfg.Inspector = inspector{err: errors.New("deep")} }, "", llm.RouteBlocked, llm.CodePolicyDenied, ""},
		{"unknown-model", "gpt-9", func(*rig) {}, "", llm.RouteBlocked, llm.CodeModelNotFound, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig()
			tt.setup(g)
			text, x, err := g.ask(t, tt.model, "hello")
			if text != tt.text || x.Route != tt.route {
				t.Errorf("answer %q by route %q, want %q by %q (error %v)", text, x.Route, tt.text, tt.route, err)
			}
			e, _ := errors.AsType[*llm.Error](err)
			if (err != nil) != (tt.text == "") || e != nil && e.Code != tt.code {
				t.Errorf("error = %v, want code %q", err, tt.code)
			}
			var seen []string
			for _, b := range []*backend{g.local, g.cloud} {
				for _, s := range b.seen {
					f := strings.Fields(s)
					seen = append(seen, f[0]+" "+f[1])
				}
			}
			want := map[string]bool{}
			for s := range strings.SplitSeq(tt.seen, ", ") {
				want[s] = true
			}
			for _, s := range seen {
				if !want[s] {
					t.Errorf("called %s; want only %s", s, tt.seen)
				}
			}
			if tt.seen != "" && len(seen) != len(want) {
				t.Errorf("called %v, want %s", seen, tt.seen)
			}
			if n := len(g.rec.recs); n != 1 {
				t.Fatalf("%d records, want 1", n)
			}
			if r := g.rec.recs[0]; r.Route != tt.route || r.Code != tt.code && err != nil || r.User == "ann" || r.User == "" {
				t.Errorf("record = %+v", r)
			}
		})
	}
}

// The cloud sees no value that policy said to redact, and the client sees no placeholder.
func TestRedactsAndRestores(t *testing.T) {
	g := newRig()
	g.cloud.do["c/1"] = func(req *llm.Request, emit func(llm.Event) error) error {
		if req.LastText() != "my X1X" {
			t.Errorf("the messages say %q", req.LastText())
		}
		return answers("your X1X")(req, emit)
	}
	text, x, err := g.ask(t, "auto", "my CAT")
	if err != nil || text != "your CAT" {
		t.Fatalf("answer %q, %v", text, err)
	}
	if seen := g.cloud.seen[0]; strings.Contains(seen, "CAT") || !strings.Contains(seen, `"x_kept":1`) {
		t.Errorf("the cloud saw %s", seen)
	}
	rec := g.rec.recs[0]
	if len(rec.Redacted) != 1 || rec.Restored != 1 || rec.Findings["EMAIL"] != 1 || rec.Attempts[0].Redacted != 1 {
		t.Errorf("record = %+v", rec)
	}
	if rec.CostNano != 10*100+1*1000 || !rec.CostKnown || rec.PriceID != "p1" || x.Usage.Total() != 11 {
		t.Errorf("cost = %d known %v price %q usage %+v", rec.CostNano, rec.CostKnown, rec.PriceID, x.Usage)
	}
	if rec.InputMAC == "" || strings.Contains(rec.InputMAC, "CAT") {
		t.Errorf("input MAC = %q", rec.InputMAC)
	}
}

// After the first event nothing moves: the error reaches the client.
func TestNoFallbackAfterTheFirstEvent(t *testing.T) {
	g := newRig()
	g.cloud.do["c/1"] = func(req *llm.Request, emit func(llm.Event) error) error {
		if err := answers("begun")(req, emit); err != nil {
			return err
		}
		return &llm.Error{Kind: llm.Unavailable, Msg: "cut"}
	}
	text, x, err := g.ask(t, "auto", "hello")
	if text != "begun" || llm.KindOf(err) != llm.Unavailable || len(g.cloud.seen) != 1 || x.Target.ID != "c/1" {
		t.Errorf("answer %q from %s, %v, calls %v", text, x.Target.ID, err, g.cloud.seen)
	}
}

func TestStrictAudit(t *testing.T) {
	g := newRig()
	g.rec.err = errors.New("disk full")
	if _, _, err := g.ask(t, "auto", "hello"); err != nil {
		t.Errorf("a group audit must not fail the answer: %v", err)
	}
	g.cfg.Policy = policy(func(in llm.PolicyInput) (llm.Decision, error) {
		d, err := allowAll(in)
		d.Obligations.Audit = "strict"
		return d, err
	})
	_, _, err := g.ask(t, "auto", "hello")
	if e, ok := errors.AsType[*llm.Error](err); !ok || e.Code != llm.CodeAudit {
		t.Errorf("strict audit: %v, want audit_unavailable", err)
	}
	if w := g.rec.wait; w[0] || !w[1] {
		t.Errorf("waited for the record: %v, want only under strict", w)
	}
}

// The audit is strict when the decision that let the request out says so, not only the first.
func TestStrictAuditOfALaterHop(t *testing.T) {
	g := newRig()
	g.cloud.do["c/1"] = fails(llm.Unavailable)
	g.cfg.Policy = policy(func(in llm.PolicyInput) (llm.Decision, error) {
		d, err := allowAll(in)
		if in.Hop == llm.Fallback {
			d.Obligations.Audit = "strict"
		}
		return d, err
	})
	if text, _, err := g.ask(t, "auto", "hello"); err != nil || text != "from c2" {
		t.Fatalf("answer %q, %v", text, err)
	}
	if !g.rec.wait[0] {
		t.Error("the record was not waited for")
	}
}

// An answer that came to nothing leaves no tokens on the one that counts, and no text in the ledger.
func TestRecordOfTheAnswerThatCounts(t *testing.T) {
	g := newRig()
	g.cfg.Judge = judge{Boundary: llm.Supported}
	g.local.do["local/a"] = answers("") // with its usage
	g.cloud.do["c/1"] = func(_ *llm.Request, emit func(llm.Event) error) error {
		return emit(llm.Event{Choices: []llm.Delta{{Text: "x", Finish: llm.Stop}}})
	}
	if _, x, err := g.ask(t, "auto", "my CAT"); err != nil || x.Usage.Total() != 0 {
		t.Errorf("usage %+v, %v; the cloud reported none", x.Usage, err)
	}
	if a := g.rec.recs[0].Attempts; a[0].Redacted != 0 || a[1].Redacted != 1 {
		t.Errorf("redacted %d and %d, want none at home and one type in the cloud", a[0].Redacted, a[1].Redacted)
	}
	_, _, err := g.ask(t, "call ann@example.com", "hello")
	if m := g.rec.recs[1].Model; llm.KindOf(err) != llm.NotFound || m != "unknown" {
		t.Errorf("recorded model %q, %v", m, err)
	}
}

func TestNeedsOfTheFormat(t *testing.T) {
	for format, want := range map[string]bool{
		`null`: false, `{"type":"text"}`: false, `{"type":"json_object"}`: true,
		`{"type":"json_schema","json_schema":{"name":"text","schema":{}}}`: true,
	} {
		req, err := openai.ParseRequest([]byte(`{"model":"auto","messages":[{"role":"user","content":"x"}],"response_format":` + format + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := needs(req).Format; got != want {
			t.Errorf("%s: needs a format: %v, want %v", format, got, want)
		}
	}
}
