package outline

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	for _, tt := range []struct{ name, schema, want string }{
		{"object", `{"type":"object","properties":{"b":{"type":"string"},"a":{"type":["integer","null"]}},"required":["b"]}`,
			`{"b": string, "a"?: integer | null}`},
		{"description", `{"properties":{"n":{"type":"number","description":"net,\n  in euro"}},"required":["n"]}`,
			`{"n": number (net, in euro)}`},
		{"choices", `{"type":"array","items":{"enum":["a","é\"",1,null,"a"]}}`, `["a" | "é\"" | 1 | null]`},
		{"format-and-const", `{"properties":{"d":{"type":"string","format":"date"},"v":{"const":2}},"required":["d","v"]}`,
			`{"d": string (date), "v": 2}`},
		{"ref", `{"$ref":"#/$defs/p","$defs":{"p":{"properties":{"x":{"type":"boolean"}}}}}`, `{"x"?: boolean}`},
		{"unknown-ref", `{"properties":{"x":{"$ref":"http://elsewhere"}},"required":["x"]}`, `{"x": any}`},
		{"any-of", `{"anyOf":[{"type":"string"},{"type":"array","items":{"type":"string"}}]}`, `string | [string]`},
		{"recursive", `{"type":"object","properties":{"k":{"$ref":"#"}}}`, `{"k"?: {"k"?: {"k"?: any}}}`},
		{"any-object", `{"type":"object"}`, ""},
		{"anything", `true`, ""},
		{"no-json", `{`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Of(json.RawMessage(tt.schema)); got != tt.want {
				t.Errorf("Of = %s\nwant %s", got, tt.want)
			}
		})
	}
}

// An outline that is too long loses its descriptions first, then is left out.
func TestTooLong(t *testing.T) {
	long := `{"properties":{"a":{"type":"string","description":"` + strings.Repeat("x", maxRunes) + `"}}}`
	if got := Of(json.RawMessage(long)); got != `{"a"?: string}` {
		t.Errorf("Of = %.80s", got)
	}
	var wide []string
	for i := range 900 {
		wide = append(wide, fmt.Sprintf(`"p%d":{"$ref":"#"}`, i))
	}
	if got := Of(json.RawMessage(`{"properties":{` + strings.Join(wide, ",") + `}}`)); got != "" { // would be 900³ members
		t.Errorf("Of = %.80s", got)
	}
	if got := Of(json.RawMessage(`{"enum":["` + strings.Repeat("x", maxRunes) + `"]}`)); got != "" {
		t.Errorf("Of = %.80s", got)
	}
}
