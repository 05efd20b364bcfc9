package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/internal/openai"
	"github.com/sluice-ai/sluice/local/judge"
	"github.com/sluice-ai/sluice/router"
	"github.com/sluice-ai/sluice/runtime/engine"
	"github.com/sluice-ai/sluice/runtime/nano"
)

// A recordedStep is one request of an agent's run, what the local model answered,
// and what became of it: a line of testdata/agent/session.jsonl.
type recordedStep struct {
	Note    string
	Request json.RawMessage
	Local   struct {
		Text     string
		Call     []json.RawMessage // name, arguments
		Logprobs []float64
	}
	Want struct {
		Target           string
		Latched          bool
		Failures, Errors int
		Why              string
	}
}

// scripted is a tier that answers what it is told to.
type scripted struct {
	target llm.Target
	answer func() recordedStep
	asked  int
}

func (s *scripted) Targets() []llm.Target { return []llm.Target{s.target} }
func (s *scripted) Healthy(string) bool   { return true }
func (s *scripted) Generate(_ context.Context, req *llm.Request, emit func(llm.Event) error) error {
	s.asked++
	step := s.answer()
	a := llm.Attempt{Try: 1, Outcome: llm.OK, Usage: llm.Usage{Input: 10, Output: 5}}
	defer func() { req.OnAttempt(a) }()
	words := strings.SplitAfter(step.Local.Text, " ")
	if len(step.Local.Call) > 0 {
		var name string
		if err := json.Unmarshal(step.Local.Call[0], &name); err != nil {
			return err
		}
		d := llm.Delta{ToolCalls: []llm.ToolDelta{{ID: fmt.Sprint("c", s.asked), Name: name, Arguments: string(step.Local.Call[1])}}, Chosen: step.Local.Logprobs}
		if err := emit(llm.Event{Choices: []llm.Delta{d}}); err != nil {
			return err
		}
		words = nil
	}
	for i, w := range words {
		d := llm.Delta{Text: w}
		if req.Watch && i < len(step.Local.Logprobs) {
			d.Chosen = step.Local.Logprobs[i : i+1]
		}
		if err := emit(llm.Event{Choices: []llm.Delta{d}}); err != nil {
			a.Outcome = llm.Abandoned
			return err
		}
	}
	return emit(llm.Event{Choices: []llm.Delta{{Finish: llm.Stop}}})
}

type keeping struct{ recs []*llm.Record }

func (k *keeping) Record(_ context.Context, r *llm.Record, _ bool) error {
	k.recs = append(k.recs, r)
	return nil
}

// TestAgentReplay replays a recorded run through the real judge (nano), the real
// policy and the real router: it latches, stays latched, and unlatches. With the
// latch off, the local model is asked each time.
func TestAgentReplay(t *testing.T) {
	f, err := os.Open("../../testdata/agent/session.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var steps []recordedStep
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var s recordedStep
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, s)
	}
	if len(steps) < 6 {
		t.Fatalf("%d steps", len(steps))
	}
	m, err := engine.OpenBytes("nano", nano.Bytes(), engine.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	home := llm.Target{ID: "local/home", Provider: "local", Can: []string{"chat", "tools", "json"}, Price: llm.Price{Known: true}}
	j, err := judge.New(t.Context(), m, judge.Config{Model: "local/nano", Supported: 0.3, Unsupported: 0.1, Local: []llm.Target{home}})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	cfg, err := loadConfig(flags{})
	if err != nil {
		t.Fatal(err)
	}
	pol, err := openPolicy(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	in, err := newInspector(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, sticky := range []string{"turn", "off"} {
		for _, stream := range []bool{false, true} {
			var now recordedStep
			local := &scripted{target: home, answer: func() recordedStep { return now }}
			cloud := &scripted{
				target: llm.Target{ID: "cloud/big", Provider: "cloud", Can: []string{"chat", "tools", "json"}, Zone: llm.Zone{Region: "US"}},
				answer: func() recordedStep { s := recordedStep{}; s.Local.Text = "from the cloud"; return s },
			}
			kept := &keeping{}
			r, err := router.New(router.Config{
				Local: local, Cloud: cloud, Inspector: in, Judge: j, Policy: pol, Recorder: kept, MACKey: make([]byte, 32), AssessTimeout: time.Minute,
				Parse:  func(_ llm.Dialect, b []byte) (*llm.Request, error) { return openai.ParseRequest(b) },
				Commit: router.Commit{Tokens: 8}, Latch: router.Latch{After: 2, Sticky: sticky}, Log: quiet(),
			})
			if err != nil {
				t.Fatal(err)
			}
			for i, s := range steps {
				now = s
				req, err := openai.ParseRequest(s.Request)
				if err != nil {
					t.Fatal(err)
				}
				req.ID, req.Received, req.Stream, req.Session = "dec_x", time.Now(), stream, "run-1"
				req.Principal = llm.Principal{Tenant: "default"}
				x, err := r.Plan(t.Context(), req)
				if err == nil {
					err = x.Run(t.Context(), func(llm.Event) error { return nil })
				}
				if err != nil {
					t.Fatalf("step %d: %v", i, err)
				}
				if err := x.Record(t.Context(), 200); err != nil {
					t.Fatal(err)
				}
				rec, w := kept.recs[i], s.Want
				if sticky == "off" {
					if x.Latched {
						t.Errorf("step %d is latched, though the latch is off", i)
					}
					continue
				}
				if x.Target.ID != w.Target || x.Latched != w.Latched || rec.Latched != w.Latched || x.Assessment.Run.Errors != w.Errors {
					t.Errorf("stream %v, step %d (%s): answered by %s, latched %v, %d errors; want %+v; p_local %.3f %s",
						stream, i, s.Note, x.Target.ID, x.Latched, x.Assessment.Run.Errors, w, x.Assessment.PLocal, x.Assessment.By)
				}
				if w.Why != "" && (len(x.Attempts) != 2 || x.Attempts[0].Outcome != llm.Insufficient || x.Attempts[0].Code != w.Why) {
					t.Errorf("step %d: attempts %+v, want the first stopped because %s", i, x.Attempts, w.Why)
				}
			}
			if want := map[string]int{"turn": 4, "off": 6}[sticky]; local.asked != want {
				t.Errorf("sticky %s: the local model was asked %d times, want %d", sticky, local.asked, want)
			}
		}
	}
}
