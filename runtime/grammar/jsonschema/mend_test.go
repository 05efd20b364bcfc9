package jsonschema

import (
	"strings"
	"testing"
)

func TestMend(t *testing.T) {
	const order = `{"type":"object","additionalProperties":false,"required":["id","status","paid"],"properties":{
		"id":{"type":"integer"},"status":{"enum":["open","in progress","done"]},"paid":{"type":"boolean","default":false},
		"tags":{"type":"array","items":{"type":"string"}},"price":{"type":"number"},"note":{"type":"string"},
		"customer_name":{"type":"string"},"due":{"type":["string","null"],"format":"date"},"kind":{"const":"order"}}}`
	tests := []struct{ name, schema, in, want, fixes string }{
		{"valid", order, `{"id": 1, "status":"open","paid":true}`, `{"id": 1, "status":"open","paid":true}`, ""},
		{"number-in-quotes", order, `{"id":"12","status":"open","paid":true}`, `{"id":12,"status":"open","paid":true}`, "replace /id type"},
		{"no-whole-number", order, `{"id":"12.5","status":"open","paid":true}`, "", ""},
		{"boolean-as-text", order, `{"id":1,"status":"open","paid":"True"}`, `{"id":1,"status":"open","paid":true}`, "replace /paid type"},
		{"one-for-true", order, `{"id":1,"status":"open","paid":1}`, `{"id":1,"status":"open","paid":true}`, "replace /paid type"},
		{"two-is-no-boolean", order, `{"id":1,"status":"open","paid":2}`, "", ""},
		{"number-for-text", order, `{"id":1,"status":"open","paid":true,"note":4.50}`, `{"id":1,"status":"open","paid":true,"note":"4.50"}`, "replace /note type"},
		{"case", order, `{"id":1,"status":"In_Progress","paid":true}`, `{"id":1,"status":"in progress","paid":true}`, "replace /status enum"},
		{"other-word", order, `{"id":1,"status":"closed","paid":true}`, "", ""},
		{"one-for-a-list", order, `{"id":1,"status":"open","paid":true,"tags":"a"}`, `{"id":1,"status":"open","paid":true,"tags":["a"]}`, "replace /tags wrap"},
		{"list-for-one", order, `{"id":[1],"status":"open","paid":true}`, `{"id":1,"status":"open","paid":true}`, "replace /id wrap"},
		{"list-as-text", order, `{"id":1,"status":"open","paid":true,"tags":"[\"a\"]"}`, `{"id":1,"status":"open","paid":true,"tags":["a"]}`, "replace /tags type"},
		{"near-name", order, `{"ID":1,"status":"open","paid":true,"customerName":"x"}`, `{"id":1,"status":"open","paid":true,"customer_name":"x"}`, "move /id name, move /customer_name name"},
		{"typo", order, `{"id":1,"staus":"open","paid":true}`, `{"id":1,"status":"open","paid":true}`, "move /status name"},
		{"default", order, `{"id":1,"status":"open"}`, `{"id":1,"status":"open","paid":false}`, "add /paid default"},
		{"null", order, `{"id":1,"status":"open","paid":true,"note":null}`, `{"id":1,"status":"open","paid":true}`, "remove /note null"},
		{"allowed-null", order, `{"id":"1","status":"open","paid":true,"due":null}`, `{"id":1,"status":"open","paid":true,"due":null}`, "replace /id type"},
		{"extra", order, `{"id":1,"status":"open","paid":true,"colour of it":"red"}`, `{"id":1,"status":"open","paid":true}`, "remove /* extra"},
		{"extra-stays-while-one-is-missing", order, `{"status":"open","paid":true,"number":1}`, "", ""},
		{"space", order, `{"id":1,"status":"open","paid":true,"due":" 2026-01-02 "}`, `{"id":1,"status":"open","paid":true,"due":"2026-01-02"}`, "replace /due space"},
		{"date-stays-wrong", order, `{"id":1,"status":"open","paid":true,"due":"2 January"}`, "", ""},
		{"two-near-names", `{"required":["a_b"],"properties":{"a_b":{}}}`, `{"aB":1,"A-b":2}`, "", ""},
		{"open-object-keeps-its-own", `{"properties":{"size":{"type":"integer"}}}`, `{"Size":"x"}`, `{"Size":"x"}`, ""},
		{"any-of", `{"anyOf":[{"type":"object","required":["k","n"],"properties":{"k":{"const":"a"},"n":{"type":"integer"}}},{"type":"object","required":["k","s"],"properties":{"k":{"const":"b"},"s":{"type":"string"}}}]}`,
			`{"k":"a","n":"3"}`, `{"k":"a","n":3}`, "replace /n type"},
		{"any-of-undecided", `{"anyOf":[{"type":"integer"},{"type":"array","items":{"type":"string"}}]}`, `"7"`, "", ""},
		{"deep", `{"$defs":{"n":{"type":"object","properties":{"v":{"type":"integer"},"next":{"$ref":"#/$defs/n"}}}},"$ref":"#/$defs/n"}`,
			`{"v":1,"next":{"v":"2","next":{"v":"3"}}}`, `{"v":1,"next":{"v":2,"next":{"v":3}}}`, "replace /next/v type, replace /next/next/v type"},
		{"unnamed-member", `{"additionalProperties":{"type":"integer"}}`, `{"ann@example.com":"1"}`, `{"ann@example.com":1}`, "replace /* type"},
		{"unknown-keywords", `{"type":"integer","sparkle":true,"format":"odd","pattern":"(?=a)"}`, `"1"`, `1`, "replace  type"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Read([]byte(tt.schema), nil)
			if err != nil {
				t.Fatal(err)
			}
			got, fixes, err := c.Mend([]byte(tt.in))
			if (err == nil) != (tt.want != "") || string(got) != tt.want {
				t.Fatalf("Mend(%s) = %s, %v, want %q", tt.in, got, err, tt.want)
			}
			var parts []string
			for _, f := range fixes {
				parts = append(parts, f.Op+" "+f.Path+" "+f.Kind)
			}
			if got := strings.Join(parts, ", "); got != tt.fixes {
				t.Errorf("fixes %q, want %q", got, tt.fixes)
			}
		})
	}
}

// TestMendBounded mends what would take for ever if every alternative were tried in full.
func TestMendBounded(t *testing.T) {
	schema := `{"$defs":{"n":{"anyOf":[{"type":"object","required":["a"],"properties":{"a":{"$ref":"#/$defs/n"}}},{"type":"object","required":["a"],"properties":{"a":{"$ref":"#/$defs/n"},"b":{}}},{"type":"null"}]}},"$ref":"#/$defs/n"}`
	c, err := Read([]byte(schema), nil)
	if err != nil {
		t.Fatal(err)
	}
	in := strings.Repeat(`{"a":`, 60) + `"x"` + strings.Repeat("}", 60)
	if _, _, err := c.Mend([]byte(in)); err == nil {
		t.Error("mended what nothing can mend")
	}
}
