package grammar_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/runtime/grammar"
)

// jsonGBNF is how llama.cpp's json.gbnf is written.
const jsonGBNF = `root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws

object ::=
  "{" ws (
            string ":" ws value
    ("," ws string ":" ws value)*
  )? "}" ws   # a comment

array  ::=
  "[" ws (
            value
    ("," ws value)*
  )? "]" ws

string ::=
  "\"" (
    [^"\\\x7F\x00-\x1F] |
    "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) # escapes
  )* "\"" ws

number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
ws ::= | " " | "\n" [ \t]{0,20}
`

func TestGBNF(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		good, bad  []string
	}{
		{"json", jsonGBNF, []string{`{}`, `{"a": [1,2.5, "x\u00e9\n"],"b":{"c":null}}`, "{\n  \"a\": true}"}, []string{`[]`, `{"a":}`, `{"a":1,}`, "{\"a\":\"\x01\"}"}},
		{"list", "root ::= item+\nitem ::= \"- \" [^\\n]+ \"\\n\"", []string{"- a\n", "- a\n- b\n"}, []string{"", "- \n", "a\n"}},
		{"counts", `root ::= "a"{2,3} ("b" | "c"){2} "d"? .`, []string{"aabbx", "aaacbd!", "aabc日"}, []string{"abbx", "aaaabbx", "aabx"}},
		{"recursive", "root ::= expr\nexpr ::= \"(\" expr \")\" | [a-z]", []string{"a", "((b))"}, []string{"(a", "()", "A"}},
		{"right", "root ::= [ab] root | \"c\"", []string{"c", "abac"}, []string{"ab", ""}},
		{"unicode", `root ::= [\u00e0-\u00ff]+ "\U0001F600"`, []string{"éü😀"}, []string{"e😀"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, err := grammar.GBNF(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			p := bind(t, large(), g)
			for _, s := range tt.good {
				if !accepts(p, s) {
					t.Errorf("refused: %q", s)
				}
			}
			for _, s := range tt.bad {
				if accepts(p, s) {
					t.Errorf("accepted: %q", s)
				}
			}
			if tt.name == "json" {
				walk(t, p, large(), rand.New(rand.NewPCG(1, 2)), nil)
			}
		})
	}
	for _, text := range []string{
		"", "rot ::= \"a\"", "root ::= nope", "root ::= \"a", "root ::= [", "root ::= (\"a\"", "root ::= \"a\"{3,1}", "root ::= \"a\"{x}", "root = \"a\"",
		"root ::= [z-a]", "root ::= \"\\q\"", "root ::= \"a\"\nroot ::= \"b\"", "root ::= " + strings.Repeat("(", 1000), "root ::= ]",
	} {
		if _, err := grammar.GBNF(text); err == nil {
			t.Errorf("%.40q is taken", text)
		}
	}
	if _, err := grammar.GBNF("root ::= root \"a\" | \"b\""); !errors.Is(err, grammar.ErrLeftRecursion) {
		t.Errorf("%v", err)
	}
	if _, err := grammar.GBNF("root ::= \"a\" root"); !errors.Is(err, grammar.ErrEmpty) {
		t.Errorf("%v", err)
	}
}
