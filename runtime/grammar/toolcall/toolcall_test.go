package toolcall

import (
	"encoding/json"
	"math/bits"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-ai/sluice/runtime/chat"
	"github.com/sluice-ai/sluice/runtime/grammar"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

var tools = []json.RawMessage{
	json.RawMessage(`{"type":"function","function":{"name":"get_time","description":"d","parameters":{"type":"object","properties":{"city":{"type":"string"},"utc":{"type":"boolean"}},"required":["city"]}}}`),
	json.RawMessage(`{"name":"Calendar.create_event","parameters":{"type":"object","properties":{"title":{"type":"string","minLength":1},"participants":{"type":"array","items":{"type":"string"},"maxItems":3},"metadata":{"type":"object","properties":{"priority":{"enum":["high","low"]},"reminder":{"type":["boolean","null"]}},"required":["priority"]},"minutes":{"type":"integer","minimum":5,"maximum":120}},"required":["title"]}}`),
	json.RawMessage(`{"name":"empty_args"}`),
	json.RawMessage(`{"name":"free","parameters":{"type":"object"}}`),
}

var vocab = sync.OnceValue(func() *grammar.Vocab {
	tokens := []string{"<|im_end|>", Start, End, "<think>", "</think>"}
	types := []int32{tokenizer.Control, tokenizer.Control, tokenizer.Control, tokenizer.Control, tokenizer.Control}
	for _, t := range tokenizer.ByteTokens() {
		tokens, types = append(tokens, t), append(types, tokenizer.Normal)
	}
	for _, t := range []string{"get", "_time", "(city", "=\"", "\")", ", ", " utc", "=True", "True", "False", "None", "[\"", "\", \"", "\": ", "get_time(", ")]", "())", "{\""} {
		tokens, types = append(tokens, tokenizer.EncodeBytes(t)), append(types, tokenizer.Normal)
	}
	tok, err := tokenizer.New(tokenizer.Vocab{Tokens: tokens, Types: types, BOS: -1, EOS: 0, PAD: -1})
	if err != nil {
		panic(err)
	}
	return grammar.NewVocab(tok, tok.Size())
})

func program(t *testing.T, o Options) (*Compiled, *grammar.Program) {
	t.Helper()
	c, err := Compile(tools, o)
	if err != nil {
		t.Fatal(err)
	}
	p, err := vocab().Bind(c.Grammar)
	if err != nil {
		t.Fatal(err)
	}
	return c, p
}

// accepts feeds text, whose markers are special tokens.
func accepts(p *grammar.Program, text string) bool {
	m := p.NewMatcher()
	for _, id := range vocab().Tokenizer().Encode(nil, text, tokenizer.Options{ParseSpecial: true}) {
		if m.Accept(id) != nil {
			return false
		}
	}
	return m.Done()
}

func TestChoices(t *testing.T) {
	const rome = Start + `[get_time(city="Rome")]` + End
	for _, tt := range []struct {
		name      string
		o         Options
		good, bad []string
	}{
		{"auto", Options{Thoughts: []string{"<think>", "</think>"}}, []string{
			"", "Hello, [link](url)", rome, "Let me check." + rome, "<think>well\n</think>" + rome,
			Start + `[get_time(city="Rome", utc=True), get_time(city="a\"]\n"), empty_args()]` + End,
			Start + `[Calendar.create_event(title="demo", participants=["Alice", "Bob"], metadata={"priority": "high", "reminder": None}, minutes=15)]` + End,
			Start + `[free(a=1, b={"c": [True, None]})]` + End, Start + `[free()]` + End,
		}, []string{
			Start, Start + "[]" + End, Start + `[nope()]` + End, Start + `[get_time()]` + End, Start + `[get_time(city=Rome)]` + End,
			Start + `[get_time(utc=True, city="Rome")]` + End, Start + `[get_time(city="Rome", zone=1)]` + End, Start + `[get_time(city="Rome",utc=True)]` + End,
			Start + `[get_time(city="Rome", utc=true)]` + End, Start + `[empty_args(a=1)]` + End, rome + rome, rome[:len(rome)-len(End)],
			Start + `[Calendar.create_event(title="")]` + End, Start + `[Calendar.create_event(title="x", minutes=4)]` + End,
			Start + `[get_time(city="a` + End + `")]` + End,
		}},
		{"required", Options{Choice: Required}, []string{rome, Start + `[empty_args()]` + End}, []string{"", "Hi", "Hi" + rome, rome + "Hi"}},
		{"named", Options{Name: "get_time"}, []string{rome}, []string{Start + `[empty_args()]` + End, "Hi"}},
		{"single", Options{Choice: Required, Single: true}, []string{rome}, []string{Start + `[empty_args(), empty_args()]` + End}},
		{"none", Options{Choice: None}, []string{"", "Hi"}, []string{rome}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, p := program(t, tt.o)
			for _, s := range tt.good {
				if !accepts(p, s) {
					t.Errorf("refused: %s", s)
				}
			}
			for _, s := range tt.bad {
				if accepts(p, s) {
					t.Errorf("accepted: %s", s)
				}
			}
		})
	}
}

func TestCompileErrors(t *testing.T) {
	for _, tt := range []struct {
		name, tool string
		o          Options
	}{
		{"name", `{"name":"a b"}`, Options{}},
		{"unknown", `{"name":"a"}`, Options{Name: "b"}},
		{"property", `{"name":"a","parameters":{"type":"object","properties":{"x y":{}}}}`, Options{}},
		{"keyword", `{"name":"a","parameters":{"type":"object","properties":{"x":{"nope":1}}}}`, Options{}},
		{"no-object", `{"name":"a","parameters":{"type":"string"}}`, Options{Choice: Required}},
		{"no-json", `[`, Options{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Compile([]json.RawMessage{json.RawMessage(tt.tool)}, tt.o); err == nil {
				t.Error("compiled")
			}
		})
	}
	if _, err := Compile(nil, Options{Choice: Required}); err == nil {
		t.Error("a call without tools")
	}
}

// TestParsed writes answers by chance and has chat read them: every call must be
// read, with arguments that satisfy its tool's schema.
func TestParsed(t *testing.T) {
	c, p := program(t, Options{Choice: Required})
	v := vocab()
	tok := v.Tokenizer()
	rng := rand.New(rand.NewPCG(3, 4))
	mask := make([]uint64, v.Words())
	calls := 0
	for range 400 {
		m := p.NewMatcher()
		var ids []int32
		for {
			m.Mask(mask)
			var allowed []int32
			for i, w := range mask {
				for ; w != 0; w &= w - 1 {
					allowed = append(allowed, int32(i*64+bits.TrailingZeros64(w)))
				}
			}
			if len(allowed) == 0 {
				t.Fatalf("a dead end after %q", tok.Decode(ids))
			}
			id := allowed[rng.IntN(len(allowed))]
			for _, other := range allowed {
				if len(ids) > 60 && strings.Contains(`"]})`, string(tok.Piece(other))) && rng.IntN(3) == 0 {
					id = other
					break
				}
			}
			if m.Accept(id) != nil {
				t.Fatal("the mask allows what Accept does not")
			}
			if tok.IsEOG(id) {
				break
			}
			ids = append(ids, id)
		}
		text := tok.Decode(ids)
		out := chat.Parse(text, chat.ParserOptions{})
		if out.Malformed > 0 || len(out.Calls) == 0 || out.Content != "" {
			t.Fatalf("%q is read as %+v", text, out)
		}
		for _, call := range out.Calls {
			calls++
			if err := c.Validate(call.Name, call.Arguments); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
		}
	}
	t.Logf("%d calls", calls)
	if c.Validate("nope", nil) == nil || c.Validate("get_time", []byte(`{}`)) == nil {
		t.Error("Validate takes anything")
	}
}

func TestForced(t *testing.T) {
	_, p := program(t, Options{Name: "get_time", Single: true})
	m := p.NewMatcher()
	ids := m.Forced()
	if got := vocab().Tokenizer().Decode(ids); !strings.HasPrefix(got, Start+"[get_time(") {
		t.Errorf("forced %q", got)
	}
	for _, id := range ids {
		if err := m.Accept(id); err != nil {
			t.Fatal(err)
		}
	}
	if m.AcceptText(`Rome")`) != nil && m.AcceptText(`"Rome")`) != nil && m.AcceptText(`city="Rome")`) != nil {
		t.Fatal("the call cannot be finished")
	}
	if got := vocab().Tokenizer().Decode(m.Forced()); got != "]"+End {
		t.Errorf("forced %q to the end", got)
	}
}

// Arguments that are free strings are pieces of the Source in calls; the text
// around them, names, keys and listed values are as ever.
func TestVerbatim(t *testing.T) {
	src := grammar.NewSource([]string{"What time is it in São Paulo?", "{\"zone\": \"America/Sao_Paulo\"}\nBob's demo"})
	for _, tt := range []struct {
		name      string
		o         Options
		good, bad []string
	}{
		{"auto", Options{}, []string{
			"Anything at all, \"Rome\".", "Hm." + Start + `[get_time(city="São Paulo")]` + End, Start + `[get_time(city="São", utc=True), empty_args()]` + End,
			Start + `[get_time(city="{\"zone\": \"America/Sao_Paulo\"}\nBob")]` + End,
			Start + `[Calendar.create_event(title="demo", participants=["Bob", "Bob's demo"], metadata={"priority": "high", "reminder": None}, minutes=15)]` + End,
			Start + `[free(anything=1, b={"any": ["Bob", None, 1.5]})]` + End,
		}, []string{
			Start + `[get_time(city="Rome")]` + End, Start + `[get_time(city="São Paul")]` + End, Start + `[get_time(city=" Paulo")]` + End, Start + `[get_time(city="")]` + End,
			Start + `[get_time(city="S\u00e3o")]` + End, Start + `[Calendar.create_event(title="demo", participants=["Bo"])]` + End, Start + `[free(b={"any": ["any"]})]` + End,
		}},
		{"required", Options{Choice: Required, Single: true}, []string{Start + `[get_time(city="What time is it")]` + End}, []string{"text", Start + `[get_time(city="what")]` + End}},
	} {
		_, p := program(t, tt.o)
		accepts := func(text string, src *grammar.Source) bool {
			m := p.NewMatcherOf(src)
			for _, id := range vocab().Tokenizer().Encode(nil, text, tokenizer.Options{ParseSpecial: true}) {
				if m.Accept(id) != nil {
					return false
				}
			}
			return m.Done()
		}
		for _, s := range tt.good {
			if !accepts(s, src) || !accepts(s, nil) {
				t.Errorf("%s: %s is refused", tt.name, s)
			}
		}
		for _, s := range tt.bad {
			if accepts(s, src) || strings.Contains(s, "Rome") && !accepts(s, nil) {
				t.Errorf("%s: %s is allowed, or refused without a source", tt.name, s)
			}
		}
	}
}
