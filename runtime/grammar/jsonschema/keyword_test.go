package jsonschema

import (
	"errors"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/runtime/grammar"
)

// cases are schemas with instances that satisfy them, in the spelling that the
// grammar writes, and instances that do not. Instances are one to a line.
var cases = []struct{ name, schema, good, bad string }{
	{"true", `true`, `1
"a"
null
{"a":[1,{"b":[]}]}
[[],{}]`, `01
tru
"a
{"a"}
[1,]`},
	{"type", `{"type":"string"}`, `""
"a"
"\u00e9\ud83d\ude00\n\/"
"日本"`, `1
null
"\ud83d"
"\x41"`},
	{"types", `{"type":["integer","null","boolean"]}`, "1\n-5\nnull\ntrue\nfalse", "1.5\n\"a\"\n[]"},
	{"integer", `{"type":"integer"}`, "0\n-12\n12345678901234567890123", "1.0\n01\n1e3\n-0"},
	{"number", `{"type":"number"}`, "0\n-0.5\n1e10\n1.5E-3\n10", "1.\n.5\n+1\n\"1\""},
	{"number-or-integer", `{"type":["integer","number"]}`, "1\n1.5", "true"},
	{"enum", `{"enum":["a","ab",1,null,[1,"x"],{"k":true}]}`, `"a"
"ab"
1
null
[1,"x"]
{"k":true}`, `"b"
"abc"
2
[1]
{}`},
	{"enum-with-type", `{"type":"string","enum":["a",1]}`, `"a"`, "1"},
	{"const", `{"const":"say \"hi\"\n\u0001"}`, `"say \"hi\"\n\u0001"`, `"say"`},
	{"const-and-enum", `{"const":1,"enum":[1,2]}`, "1", "2"},
	{"required", `{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["a"],"additionalProperties":false}`,
		`{"a":1}
{"a":1,"b":"x"}`, `{}
{"b":"x"}
{"a":"1"}
{"a":1,"c":2}
{"a":1,}`},
	{"optional", `{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"},"c":{"type":"integer"}},"required":["b"],"additionalProperties":false}`,
		`{"b":1}
{"a":1,"b":1}
{"b":1,"c":1}
{"a":1,"b":1,"c":1}`, `{"a":1}
{"a":1,"c":1}
{"b":1,"b":1}
{"b":1,"d":1}`},
	{"required-unnamed", `{"type":"object","properties":{"a":{"type":"integer"}},"required":["z","a"]}`, `{"a":1,"z":null}
{"a":1,"z":1,"more":2}`, `{"a":1}
{"z":1}`},
	{"additional-schema", `{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":{"type":"integer"}}`,
		`{}
{"a":"x"}
{"b":1}
{"a":"x","b":1,"c":2}
{"aa":1}`, `{"a":1}
{"b":"x"}
{"b":1,"a":1}`},
	{"additional-true", `{"type":"object","properties":{"a":{"type":"string"}}}`, `{"a":"x","b":[{}]}
{"b":1}`, `{"a":1}`},
	{"additional-escaped", `{"type":"object","properties":{"a\"b":{"type":"string"}},"additionalProperties":{"type":"integer"}}`,
		`{"a\"b":"x"}
{"a\"":1}
{"a":1}`, `{"a\"b":1}
{"\u0061\"b":1}`},
	{"pattern-properties", `{"type":"object","properties":{"x1":{"minimum":5}},"patternProperties":{"^x":{"type":"integer"},"1$":{"maximum":10}},"additionalProperties":false}`,
		`{}
{"x1":7}
{"xa":100}
{"a1":3}
{"xb1":3}`, `{"x1":3}
{"x1":"a"}
{"x1":11}
{"xa":"s"}
{"a1":11}
{"b":1}
{"xb1":20}`},
	{"property-names-pattern", `{"type":"object","propertyNames":{"pattern":"^[a-z]+$","maxLength":3}}`, `{}
{"ab":1,"abc":{}}`, `{"A":1}
{"abcd":1}`},
	{"property-names-enum", `{"type":"object","propertyNames":{"enum":["a","b"]},"additionalProperties":{"type":"integer"}}`, `{}
{"a":1,"b":2}
{"b":2}`, `{"c":1}
{"a":"x"}`},
	{"min-max-properties", `{"type":"object","minProperties":1,"maxProperties":2}`, `{"a":1}
{"a":1,"b":2}`, `{}
{"a":1,"b":2,"c":3}`},
	{"max-properties-named", `{"type":"object","properties":{"a":true,"b":true,"c":true},"required":["c"],"maxProperties":2,"additionalProperties":false}`,
		`{"c":1}
{"a":1,"c":1}
{"b":1,"c":1}`, `{"a":1,"b":1}
{"a":1,"b":1,"c":1}`},
	{"min-properties-named", `{"type":"object","properties":{"a":true,"b":true,"c":true},"minProperties":2,"additionalProperties":false}`,
		`{"a":1,"b":1}
{"a":1,"c":1}
{"b":1,"c":1}
{"a":1,"b":1,"c":1}`, `{}
{"a":1}`},
	{"dependent-required", `{"type":"object","properties":{"card":{"type":"integer"},"bill":{"type":"string"}},"dependentRequired":{"card":["bill"]},"additionalProperties":false}`,
		`{}
{"bill":"x"}
{"card":1,"bill":"x"}`, `{"card":1}`},
	{"dependent-schemas", `{"properties":{"a":{"type":"integer"},"b":{}},"dependentSchemas":{"a":{"properties":{"b":{"type":"integer"}},"required":["b"]}}}`,
		`{"b":"x"}
{"a":1,"b":2}
5`, `{"a":1}
{"a":1,"b":"x"}`},
	{"items", `{"type":"array","items":{"type":"integer"}}`, "[]\n[1]\n[1,2,3]", "[\"a\"]\n[1,]\n[1 ,2]\n1"},
	{"prefix-items", `{"type":"array","prefixItems":[{"type":"integer"},{"type":"string"}],"items":{"type":"boolean"}}`,
		"[]\n[1]\n[1,\"a\"]\n[1,\"a\",true,false]", "[\"a\"]\n[1,2]\n[1,\"a\",3]"},
	{"prefix-items-closed", `{"type":"array","prefixItems":[{"type":"integer"},{"type":"string"}],"items":false}`, "[1,\"a\"]\n[1]", "[1,\"a\",1]"},
	{"items-draft7", `{"type":"array","items":[{"type":"integer"}],"additionalItems":{"type":"null"}}`, "[1]\n[1,null,null]", "[null]\n[1,2]"},
	{"min-max-items", `{"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":3}`, "[1,2]\n[1,2,3]", "[]\n[1]\n[1,2,3,4]"},
	{"min-items-prefix", `{"type":"array","prefixItems":[{},{}],"minItems":3}`, "[1,2,3]\n[1,2,3,4]", "[1,2]\n[]"},
	{"max-items-zero", `{"type":"array","maxItems":0}`, "[]", "[1]"},
	{"max-items-prefix", `{"type":"array","prefixItems":[{},{},{}],"maxItems":2}`, "[]\n[1]\n[1,2]", "[1,2,3]"},
	{"many-items", `{"type":"array","items":{"const":1},"minItems":100,"maxItems":100}`, "[" + strings.Repeat("1,", 99) + "1]", "[" + strings.Repeat("1,", 98) + "1]\n[" + strings.Repeat("1,", 100) + "1]"},
	{"lengths", `{"type":"string","minLength":2,"maxLength":3}`, `"ab"
"日本語"
"😀\n"
"\u0041\ud83d\ude00"`, `""
"a"
"abcd"
"日本語!"`},
	{"max-length-zero", `{"type":"string","maxLength":0}`, `""`, `"a"`},
	{"min-length", `{"type":"string","minLength":3}`, `"abc"
"abcdefghijklmnopqrstuvwxyz"`, `"ab"`},
	{"pattern", `{"type":"string","pattern":"^[a-c]+\\d{2}$"}`, `"abc12"`, `"12"
"abc1"
"abc123"`},
	{"pattern-unanchored", `{"type":"string","pattern":"b+"}`, `"abc"
"b"`, `"ac"`},
	{"pattern-escapes", `{"type":"string","pattern":"^\"\\\\\\n$"}`, `"\"\\\n"`, `"a"`},
	{"pattern-length", `{"type":"string","pattern":"^a*b*$","minLength":2,"maxLength":3}`, `"aa"
"abb"`, `"a"
"aabb"
"ba"`},
	{"patterns", `{"type":"string","allOf":[{"pattern":"^a"},{"pattern":"z$"}],"maxLength":4}`, `"az"
"abcz"`, `"a"
"abcdz"`},
	{"pattern-other-types", `{"pattern":"^a$"}`, `"a"
1
null`, `"b"`},
	{"minimum", `{"type":"integer","minimum":-3,"maximum":12}`, "-3\n0\n12", "-4\n13\n120"},
	{"exclusive", `{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1.5}`, "0.01\n1\n1.49999", "0\n1.5\n-1\n0.0\n2"},
	{"exclusive-draft4", `{"type":"integer","minimum":0,"exclusiveMinimum":true}`, "1", "0"},
	{"multiple-of", `{"type":"integer","multipleOf":7}`, "0\n7\n-14\n700", "1\n8"},
	{"multiple-of-cents", `{"type":"number","multipleOf":0.05,"minimum":0}`, "0.05\n1\n1.1\n2.35", "0.01\n2.36\n-1"},
	{"multiples", `{"type":"integer","allOf":[{"multipleOf":4},{"multipleOf":6}]}`, "0\n12\n24", "4\n6\n8"},
	{"any-of", `{"anyOf":[{"type":"string","maxLength":2},{"type":"integer"}]}`, "\"ab\"\n5", "\"abc\"\n1.5"},
	{"any-of-objects", `{"anyOf":[{"type":"object","properties":{"k":{"const":"a"},"n":{"type":"integer"}},"required":["k","n"],"additionalProperties":false},{"type":"object","properties":{"k":{"const":"b"},"s":{"type":"string"}},"required":["k","s"],"additionalProperties":false}]}`,
		`{"k":"a","n":1}
{"k":"b","s":"x"}`, `{"k":"a","s":"x"}
{"k":"b","n":1}
{"k":"c"}`},
	{"one-of", `{"oneOf":[{"type":"string"},{"type":"null"}]}`, "\"a\"\nnull", "1"},
	{"all-of", `{"allOf":[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]},{"properties":{"a":{"minimum":5},"b":{"type":"string"}},"required":["b"]}]}`,
		`{"a":5,"b":"x"}`, `{"a":4,"b":"x"}
{"a":5}
{"b":"x"}`},
	{"all-of-any-of", `{"allOf":[{"anyOf":[{"minimum":10},{"maximum":0}]},{"type":"integer","multipleOf":5}]}`, "10\n0\n-5\n15", "5\n11"},
	{"not-type", `{"not":{"type":"string"}}`, "1\nnull\n{}", `"a"`},
	{"not-enum", `{"type":"string","not":{"enum":["a","b"]}}`, `"c"
"ab"
""`, `"a"
"b"`},
	{"not-const-pattern", `{"type":"string","pattern":"^[ab]$","not":{"const":"a"}}`, `"b"`, `"a"`},
	{"not-required", `{"type":"object","properties":{"a":{},"b":{}},"not":{"required":["a","b"]},"additionalProperties":false}`, `{}
{"a":1}
{"b":1}`, `{"a":1,"b":1}`},
	{"not-pattern", `{"type":"string","not":{"pattern":"a"}}`, `"b"`, `"bab"`},
	{"not-minimum", `{"type":"number","not":{"minimum":3}}`, "2.9\n-1", "3\n4"},
	{"if-then-else", `{"type":"object","properties":{"country":{"enum":["US","NL"]},"zip":{"type":"string"}},"required":["country","zip"],"additionalProperties":false,"if":{"properties":{"country":{"const":"US"}}},"then":{"properties":{"zip":{"pattern":"^\\d{5}$"}}},"else":{"properties":{"zip":{"pattern":"^\\d{4} [A-Z]{2}$"}}}}`,
		`{"country":"US","zip":"12345"}
{"country":"NL","zip":"1234 AB"}`, `{"country":"US","zip":"1234 AB"}
{"country":"NL","zip":"12345"}`},
	{"if-then", `{"type":"integer","if":{"minimum":10},"then":{"multipleOf":5}}`, "10\n3\n15", "11\n12"},
	{"ref", `{"$ref":"#/$defs/p","$defs":{"p":{"type":"integer"}}}`, "1", `"a"`},
	{"ref-siblings", `{"$ref":"#/$defs/p","maximum":5,"$defs":{"p":{"type":"integer"}}}`, "5", "6"},
	{"ref-draft7", `{"$schema":"http://json-schema.org/draft-07/schema#","$ref":"#/definitions/p","maximum":5,"definitions":{"p":{"type":"integer"}}}`, "6", `"a"`},
	{"ref-anchor", `{"items":{"$ref":"#here"},"type":"array","$defs":{"x":{"$anchor":"here","type":"null"}}}`, "[null]", "[1]"},
	{"ref-id", `{"$id":"http://example.com/root.json","$ref":"other.json","$defs":{"x":{"$id":"other.json","type":"null"}}}`, "null", "1"},
	{"ref-escaped", `{"$ref":"#/$defs/a~1b%25","$defs":{"a/b%":{"type":"null"}}}`, "null", "1"},
	{"recursive", `{"$ref":"#/$defs/tree","$defs":{"tree":{"type":"object","properties":{"v":{"type":"integer"},"kids":{"type":"array","items":{"$ref":"#/$defs/tree"}}},"required":["v"],"additionalProperties":false}}}`,
		`{"v":1}
{"v":1,"kids":[{"v":2},{"v":3,"kids":[]}]}`, `{"kids":[]}
{"v":1,"kids":[{}]}
{"v":1,"kids":[1]}`},
	{"recursive-root", `{"type":["array","null"],"items":{"$ref":"#"}}`, "null\n[]\n[[null],[]]", "[1]"},
	{"recursive-all-of", `{"$defs":{"node":{"type":"object","properties":{"next":{"$ref":"#/$defs/node"}},"additionalProperties":false}},"allOf":[{"$ref":"#/$defs/node"},{"required":["next"]}]}`,
		`{"next":{}}
{"next":{"next":{}}}`, `{}`},
	{"impossible-optional", `{"type":"object","properties":{"a":false,"b":{"type":"integer"}},"additionalProperties":false}`, `{}
{"b":1}`, `{"a":1}`},
	{"unevaluated", `{"type":"object","allOf":[{"properties":{"a":{"type":"integer"}}}],"properties":{"b":{}},"unevaluatedProperties":false}`, `{"b":1,"a":1}
{"a":1}`, `{"c":1}`},
	{"impossible-items", `{"type":"array","prefixItems":[{"type":"boolean"}],"items":{"type":"object","properties":{"n":{"allOf":[{"type":"null"},{"enum":[1]}]}},"required":["n"]}}`,
		"[]\n[true]", "[true,{}]"},
	{"format", `{"type":"string","format":"date"}`, `"2024-02-29"`, `"2023-02-29"
""`},
	{"format-length", `{"type":"string","format":"hostname","maxLength":5}`, `"a.b"
"abcde"`, `"abcdef"
"a..b"`},
	{"format-int32", `{"type":"integer","format":"int32"}`, "2147483647\n-2147483648", "2147483648\n-2147483649"},
	{"annotations", `{"title":"T","description":"D","type":"null","default":1,"examples":[1],"x-own":true}`, "null", "1"},
}

func TestKeywords(t *testing.T) {
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Compile([]byte(tt.schema), Options{})
			if err != nil {
				t.Fatal(err)
			}
			p := program(t, c)
			for text := range strings.Lines(tt.good) {
				text = strings.TrimSuffix(text, "\n")
				if !accepts(t, p, text) {
					t.Errorf("%s: refused", text)
				}
				if err := c.Validate([]byte(text)); err != nil {
					t.Errorf("%s: Validate: %v", text, err)
				}
			}
			for text := range strings.Lines(tt.bad) {
				text = strings.TrimSuffix(text, "\n")
				if accepts(t, p, text) {
					t.Errorf("%s: accepted", text)
				}
			}
		})
	}
}

func TestPostChecks(t *testing.T) {
	tests := []struct{ name, schema, pointer, good, bad string }{
		{"unique", `{"type":"array","uniqueItems":true}`, "/uniqueItems", "[1,2]", "[1,1]"},
		{"contains", `{"type":"array","contains":{"type":"string"}}`, "/contains", `[1,"a"]`, "[1]"},
		{"one-of", `{"oneOf":[{"type":"integer","minimum":0},{"type":"integer","maximum":10}]}`, "/oneOf", "-1", "5"},
		{"multiple", `{"type":"integer","multipleOf":123457}`, "/multipleOf", "246914", "5"},
		{"not", `{"type":"object","not":{"additionalProperties":false}}`, "/not", `{"a":1}`, `{}`},
		{"if", `{"type":"array","if":{"items":{"type":"string"}},"then":{"maxItems":1}}`, "/if", `["a"]`, `["a","b"]`},
		{"not-number", `{"type":"integer","not":{"const":5}}`, "", "4", "5"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Compile([]byte(tt.schema), Options{})
			if err != nil {
				t.Fatal(err)
			}
			p := program(t, c)
			found := false
			for _, pc := range c.PostChecks {
				found = found || strings.HasSuffix(pc.Pointer, tt.pointer)
			}
			if !found {
				t.Errorf("the checks afterwards are %v", c.PostChecks)
			}
			if !accepts(t, p, tt.good) || !accepts(t, p, tt.bad) {
				t.Error("the grammar decides alone")
			}
			if c.Validate([]byte(tt.good)) != nil || c.Validate([]byte(tt.bad)) == nil {
				t.Error("Validate does not decide")
			}
		})
	}
	for _, tt := range cases {
		switch tt.name {
		case "min-max-properties":
			continue // repeated names
		}
		if c, err := Compile([]byte(tt.schema), Options{}); err == nil && len(c.PostChecks) > 0 {
			t.Errorf("%s needs checks afterwards: %v", tt.name, c.PostChecks)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, tt := range []struct{ name, schema, pointer string }{
		{"unknown", `{"properties":{"a":{"maxlength":3}}}`, "/properties/a/maxlength"},
		{"format", `{"format":"iri"}`, "/format"},
		{"remote-ref", `{"$ref":"https://example.com/x.json"}`, "/$ref"},
		{"dangling-ref", `{"$ref":"#/$defs/nope"}`, "/$ref"},
		{"look-around", `{"pattern":"(?=a)"}`, "/pattern"},
		{"dynamic", `{"$dynamicRef":"#a"}`, "/$dynamicRef"},
		{"bad-type", `{"type":"text"}`, "/type"},
		{"bad-size", `{"minLength":-1}`, "/minLength"},
		{"bad-schema", `{"items":5}`, "/items"},
		{"bad-multiple", `{"multipleOf":0}`, "/multipleOf"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Compile([]byte(tt.schema), Options{})
			e, ok := errors.AsType[*UnsupportedError](err)
			if !ok || e.Pointer != tt.pointer {
				t.Errorf("%v", err)
			}
		})
	}
	for _, schema := range []string{
		`false`, `{"type":"string","enum":[1]}`, `{"allOf":[{"type":"string"},{"type":"null"}]}`, `{"type":"integer","minimum":5,"maximum":4}`,
		`{"$ref":"#/$defs/a","$defs":{"a":{"type":"object","properties":{"a":{"$ref":"#/$defs/a"}},"required":["a"]}}}`,
		`{"type":"string","pattern":"^a$","minLength":2}`, `{"type":"object","required":["a"],"properties":{"a":false}}`,
		`{"type":"integer","minimum":5.1,"maximum":5.9}`,
	} {
		if _, err := Compile([]byte(schema), Options{}); !errors.Is(err, grammar.ErrEmpty) {
			t.Errorf("%s: %v", schema, err)
		}
	}
}
