package router

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/internal/openai"
)

// formats wants texts and arguments that begin with a brace. A tilde before it can be repaired.
type formats struct{ want llm.Wanted }

func (f formats) Wants(*llm.Request) llm.Wanted { return f.want }

func (f formats) Check(_ context.Context, req *llm.Request, c *llm.Choice, how llm.Repair) llm.FormatCheck {
	out := llm.FormatCheck{Verdict: llm.FormatValid}
	one := func(s *string, sent bool) {
		fixed, mended := strings.CutPrefix(*s, "~")
		switch {
		case strings.HasPrefix(*s, "{"):
		case mended && how != llm.RepairNone && !sent:
			*s = fixed
			if how == llm.RepairModel && req.May("local/a") {
				req.OnAttempt(llm.Attempt{Target: "local/a", Outcome: llm.OK})
			}
			out.Add(llm.FormatCheck{Verdict: llm.FormatRepaired, By: "rules", Broken: "json", Fixed: 1, Fixes: []llm.Fix{{Op: "replace", Kind: "tilde"}}})
		default:
			out.Add(llm.FormatCheck{Verdict: llm.FormatInvalid, Broken: "json"})
		}
	}
	if f.want.Text && len(c.Calls) == 0 {
		one(&c.Text, c.Sent)
	}
	for i := range c.Calls {
		one(&c.Calls[i].Arguments, false)
	}
	return out
}

// pieces answers with a stream of text pieces as an upstream would, or whole.
func pieces(list ...string) func(*llm.Request, func(llm.Event) error) error {
	return func(req *llm.Request, emit func(llm.Event) error) error {
		if !req.Stream {
			raw := `{"id":"up","x_kept":1,"choices":[{"index":0,"message":{"role":"assistant","content":` + quote(strings.Join(list, "")) + `},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`
			ev, err := openai.ParseResponse([]byte(raw))
			if err != nil {
				return err
			}
			return emit(ev)
		}
		for _, p := range list {
			ev, err := openai.ParseChunk([]byte(`{"id":"up","choices":[{"index":0,"delta":{"content":` + quote(p) + `},"finish_reason":null}]}`))
			if err != nil {
				return err
			}
			time.Sleep(time.Second)
			if err := emit(ev); err != nil {
				return err
			}
		}
		ev, err := openai.ParseChunk([]byte(`{"id":"up","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`))
		if err != nil {
			return err
		}
		return emit(ev)
	}
}

func quote(s string) string { return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"` }

// got is what a client sees: bodies of events, "alive", and the error's code.
func (g *rig) run(t *testing.T, stream bool) (text string, log []string, x *Exchange, err error) {
	t.Helper()
	r, err := New(g.cfg)
	if err != nil {
		t.Fatal(err)
	}
	more := ""
	if stream {
		more = `,"stream":true`
	}
	req, err := openai.ParseRequest([]byte(`{"model":"cloud","messages":[{"role":"user","content":"hi CAT"}]` + more + `}`))
	if err != nil {
		t.Fatal(err)
	}
	req.ID, req.Received = "dec_1", time.Now()
	x, err = r.Plan(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	chunks := openai.Stream{}
	err = x.Run(t.Context(), func(ev llm.Event) error {
		if ev.Alive {
			log = append(log, "alive")
			return nil
		}
		for _, d := range ev.Choices {
			text += d.Text
		}
		if !ev.Whole {
			b, err := chunks.Chunk(&ev)
			log = append(log, string(b))
			return err
		}
		a := openai.Answer{}
		a.Add(ev)
		b, err := a.JSON()
		log = append(log, string(b))
		return err
	})
	if rerr := x.Record(t.Context(), 200); rerr != nil {
		t.Error(rerr)
	}
	return text, log, x, err
}

func TestFormats(t *testing.T) {
	tests := []struct {
		name     string
		cfg      FormatConfig
		first    []string // what c/1 answers; c/2 answers {"c":2}
		text     string
		code     llm.Code
		verdicts string
	}{
		{"valid", FormatConfig{}, []string{"{", "}"}, "{}", "", "valid"},
		{"repaired", FormatConfig{}, []string{"~", "{}"}, "{}", "", "repaired"},
		{"restored-before-the-check", FormatConfig{}, []string{"~", "{X1X}"}, "{CAT}", "", "repaired"},
		{"invalid-retries", FormatConfig{}, []string{"no"}, `{"c":2}`, "", "invalid valid"},
		{"refused", FormatConfig{Invalid: InvalidRefuse}, []string{"no"}, "", llm.CodeAnswerInvalid, "invalid"},
		{"passed", FormatConfig{Invalid: InvalidPass}, []string{"no"}, "no", "", "invalid"},
		{"no-repair", FormatConfig{Repair: llm.RepairNone}, []string{"~{}"}, `{"c":2}`, "", "invalid valid"},
	}
	for _, tt := range tests {
		for _, stream := range []bool{false, true} {
			name := tt.name + map[bool]string{true: "-streamed"}[stream]
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					g := newRig()
					g.cfg.Formats, g.cfg.Format = formats{llm.Wanted{Text: true}}, tt.cfg
					g.cloud.do["c/1"], g.cloud.do["c/2"] = pieces(tt.first...), pieces(`{"c"`, `:2}`)
					text, log, x, err := g.run(t, stream)
					e, _ := err.(*llm.Error)
					if text != tt.text || (err == nil) != (tt.code == "") || e != nil && e.Code != tt.code {
						t.Fatalf("%q, %v; events %q", text, err, log)
					}
					var verdicts []string
					for _, a := range x.Attempts {
						if a.Format != nil {
							verdicts = append(verdicts, a.Format.Verdict)
						}
					}
					if got := strings.Join(verdicts, " "); got != tt.verdicts {
						t.Errorf("verdicts %q, want %q", got, tt.verdicts)
					}
					for _, l := range log {
						if !strings.Contains(l, `"id":"up"`) {
							t.Errorf("an event is not the upstream's: %s", l)
						}
					}
				})
			})
		}
	}
}

func TestFormatsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig()
		g.cfg.Formats = formats{llm.Wanted{Text: true}}
		g.cloud.do["c/1"] = pieces("~{SECRET}")
		_, _, x, err := g.run(t, true)
		if err != nil || len(x.Attempts) != 2 || x.Attempts[1].Hop != llm.Mend || x.Attempts[1].Target != "local/a" {
			t.Fatalf("%v: attempts %+v", err, x.Attempts)
		}
		f := g.rec.recs[0].Attempts[0].Format
		if f == nil || f.By != "rules" || len(f.Fixes) != 1 || f.Fixes[0].Kind != "tilde" {
			t.Errorf("recorded %+v", f)
		}
	})
}

// TestRepairAsksPolicy has policy decide whether a local model may see a broken answer.
func TestRepairAsksPolicy(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(*llm.Decision) error
		want int // calls of the local model
	}{
		{"permitted", func(*llm.Decision) error { return nil }, 1},
		{"local-only", func(d *llm.Decision) error { d.LocalOnly = true; return nil }, 1},
		{"denied", func(d *llm.Decision) error { d.Allow = false; return nil }, 0},
		{"not-this-model", func(d *llm.Decision) error { d.Targets = []string{"c/1", "c/2"}; return nil }, 0},
		{"rules-only", func(d *llm.Decision) error { d.Obligations.Repair = llm.RepairRules; return nil }, 0},
		{"not-met", func(d *llm.Decision) error { d.Obligations.StoreContent = true; return nil }, 0},
		{"policy-fails", func(*llm.Decision) error { return errors.New("broken") }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig()
			g.cfg.Formats = formats{llm.Wanted{Text: true}}
			asked := 0
			g.cfg.Policy = policy(func(in llm.PolicyInput) (llm.Decision, error) {
				d, err := allowAll(in)
				if in.Hop == llm.Mend {
					asked++
					err = tt.set(&d)
				}
				return d, err
			})
			g.cloud.do["c/1"] = answers("~{}")
			text, x, err := g.ask(t, "cloud", "hi")
			if err != nil || text != "{}" || asked != 1 || len(x.Attempts) != 1+tt.want {
				t.Errorf("%q, %v: policy was asked %d times, attempts %+v", text, err, asked, x.Attempts)
			}
		})
	}
}

// TestFormatsObliged lets policy say less than the configuration.
func TestFormatsObliged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig()
		g.cfg.Formats = formats{llm.Wanted{Text: true}}
		g.cfg.Policy = policy(func(in llm.PolicyInput) (llm.Decision, error) {
			d, err := allowAll(in)
			d.Obligations.Repair = llm.RepairNone
			return d, err
		})
		g.cloud.do["c/1"], g.cloud.do["c/2"] = pieces("~{}"), pieces("{2}")
		if text, _, x, err := g.run(t, false); err != nil || text != "{2}" || x.Attempts[0].Outcome != llm.Broken || x.Attempts[0].Code != "format" {
			t.Errorf("%q, %v, %+v", text, err, x.Attempts)
		}
	})
}

func TestFormatsHold(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  FormatConfig
		say  []string
		want string // what the client sees, "|" between events
		code llm.Code
	}{
		{"held", FormatConfig{}, []string{"{", "}"}, "{|}|", ""},
		{"alive", FormatConfig{Alive: 1500 * time.Millisecond}, []string{"~", "{", "1", "}"}, "alive|alive|{1}||||", ""},
		{"alive-commits", FormatConfig{Alive: 2 * time.Second}, []string{"n", "o", "!"}, "alive", llm.CodeAnswerInvalid},
		{"passed-as-it-comes", FormatConfig{Stream: StreamPass}, []string{"{", "}"}, "{|}|", ""},
		{"passed-and-broken", FormatConfig{Stream: StreamPass}, []string{"~", "{}"}, "~|{}", llm.CodeAnswerInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig()
				g.cfg.Formats, g.cfg.Format = formats{llm.Wanted{Text: true}}, tt.cfg
				g.cloud.do["c/1"] = pieces(tt.say...)
				var seen []string
				_, log, _, err := g.run(t, true)
				for _, l := range log {
					if l != "alive" {
						ev, perr := openai.ParseChunk([]byte(l))
						if perr != nil {
							t.Fatal(perr)
						}
						l = ev.Choices[0].Text
					}
					seen = append(seen, l)
				}
				e, _ := err.(*llm.Error)
				if got := strings.Join(seen, "|"); got != tt.want || (err == nil) != (tt.code == "") || e != nil && e.Code != tt.code {
					t.Errorf("%q, %v, want %q", got, err, tt.want)
				}
			})
		})
	}
}

// A slowly takes a minute for each check.
type slowly struct{ formats }

func (s slowly) Check(ctx context.Context, req *llm.Request, c *llm.Choice, how llm.Repair) llm.FormatCheck {
	time.Sleep(time.Minute)
	return s.formats.Check(ctx, req, c, how)
}

// TestAlive lets nothing come from the upstream while an answer is held back, and then
// checks it slowly: the client hears of it all the while, but not before anything came.
func TestAlive(t *testing.T) {
	for _, tt := range []struct {
		name    string
		model   Formats
		leaves  int // the client is gone at its n-th sign of life; 0: it stays
		want    int // signs of life
		pieces  []string
		silence time.Duration
	}{
		{"upstream-is-silent", formats{llm.Wanted{Text: true}}, 0, 5, []string{"{", "}"}, 55 * time.Second},
		{"before-it-begins", formats{llm.Wanted{Text: true}}, 0, 0, nil, 55 * time.Second}, // the next target answers
		{"while-it-is-checked", slowly{formats{llm.Wanted{Text: true}}}, 0, 5, []string{"{}"}, 5 * time.Second},
		{"the-client-leaves", formats{llm.Wanted{Text: true}}, 2, 2, []string{"{", "}"}, 55 * time.Second},
		{"the-client-leaves-during-the-check", slowly{formats{llm.Wanted{Text: true}}}, 2, 2, []string{"{", "}"}, 5 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig()
				g.cfg.Formats, g.cfg.Format = tt.model, FormatConfig{Alive: 12 * time.Second}
				g.cloud.do["c/1"], g.cloud.do["c/2"] = tokens(tt.silence, tt.pieces...), answers("{}")
				if tt.pieces == nil {
					g.cloud.do["c/1"] = func(*llm.Request, func(llm.Event) error) error {
						time.Sleep(tt.silence)
						return &llm.Error{Kind: llm.Unavailable}
					}
				}
				r, err := New(g.cfg)
				if err != nil {
					t.Fatal(err)
				}
				req, err := openai.ParseRequest([]byte(`{"model":"cloud","stream":true,"messages":[{"role":"user","content":"hi"}]}`))
				if err != nil {
					t.Fatal(err)
				}
				x, err := r.Plan(t.Context(), req)
				if err != nil {
					t.Fatal(err)
				}
				signs, text, gone := 0, "", errors.New("gone")
				err = x.Run(t.Context(), func(ev llm.Event) error {
					if ev.Alive {
						if signs++; signs == tt.leaves {
							return gone
						}
					}
					for _, d := range ev.Choices {
						text += d.Text
					}
					return nil
				})
				if signs != tt.want || (tt.leaves == 0) != (text == "{}") || errors.Is(err, gone) != (tt.leaves > 0) {
					t.Errorf("%d signs of life, want %d; %q, %v", signs, tt.want, text, err)
				}
				was := signs
				if time.Sleep(time.Hour); signs != was {
					t.Error("a sign of life after the end")
				}
			})
		})
	}
}

// TestFormatsCalls passes text on while calls are held back until they are whole.
func TestFormatsCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig()
		g.cfg.Formats = formats{llm.Wanted{Calls: true}}
		chunks := []string{
			`{"id":"up","choices":[{"index":0,"delta":{"content":"Let me see."}}]}`,
			`{"id":"up","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":""}}]}}]}`,
			`{"id":"up","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"~{"}}]}}]}`,
			`{"id":"up","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]}}]}`,
			`{"id":"up","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`,
		}
		passed := 0
		g.cloud.do["c/1"] = func(_ *llm.Request, emit func(llm.Event) error) error {
			for i, c := range chunks {
				ev, err := openai.ParseChunk([]byte(c))
				if err != nil {
					return err
				}
				if err := emit(ev); err != nil {
					return err
				}
				if i == 0 {
					passed++
				}
			}
			return nil
		}
		_, log, _, err := g.run(t, true)
		if err != nil || len(log) != len(chunks) || passed != 1 {
			t.Fatalf("%v: %q", err, log)
		}
		a := openai.Answer{}
		for _, l := range log {
			ev, err := openai.ParseChunk([]byte(l))
			if err != nil {
				t.Fatal(err)
			}
			ev.Raw = nil
			a.Add(ev)
		}
		b, err := a.JSON()
		if err != nil || !strings.Contains(string(b), `"name":"f","arguments":"{}"`) || !strings.Contains(string(b), "Let me see.") || strings.Count(string(b), `"id":"c1"`) != 1 {
			t.Errorf("%s, %v", b, err)
		}
	})
}

// TestUnsupportedSchema moves on from a local target that cannot be held to a
// schema, where policy permits another, and says which schema it was where not.
func TestUnsupportedSchema(t *testing.T) {
	no := func(*llm.Request, func(llm.Event) error) error {
		return &llm.Error{Kind: llm.Invalid, Code: llm.CodeUnsupportedSchema, Param: "response_format", Msg: "the schema at /x"}
	}
	g := newRig()
	g.cfg.Judge = judge{Boundary: llm.Supported}
	g.local.do["local/a"] = no
	if text, x, err := g.ask(t, "auto", "hi"); err != nil || text != "from c1" || x.Route != llm.RouteCloud {
		t.Errorf("%q, %v", text, err)
	}
	if len(g.cloud.seen) != 1 || !strings.HasPrefix(g.cloud.seen[0], "c/1 escalate") {
		t.Errorf("the cloud saw %q", g.cloud.seen)
	}
	_, _, err := g.ask(t, "local", "hi")
	if e, ok := err.(*llm.Error); !ok || e.Kind != llm.Invalid || e.Code != llm.CodeUnsupportedSchema || e.Param != "response_format" || !strings.Contains(e.Msg, "/x") {
		t.Errorf("error %v", err)
	}
}

// What is kept of an answer for the check takes time as its length, not as its square.
func TestManyPieces(t *testing.T) {
	g := newRig()
	g.cfg.Formats = formats{llm.Wanted{Calls: true}}
	r, err := New(g.cfg)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	x := &Exchange{r: r, Req: &llm.Request{Stream: true}}
	c := x.newChecker(t.Context(), llm.Target{Provider: "c"}, llm.Decision{}, func(llm.Event) error { n++; return nil })
	start := time.Now()
	for i := range 300_000 {
		d := llm.Delta{Text: "eight ch"}
		if i >= 150_000 {
			d = llm.Delta{ToolCalls: []llm.ToolDelta{{Arguments: "eight ch"}}}
		}
		if err := c.event(llm.Event{Choices: []llm.Delta{d}}); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took > 5*time.Second || n != 150_000 {
		t.Errorf("%d events passed, in %v", n, took)
	}
	if b := c.choices[0].whole(); len(b.Text) != 1_200_000 || len(b.Calls) != 1 || len(b.Calls[0].Arguments) != 1_200_000 {
		t.Error("not all was kept")
	}
}

// A mover finds a call in each text.
type mover struct{ formats }

func (mover) Check(_ context.Context, _ *llm.Request, c *llm.Choice, _ llm.Repair) llm.FormatCheck {
	c.Calls = append(c.Calls, llm.ToolDelta{ID: "c1", Name: "f", Arguments: c.Text})
	c.Text, c.Finish = "", llm.ToolCalls
	return llm.FormatCheck{Verdict: llm.FormatRepaired, By: "rules", Broken: "tool_calls", Fixed: 1}
}

// Calls that were found in the text are not lost where an answer ends without a finish reason.
func TestFoundCallsWithoutFinish(t *testing.T) {
	for _, finish := range []string{`,"finish_reason":"stop"`, `,"finish_reason":null`, ``} {
		for _, stream := range []bool{false, true} {
			g := newRig()
			g.cfg.Formats = mover{formats{llm.Wanted{Calls: true, Must: true}}}
			g.cloud.do["c/1"] = func(_ *llm.Request, emit func(llm.Event) error) error {
				if !stream {
					ev, err := openai.ParseResponse([]byte(`{"id":"up","choices":[{"index":0,"message":{"role":"assistant","content":"{}"}` + finish + `}]}`))
					if err != nil {
						return err
					}
					return emit(ev)
				}
				for _, c := range []string{`{"content":"{"}}`, `{"content":"}"}` + finish + `}`} {
					ev, err := openai.ParseChunk([]byte(`{"id":"up","choices":[{"index":0,"delta":` + c + `]}`))
					if err != nil {
						return err
					}
					if err := emit(ev); err != nil {
						return err
					}
				}
				return nil
			}
			_, log, _, err := g.run(t, stream)
			got := strings.Join(log, "\n")
			if err != nil || strings.Count(got, `"name":"f","arguments":"{}"`) != 1 || strings.Count(got, `"tool_calls"`) != 2 || strings.Contains(got, `"content":"{`) {
				t.Errorf("finish %q, stream %v: %s, %v", finish, stream, got, err)
			}
		}
	}
}
