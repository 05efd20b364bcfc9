package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-ai/sluice/runtime/chat"
	"github.com/sluice-ai/sluice/runtime/grammar"
	"github.com/sluice-ai/sluice/runtime/grammar/jsonschema"
	"github.com/sluice-ai/sluice/runtime/grammar/toolcall"
	"github.com/sluice-ai/sluice/runtime/sample"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

// schemas whose values are short enough that a model of random weights ends them.
var schemas = []string{
	`{"type":"object","properties":{"name":{"type":"string","maxLength":8},"age":{"type":"integer","minimum":0,"maximum":130}},"required":["name","age"],"additionalProperties":false}`,
	`{"type":"array","items":{"enum":["red","green","blue"]},"minItems":2,"maxItems":4}`,
	`{"anyOf":[{"type":"object","properties":{"kind":{"const":"a"},"at":{"type":"string","format":"date"}},"required":["kind","at"]},{"type":"object","properties":{"kind":{"const":"b"},"ok":{"type":"boolean"}},"required":["kind"]}]}`,
	`{"$ref":"#/$defs/node","$defs":{"node":{"type":"object","properties":{"v":{"enum":[1,2.5,null]},"next":{"anyOf":[{"type":"null"},{"$ref":"#/$defs/node"}]}},"required":["v","next"],"additionalProperties":false}}}`,
	`{"type":"object","properties":{"id":{"type":"string","pattern":"^[A-Z]{2}-[0-9]{3}$"},"tags":{"type":"array","items":{"type":"string","maxLength":5},"maxItems":2}},"required":["id"]}`,
}

// Whatever the weights, an answer satisfies its schema; one that was cut says so.
func TestSchema(t *testing.T) {
	m := openTiny(t, Options{})
	cut := 0
	for i, schema := range schemas {
		c, err := jsonschema.Compile([]byte(schema), jsonschema.Options{})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for seed := range uint64(40) {
			text, _, res := generate(t, m, Request{
				Prompt: []int32{1, 50}, MaxTokens: 200, Schema: json.RawMessage(schema), Sampling: sample.Config{Temperature: 1, Seed: seed},
			})
			if res.Finish == "length" {
				if cut++; !errors.Is(res.Invalid, ErrCut) || res.CompletionTokens != 200 {
					t.Errorf("schema %d: cut after %d tokens, %v", i, res.CompletionTokens, res.Invalid)
				}
				continue
			}
			if err := c.Validate([]byte(text)); err != nil || res.Invalid != nil || res.Finish != "stop" || !json.Valid([]byte(text)) {
				t.Errorf("schema %d: %q: %v, %+v", i, text, err, res)
			}
			seen[text] = true
		}
		if len(seen) < 3 {
			t.Errorf("schema %d: only %d different answers", i, len(seen))
		}
	}
	if cut > 20 {
		t.Errorf("%d of 200 answers were cut", cut)
	}
}

func TestAnyObject(t *testing.T) {
	m := openTiny(t, Options{})
	whole := 0
	for seed := range uint64(20) {
		text, _, res := generate(t, m, Request{
			Prompt: []int32{1, 50}, MaxTokens: 60, Schema: json.RawMessage(`{"type":"object"}`), Sampling: sample.Config{Temperature: 1, Seed: seed},
		})
		switch {
		case !strings.HasPrefix(text, "{"):
			t.Errorf("answer %q", text)
		case res.Finish == "stop":
			if whole++; !json.Valid([]byte(text)) || res.Invalid != nil {
				t.Errorf("answer %q, %v", text, res.Invalid)
			}
		case !errors.Is(res.Invalid, ErrCut):
			t.Errorf("answer %q, %v", text, res.Invalid)
		}
	}
	t.Logf("%d of 20 answers ended by themselves", whole)
}

var tools = []json.RawMessage{
	json.RawMessage(`{"name":"get_time","parameters":{"type":"object","properties":{"city":{"type":"string","maxLength":6},"utc":{"type":"boolean"}},"required":["city"]}}`),
	json.RawMessage(`{"name":"add","parameters":{"type":"object","properties":{"a":{"type":"integer","minimum":0,"maximum":99},"b":{"enum":[1,"x",null]}},"required":["a","b"]}}`),
}

func TestCalls(t *testing.T) {
	m := openTiny(t, Options{})
	c, err := toolcall.Compile(tools, toolcall.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		calls  Calls
		schema string
		names  []string // that may be called
		called bool     // always
	}{
		{"required", Calls{Required: true, Single: true}, "", []string{"add", "get_time"}, true},
		{"named", Calls{Name: "add", Single: true}, "", []string{"add"}, true},
		{"named-beats-schema", Calls{Name: "add", Single: true}, schemas[1], []string{"add"}, true},
		{"auto", Calls{Single: true}, "", []string{"add", "get_time"}, false},
		{"schema", Calls{Single: true}, schemas[1], []string{"add", "get_time"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			seen := map[string]int{}
			for seed := range uint64(10) {
				text, _, res := generate(t, m, Request{
					Prompt: []int32{1, 50}, Tools: tools, Calls: &tt.calls, Schema: json.RawMessage(tt.schema), MaxTokens: 60,
					Sampling: sample.Config{Temperature: 1.5, Seed: seed},
				})
				if res.Finish == "length" {
					if tt.called && !errors.Is(res.Invalid, ErrCut) {
						t.Errorf("cut answer %q: %v", text, res.Invalid)
					}
					continue
				}
				out := chat.Parse(text, chat.ParserOptions{Names: []string{"add", "get_time"}})
				if out.Malformed > 0 || res.Invalid != nil || tt.called && (len(out.Calls) != 1 || out.Content != "") {
					t.Fatalf("%q is read as %+v, %v", text, out, res.Invalid)
				}
				for _, call := range out.Calls {
					if err := c.Validate(call.Name, call.Arguments); err != nil || !slices.Contains(tt.names, call.Name) {
						t.Errorf("%q: %v", text, err)
					}
					seen[call.Name]++
				}
				if tt.schema != "" && len(out.Calls) == 0 && !json.Valid([]byte(text)) {
					t.Errorf("%q is neither a call nor JSON", text)
				}
			}
			if tt.called && len(seen) != len(tt.names) {
				t.Errorf("calls %v, want all of %q", seen, tt.names)
			}
		})
	}
}

// Forced tokens are read in one step, and count as tokens of the answer.
func TestForcedInOneStep(t *testing.T) {
	longest := 0
	answering := false
	m := openTiny(t, Options{OnStep: func(s Step) {
		if answering {
			longest = max(longest, s.Tokens)
		}
		answering = true
	}})
	schema := json.RawMessage(`{"type":"object","properties":{"greeting":{"const":"hello to all the people of the world"},"ok":{"enum":[true,false]}},"required":["greeting","ok"]}`)
	r := Request{Prompt: []int32{1, 50, 51}, Schema: schema}
	text, _, res := generate(t, m, r)
	if !strings.HasPrefix(text, `{"greeting": "hello to all the people of the world", "ok": `) || res.Finish != "stop" || res.Invalid != nil {
		t.Errorf("answer %q, %+v", text, res)
	}
	if tokens := len(m.tok.Encode(nil, text, tokenizer.Options{})); longest < 5 || res.CompletionTokens < tokens {
		t.Errorf("the longest step had %d tokens; %d of the answer, which has %d", longest, res.CompletionTokens, tokens)
	}
	for n := 1; n < 12; n++ {
		r.MaxTokens = n
		part, _, res := generate(t, m, r)
		if !strings.HasPrefix(text, part) || res.Finish != "length" || res.CompletionTokens != n || !errors.Is(res.Invalid, ErrCut) {
			t.Errorf("at most %d tokens: %q, %+v", n, part, res)
		}
	}
}

func TestGrammarWithStopAndLogprobs(t *testing.T) {
	m := openTiny(t, Options{})
	r := Request{Messages: hello(), Schema: json.RawMessage(schemas[0]), MaxTokens: 200, Sampling: sample.Config{Temperature: 1, Seed: 3}, Logprobs: true, TopLogprobs: 2}
	text, tokens, res := generate(t, m, r)
	var b strings.Builder
	for _, tok := range tokens {
		b.Write(tok.Bytes)
		if tok.Logprob > 0 || math.IsNaN(tok.Logprob) || len(tok.Top) != 2 || tok.Top[0].Logprob < tok.Logprob {
			t.Errorf("token %q: %g of %v", tok.Bytes, tok.Logprob, tok.Top)
		}
	}
	if b.String() != text || res.Invalid != nil {
		t.Errorf("tokens spell %q, the answer is %q (%v)", b.String(), text, res.Invalid)
	}
	r.Stop = []string{`"age`}
	text, _, res = generate(t, m, r)
	if strings.Contains(text, "age") || !strings.HasPrefix(text, `{"name": "`) || res.Finish != "stop" || !errors.Is(res.Invalid, ErrCut) {
		t.Errorf("answer %q, %+v", text, res)
	}
}

// A condition that no grammar holds is checked afterwards.
func TestCheckedAfterwards(t *testing.T) {
	m := openTiny(t, Options{})
	schema := `{"type":"array","items":{"enum":[1,2]},"minItems":4,"maxItems":4,"uniqueItems":true}`
	_, _, res := generate(t, m, Request{Prompt: []int32{1, 50}, Schema: json.RawMessage(schema)})
	if v, ok := errors.AsType[*jsonschema.ValidationError](res.Invalid); !ok || v.Keyword != "uniqueItems" || res.Finish != "stop" {
		t.Errorf("%+v", res)
	}
}

func TestGrammarRefuses(t *testing.T) {
	m := openTiny(t, Options{})
	for _, tt := range []struct {
		name string
		r    Request
		want string
	}{
		{"keyword", Request{Schema: json.RawMessage(`{"properties":{"a":{"nope":"secret"}}}`)}, "/properties/a/nope"},
		{"many", Request{Schema: json.RawMessage(`{"a1":1,"a2":1,"a3":1,"a4":1}`)}, "and 1 more"},
		{"empty", Request{Schema: json.RawMessage(`false`)}, ""},
		{"no-json", Request{Schema: json.RawMessage(`{`)}, ""},
		{"no-tool", Request{Calls: &Calls{Required: true}}, "no tool"},
		{"unknown", Request{Calls: &Calls{Name: "nope"}, Tools: tools}, "nope"},
		{"argument", Request{Calls: &Calls{}, Tools: []json.RawMessage{json.RawMessage(`{"name":"f","parameters":{"type":"object","properties":{"x":{"format":"nope"}}}}`)}}, "/properties/x/format"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.r.Messages = hello()
			for range 2 { // the second time from memory
				_, err := m.Generate(t.Context(), tt.r, func(Chunk) error { return nil })
				if _, ok := errors.AsType[*GrammarError](err); !ok || !errors.Is(err, ErrGrammar) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
					t.Errorf("error %v, want %q", err, tt.want)
				}
			}
			if err := m.Check(t.Context(), &tt.r); !errors.Is(err, ErrGrammar) {
				t.Errorf("Check: %v", err)
			}
		})
	}
	if m.Check(t.Context(), &Request{Calls: &Calls{}}) != nil {
		t.Error("optional calls without tools are refused")
	}
}

// Programs are kept, the last few of them.
func TestProgramsAreKept(t *testing.T) {
	m := openTiny(t, Options{})
	get := func(i int) *program {
		p, err := m.schemaProgram(t.Context(), fmt.Appendf(nil, `{"const":%d}`, i))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	first := get(0)
	for i := range keepPrograms {
		get(i)
	}
	if get(0) != first {
		t.Error("a program was not kept")
	}
	get(keepPrograms) // drops 1, the one used longest ago
	if get(0) != first || m.grammars.used.Len() != keepPrograms || len(m.grammars.by) != keepPrograms {
		t.Errorf("%d programs are kept", m.grammars.used.Len())
	}
	for i := range keepPrograms {
		get(100 + i)
	}
	if get(0) == first {
		t.Error("a program was kept for too long")
	}
}

// What is kept is bounded in bytes too, and what is kept grows while it is used.
func TestProgramsAreBounded(t *testing.T) {
	m := openTiny(t, Options{Grammars: 16 << 20})
	var first *program
	for i := range 4 {
		p, err := m.schemaProgram(t.Context(), fmt.Appendf(nil, `{"type":"string","pattern":"^[a-e]{%d}[^x]{40}$"}`, i+1))
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = p
		}
	}
	small := m.Stats().GrammarBytes
	if n := m.grammars.used.Len(); n != 4 || small <= 0 || small > 16<<20 {
		t.Fatalf("%d programs of %d bytes are kept", n, small)
	}
	before := first.Bytes()
	mask := make([]uint64, m.grammars.vocab().Words())
	for at := first.NewMatcher(); ; { // learns the masks on the way
		at.Mask(mask)
		if at.Complete() {
			break
		}
		if err := at.AcceptText(next(at)); err != nil {
			t.Fatal(err)
		}
	}
	if first.Bytes() <= before {
		t.Errorf("%d bytes, %d before it was used", first.Bytes(), before)
	}
	m.grammars.limit = 2 * small / 4
	last, err := m.schemaProgram(t.Context(), []byte(`{"type":"string","pattern":"^[a-e]{4}[^x]{40}$"}`))
	if err != nil {
		t.Fatal(err)
	}
	if n := m.Stats().GrammarBytes; n > m.grammars.limit || n < last.Bytes() || len(m.grammars.by) != m.grammars.used.Len() {
		t.Errorf("%d programs of %d bytes are kept within %d", m.grammars.used.Len(), n, m.grammars.limit)
	}
	m.grammars.limit = 1 // the one used last stays
	if again, err := m.schemaProgram(t.Context(), []byte(`{"type":"string","pattern":"^[a-e]{4}[^x]{40}$"}`)); err != nil || again != last || m.grammars.used.Len() != 1 {
		t.Errorf("%d programs are kept, the one used last: %v, %v", m.grammars.used.Len(), again == last, err)
	}
}

// next returns a text that may follow.
func next(m *grammar.Matcher) string {
	for _, s := range []string{"a", "q", `"`} {
		if m.Clone().AcceptText(s) == nil {
			return s
		}
	}
	return "?"
}

// A thought that the prompt opened is free but cannot be the whole answer; what
// follows it is held to the schema.
func TestThoughtBeforeSchema(t *testing.T) {
	m := openTiny(t, Options{})
	end, _ := m.tok.ID("<|fim_suf|>") // the vocabulary has no </think>: another control token stands for it
	p, err := m.schemaProgram(t.Context(), json.RawMessage(`{"enum":[true,false]}`))
	if err != nil {
		t.Fatal(err)
	}
	allows := func(g *guide, id int32) bool { return g.mask()[id/64]>>(id%64)&1 == 1 }
	g := m.newGuide([]*program{p}, nil, true)
	if g.endThought != -1 {
		t.Fatal("a thought without a token that ends it")
	}
	g.endThought = end
	word := m.tok.Encode(nil, " the", tokenizer.Options{})[0]
	for range 3 {
		if !allows(g, word) || !allows(g, end) || allows(g, m.tok.EOGs()[0]) || g.forced() != nil || g.complete() || !errors.Is(g.verdict(), ErrCut) {
			t.Fatal("the thought is not free, or can be the end")
		}
		if err := g.accept(word); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.accept(end); err != nil {
		t.Fatal(err)
	}
	if allows(g, word) || allows(g, end) || !errors.Is(g.verdict(), ErrCut) {
		t.Error("the answer is not held to its schema")
	}
	for _, id := range m.tok.Encode(nil, "true", tokenizer.Options{}) {
		if !allows(g, id) || g.accept(id) != nil {
			t.Fatalf("token %d is refused", id)
		}
	}
	if !g.complete() || g.verdict() != nil || string(g.text) != "true" {
		t.Errorf("%q: complete %v, %v", g.text, g.complete(), g.verdict())
	}
}

// Answers of one program at the same time do not disturb each other.
func TestGrammarConcurrently(t *testing.T) {
	m := openTiny(t, Options{})
	var wg sync.WaitGroup
	for seed := range uint64(8) {
		wg.Go(func() {
			var text strings.Builder
			res, err := m.Generate(t.Context(), Request{
				Messages: hello(), MaxTokens: 200, Schema: json.RawMessage(schemas[4]), Sampling: sample.Config{Temperature: 1, Seed: seed % 4},
			}, func(c Chunk) error { text.WriteString(c.Text); return nil })
			if err != nil || res.Finish == "stop" && (res.Invalid != nil || !json.Valid([]byte(text.String()))) {
				t.Errorf("%q: %+v, %v", &text, res, err)
			}
		})
	}
	wg.Wait()
	if n := m.grammars.used.Len(); n != 1 {
		t.Errorf("%d programs are kept, want 1", n)
	}
}

func TestForm(t *testing.T) {
	m := openTiny(t, Options{})
	for _, tt := range []struct {
		name string
		form Form
		ok   func(string) bool
		want string // of the error
	}{
		{"regex", Form{Regex: `[a-c]{3}-\d{2}`}, regexp.MustCompile(`^[a-c]{3}-\d{2}$`).MatchString, ""},
		{"choice", Form{Choice: []string{"positive", "negative", "neither"}}, regexp.MustCompile(`^(positive|negative|neither)$`).MatchString, ""},
		{"grammar", Form{GBNF: "root ::= item (\", \" item){1,3}\nitem ::= [xyz]+ | \"<\" root \">\""}, func(s string) bool { return strings.ContainsAny(s, "xyz") && strings.Contains(s, ", ") }, ""},
		{"nothing", Form{}, nil, "exactly one"},
		{"two", Form{Regex: "a", Choice: []string{"b"}}, nil, "exactly one"},
		{"bad-regex", Form{Regex: "("}, nil, "missing"},
		{"no-root", Form{GBNF: `x ::= "a"`}, nil, "root"},
		{"too-many", Form{Choice: make([]string, maxChoices+1)}, nil, "2000"},
		{"hostile-regex", Form{Regex: strings.Repeat("(a{1000}){1000}", 50)}, nil, ""},
		{"hostile-grammar", Form{GBNF: "root ::= " + strings.Repeat("(", 60_000)}, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := Request{Prompt: []int32{1, 50}, Form: &tt.form, MaxTokens: 120, Sampling: sample.Config{Temperature: 1, Seed: 4}}
			text := ""
			res, err := m.Generate(t.Context(), r, func(c Chunk) error { text += c.Text; return nil })
			if tt.ok == nil {
				if !errors.Is(err, ErrGrammar) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v, want %q", err, tt.want)
				}
				return
			}
			if err != nil || res.Finish == "stop" && (res.Invalid != nil || !tt.ok(text)) {
				t.Errorf("%q (%s), %v, %v", text, res.Finish, err, res.Invalid)
			}
		})
	}
}
