package judge

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/internal/llm"
)

func sure(n int, lp float64) []float64 { return slices.Repeat([]float64{lp}, n) }

func TestReview(t *testing.T) {
	j, err := New(t.Context(), nil, Config{})
	if err != nil {
		t.Fatal(err)
	}
	before := llm.Assessment{Task: "answering", PLocal: 0.7, Boundary: llm.Supported}
	for _, tt := range []struct {
		name     string
		ask      string
		ans      llm.Answer
		low, top float64 // where the revised p_local lies
		why      string
	}{
		{"sure-of-itself", "When is it due?", llm.Answer{Text: "On 3 May.", Chosen: sure(8, -0.05), Finish: llm.Stop}, 0.7, 1, "unsure"},
		{"ordinary", "When is it due?", llm.Answer{Text: "On 3 May.", Chosen: sure(8, -0.5), Finish: llm.Stop}, 0.55, 0.75, "unsure"},
		{"noise", "When is it due?", llm.Answer{Text: "kk xq", Chosen: sure(16, -6)}, 0, 0.05, "unsure"},
		{"three-unsure-tokens-do-not-decide", "When is it due?", llm.Answer{Text: "On 3", Chosen: sure(3, -1.5)}, 0.4, 0.6, "unsure"},
		{"empty", "When?", llm.Answer{Finish: llm.Stop, Text: " \n"}, 0, 0.01, "empty"},
		{"a-call-is-not-empty", "When?", llm.Answer{Finish: llm.ToolCalls, Calls: []llm.ToolCall{{Name: "f"}}, Chosen: sure(4, -0.2)}, 0.65, 1, "unsure"},
		{"loops", "When?", llm.Answer{Text: strings.Repeat("the invoice is due in May and ", 20), Chosen: sure(100, -0.2), Finish: llm.Length}, 0, 0.1, "repetition"},
		{"refuses", "When?", llm.Answer{Text: "I’m sorry, but I cannot access that document.", Chosen: sure(12, -0.1), Finish: llm.Stop}, 0, 0.3, "refusal"},
		{"breaks-its-format", "When?", llm.Answer{Text: `{"a":[1,1]}`, Chosen: sure(12, -0.1), Finish: llm.Stop, Broken: true}, 0, 0.2, "broken"},
		{"another-script", "Wann ist die Rechnung fällig, bitte?", llm.Answer{Text: strings.Repeat("請求書の期限は五月三日です。", 3), Chosen: sure(30, -0.3), Finish: llm.Stop}, 0, 0.4, "other_script"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := j.Review(t.Context(), ask(tt.ask), before, tt.ans)
			if got.PLocal < tt.low || got.PLocal > tt.top || got.Why != tt.why {
				t.Errorf("p_local %.3f because %s, want %g to %g because %s; %v", got.PLocal, got.Why, tt.low, tt.top, tt.why, got.Signals)
			}
			sum := 0.0 // the explanation adds up
			for _, s := range got.Signals {
				sum += s.Weight
			}
			if math.Abs(sigmoid(sum)-got.PLocal) > 0.01 {
				t.Errorf("the signals add up to %.3f, p_local is %.3f", sigmoid(sum), got.PLocal)
			}
		})
	}
	t.Run("without-a-verdict", func(t *testing.T) {
		got := j.Review(t.Context(), ask("When?"), llm.Assessment{Boundary: llm.NoVerdict}, llm.Answer{Text: "kk xq", Chosen: sure(16, -6)})
		if got.PLocal > 0.05 || got.Boundary != llm.Unsupported {
			t.Errorf("p_local %.3f, %s", got.PLocal, got.Boundary)
		}
	})
}

// The weights of an assessment's own signals add up to its p_local.
func TestSignalsAddUp(t *testing.T) {
	j := open(t)
	a := j.Assess(t.Context(), ask("Extract the dates: due 3 May, paid 9 June"))
	sum, parts := 0.0, 0.0
	for _, s := range a.Signals {
		if strings.HasPrefix(s.Name, "hints.") {
			parts += s.Weight
			continue
		}
		sum += s.Weight
	}
	if math.Abs(sigmoid(sum)-a.PLocal) > 0.005 {
		t.Errorf("the signals add up to %.3f, p_local is %.3f: %v", sigmoid(sum), a.PLocal, a.Signals)
	}
	for _, s := range a.Signals {
		if s.Name == "hints" && math.Abs(s.Weight-parts) > 0.02 {
			t.Errorf("the hints weigh %g, their parts %g", s.Weight, parts)
		}
	}
	if a.Thresholds == nil || a.Thresholds.Origin != "default" || a.Thresholds.Weights == "" {
		t.Errorf("thresholds = %+v", a.Thresholds)
	}
}

func TestAgentRun(t *testing.T) {
	call := func(args string) llm.Message {
		return llm.Message{Role: llm.Assistant, ToolCalls: []llm.ToolCall{{Name: "run", Arguments: args}}}
	}
	said := func(text string) llm.Message { return llm.Message{Role: llm.ToolRole, Text: text} }
	user := llm.Message{Role: llm.User, Text: "fix it"}
	for _, tt := range []struct {
		name string
		msgs []llm.Message
		want llm.AgentRun
	}{
		{"no-run", []llm.Message{user}, llm.AgentRun{}},
		{"fine", []llm.Message{user, call(`{"a":1}`), said("3 files changed")}, llm.AgentRun{Steps: 1}},
		{"error", []llm.Message{user, call(`{"a":1}`), said("Error: no such table")}, llm.AgentRun{Steps: 1, Errors: 1, Failed: true}},
		{"error-then-fine", []llm.Message{user, call(`{"a":1}`), said("Error: x"), call(`{"a":2}`), said("done")}, llm.AgentRun{Steps: 2, Errors: 1}},
		{"repeats-with-other-spaces", []llm.Message{user, call(`{"a": 1}`), said("ok"), call(`{"a":1}`), said("ok")}, llm.AgentRun{Steps: 2, Repeats: 1}},
		{"an-earlier-turn-does-not-count", []llm.Message{user, call(`{"a":1}`), said("Error: x"), user, call(`{"a":1}`), said("ok")}, llm.AgentRun{Steps: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := agentRun(&llm.Request{Messages: tt.msgs}); got != tt.want {
				t.Errorf("run = %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestFailed(t *testing.T) {
	for text, want := range map[string]bool{
		"":                           false,
		"42":                         false,
		"The error rate is 3 %.":     false,
		`{"rows": 3}`:                false,
		`{"error": null, "rows": 3}`: false,
		`{"errors": [], "data": {}}`: false,
		`{"status": "ok", "message": "no error"}`:      false,
		`{"error": "no such city"}`:                    true,
		`{"success": false}`:                           true,
		`{"status": 503}`:                              true,
		`{"exit_code": 2, "stdout": ""}`:               true,
		`{"is_error": true, "content": "x"}`:           true,
		"Error: connection refused":                    true,
		"[ERROR] disk full":                            true,
		"HTTP 404 page":                                true,
		"Traceback (most recent call last):\n x":       true,
		"line 1\nline 2\nbash: foo: command not found": true,
		"  File \"a.py\", line 3\nValueError: bad":     true,
		"Fehler: Datei fehlt":                          true,
	} {
		if got := failed(text); got != want {
			t.Errorf("failed(%q) = %v", text, got)
		}
	}
}

func TestParseWeights(t *testing.T) {
	good := string(embedded)
	for _, tt := range []struct{ name, old, new, err string }{
		{"embedded", "", "", ""},
		{"unknown-field", `"bias"`, `"biass"`, "unknown field"},
		{"unknown-signal", `"name": "hints"`, `"name": "moon"`, `"hints" has no weight`},
		{"no-version", `"version": "4"`, `"version": ""`, "version"},
		{"bounds", `"high": 4, "about": "results`, `"low": 5, "high": 4, "about": "results`, "low is above"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(good, tt.old, tt.new, 1)
			if tt.old != "" && text == good {
				t.Fatal("the case changes nothing")
			}
			_, err := ParseWeights([]byte(text))
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}
