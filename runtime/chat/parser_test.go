package chat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// A parse is one output and what it means. Calls are written name{arguments},
// one a line. In in, S and E between vertical bars are the call markers.
type parse struct {
	name, in string
	opts     ParserOptions
	content  string
	thinking string
	calls    string
	bad      int
}

func (tt parse) text() string {
	return strings.NewReplacer("|S|", toolCallStart, "|E|", toolCallEnd).Replace(tt.in)
}

func callLines(calls []ToolCall) string {
	var b strings.Builder
	for i, c := range calls {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(c.Name)
		b.Write(c.Arguments)
	}
	return b.String()
}

// parseChunks parses text cut at the given places.
func parseChunks(text string, o ParserOptions, cuts func(left int) int) Output {
	p := NewParser(o)
	var out Output
	var deltas []Delta
	for text != "" {
		n := cuts(len(text))
		deltas = append(deltas, p.Push(text[:n])...)
		text = text[n:]
	}
	for _, d := range append(deltas, p.Flush()...) {
		out.Content += d.Text
		out.Thinking += d.Thinking
		if d.Call != nil {
			out.Calls = append(out.Calls, ToolCall{Name: d.Call.Name, Arguments: json.RawMessage(d.Call.Arguments)})
		}
	}
	out.Malformed = p.Malformed()
	return out
}

func describe(o Output) string {
	return fmt.Sprintf("content %q, thinking %q, calls [%s], %d malformed", o.Content, o.Thinking, callLines(o.Calls), o.Malformed)
}

func runParses(t *testing.T, tests []parse) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := Parse(tt.text(), tt.opts)
			want := fmt.Sprintf("content %q, thinking %q, calls [%s], %d malformed", tt.content, tt.thinking, tt.calls, tt.bad)
			if got := describe(out); got != want {
				t.Errorf("Parse(%q):\n got %s\nwant %s", tt.text(), got, want)
			}
			for _, c := range out.Calls {
				if !json.Valid(c.Arguments) || c.Arguments[0] != '{' {
					t.Errorf("arguments are no JSON object: %s", c.Arguments)
				}
			}
			if byBytes := parseChunks(tt.text(), tt.opts, func(int) int { return 1 }); describe(byBytes) != describe(out) {
				t.Errorf("byte by byte:\n got %s\nwant %s", describe(byBytes), describe(out))
			}
		})
	}
}

// The cases of llama.cpp's tests/test-chat.cpp for LFM2.
func TestParseLlamaCPP(t *testing.T) {
	runParses(t, []parse{
		{name: "content", in: "Hello, world!\nWhat's up?", content: "Hello, world!\nWhat's up?"},
		{name: "call", in: `|S|[special_function(arg1=1)]|E|`, calls: `special_function{"arg1":1}`},
		{name: "string", in: `|S|[get_time(city="XYZCITY")]|E|`, calls: `get_time{"city":"XYZCITY"}`},
		{name: "thinking-and-call", in: "<think>I'm\nthinking</think>|S|[special_function(arg1=1)]|E|", thinking: "I'm\nthinking", calls: `special_function{"arg1":1}`},
		{name: "true", in: `|S|[toggle(enabled=True)]|E|`, calls: `toggle{"enabled":true}`},
		{name: "none", in: `|S|[set_nullable(value=None)]|E|`, calls: `set_nullable{"value":null}`},
		{name: "nested", in: `|S|[set_config(config={"enabled": True, "count": 3})]|E|`, calls: `set_config{"config":{"enabled":true,"count":3}}`},
		{name: "dotted", in: `|S|[Calendar.create_event(title="demo", participants=["Alice", "Bob"], metadata={"priority": "high", "reminder": true})]|E|`,
			calls: `Calendar.create_event{"title":"demo","participants":["Alice","Bob"],"metadata":{"priority":"high","reminder":true}}`},
		{name: "markdown-link", in: "See [link text](url).\n[link text](url)", opts: ParserOptions{Names: []string{"link", "special_function"}}, content: "See [link text](url).\n[link text](url)"},
		{name: "newline", in: `|S|[python(code="def hello():\n    print('hey')")]|E|`, calls: `python{"code":"def hello():\n    print('hey')"}`},
		{name: "tab-and-quotes", in: `|S|[python(code="\tprint(\"hi\")")]|E|`, calls: `python{"code":"\tprint(\"hi\")"}`},
		{name: "content-before", in: `Let me check the time.|S|[get_time(city="XYZCITY")]|E|`, content: "Let me check the time.", calls: `get_time{"city":"XYZCITY"}`},
		{name: "parallel", in: `|S|[special_function(arg1=1), special_function_with_opt(arg1=1, arg2=2)]|E|`,
			calls: "special_function{\"arg1\":1}\nspecial_function_with_opt{\"arg1\":1,\"arg2\":2}"},
		{name: "partial", in: `|S|[special_function(arg1=`, content: `[special_function(arg1=`, bad: 1},
		{name: "empty-args", in: `|S|[empty_args()]|E|`, calls: `empty_args{}`},
	})
}

// The cases of vLLM's tests/tool_parsers/test_lfm2_tool_parser.py.
func TestParseVLLM(t *testing.T) {
	runParses(t, []parse{
		{name: "simple", in: `|S|[get_candidate_status(candidate_id='12345')]|E|`, calls: `get_candidate_status{"candidate_id":"12345"}`},
		{name: "types", in: `|S|[register_user(name='John Doe', age=37, address={'city': 'San Francisco', 'state': 'CA'}, role=None, passed_test=True, aliases=['John', 'Johnny'])]|E|`,
			calls: `register_user{"name":"John Doe","age":37,"address":{"city":"San Francisco","state":"CA"},"role":null,"passed_test":true,"aliases":["John","Johnny"]}`},
		{name: "empty-dict", in: `|S|[do(additional_data={})]|E|`, calls: `do{"additional_data":{}}`},
		{name: "empty-list", in: `|S|[do(steps=[])]|E|`, calls: `do{"steps":[]}`},
		{name: "escaped-quotes", in: `|S|[get_weather(city='Martha\'s Vineyard', metric='\"cool units\"')]|E|`,
			calls: `get_weather{"city":"Martha's Vineyard","metric":"\"cool units\""}`},
		{name: "content-after", in: "|S|[get_candidate_status(candidate_id='12345')]|E|\nChecking the current status.", content: "\nChecking the current status.",
			calls: `get_candidate_status{"candidate_id":"12345"}`},
		{name: "bracket-in-string", in: `|S|[bash(command='grep -F "]" log.txt')]|E|`, calls: `bash{"command":"grep -F \"]\" log.txt"}`},
		{name: "raw-newline", in: "|S|[bash(command='a\nb')]|E|", calls: `bash{"command":"a\nb"}`},
		{name: "set", in: `|S|[tag(labels={'urgent', 'bug'})]|E|`, calls: `tag{"labels":["urgent","bug"]}`},
		{name: "nested-quotes", in: `|S|[bash(command='sed -n '360,450p' /path')]|E|`, calls: `bash{"command":"sed -n '360,450p' /path"}`},
		{name: "nested-quotes-then-more", in: `|S|[bash(command='sed -n '360,450p' /path', timeout=5), g(b='c')]|E| ok`, content: " ok",
			calls: "bash{\"command\":\"sed -n '360,450p' /path\",\"timeout\":5}\ng{\"b\":\"c\"}"},
		{name: "doubly-nested", in: "|S|[bash(command=\"python3 -c \"import os\nprint('x', sep=\"\")\"\")]|E|",
			calls: `bash{"command":"python3 -c \"import os\nprint('x', sep=\"\")\""}`},
		{name: "apostrophe", in: `|S|[say(text='it's fine', to='Bob')]|E|`, calls: `say{"text":"it's fine","to":"Bob"}`},
		{name: "zero-padded", in: `|S|[date(year=2024, month=07, day=-09)]|E|`, calls: `date{"year":2024,"month":7,"day":-9}`},
		{name: "nul", in: "|S|[f(a='x\x00y')]|E|", calls: "f{\"a\":\"x\\u0000y\"}"},
		{name: "empty-block", in: `|S|[]|E|`},
		{name: "blank-block", in: `|S|[ ]|E|Hi`, content: "Hi"},
		{name: "bad-sibling", in: `|S|[good(a=1), bad(x=b'z'), fine(b=2)]|E|`, calls: "good{\"a\":1}\nfine{\"b\":2}", bad: 1},
		{name: "space-after-start", in: "|S| \n[f(a=1)]|E|", calls: `f{"a":1}`},
		{name: "three-calls", in: `|S|[f(a=1), g(), h(b='x')]|E|`, calls: "f{\"a\":1}\ng{}\nh{\"b\":\"x\"}"},
		{name: "text-both-sides", in: `Before |S|[f()]|E| after`, content: "Before  after", calls: "f{}"},
		{name: "echoed-body", in: `|S|[f(a=1)]|E|[f(a=1)]|E|`, calls: `f{"a":1}`},
		{name: "echoed-body-then-text", in: "|S|[f(a=1)]|E|\n[f(a=1)]|E|Done.", content: "Done.", calls: `f{"a":1}`},
		{name: "list-of-dicts", in: `|S|[f(items=[{'a': 1, 'b': [True, None]}, {'c': 'd, e)'}])]|E|`, calls: `f{"items":[{"a":1,"b":[true,null]},{"c":"d, e)"}]}`},
	})
}

// The cases of SGLang's Lfm2Detector and of Ollama's model/parsers/lfm2_test.go.
func TestParseSGLangOllama(t *testing.T) {
	known := ParserOptions{Names: []string{"get_weather", "bash"}}
	runParses(t, []parse{
		{name: "json", in: `|S|[{"name":"search","arguments":{"query":"sglang"}}]|E|`, calls: `search{"query":"sglang"}`},
		{name: "json-without-list", in: `|S|{"name": "search", "arguments": {"query": "<b>"}}|E|`, calls: `search{"query":"<b>"}`},
		{name: "json-wrapped", in: `|S|[{"type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"}}, {"name": "g"}]|E|`, calls: "f{\"a\":1}\ng{}"},
		{name: "json-as-python", in: `|S|[{'name': 'f', 'parameters': {'a': True}}]|E|`, calls: `f{"a":true}`},
		{name: "json-not-a-call", in: `|S|[{"nom": "f"}, g()]|E|`, calls: `g{}`, bad: 1},
		{name: "two-blocks", in: "|S|[f()]|E|\n|S|[g()]|E|", calls: "f{}\ng{}"},
		{name: "thinking-then-content", in: "<think>\nLet me see.\n</think>\n\nHello.", thinking: "Let me see.", content: "Hello."},
		{name: "direct-answer", in: "Hello <think>.", content: "Hello <think>."},
		{name: "direct-answer-with-bracket", in: "<thin> air", content: "<thin> air"},
		{name: "opened-by-prompt", in: "Hm.</think>Yes", opts: ParserOptions{Thinking: true}, thinking: "Hm.", content: "Yes"},
		{name: "call-inside-thought", in: "Hm. |S|[f()]|E|", opts: ParserOptions{Thinking: true}, thinking: "Hm.", calls: "f{}"},
		{name: "unfinished-thought", in: "<think> Hm </thin", thinking: "Hm </thin"},
		{name: "bare", in: `[get_weather(city="Paris")]`, opts: known, calls: `get_weather{"city":"Paris"}`},
		{name: "bare-json", in: `[{"name": "bash", "arguments": {"command": "ls"}}]`, opts: known, calls: `bash{"command":"ls"}`},
		{name: "bare-after-text", in: "Sure:\n[get_weather(city='Paris'), bash(command='ls')]\n", opts: known, content: "Sure:\n", calls: "get_weather{\"city\":\"Paris\"}\nbash{\"command\":\"ls\"}"},
		{name: "bare-unknown", in: `[nuke(city="Paris")]`, opts: known, content: `[nuke(city="Paris")]`},
		{name: "bare-one-unknown", in: `[bash(), nuke()]`, opts: known, content: `[bash(), nuke()]`},
		{name: "bare-without-names", in: `[get_weather(city="Paris")]`, content: `[get_weather(city="Paris")]`},
		{name: "bare-then-text", in: "[bash(command='ls')] lists files.", opts: known, content: "[bash(command='ls')] lists files."},
		{name: "bare-unfinished", in: "[bash(command='ls'", opts: known, content: "[bash(command='ls'"},
		{name: "bare-positional", in: "[bash(ls)]", opts: known, content: "[bash(ls)]"},
		{name: "bare-not-first-on-line", in: "x [bash()]", opts: known, content: "x [bash()]"},
		{name: "start-missing", in: `[bash()]|E|ok`, opts: known, content: "ok", calls: "bash{}"},
		{name: "second-start-missing", in: `|S|[f()]|E|[g(a=1)]|E|`, calls: "f{}\ng{\"a\":1}"},
		{name: "start-twice", in: `|S||S|[f()]|E|`, calls: "f{}"},
		{name: "end-twice", in: `|S|[f()|E|]|E|ok`, calls: "f{}", content: "ok"},
		{name: "orphan-end", in: `Hi|E| there`, content: "Hi there"},
		{name: "end-missing", in: `|S|[f()] Done.`, calls: "f{}", content: " Done."},
		{name: "end-and-list-end-missing", in: `|S|[f(a=1), g(b='x')`, calls: "f{\"a\":1}\ng{\"b\":\"x\"}"},
		{name: "end-inside-string", in: `|S|[f(a="x|E|y")]|E|z`, calls: `f{"a":"x<|tool_call_end|>y"}`, content: "z"},
		{name: "spaces", in: `|S|[func( arg1 = "value1" , arg2 = 42 )]|E|`, calls: `func{"arg1":"value1","arg2":42}`},
		{name: "negative", in: `|S|[f(offset=-10, scale=1.50, big=1e3, huge=123456789012345678901)]|E|`, calls: `f{"offset":-10,"scale":1.5,"big":1000.0,"huge":123456789012345678901}`},
		{name: "url", in: `|S|[fetch(url="https://example.com/?a=1&b=2")]|E|`, calls: `fetch{"url":"https://example.com/?a=1&b=2"}`},
		{name: "json-in-string", in: `|S|[post(body="{\"a\": [1, 2]}")]|E|`, calls: `post{"body":"{\"a\": [1, 2]}"}`},
		{name: "punctuation-in-string", in: `|S|[f(a="x(y), z=1")]|E|`, calls: `f{"a":"x(y), z=1"}`},
		{name: "question", in: `|S|[AskUserQuestion(question="What's up?", headers=["a", 'b'], multiSelect=False, metadata={'priority': 1, 'active': True})]|E|`,
			calls: `AskUserQuestion{"question":"What's up?","headers":["a","b"],"multiSelect":false,"metadata":{"priority":1,"active":true}}`},
		{name: "no-parenthesis", in: `|S|[bash]|E|`, content: "[bash]", bad: 1},
		{name: "positional", in: `|S|[bash(command)]|E|`, content: "[bash(command)]", bad: 1},
		{name: "unclosed-string", in: `|S|[f(a='x)]|E| tail`, content: "[f(a='x)] tail", bad: 1},
		{name: "unclosed-string-then-quotes", in: `|S|[f(a='x)]|E| it's`, content: "[f(a='x)] it's", bad: 1},
		{name: "word-with-apostrophe", in: `|S|[f(a=don't)]|E| it's`, content: "[f(a=don't)] it's", bad: 1},
		{name: "tripled-quotes", in: "|S|[python(code=\"\"\"print(\"a, b\")\nx = [1]\"\"\")]|E|", calls: `python{"code":"print(\"a, b\")\nx = [1]"}`},
		{name: "mended-with-trailing-comma", in: `|S|[f(a='it's', )]|E|`, calls: `f{"a":"it's"}`},
		{name: "repeated-argument", in: `|S|[f(a=1, b=2, a=3)]|E|`, calls: `f{"a":3,"b":2}`},
		{name: "bare-released-after-thought", in: "<think>a</think> [bash(x)]", opts: known, thinking: "a", content: "[bash(x)]"},
		{name: "whitespace-output", in: " \n", content: " \n"},
	})
}

func TestParseLiterals(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"escapes", `'\x41\u00e9\U0001F600\101\q\/'`, `"Aé😀A\\q\\/"`},
		{"surrogates", `"\ud83d\ude00\ud83d!"`, "\"😀\uFFFD!\""},
		{"joined", `'a' "b"`, `"ab"`},
		{"tripled", `"""a "b" 'c'` + "\n" + `d"""`, `"a \"b\" 'c'\nd"`},
		{"continued-line", "'a\\\nb'", `"ab"`},
		{"not-utf8", "'\xff'", "\"\uFFFD\""},
		{"tuple", `(1, 2,)`, `[1,2]`},
		{"one-tuple", `(1,)`, `[1]`},
		{"parentheses", `(1)`, `1`},
		{"empty-tuple", `()`, `[]`},
		{"empty-set", `set()`, `[]`},
		{"one-set", `{1}`, `[1]`},
		{"trailing-commas", `[1, {'a': 2,},]`, `[1,{"a":2}]`},
		{"odd-keys", `{1: 2, None: 3, 1.50: 4}`, `{"1":2,"null":3,"1.5":4}`},
		{"bases", `[0x1F, 0o17, 0b11, 1_000, +5, -0x1]`, `[31,15,3,1000,5,-1]`},
		{"floats", `[1., .5, 1e-7, 1E3]`, `[1.0,0.5,1e-07,1000.0]`},
		{"deep", strings.Repeat("[", 100) + strings.Repeat("]", 100), strings.Repeat("[", 100) + strings.Repeat("]", 100)},
		{"too-deep-lists", strings.Repeat("[", 300) + strings.Repeat("]", 300), ""},
		{"too-deep", strings.Repeat("(", 1000), ""},
		{"too-deep-braces", strings.Repeat("{", 1000), ""},
		{"bare-word", `foo`, ""},
		{"infinite", `1e999`, ""},
		{"nan", `nan`, ""},
		{"two-signs", `--1`, ""},
		{"list-as-key", `{[1]: 2}`, ""},
		{"missing-comma", `[1 2]`, ""},
		{"bytes", `b'x'`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &reader{s: tt.in}
			got, ok := r.value(nil, 0)
			if ok && r.i != len(r.s) {
				ok = false
			}
			if tt.want == "" {
				if ok {
					t.Errorf("value(%s) = %s, want failure", tt.in, got)
				}
				return
			}
			if !ok || string(got) != tt.want {
				t.Errorf("value(%s) = %s %v, want %s", tt.in, got, ok, tt.want)
			}
		})
	}
}

// Content reaches the reader as soon as it can be no marker.
func TestParserHoldsBackLittle(t *testing.T) {
	p := NewParser(ParserOptions{Names: []string{"get"}})
	steps := []struct{ push, text, thinking, call string }{
		{push: " "},
		{push: "Hello", text: " Hello"},
		{push: " <|tool", text: " "},
		{push: "s", text: "<|tools"},
		{push: "\n[ge", text: "\n"},
		{push: "m", text: "[gem"},
		{push: "<|tool_call_start|>[f(a=1"},
		{push: "2)"},
		{push: ",", call: `f{"a":12}`},
		{push: " g()", call: ""},
		{push: "]", call: "g{}"},
		{push: "<|tool_call_end|>"},
		{push: "\n"},
		{push: "x", text: "\nx"},
		{push: "<|tool_call_start|>[f(a=don't)]<|tool_call_end|> and", text: "[f(a=don't)] and"}, // an apostrophe opens no string
	}
	for i, s := range steps {
		var text, thinking, call string
		for _, d := range p.Push(s.push) {
			text += d.Text
			thinking += d.Thinking
			if d.Call != nil {
				call = d.Call.Name + d.Call.Arguments
			}
		}
		if text != s.text || thinking != s.thinking || call != s.call {
			t.Errorf("step %d, %q: text %q, thinking %q, call %q", i, s.push, text, thinking, call)
		}
	}
}

// Cost grows in line with the output, whatever a model writes.
func TestParserIsNotQuadratic(t *testing.T) {
	const n = 1 << 19
	for _, unit := range []string{
		"[f(", "\n[f(", "\n[f()", "\n[f(\n)]", "|S|", "|E|", "x|E|", "|S|[f(", "|S|f()", "<", "|S|[f(a='b'c", "|S|[f(a='x),", "|S|[f(a='x', b=",
		"|S|[f(a={", "x='y')b", "'),f(a=", "')],", "'", "|S|'", "\n[{", "|S|[f()]|E|[f(", " ", "|S|[f(a='''",
	} {
		unit := strings.NewReplacer("|S|", toolCallStart, "|E|", toolCallEnd).Replace(unit)
		text := strings.Repeat(unit, n/len(unit))
		start := time.Now()
		parseChunks(text, ParserOptions{Names: []string{"f"}}, func(left int) int { return min(left, 4<<10) })
		parseChunks(toolCallStart+"["+text, ParserOptions{Names: []string{"f"}}, func(left int) int { return min(left, 4<<10) })
		if d := time.Since(start); d > 4*time.Second { // all take well under a second
			t.Errorf("%q, %d times: %v", unit, n/len(unit), d)
		}
	}
}

func BenchmarkParser(b *testing.B) {
	text := parse{in: strings.Repeat("Some text, a [link](x) and <b>.\n", 30) + `|S|[f(a='b', n=[1, 2, {"k": True}]), g(code="x = 'y'\n")]|E|`}.text()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		p := NewParser(ParserOptions{Names: []string{"f", "g"}})
		for rest := text; rest != ""; {
			n := min(4, len(rest)) // about a token
			p.Push(rest[:n])
			rest = rest[n:]
		}
		p.Flush()
	}
}

func FuzzParser(f *testing.F) {
	for _, seed := range []string{
		"<think>a</think>|S|[f(a='b'), g(c={'d': [1, \"e\"]})]|E| h", "[f(a=1)]", "x\n[f(a=1)]\n|E|[f()]|E|", "|S|{\"name\": \"f\"}|E|",
		"|S|[f(a='it's', b=\"\"\"c\"\"\")]|E||S|[|E|]|S|", "[{'name': 'f', 'arguments': {}}]",
	} {
		f.Add(parse{in: seed}.text(), uint64(1), false)
	}
	f.Fuzz(func(t *testing.T, text string, seed uint64, thinking bool) {
		text = parse{in: text}.text()
		o := ParserOptions{Thinking: thinking, Names: []string{"f", "g.h"}}
		whole := Parse(text, o)
		rng := rand.New(rand.NewPCG(seed, 0))
		chunks := parseChunks(text, o, func(left int) int { return 1 + rng.IntN(min(left, 12)) })
		if describe(chunks) != describe(whole) {
			t.Errorf("%q in chunks:\n got %s\nwant %s", text, describe(chunks), describe(whole))
		}
		for _, c := range whole.Calls {
			if !json.Valid(c.Arguments) || !bytes.HasPrefix(c.Arguments, []byte("{")) {
				t.Errorf("%q: arguments of %q are no JSON object: %s", text, c.Name, c.Arguments)
			}
		}
		if !strings.Contains(text, "[") && !strings.Contains(text, "<") && !thinking && whole.Content != text {
			t.Errorf("plain text %q became %q", text, whole.Content)
		}
	})
}
