package repair

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestJSON(t *testing.T) {
	tests := []struct{ name, in, want, kinds string }{
		{"right", ` {"a": [1, 2.50, "x"]} `, ` {"a": [1, 2.50, "x"]} `, ""},
		{"fence", "```json\n{\"a\": 1}\n```", `{"a":1}`, "fence"},
		{"fence-without-end", "```\n{\"a\": 1}", `{"a":1}`, "fence"},
		{"fence-in-talk", "Here it is:\n```json\n{\"a\": 1}\n```\nIs that all?", `{"a":1}`, "fence"},
		{"talk", `Sure! {"a": 1} I hope that helps.`, `{"a":1}`, "around"},
		{"mark", "\ufeff{\"a\": 1}", `{"a": 1}`, "around"},
		{"trailing-comma", `{"a": [1, 2,], "b": 3,}`, `{"a":[1,2],"b":3}`, "comma"},
		{"two-commas", `[1,, 2]`, `[1,2]`, "comma"},
		{"leading-comma", `{, "a": 1}`, `{"a":1}`, "comma"},
		{"missing-comma", "{\"a\": 1\n \"b\": [\"x\" \"y\"]}", `{"a":1,"b":["x","y"]}`, "comma"},
		{"missing-comma-between-objects", `[{"a":1}{"a":2}]`, `[{"a":1},{"a":2}]`, "comma"},
		{"single-quotes", `{'a': 'it\'s', "b": 'x "y" z'}`, `{"a":"it's","b":"x \"y\" z"}`, "quotes escape"},
		{"curly-quotes", `{“a”: “b”}`, `{"a":"b"}`, "quotes"},
		{"bare-keys", `{a: 1, $b-c: 2, ключ: 3}`, `{"a":1,"$b-c":2,"ключ":3}`, "key"},
		{"comments", "{\n// one\n\"a\": 1, /* two */ \"b\": 2 # three\n}", `{"a":1,"b":2}`, "comment"},
		{"url-is-no-comment", `{"a": "http://x.y/z",}`, `{"a":"http://x.y/z"}`, "comma"},
		{"python", `{'a': True, 'b': None, 'c': [False]}`, `{"a":true,"b":null,"c":[false]}`, "quotes literal"},
		{"numbers", `{"a": +1, "b": .5, "c": 1., "d": 0x1F, "e": 1_000, "f": 007, "g": -0.0, "h": 1E+5}`, `{"a":1,"b":0.5,"c":1,"d":31,"e":1000,"f":7,"g":-0.0,"h":1E+5}`, "number"},
		{"raw-line-break", "{\"a\": \"one\ntwo\"}", `{"a":"one\ntwo"}`, "escape"},
		{"inner-quotes", `{"a": "he said "no" to it", "b": 1}`, `{"a":"he said \"no\" to it","b":1}`, "escape"},
		{"inner-quotes-before-a-comma", `{"a": "the word "no", he said", "b": 1}`, `{"a":"the word \"no\", he said","b":1}`, "escape"},
		{"strange-escapes", `{"a": "\d+\x41\'"}`, `{"a":"\\d+A'"}`, "escape"},
		{"pairs", `{"a": "\ud83d\ude00",}`, `{"a":"😀"}`, "comma"},
		{"cut-after-a-value", `{"a": {"b": [1, 2], "c": "x"`, `{"a":{"b":[1,2],"c":"x"}}`, "cut"},
		{"cut-in-a-string", `{"a": 1, "b": "half of`, `{"a":1}`, "cut"},
		{"cut-in-a-number", `{"a": 1, "b": 12`, `{"a":1}`, "cut"},
		{"cut-in-a-key", `{"a": 1, "b`, `{"a":1}`, "cut"},
		{"cut-after-a-colon", `{"a": 1, "b":`, `{"a":1}`, "cut"},
		{"cut-in-a-word", `[true, fal`, `[true]`, "cut"},
		{"cut-after-a-comma", `[1, 2, `, `[1,2]`, "cut"},
		{"wrong-bracket", `{"a": [1, 2}}`, `{"a":[1,2]}`, "bracket"},
		{"wrong-last-bracket", `{"a": 1]`, `{"a":1}`, "bracket"},
		{"equals", `{"a"= 1, "b" => 2}`, `{"a":1,"b":2}`, "key"},
		{"text", `just talk`, "", ""},
		{"nothing", ``, "", ""},
		{"two-values", `{"a":1} or {"a":2}`, "", ""},
		{"lone-brace", `{`, `{}`, "cut"},
		{"set", `{1, 2}`, "", ""},
		{"not-a-number", `{"a": NaN}`, "", ""},
		{"word", `{"a": yes}`, "", ""},
		{"version", `{"a": 1.2.3}`, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, fixes, err := JSON(tt.in)
			if (err == nil) != (tt.want != "") || got != tt.want {
				t.Fatalf("JSON(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
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

func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{'a': True,}`, "```json\n[1,\n```", `{"a": "x "y" z"}`, `{a:[{"b":`, "[[[[", `"\ud83d`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, fixes, err := JSON(s)
		if err != nil {
			return
		}
		if !json.Valid([]byte(got)) {
			t.Fatalf("JSON(%q) = %q, which is none", s, got)
		}
		if len(fixes) == 0 && got != s {
			t.Fatalf("JSON(%q) = %q, without a fix", s, got)
		}
		if again, fixes, err := JSON(got); err != nil || again != got || len(fixes) > 0 {
			t.Fatalf("JSON(%q) = %q, %v: not at rest", got, again, err)
		}
		if json.Valid([]byte(s)) && got != s {
			t.Fatalf("what was right was changed")
		}
	})
}
