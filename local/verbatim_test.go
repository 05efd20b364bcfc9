package local

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/internal/openai"
	"github.com/sluice-ai/sluice/runtime/synth"
)

// A model whose file says sluice.verbatim fills forms and calls with pieces of what
// users and tools wrote; another is free.
func TestVerbatim(t *testing.T) {
	var b bytes.Buffer
	if err := synth.Write(&b, synth.Config{Size: "tiny", Type: "f32", Seed: 1, Verbatim: true}, nil); err != nil {
		t.Fatal(err)
	}
	copies, err := Open(Config{Threads: 1, Models: []ModelFile{{Name: "copies", Data: b.Bytes()}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = copies.Close() })
	const messages = `"messages":[{"role":"system","content":"Systemic words"},{"role":"user","content":"Ring Odile Brandt, flat 9."},` +
		`{"role":"assistant","content":"Assisting.","tool_calls":[{"id":"c","type":"function","function":{"name":"note","arguments":"{\"text\":\"Arguments\"}"}}]},` +
		`{"role":"tool","tool_call_id":"c","content":"Found: Odile-Marie"},{"role":"user","content":[{"type":"text","text":"Go on"}]}]`
	said := "Ring Odile Brandt, flat 9.\x00Found: Odile-Marie\x00Go on"
	const note = `{"type":"function","function":{"name":"note","parameters":{"type":"object","properties":{"text":{"type":"string"},"kind":{"enum":["memo","task"]}},"required":["text","kind"]}}}`
	const schema = `{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object","properties":{"text":{"type":"string"},"kind":{"enum":["memo","task"]}},"required":["text","kind"]}}}`
	seen, called := map[string]bool{}, map[string]int{}
	for _, tt := range []struct{ name, more string }{
		{"schema", `"response_format":` + schema},
		{"required", `"tool_choice":"required","parallel_tool_calls":false,"tools":[` + note + `]`},
		{"auto", `"parallel_tool_calls":false,"tools":[` + note + `]`},
		{"auto-with-schema", `"parallel_tool_calls":false,"tools":[` + note + `],"response_format":` + schema},
	} {
		for seed := range 8 {
			req, err := openai.ParseRequest([]byte(`{"model":"local","max_tokens":200,"temperature":1,` + messages + `,` + tt.more + `}`))
			if err != nil {
				t.Fatal(err)
			}
			req.Target = copies.Targets()[0]
			text, calls, finish := answer(t, copies, seeded(req, seed))
			if len(calls) > 0 {
				called[tt.name]++
				text = calls[0].Arguments
			} else if tt.name == "auto" {
				continue
			}
			if finish == "length" && tt.name == "auto" { // a call after a long text
				continue
			}
			var got struct{ Text, Kind string }
			if err := json.Unmarshal([]byte(text), &got); err != nil || got.Text == "" || !strings.Contains(said, got.Text) || got.Kind == "" {
				t.Errorf("%s: %q (%v) is not copied", tt.name, text, err)
			}
			seen[got.Text] = true
		}
	}
	if len(seen) < 8 || called["auto"] == 0 {
		t.Errorf("only %v, and %v calls", seen, called)
	}
	tier := open(t, 0)
	text, _, _ := answer(t, tier, seeded(wire(t, tier, `"response_format":`+schema+`,"max_completion_tokens":40`), 1))
	if strings.Contains(`{"text": "Say something."`, text[:min(12, len(text))]) {
		t.Errorf("%q: a model that says nothing of it copies", text)
	}
}
