package openai

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/internal/llm"
)

func TestParseRequestReads(t *testing.T) {
	body := `{"model":"auto","messages":[
		{"role":"developer","content":"be brief"},
		{"role":"user","content":[{"type":"text","text":"look"},{"type":"image_url","image_url":{"url":"data:,"}},{"type":"text","text":"here"}]},
		{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},
		{"role":"tool","tool_call_id":"c1","content":"done"}],
		"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}},"x_unknown":1}],
		"temperature":0,"max_completion_tokens":7,"stop":"END","n":2,"stream":true,"stream_options":{"include_usage":true},
		"user":"u1","x_unknown":{"deep":[1]}}`
	req, err := ParseRequest([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(req.Messages), 4; got != want {
		t.Fatalf("messages = %d, want %d", got, want)
	}
	if m := req.Messages[0]; m.Role != llm.System || m.Text != "be brief" {
		t.Errorf("developer message = %+v", m)
	}
	if m := req.Messages[1]; m.Text != "look\nhere" {
		t.Errorf("parts = %q", m.Text)
	}
	if m := req.Messages[2]; len(m.ToolCalls) != 1 || m.ToolCalls[0] != (llm.ToolCall{ID: "c1", Name: "f", Arguments: `{"a":1}`}) {
		t.Errorf("tool call = %+v", m.ToolCalls)
	}
	if !slices.Equal(req.Modalities, []string{"text", "image"}) {
		t.Errorf("modalities = %v", req.Modalities)
	}
	if req.Sampling.Temperature == nil || *req.Sampling.Temperature != 0 {
		t.Error("temperature 0 was lost")
	}
	if req.Sampling.MaxTokens != 7 || req.N != 2 || !req.Stream || !req.StreamUse || !slices.Equal(req.Sampling.Stop, []string{"END"}) {
		t.Errorf("settings = %+v n=%d", req.Sampling, req.N)
	}
	if !strings.Contains(string(req.Tools[0].Raw), "x_unknown") || string(req.Body) != body {
		t.Error("unknown fields were lost")
	}
}

func TestParseRequestRefuses(t *testing.T) {
	const ok = `"messages":[{"role":"user","content":"SECRET-TEXT"}]`
	tests := []struct{ name, body, param, want string }{
		{"empty", ``, "", "the body is empty"},
		{"cut", `{"model":"a","messages":[{"role":"user","content":"SECRET-TEXT`, "", "ends too early, after 62 bytes"},
		{"bad-byte", `{"model":"a",,}`, "", "byte 14 is unexpected"},
		{"comma-at-the-end", `{"model":"auto",}`, "", "byte 17 is unexpected"},
		{"list", `[]`, "", "must be a JSON object, not a list"},
		{"string", `"SECRET-TEXT"`, "", "must be a JSON object"},
		{"no-model", `{` + ok + `}`, "model", "model is missing"},
		{"no-messages", `{"model":"a"}`, "messages", "missing or empty"},
		{"bad-role", `{"model":"a","messages":[{"role":"SECRET-TEXT","content":"x"}]}`, "messages[0].role", "the role must be"},
		{"no-content", `{"model":"a","messages":[{"role":"user"}]}`, "messages[0].content", "content is missing"},
		{"content-number", `{"model":"a","messages":[{"role":"user","content":5}]}`, "messages[0].content", "must be a string or a list"},
		{"part-without-type", `{"model":"a","messages":[{"role":"user","content":[{"text":"x"}]}]}`, "messages[0].content[0].type", "needs a type"},
		{"hot", `{"model":"a",` + ok + `,"temperature":3}`, "temperature", "between 0 and 2"},
		{"model-number", `{"model":5,` + ok + `}`, "model", "JSON number where a string is expected"},
		{"stop-object", `{"model":"a",` + ok + `,"stop":{}}`, "stop", "a string or a list"},
		{"no-choices", `{"model":"a",` + ok + `,"n":0}`, "n", "between 1 and 128"},
		{"twice", `{"model":"a",` + ok + `,"model":"b"}`, "", "same key twice, at byte"},
		{"twice-in-message", `{"model":"a","messages":[{"role":"user","content":"x","content":"y"}]}`, "", "same key twice"},
		{"twice-by-case", `{"model":"a",` + ok + `,"MODEL":"b"}`, "", "same key twice"},
		{"twice-by-long-s", `{"model":"a",` + ok + `,"tools":[],"toolſ":[]}`, "", "same key twice"},
		{"twice-in-function", `{"model":"a",` + ok + `,"tools":[{"type":"function","function":{"name":"rm","Name":"ls"}}]}`, "", "same key twice"},
		{"twice-in-part", `{"model":"a","messages":[{"role":"user","content":[{"type":"image_url","Type":"text"}]}]}`, "", "same key twice"},
		{"nameless-function", `{"model":"a",` + ok + `,"functions":[{}]}`, "functions[0].name", "needs a name"},
		{"deep", `{"model":"a",` + ok + `,"x":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`, "", "nested more than 128 deep"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseRequest([]byte(tt.body))
			e, ok := errors.AsType[*llm.Error](err)
			if !ok || e.Kind != llm.Invalid {
				t.Fatalf("error = %v, want one of kind Invalid", err)
			}
			if e.Param != tt.param || !strings.Contains(e.Msg, tt.want) {
				t.Errorf("param %q, message %q; want %q and %q", e.Param, e.Msg, tt.param, tt.want)
			}
			if strings.Contains(e.Error(), "SECRET-TEXT") {
				t.Errorf("the message repeats the request: %q", e.Error())
			}
		})
	}
}

// Policy must learn of every tool that an upstream would see, whatever form it has.
func TestEveryToolHasAName(t *testing.T) {
	req, err := ParseRequest([]byte(`{"model":"a","messages":[{"role":"user","content":"x"}],
		"tools":[{"type":"function","function":{"name":"f"}},{"type":"custom","custom":{"name":"c"}},{"type":"web_search"}],
		"functions":[{"name":"old","parameters":{"type":"object"}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := req.ToolNames(), []string{"f", "c", "web_search", "old"}; !slices.Equal(got, want) {
		t.Errorf("tools = %q, want %q", got, want)
	}
	if raw := string(req.Tools[3].Raw); raw != `{"function":{"name":"old","parameters":{"type":"object"}},"type":"function"}` {
		t.Errorf("a function as a tool = %s", raw)
	}
}

// Where nobody of ours reads, a key is what the client says it is.
func TestFreeKeys(t *testing.T) {
	for _, free := range []string{
		`"metadata":{"a":"1","A":"2"}`,
		`"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"id":{},"ID":{}}}}}]`,
		`"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"properties":{"id":{},"ID":{}}}}}`,
	} {
		if _, err := ParseRequest([]byte(`{"model":"a","messages":[{"role":"user","content":"x"}],` + free + `}`)); err != nil {
			t.Errorf("%s: %v", free, err)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add([]byte(`{"model":"a","messages":[{"role":"user","content":"x"}]}`))
	f.Add([]byte(`{"model":"a","messages":[{"role":"user","content":[{"type":"text"}]}],"tools":[{}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		req, err := ParseRequest(body)
		if err == nil && len(req.Messages) == 0 {
			t.Error("a request without messages")
		}
	})
}
