package local

import (
	"encoding/json"
	"testing"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/runtime/chat"
)

// TestToolDeltas looks at the deltas of calls while they are made.
func TestToolDeltas(t *testing.T) {
	tier := open(t, 0)
	const note = `{"type":"function","function":{"name":"note","parameters":{"type":"object","required":["text","tags","done"],"additionalProperties":false,"properties":{
		"text":{"type":"string","minLength":30,"maxLength":60},"tags":{"type":"array","items":{"enum":["a","b"]},"minItems":2,"maxItems":4},"done":{"type":"boolean"}}}}}`
	for seed := range 3 {
		req := seeded(wire(t, tier, `"tool_choice":"required","tools":[`+note+`]`), seed)
		req.Stream, req.Sampling.MaxTokens = true, 700
		var args []string
		ids, names, events := map[int]string{}, map[int]string{}, 0
		err := tier.Generate(t.Context(), req, func(ev llm.Event) error {
			for _, d := range ev.Choices {
				at := map[int]bool{}
				for _, c := range d.ToolCalls {
					if at[c.Index] {
						t.Errorf("two deltas of call %d in one event", c.Index)
					}
					at[c.Index] = true
					if c.ID != "" || c.Name != "" {
						if ids[c.Index] != "" || c.ID == "" || c.Name != "note" || c.Index != len(args) {
							t.Errorf("call begins with %+v", c)
						}
						ids[c.Index], names[c.Index] = c.ID, c.Name
						args = append(args, "")
					}
					args[c.Index] += c.Arguments
					events++
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if events < 10 {
			t.Errorf("%d events for %d calls: they came whole", events, len(args))
		}
		for i, a := range args[:len(args)-1] { // the last may be cut
			var v struct {
				Text string
				Tags []string
				Done *bool
			}
			if err := json.Unmarshal([]byte(a), &v); err != nil || len(v.Text) < 30 || len(v.Tags) < 2 || v.Done == nil {
				t.Errorf("call %d: %q, %v", i, a, err)
			}
		}
	}
}

// Calls that no grammar wrote are held to their schemas when they are whole.
func TestFreeCalls(t *testing.T) {
	req := &llm.Request{Tools: []llm.Tool{{Name: "clock", Parameters: json.RawMessage(`{"type":"object","required":["utc"],"properties":{"utc":{"type":"boolean"}}}`)}}}
	for _, tt := range []struct {
		args, want string
		broken     bool
	}{
		{`{"utc":true}`, `{"utc":true}`, false},
		{`{"utc":"True"}`, `{"utc":true}`, false},
		{`{"utc":"noon"}`, `{"utc":"noon"}`, true},
	} {
		w := newCallWriter(req)
		got := w.add(nil, &chat.CallDelta{Name: "clock", Arguments: tt.args})
		if len(got) != 1 || got[0].Arguments != tt.want || w.broken != tt.broken {
			t.Errorf("%s becomes %+v, broken %v", tt.args, got, w.broken)
		}
	}
}
