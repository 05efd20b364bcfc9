package formats

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/internal/openai"
	"github.com/sluice-ai/sluice/runtime/engine"
	"github.com/sluice-ai/sluice/runtime/synth"
)

const (
	asked = `"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object","required":["city"],"properties":{"city":{"type":"string"},"days":{"type":"integer"}},"additionalProperties":false}}}`
	// What a model can only get right, whatever it says.
	closed = `"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object","required":["good"],"properties":{"good":{"type":"boolean"}},"additionalProperties":false}}}`
	tools  = `"tools":[{"type":"function","function":{"name":"get_time","parameters":{"type":"object","required":["city"],"properties":{"city":{"type":"string"}}}}}]`
)

func request(t *testing.T, more string) *llm.Request {
	t.Helper()
	req, err := openai.ParseRequest([]byte(`{"model":"auto","messages":[{"role":"user","content":"Hi"}]` + more + `}`))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestCheck(t *testing.T) {
	var none []llm.ToolDelta
	call := func(name, args string) []llm.ToolDelta {
		return []llm.ToolDelta{{ID: "1", Name: name, Arguments: args}}
	}
	tests := []struct {
		name, more, text string
		calls            []llm.ToolDelta
		verdict          string
		want             string // text, or name and arguments of the first call
		broken, fixes    string
	}{
		{"text", "", "anything", none, "valid", "anything", "", ""},
		{"valid", "," + asked, `{"city":"Rome"}`, none, "valid", `{"city":"Rome"}`, "", ""},
		{"repaired", "," + asked, "```\n{city: 'Rome', days: \"3\"}\n```", none, "repaired", `{"city":"Rome","days":3}`, "json", "replace  fence,replace  key,replace  quotes,replace /days type"},
		{"hopeless", "," + asked, `It is Rome.`, none, "invalid", `It is Rome.`, "json", ""},
		{"wrong", "," + asked, `{"town":"Rome"}`, none, "invalid", `{"town":"Rome"}`, "required", ""},
		{"object", `,"response_format":{"type":"json_object"}`, `{'a': 1}`, none, "repaired", `{"a":1}`, "json", "replace  quotes"},
		{"no-object", `,"response_format":{"type":"json_object"}`, `[1]`, none, "invalid", `[1]`, "type", ""},
		{"call", "," + tools, "", call("get_time", `{"city":"Rome"}`), "valid", `get_time {"city":"Rome"}`, "", ""},
		{"call-repaired", "," + tools, "", call("getTime", `{"city":"Rome",}`), "repaired", `get_time {"city":"Rome"}`, "name", "replace /tool_calls/0/name tool,replace /tool_calls/0 comma"},
		{"call-unknown", "," + tools, "", call("rm", `{}`), "invalid", `rm {}`, "name", ""},
		{"call-of-another-kind", "," + tools, "", call("", `free`), "valid", ` free`, "", ""},
		{"text-beside-tools", "," + tools, "It is noon.", none, "valid", "It is noon.", "", ""},
		{"call-in-text", "," + tools, `{"name":"get_time","arguments":{"city":"Rome"}}`, none, "repaired", `get_time {"city":"Rome"}`, "tool_calls", "move /tool_calls text"},
		{"must", "," + tools + `,"tool_choice":"required"`, "It is noon.", none, "invalid", "It is noon.", "tool_choice", ""},
		{"must-in-text", "," + tools + `,"tool_choice":"required"`, "[get_time(city='Rome')]", none, "repaired", `get_time {"city":"Rome"}`, "tool_calls", "move /tool_calls text"},
		{"tools-off", "," + tools + `,"tool_choice":"none"`, "[get_time(city='Rome')]", none, "valid", "[get_time(city='Rome')]", "", ""},
		{"call-or-format", "," + tools + "," + asked, `{city: "Rome"}`, none, "repaired", `{"city":"Rome"}`, "json", "replace  key"},
		{"unreadable-schema", `,"response_format":{"type":"json_schema","json_schema":{"schema":{"$ref":"http://x.y/z"}}}`, `{a: 1}`, none, "repaired", `{"a":1}`, "json", "replace  key"},
		{"choice", `,"guided_choice":["yes","no"]`, "no", none, "valid", "no", "", ""},
		{"choice-repaired", `,"guided_choice":["yes","no"]`, " Yes\n", none, "repaired", "yes", "choice", "replace  enum"},
		{"choice-other", `,"structured_outputs":{"choice":["yes","no"]}`, "yes, no", none, "invalid", "yes, no", "choice", ""},
		{"choice-of-two-cases", `,"guided_choice":["yes","YES"]`, "Yes", none, "invalid", "Yes", "choice", ""},
		{"regex", `,"guided_regex":"[0-9]{2}|x"`, "42", none, "valid", "42", "", ""},
		{"regex-as-a-whole", `,"guided_regex":"[0-9]{2}|x"`, "42!", none, "invalid", "42!", "regex", ""},
		{"regex-repaired", `,"structured_outputs":{"regex":"[0-9]{2}"}`, "42\n", none, "repaired", "42", "regex", "replace  space"},
		{"regex-with-space", `,"guided_regex":"[0-9]{2}\\n"`, "42\n", none, "valid", "42\n", "", ""},
		{"regex-unreadable", `,"guided_regex":"(?=a)b"`, "c", none, "valid", "c", "", ""},
		{"grammar", `,"grammar":"root ::= \"(\" root \")\" | \"x\""`, "((x))", none, "valid", "((x))", "", ""},
		{"grammar-broken", `,"guided_grammar":"root ::= \"(\" root \")\" | \"x\""`, "((x)", none, "invalid", "((x)", "grammar", ""},
		{"grammar-repaired", `,"guided_grammar":"root ::= [a-zß ]+"`, "maß\n", none, "repaired", "maß", "grammar", "replace  space"},
		{"grammar-unreadable", `,"grammar":"start: x"`, "c", none, "valid", "c", "", ""},
		{"call-or-choice", `,"guided_choice":["yes"],` + tools, `{"name":"get_time","arguments":{"city":"Rome"}}`, none, "repaired", `get_time {"city":"Rome"}`, "tool_calls", "move /tool_calls text"},
	}
	c := New(Config{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ch := &llm.Choice{Text: tt.text, Calls: tt.calls, Finish: llm.Stop}
			got := c.Check(t.Context(), request(t, tt.more), ch, llm.RepairModel)
			said := ch.Text
			if len(ch.Calls) > 0 {
				said = ch.Calls[0].Name + " " + ch.Calls[0].Arguments
			}
			var fixes []string
			for _, f := range got.Fixes {
				fixes = append(fixes, f.Op+" "+f.Path+" "+f.Kind)
			}
			if got.Verdict != tt.verdict || said != tt.want || got.Broken != tt.broken || strings.Join(fixes, ",") != tt.fixes {
				t.Errorf("%+v, %q", got, said)
			}
			if got.Verdict != "repaired" {
				return
			}
			before := *ch
			if again := c.Check(t.Context(), request(t, tt.more), ch, llm.RepairNone); again.Verdict != llm.FormatValid {
				t.Errorf("%+v is %q after its repair", before, again.Verdict)
			}
			ch = &llm.Choice{Text: tt.text, Calls: tt.calls, Finish: llm.Stop}
			if got := c.Check(t.Context(), request(t, tt.more), ch, llm.RepairNone); got.Verdict == llm.FormatRepaired || ch.Text != tt.text {
				t.Errorf("repaired although told not to: %+v", got)
			}
		})
	}
}

// TestRestate has a model of random weights write documents again: it can only
// say what the schema leaves it, so that what stands is known.
func TestRestate(t *testing.T) {
	var b bytes.Buffer
	if err := synth.Write(&b, synth.Config{Size: "tiny", Type: "f32", Seed: 1}, nil); err != nil {
		t.Fatal(err)
	}
	m, err := engine.OpenBytes("tiny", b.Bytes(), engine.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	c := New(Config{Model: m, Target: "local/tiny", MaxTokens: 64})
	var attempts []llm.Attempt
	permitted := true
	ask := func(more, text string, how llm.Repair) (llm.FormatCheck, string) {
		req := request(t, more)
		req.OnAttempt = func(a llm.Attempt) { attempts = append(attempts, a) }
		req.May = func(target string) bool { return permitted && target == "local/tiny" }
		ch := &llm.Choice{Text: text, Finish: llm.Stop}
		return c.Check(t.Context(), req, ch, how), ch.Text
	}
	got, text := ask(","+closed, "It is rather good.", llm.RepairModel)
	if got.Verdict != llm.FormatRepaired || got.By != "local/tiny" || !json.Valid([]byte(text)) || !strings.Contains(text, "good") {
		t.Errorf("%+v: %q", got, text)
	}
	if len(attempts) != 1 || attempts[0].Target != "local/tiny" || attempts[0].Usage.Output == 0 || attempts[0].Outcome != llm.OK {
		t.Errorf("attempts %+v", attempts)
	}
	if strings.Contains(fmt.Sprint(got), "rather") {
		t.Error("the answer stands in what is recorded")
	}
	attempts = nil
	if got, text := ask(","+asked, "It is Rome, for days.", llm.RepairModel); got.Verdict != llm.FormatInvalid || text != "It is Rome, for days." {
		t.Errorf("what a model made up passed: %+v %q", got, text)
	}
	if len(attempts) != 1 || attempts[0].Outcome != llm.Insufficient {
		t.Errorf("attempts %+v", attempts)
	}
	attempts = nil
	if got, _ := ask(","+closed, "It is rather good.", llm.RepairRules); got.Verdict != llm.FormatInvalid || len(attempts) > 0 {
		t.Errorf("a model was asked against the rules: %+v", got)
	}
	permitted = false
	if got, _ := ask(","+closed, "It is rather good.", llm.RepairModel); got.Verdict != llm.FormatInvalid || len(attempts) > 0 {
		t.Errorf("a model was asked against policy: %+v", got)
	}
}

func TestFaithful(t *testing.T) {
	for _, tt := range []struct {
		document, source string
		want             bool
	}{
		{`{"a": "Rome", "n": 3}`, `a: Rome; n 3`, true},
		{`{"a": "Oslo"}`, `a: Rome`, false},
		{`{"n": 4}`, `n 3`, false},
		{`{"a": "one\ntwo"}`, `a = one two`, true},
		{`{"a": "it's"}`, `'a': 'it\'s'`, true},
		{`{"a": true}`, `a`, true},
		{`{"b": 1}`, `a 1`, false},
		{`{"a": "Rom"}`, `a: Rome`, false},
		{`{"a": "Rome, Italy"}`, `a: 'Rome,  Italy'`, true},
		{`{"n": 3}`, `n: 13`, false},
		{`{"n": 3}`, `n: 13, m: 3`, true},
		{`{"都": "東京"}`, `都は東京です`, true},
		{`{"a": ""}`, `a`, true},
	} {
		if got := faithful(tt.document, tt.source); got != tt.want {
			t.Errorf("faithful(%q, %q) = %v", tt.document, tt.source, got)
		}
	}
}

// What is remembered of requests' formats is bounded, whatever they are.
func TestRememberedFormats(t *testing.T) {
	c := New(Config{})
	const large = mostWanted / 75 // kept some ten times
	for i, size := range []int{10, large, large, large, large, large, large, large, large, large, large, 10} {
		req := request(t, fmt.Sprintf(`,"guided_choice":["%s%d"]`, strings.Repeat("x", size), i))
		for range 2 {
			if got := c.Check(t.Context(), req, &llm.Choice{Text: req.Form.Choice[0], Finish: llm.Stop}, llm.RepairNone); got.Verdict != llm.FormatValid {
				t.Errorf("a choice of %d bytes: %+v", size, got)
			}
		}
		if c.size > mostWanted || len(c.kept) == 0 {
			t.Errorf("%d formats of %d bytes are remembered", len(c.kept), c.size)
		}
	}
	if n := len(c.kept); n < 2 || n > 8 { // the last ones: the others made room
		t.Errorf("%d formats are remembered", n)
	}
	var pattern strings.Builder // short, and large when read
	for i := range 7000 {
		pattern.WriteRune(rune(0x4e00 + i%700))
	}
	was := len(c.kept)
	req := request(t, fmt.Sprintf(`,"guided_json":{"type":"string","pattern":"^%s$"}`, pattern.String()))
	for text, verdict := range map[string]string{`"` + pattern.String() + `"`: llm.FormatValid, `"` + pattern.String()[3:] + `"`: llm.FormatInvalid} {
		if got := c.Check(t.Context(), req, &llm.Choice{Text: text, Finish: llm.Stop}, llm.RepairNone); got.Verdict != verdict || len(c.kept) != was {
			t.Errorf("%+v, want %s; %d formats are remembered, %d before", got, verdict, len(c.kept), was)
		}
	}
	if once, again := c.wants(req), c.wants(req); once != again {
		t.Error("a large format is read for each choice")
	}
	for i := range keepWanted + 1 {
		c.Wants(request(t, fmt.Sprintf(`,"guided_choice":["%d"]`, i)))
	}
	if len(c.kept) > keepWanted {
		t.Errorf("%d formats are remembered", len(c.kept))
	}
}
