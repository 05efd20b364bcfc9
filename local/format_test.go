package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/internal/openai"
	"github.com/sluice-ai/sluice/runtime/chat"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

const weather = `{"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{"city":{"enum":["Rome","Bern"]},"days":{"type":"integer","minimum":1,"maximum":7}},"required":["city","days"]}}}`
const clock = `{"type":"function","function":{"name":"clock","parameters":{"type":"object","properties":{"utc":{"type":"boolean"}},"required":["utc"]}}}`
const person = `{"type":"json_schema","json_schema":{"name":"person","strict":true,"schema":{"type":"object","properties":{"name":{"type":"string","maxLength":6},"age":{"type":"integer","minimum":0,"maximum":120}},"required":["name","age"],"additionalProperties":false}}}`

// wire returns the request that a client makes with more fields, for the tiny model.
func wire(t *testing.T, tier *Tier, more string) *llm.Request {
	t.Helper()
	req, err := openai.ParseRequest([]byte(`{"model":"local","messages":[{"role":"user","content":"Say something."}],"max_tokens":200,"temperature":1,` + more + `}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Target = tier.Targets()[1]
	return req
}

// answer runs req and returns its text, calls and finish.
func answer(t *testing.T, tier *Tier, req *llm.Request) (text string, calls []llm.ToolDelta, finish llm.Finish) {
	t.Helper()
	err := tier.Generate(t.Context(), req, func(ev llm.Event) error {
		for _, d := range ev.Choices {
			text += d.Text
			for _, c := range d.ToolCalls {
				if n := len(calls); n > 0 && calls[n-1].Index == c.Index {
					if c.ID != "" || c.Name != "" {
						t.Errorf("call %d is named twice: %+v", c.Index, c)
					}
					calls[n-1].Arguments += c.Arguments
				} else {
					calls = append(calls, c)
				}
			}
			if d.Finish != "" {
				finish = d.Finish
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return text, calls, finish
}

func seeded(req *llm.Request, seed int) *llm.Request {
	s := int64(seed)
	req.Sampling.Seed = &s
	return req
}

func TestResponseFormat(t *testing.T) {
	tier := open(t, 0)
	if tiny, n := tier.Targets()[1], tier.Targets()[0]; !tiny.Has("json") || n.Has("json") {
		t.Errorf("abilities %q and %q", tiny.Can, n.Can)
	}
	whole := 0
	for seed := range 6 {
		text, _, finish := answer(t, tier, seeded(wire(t, tier, `"response_format":`+person), seed))
		var p struct {
			Name *string
			Age  *int
		}
		if err := json.Unmarshal([]byte(text), &p); err != nil || p.Name == nil || p.Age == nil || *p.Age > 120 || finish != llm.Stop {
			t.Errorf("%q (%s): %v", text, finish, err)
		}
		text, _, finish = answer(t, tier, seeded(wire(t, tier, `"response_format":{"type":"json_object"},"max_completion_tokens":60`), seed))
		if !strings.HasPrefix(text, "{") || finish == llm.Stop && !json.Valid([]byte(text)) {
			t.Errorf("%q (%s) is no object", text, finish)
		}
		if finish == llm.Stop {
			whole++
		}
	}
	t.Logf("%d of 6 objects ended by themselves", whole)
	if text, _, _ := answer(t, tier, seeded(wire(t, tier, `"response_format":{"type":"text"}`), 1)); json.Valid([]byte(text)) {
		t.Errorf("text is %q", text)
	}
}

func TestToolChoice(t *testing.T) {
	tier := open(t, 0)
	tools := `"tools":[` + weather + `,` + clock + `]`
	for _, tt := range []struct {
		name, more string
		called     []string // nil: perhaps none
	}{
		{"required", `"tool_choice":"required",`, []string{"weather", "clock"}},
		{"named", `"tool_choice":{"type":"function","function":{"name":"clock"}},`, []string{"clock"}},
		{"auto", `"tool_choice":"auto",`, nil},
		{"absent", ``, nil},
		{"none", `"tool_choice":"none",`, nil},
		{"auto-with-format", `"response_format":` + person + `,`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for seed := range 4 {
				req := seeded(wire(t, tier, tt.more+`"parallel_tool_calls":false,`+tools), seed)
				if strings.HasPrefix(tt.name, "a") || tt.name == "none" {
					req.Sampling.MaxTokens = 60
				}
				text, calls, finish := answer(t, tier, req)
				if finish == llm.Length && tt.called == nil {
					continue
				}
				if tt.called != nil && (len(calls) != 1 || finish != llm.ToolCalls || text != "") {
					t.Fatalf("%d calls, text %q, finish %s", len(calls), text, finish)
				}
				if tt.name == "none" && len(calls) > 0 {
					t.Errorf("calls %+v", calls)
				}
				if tt.name == "auto-with-format" && len(calls) == 0 && !json.Valid([]byte(text)) {
					t.Errorf("%q is neither a call nor JSON", text)
				}
				for _, c := range calls {
					var args map[string]any
					err := json.Unmarshal([]byte(c.Arguments), &args)
					_, utc := args["utc"].(bool)
					_, days := args["days"].(float64)
					if err != nil || c.ID == "" || utc != (c.Name == "clock") || days != (c.Name == "weather") || tt.called != nil && !slices.Contains(tt.called, c.Name) {
						t.Errorf("call %+v: %v", c, err)
					}
				}
			}
		})
	}
}

func TestFormatRefused(t *testing.T) {
	tier := open(t, 0)
	for _, tt := range []struct{ name, more, param, want string }{
		{"keyword", `"response_format":{"type":"json_schema","json_schema":{"schema":{"properties":{"a":{"$dynamicRef":"#secret"}}}}}`, "response_format", "/properties/a/$dynamicRef"},
		{"no-schema", `"response_format":{"type":"json_schema","json_schema":{"name":"x"}}`, "response_format.json_schema.schema", "missing"},
		{"type", `"response_format":{"type":"secret"}`, "response_format.type", "json_object"},
		{"no-object", `"response_format":"json"`, "response_format", "object"},
		{"no-tools", `"tool_choice":"required"`, "tools", "no tool"},
		{"no-such-tool", `"tools":[` + clock + `],"tool_choice":{"type":"function","function":{"name":"nope"}}`, "tools", "nope"},
		{"choice", `"tools":[` + clock + `],"tool_choice":"always"`, "tool_choice", "required"},
		{"argument", `"tool_choice":"required","tools":[{"type":"function","function":{"name":"f","parameters":{"properties":{"x":{"format":"secret"}}}}}]`, "tools", "/properties/x/format"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := wire(t, tier, tt.more)
			var a llm.Attempt
			req.OnAttempt = func(x llm.Attempt) { a = x }
			err := tier.Generate(t.Context(), req, func(llm.Event) error { t.Error("something was emitted"); return nil })
			e, ok := errors.AsType[*llm.Error](err)
			code := llm.CodeInvalidRequest
			if strings.HasPrefix(tt.want, "/") {
				code = llm.CodeUnsupportedSchema // another target may take it
			}
			if !ok || e.Kind != llm.Invalid || e.Code != code || e.Param != tt.param || !strings.Contains(e.Msg, tt.want) || strings.Contains(e.Error(), "secret") {
				t.Errorf("error %v (%+v), want param %s and %q", err, e, tt.param, tt.want)
			}
			if a.Outcome != llm.Rejected {
				t.Errorf("attempt %+v", a)
			}
		})
	}
	// A tool that need not be called is not held to a schema that cannot be honoured.
	answer(t, tier, seeded(wire(t, tier, `"tools":[{"type":"function","function":{"name":"f","parameters":{"properties":{"x":{"format":"nope"}}}}}]`), 1))
}

// What looks like a marker inside JSON is text; a thought before it is not.
func TestJSONReader(t *testing.T) {
	for _, tt := range []struct {
		name, in, text, thought string
		thinking                bool
		calls                   int
	}{
		{"plain", `{"a": "<think>", "b": "<|tool_call_start|>[f()]<|tool_call_end|>"}`, `{"a": "<think>", "b": "<|tool_call_start|>[f()]<|tool_call_end|>"}`, "", false, 0},
		{"list", `[{"name": "f", "arguments": {}}]`, `[{"name": "f", "arguments": {}}]`, "", false, 0},
		{"thought", `let < me </thin</think>{"a": "</think>"}`, `{"a": "</think>"}`, "let < me </thin", true, 0},
		{"cut", `let me </thi`, ``, "let me </thi", true, 0},
		{"call", `<|tool_call_start|>[f(a=1)]<|tool_call_end|>`, ``, "", false, 1},
		{"thought-call", `hm</think><|tool_call_start|>[f(a=1)]<|tool_call_end|>`, ``, "hm", true, 1},
	} {
		for _, size := range []int{1, 3, 1000} {
			if tt.calls > 0 && size < 1000 {
				continue // the marker is one token
			}
			r := &jsonReader{thinking: tt.thinking, parser: chat.NewParser(chat.ParserOptions{})}
			var deltas []chat.Delta
			for part := range slices.Chunk([]byte(tt.in), size) {
				deltas = append(deltas, r.Push(string(part))...)
			}
			text, thought, calls := "", "", 0
			for _, d := range append(deltas, r.Flush()...) {
				text += d.Text
				thought += d.Thinking
				if d.Call != nil {
					calls++
				}
			}
			if text != tt.text || thought != tt.thought || calls != tt.calls {
				t.Errorf("%s in pieces of %d: text %q, thought %q, %d calls", tt.name, size, text, thought, calls)
			}
		}
	}
}

// TestForms answers in each way to say what an answer is.
func TestForms(t *testing.T) {
	tier := open(t, 0)
	for _, tt := range []struct{ name, more, want string }{
		{"regex", `"guided_regex":"[a-c]{3}-[0-9]{2}"`, `^[a-c]{3}-[0-9]{2}$`},
		{"choice", `"structured_outputs":{"choice":["<|tool_call_start|>","neither"]}`, `^(<.tool_call_start.>|neither)$`},
		{"grammar", `"grammar":"root ::= \"a\" [bc]{2,4}"`, `^a[bc]{2,4}$`},
		{"schema", `"guided_json":{"enum":["x","y"]}`, `^"[xy]"$`},
	} {
		for seed := range 3 {
			text, _, finish := answer(t, tier, seeded(wire(t, tier, tt.more), seed))
			if finish != llm.Stop || !regexp.MustCompile(tt.want).MatchString(text) {
				t.Errorf("%s: %q (%s)", tt.name, text, finish)
			}
		}
	}
	req := wire(t, tier, `"guided_regex":"("`)
	err := tier.Generate(t.Context(), req, func(llm.Event) error { return nil })
	if e, ok := errors.AsType[*llm.Error](err); !ok || e.Kind != llm.Invalid {
		t.Errorf("error %v", err)
	}
}

// TestLogprobsMode compares the model's own probabilities with those that the
// format leaves.
func TestLogprobsMode(t *testing.T) {
	tier := open(t, 0)
	sum := func(mode string) float64 {
		req := seeded(wire(t, tier, `"guided_choice":["a","b","c"],"logprobs":true,"top_logprobs":5`+mode), 3)
		total := 0.0
		err := tier.Generate(t.Context(), req, func(ev llm.Event) error {
			for _, d := range ev.Choices {
				var lp struct {
					Content []struct {
						Top []struct{ Logprob float64 } `json:"top_logprobs"`
					}
				}
				if d.Logprobs == nil || total > 0 {
					continue
				}
				if err := json.Unmarshal(d.Logprobs, &lp); err != nil {
					t.Fatal(err)
				}
				for _, top := range lp.Content[0].Top {
					total += math.Exp(top.Logprob)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return total
	}
	if raw, masked := sum(""), sum(`,"logprobs_mode":"masked"`); raw > 0.9 || math.Abs(masked-1) > 1e-6 {
		t.Errorf("the first token's alternatives weigh %g raw and %g masked", raw, masked)
	}
}

func TestLogitBias(t *testing.T) {
	tier := open(t, 0)
	tok := tier.Model(tier.Targets()[1].ID).Tokenizer()
	ids := tok.Encode(nil, "z", tokenizer.Options{})
	text, _, _ := answer(t, tier, seeded(wire(t, tier, fmt.Sprintf(`"logit_bias":{"%d":100},"max_completion_tokens":5`, ids[0])), 1))
	if text != "zzzzz" {
		t.Errorf("%q is not what the bias forces", text)
	}
	text, _, _ = answer(t, tier, seeded(wire(t, tier, fmt.Sprintf(`"logit_bias":{"%d":-100},"guided_choice":["z","y"]`, ids[0])), 1))
	if text != "y" {
		t.Errorf("%q is what the bias forbids", text)
	}
}

func TestHideSchema(t *testing.T) {
	tier := open(t, 0)
	req := wire(t, tier, `"response_format":`+person)
	m := tier.Model(req.Target.ID)
	for _, hide := range []bool{false, true} {
		er := engineRequest(req)
		if err := constrain(t.Context(), m, &er, req, hide); err != nil {
			t.Fatal(err)
		}
		if shown := strings.Contains(er.Messages[0].Content, "age"); shown == hide {
			t.Errorf("hide %v: the prompt begins with %q", hide, er.Messages[0].Content)
		}
	}
}
