package repair

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestMend(t *testing.T) {
	s, err := Read(json.RawMessage(`{"type":"object","required":["city"],"properties":{"city":{"type":"string"},"days":{"type":"integer"}},"additionalProperties":false}`))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, in, want, kinds string }{
		{"right", `{"city": "Rome"}`, `{"city": "Rome"}`, ""},
		{"both", "```json\n{city: 'Rome', Days: \"3\",}\n```", `{"city":"Rome","days":3}`, "fence key quotes comma name type"},
		{"the-one-that-fits", `{"example": 1} means {"city": "Rome"}`, `{"city":"Rome"}`, "around"},
		{"two-that-fit", `{"city": "Rome"} or {"city": "Oslo"}`, "", ""},
		{"half-a-value-is-none", `{"days": 3, "city": "Ro`, "", ""},
		{"prose", `I cannot help with that.`, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, fixes, err := s.Mend(tt.in)
			if (err == nil) != (tt.want != "") || got != tt.want {
				t.Fatalf("Mend = %q, %v, want %q", got, err, tt.want)
			}
			if err == nil && s.Check(got) != nil {
				t.Error("what Mend returns does not pass Check")
			}
			var kinds []string
			for _, f := range fixes {
				kinds = append(kinds, f.Kind)
			}
			if got := strings.Join(kinds, " "); got != tt.kinds {
				t.Errorf("kinds %q, want %q", got, tt.kinds)
			}
		})
	}
}

func TestTools(t *testing.T) {
	tools := ReadTools([]Tool{
		{Name: "get_time", Parameters: json.RawMessage(`{"type":"object","required":["city"],"properties":{"city":{"type":"string"},"utc":{"type":"boolean"}}}`)},
		{Name: "stop"}, {Name: "patch", Free: true},
		{Name: "far", Parameters: json.RawMessage(`{"$ref":"https://example.com/x"}`)},
	})
	tests := []struct{ name, tool, in, wantTool, want string }{
		{"right", "get_time", `{"city":"Rome"}`, "get_time", `{"city":"Rome"}`},
		{"arguments", "get_time", `{city: 'Rome', utc: "true"`, "get_time", `{"city":"Rome","utc":true}`},
		{"arguments-closed", "get_time", `{city: 'Rome', utc: "true",`, "get_time", `{"city":"Rome","utc":true}`},
		{"tool-name", "functions.getTime", `{"city":"Rome"}`, "get_time", `{"city":"Rome"}`},
		{"unknown-tool", "get_date", `{}`, "", ""},
		{"none", "stop", "", "stop", "{}"},
		{"no-object", "stop", `"x"`, "", ""},
		{"free", "patch", "*** Begin", "patch", "*** Begin"},
		{"unreadable-schema", "far", `{"a":1}`, "far", `{"a":1}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tool, args, _, err := tools.Mend(tt.tool, tt.in)
			if (err == nil) != (tt.wantTool != "") || tool != tt.wantTool || args != tt.want {
				t.Errorf("Mend = %q, %q, %v", tool, args, err)
			}
			if err == nil && tools.Check(tool, args) != nil {
				t.Error("what Mend returns does not pass Check")
			}
		})
	}
	for text, want := range map[string]int{
		`{"name": "get_time", "arguments": {"city": "Rome"}}`:                    1,
		"```json\n[{\"name\": \"get_time\", \"arguments\": {}}]\n```":            1,
		`[get_time(city="Rome"), stop()]`:                                        2,
		`<tool_call>{"name": "stop", "arguments": {}}</tool_call>`:               1,
		`I would call {"name": "get_time", "arguments": {"city": "Rome"}} here.`: 0,
		`{"name": "Rome", "arguments": {}}`:                                      0,
	} {
		if got := tools.Calls(text); len(got) != want {
			t.Errorf("Calls(%q) = %v", text, got)
		}
	}
}
