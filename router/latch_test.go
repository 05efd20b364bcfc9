package router

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/internal/llm"
)

// A script is a line of steps of one run, by commands:
//
//	user     the user speaks: a new turn
//	ok       a step that the local tier answers well
//	bad      a step whose local answer comes to nothing
//	toolerr  a step after which the tool that was called fails
//	wait     an hour passes
//
// and what becomes of each step: "l" it may stay, "L" it is latched to the cloud.
func TestLatch(t *testing.T) {
	for _, tt := range []struct {
		name, sticky string
		after        int
		script, want string
	}{
		{"latches-after-two", "turn", 2, "user bad ok bad ok ok", "lllLL"},
		{"until-the-user-speaks", "turn", 2, "user bad bad ok user ok bad ok", "llLlll"},
		{"a-failed-tool-counts", "turn", 2, "user toolerr toolerr ok", "llL"},
		{"but-not-a-tool-that-the-cloud-called", "turn", 1, "user bad toolerr user toolerr ok", "lLlL"},
		{"session", "session", 2, "user bad bad ok user ok", "llLL"},
		{"session-forgets-when-idle", "session", 2, "user bad bad ok wait user ok", "llLl"},
		{"off", "off", 1, "user bad bad ok", "lll"},
		{"never", "turn", 0, "user bad bad ok", "lll"},
	} {
		for _, tied := range []string{"session", "conversation"} {
			t.Run(tt.name+"-by-"+tied, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := newLatches(Latch{After: tt.after, Sticky: tt.sticky})
					req := &llm.Request{Principal: llm.Principal{Tenant: "acme"}, Tools: []llm.Tool{{Name: "run"}}}
					if tied == "session" {
						req.Session = "s1"
					}
					var got strings.Builder
					run := llm.AgentRun{}
					for i, cmd := range strings.Fields(tt.script) {
						switch cmd {
						case "user":
							req.Messages = append(req.Messages, llm.Message{Role: llm.User, Text: fmt.Sprint("turn ", i)})
							run = llm.AgentRun{}
							continue
						case "wait":
							time.Sleep(time.Hour)
							continue
						}
						s, ok := l.look(req, run)
						switch {
						case ok && s.latched:
							got.WriteByte('L')
						default:
							got.WriteByte('l')
						}
						call := fmt.Sprint("call_", i)
						if ok && cmd == "bad" && !s.latched {
							l.keep(s, nil, 1)
						} else if ok && s.latched {
							l.keep(s, nil, 0)
						} else if ok {
							l.keep(s, []string{call}, 0)
						}
						run = llm.AgentRun{Steps: run.Steps + 1, Failed: cmd == "toolerr"}
						req.Messages = append(req.Messages, llm.Message{Role: llm.Assistant, ToolCalls: []llm.ToolCall{{ID: call}}}, llm.Message{Role: llm.ToolRole, ToolCallID: call, Text: "result"})
					}
					if got.String() != tt.want {
						t.Errorf("steps %s, want %s", got.String(), tt.want)
					}
				})
			})
		}
	}
}

// Steps of a run that are in flight at the same time. A script is a line of words:
//
//	AT   the step A of the user's turn T begins
//	AT!  the same, and brings a bad result of the call X
//	A+   step A is answered by the local tier, and calls X
//	A-   its local answer comes to nothing
//	R    the configuration is reloaded
func TestLatchAtTheSameTime(t *testing.T) {
	for _, tt := range []struct {
		name, script string
		failed       int // then, in turn 1
	}{
		{"a-success-wipes-no-failure", "A1 B1 A- B+", 1},
		{"failures-add-up", "A1 B1 C1 A- B- C-", 3},
		{"a-bad-result-counts-once", "A1 A+ B1! C1! B+ C1 C+", 1},
		{"a-bad-result-counts-once-beside-failures", "A1 A+ B1! C1! B- C-", 3},
		{"a-bad-result-of-the-cloud's-call-does-not-count", "A1 B1! A- B+", 1},
		{"a-late-step-is-its-own-turn's", "A1 B2 B+ A- C1", 1},
		{"nor-does-it-count-in-the-next", "A2 B1 B+ A- C1", 0},
		{"two-agents-of-a-session", "A1 B2 A- C1 B- D2 C- D-", 2},
		{"across-a-reload", "A1 R B1 A- B-", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLatches(Latch{After: 10})
			request := func(turn string, bad bool) (*llm.Request, llm.AgentRun) {
				req := &llm.Request{Session: "s", Messages: []llm.Message{{Role: llm.User, Text: turn}}}
				if bad {
					req.Messages = append(req.Messages, llm.Message{Role: llm.Assistant, ToolCalls: []llm.ToolCall{{ID: "X"}}}, llm.Message{Role: llm.ToolRole, ToolCallID: "X"})
				}
				return req, llm.AgentRun{Failed: bad}
			}
			steps, of := map[string]step{}, map[string]*latches{}
			for cmd := range strings.FieldsSeq(tt.script) {
				if cmd == "R" {
					next := newLatches(l.cfg)
					next.inherit(l)
					l = next
					continue
				}
				switch id := cmd[:1]; cmd[1] {
				case '+':
					of[id].keep(steps[id], []string{"X"}, 0)
				case '-':
					of[id].keep(steps[id], nil, 1)
				default:
					steps[id], _ = l.look(request(cmd[1:2], len(cmd) > 2))
					of[id] = l
				}
			}
			if s, ok := l.look(request("1", false)); !ok || s.failed != tt.failed {
				t.Errorf("%d failures, want %d", s.failed, tt.failed)
			}
		})
	}
}

// Two tenants, or two conversations, have nothing to do with each other; looking changes nothing.
func TestLatchKeepsRunsApart(t *testing.T) {
	l := newLatches(Latch{After: 1})
	req := func(tenant, text string) *llm.Request {
		return &llm.Request{Principal: llm.Principal{Tenant: tenant}, Tools: []llm.Tool{{Name: "run"}}, Messages: []llm.Message{{Role: llm.User, Text: text}}}
	}
	s, _ := l.look(req("a", "x"), llm.AgentRun{})
	l.keep(s, nil, 1)
	for _, tt := range []struct {
		req  *llm.Request
		want bool
	}{{req("a", "x"), true}, {req("b", "x"), false}, {req("a", "y"), false}} {
		for range 2 {
			if s, ok := l.look(tt.req, llm.AgentRun{}); !ok || s.latched != tt.want {
				t.Errorf("%s %q: latched %v, want %v", tt.req.Principal.Tenant, tt.req.Messages[0].Text, s.latched, tt.want)
			}
		}
	}
	if _, ok := l.look(&llm.Request{Messages: []llm.Message{{Role: llm.User, Text: "x"}}}, llm.AgentRun{}); ok {
		t.Error("a request that is no step of a run is remembered")
	}
	for i := range mostRuns + 10 {
		s, _ := l.look(req("a", fmt.Sprint(i)), llm.AgentRun{})
		l.keep(s, nil, 0)
	}
	if len(l.runs.by) != mostRuns || l.runs.used.Len() != mostRuns {
		t.Errorf("%d runs are remembered", len(l.runs.by))
	}
}

// A latched step goes to the cloud, says so, and /v1/route would say the same without changing anything.
func TestLatchedRoute(t *testing.T) {
	g := newRig()
	g.cfg.Judge, g.cfg.Latch = &reviewer{}, Latch{After: 2}
	g.local.do["local/a"] = tokens(0, "doubt")
	r, err := New(g.cfg)
	if err != nil {
		t.Fatal(err)
	}
	step := func() *Exchange {
		req := &llm.Request{ID: "dec_1", Model: "auto", N: 1, Session: "s", Received: time.Now(), Body: []byte("{}"),
			Messages: []llm.Message{{Role: llm.User, Text: "fix it"}}, Modalities: []string{"text"}}
		for range 3 {
			if _, err := r.Plan(t.Context(), req); err != nil {
				t.Fatal(err)
			}
		}
		x, err := r.Plan(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Run(t.Context(), func(llm.Event) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if err := x.Record(t.Context(), 200); err != nil {
			t.Fatal(err)
		}
		return x
	}
	for i, latched := range []bool{false, false, true, true} {
		x := step()
		if x.Latched != latched || (len(x.Attempts) == 1) != latched || g.rec.recs[i].Latched != latched {
			t.Errorf("step %d: latched %v after %d attempts, want %v", i, x.Latched, len(x.Attempts), latched)
		}
		if latched && (x.Assessment.By != "rule:latch" || x.Assessment.Boundary != llm.Unsupported || !strings.Contains(x.Assessment.Why, "until the user speaks")) {
			t.Errorf("assessment = %+v", x.Assessment)
		}
	}
}
