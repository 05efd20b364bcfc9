package grammar_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-ai/sluice/runtime/grammar"
	"github.com/sluice-ai/sluice/runtime/grammar/jsonschema"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

func bind(t testing.TB, v *grammar.Vocab, g *grammar.Grammar) *grammar.Program {
	t.Helper()
	p, err := v.Bind(g)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func has(mask []uint64, id int32) bool { return mask[id>>6]>>(id&63)&1 != 0 }

func accepts(p *grammar.Program, text string) bool {
	m := p.NewMatcher()
	return m.AcceptText(text) == nil && m.Done()
}

// TestMask holds masks against asking Accept for every token of the vocabulary,
// at every step of random answers.
func TestMask(t *testing.T) {
	v := large()
	tok := v.Tokenizer()
	schemas := []string{
		`{"type":"object","properties":{"name":{"type":"string","maxLength":7},"n":{"type":"integer","minimum":-5,"maximum":123}},"additionalProperties":{"type":["number","null"]}}`,
		`{"type":"array","items":{"enum":["name","names","na\"me",null,1,12]},"maxItems":3}`,
		`{"type":"object","patternProperties":{"^na":{"type":"string","minLength":2,"maxLength":4}},"additionalProperties":{"type":"string","pattern":"^[a-z ]*$","maxLength":9}}`,
		`{"type":"object","required":["code"],"properties":{"code":{"type":"string","pattern":"[0-9A-Z]{4}$","minLength":3,"maxLength":24}},"additionalProperties":false}`,
		`{"anyOf":[{"type":"object","properties":{"key":{"const":"value"}},"required":["key"]},{"type":"object","properties":{"key":{"type":"string","minLength":6}},"required":["key"]}]}`,
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for i, schema := range schemas {
		for _, o := range []jsonschema.Options{{}, {Whitespace: jsonschema.Flexible}} {
			p := bind(t, v, compile(t, schema, o).Grammar)
			m := p.NewMatcher()
			mask := make([]uint64, v.Words())
			var ids []int32
			for step := 0; ; step++ {
				m.Mask(mask)
				for id := range int32(tok.Size()) {
					if len(ids) > 3 && id%31 != int32(step)%31 {
						continue // the whole vocabulary at first, then samples
					}
					if got, want := has(mask, id), m.Clone().Accept(id) == nil; got != want {
						t.Fatalf("schema %d after %q: the mask says %v of %q", i, tok.Decode(ids), got, tok.Piece(id))
					}
				}
				id := pick(rng, v, mask, step > 25)
				if err := m.Accept(id); err != nil {
					t.Fatal(err)
				}
				if tok.IsEOG(id) {
					break
				}
				ids = append(ids, id)
			}
		}
	}
}

// TestMaskLong looks at the longest tokens where they leave too little room for
// what must still come.
func TestMaskLong(t *testing.T) {
	v := large()
	tok := v.Tokenizer()
	long, most := int32(-1), 0
	for id := range int32(tok.Size()) {
		if piece := string(tok.Piece(id)); !tok.IsControl(id) && len(piece) > most && strings.Trim(piece, "abcdefghijklmnopqrstuvwxyz ") == "" {
			long, most = id, len(piece)
		}
	}
	for room := most - 1; room <= most+5; room++ {
		schema := fmt.Sprintf(`{"type":"string","pattern":"[0-9]{4}$","maxLength":%d}`, room)
		m := bind(t, v, compile(t, schema, jsonschema.Options{}).Grammar).NewMatcher()
		if err := m.AcceptText(`"`); err != nil {
			t.Fatal(err)
		}
		mask := make([]uint64, v.Words())
		m.Mask(mask)
		if got, want := has(mask, long), m.Clone().Accept(long) == nil; got != want || want != (room >= most+4) {
			t.Errorf("with room for %d: the mask says %v of %q and %d digits after it, Accept %v", room, got, tok.Piece(long), 4, want)
		}
	}
}

func TestControlTokens(t *testing.T) {
	v := large()
	tok := v.Tokenizer()
	p := bind(t, v, compile(t, `{"type":"string"}`, jsonschema.Options{}).Grammar)
	m := p.NewMatcher()
	mask := make([]uint64, v.Words())
	check := func(eog bool) {
		t.Helper()
		m.Mask(mask)
		for id := range int32(tok.Size()) {
			if want := eog && tok.IsEOG(id); tok.IsControl(id) && has(mask, id) != want {
				t.Errorf("token %s: %v", tok.Token(id), !want)
			}
		}
	}
	check(false)
	m.AcceptText(`"a<|im_end|>`)
	check(false)
	if m.Done() || m.Accept(tok.EOS()) == nil {
		t.Error("a text may end inside a string")
	}
	m.AcceptText(`"`)
	check(true)
	if !m.Complete() || m.Accept(tok.EOS()) != nil || m.Accept(tok.EOS()) == nil || m.AcceptText("a") == nil {
		t.Error("the end is not the end")
	}
	m.Mask(mask)
	if slices.ContainsFunc(mask, func(w uint64) bool { return w != 0 }) {
		t.Error("tokens after the end")
	}
}

func TestForced(t *testing.T) {
	v := large()
	tok := v.Tokenizer()
	p := bind(t, v, compile(t, `{"type":"object","properties":{"name":{"const":"x"},"city":{"type":"string"}},"required":["name","city"],"additionalProperties":false}`, jsonschema.Options{}).Grammar)
	m := p.NewMatcher()
	ids := m.Forced()
	text := tok.Decode(ids)
	// The quote that begins the city's value may be part of a longer token.
	if want := `{"name":"x","city":"`; !strings.HasPrefix(want, text) || len(text) < 14 {
		t.Fatalf("forced %q", text)
	}
	mask := make([]uint64, v.Words())
	for _, id := range ids {
		m.Mask(mask)
		if !has(mask, id) {
			t.Fatalf("the mask forbids the forced token %q", tok.Piece(id))
		}
		if err := m.Accept(id); err != nil {
			t.Fatal(err)
		}
	}
	m.Mask(mask)
	longer, ok := tok.ID(tokenizer.EncodeBytes(`":"`))
	if ok && !strings.HasSuffix(text, `"city":"`) && !strings.HasSuffix(text, `"city":`) && !has(mask, longer) {
		t.Errorf("after %q the longer token is lost", text)
	}
	// To the end, nothing can follow: all of it is sure.
	p = bind(t, v, compile(t, `{"const":{"a":[1,2]}}`, jsonschema.Options{}).Grammar)
	m = p.NewMatcher()
	if got := tok.Decode(m.Forced()); got != `{"a":[1,2]}` {
		t.Errorf("forced %q", got)
	}
	if got := bind(t, v, compile(t, `{"type":["string","null"]}`, jsonschema.Options{}).Grammar).NewMatcher().Forced(); len(got) > 0 {
		t.Errorf("forced %q where there is a choice", tok.Decode(got))
	}
}

func TestWhitespace(t *testing.T) {
	const schema = `{"type":"object","properties":{"a":{"type":"array","items":{"type":"integer"}},"b":{"const":{"c":[null]}}},"additionalProperties":false}`
	for _, tt := range []struct {
		name      string
		o         jsonschema.Options
		good, bad []string
	}{
		{"compact", jsonschema.Options{}, []string{`{"a":[1,2],"b":{"c":[null]}}`}, []string{`{"a": [1,2]}`, `{ }`}},
		{"spaced", jsonschema.Options{Whitespace: jsonschema.Spaced}, []string{`{"a": [1, 2], "b": {"c": [null]}}`, `{}`}, []string{`{"a":[1]}`, `{"a": [1,2]}`}},
		{"flexible", jsonschema.Options{Whitespace: jsonschema.Flexible}, []string{
			`{"a":[1,2]}`, "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {\"c\": [ null ] }\n}", `{ }`,
		}, []string{`{"a":[1 2]}`, "{\v}", "{" + strings.Repeat(" ", 100) + "}"}},
		{"python", jsonschema.Options{Python: true}, []string{`{"b":{"c":[None]}}`}, []string{`{"b":{"c":[null]}}`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := bind(t, large(), compile(t, schema, tt.o).Grammar)
			for _, s := range tt.good {
				if !accepts(p, s) {
					t.Errorf("%q is refused", s)
				}
			}
			for _, s := range tt.bad {
				if accepts(p, s) {
					t.Errorf("%q is accepted", s)
				}
			}
		})
	}
}

func TestClosed(t *testing.T) {
	const schema = `{"type":"object","properties":{"a":{"type":"object"},"b":{"type":"object","properties":{"x":{}},"additionalProperties":{"type":"null"}}}}`
	p := bind(t, large(), compile(t, schema, jsonschema.Options{Closed: true}).Grammar)
	for s, want := range map[string]bool{`{"a":{"free":1}}`: true, `{"c":1}`: false, `{"b":{"x":1,"y":null}}`: true, `{"b":{"y":1}}`: false} {
		if accepts(p, s) != want {
			t.Errorf("%s: %v", s, !want)
		}
	}
}

func TestSimple(t *testing.T) {
	g, err := grammar.Regex(`(?:yes|no)(?:, because [a-zé ]+)?\.`)
	if err != nil {
		t.Fatal(err)
	}
	p := bind(t, large(), g)
	for s, want := range map[string]bool{"yes.": true, "no, because é.": true, "yes": false, "maybe.": false, "no, because .": false, "no, because.": false} {
		if accepts(p, s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
	if g, err = grammar.Choice([]string{"red", "reddish", "grün"}); err != nil {
		t.Fatal(err)
	}
	p = bind(t, large(), g)
	for s, want := range map[string]bool{"red": true, "reddish": true, "grün": true, "redd": false, "": false} {
		if accepts(p, s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
	if _, err := grammar.Regex(`[^\x00-\x{10FFFF}]`); !errors.Is(err, grammar.ErrEmpty) {
		t.Errorf("a pattern of nothing: %v", err)
	}
	if _, err := grammar.Choice(nil); err == nil {
		t.Error("a choice of nothing")
	}
}

func TestRecursion(t *testing.T) {
	b := grammar.NewBuilder()
	start, mid, end := b.Node(), b.Node(), b.Node()
	b.Final(end)
	b.Call(start, mid, start) // s = s "a" | "b"
	b.Literal(mid, end, "a")
	b.Literal(start, end, "b")
	if _, err := b.Build(start); !errors.Is(err, grammar.ErrLeftRecursion) {
		t.Errorf("%v", err)
	}
	b = grammar.NewBuilder()
	start, end = b.Node(), b.Node()
	b.Final(end)
	b.Final(start)
	b.Repeat(start, end, start, 0, -1)
	if _, err := b.Build(start); !errors.Is(err, grammar.ErrLeftRecursion) {
		t.Errorf("%v", err)
	}
	// Depth: what cannot be closed within MaxDepth must not be opened.
	p := bind(t, large(), compile(t, `{"type":"array","items":{"$ref":"#"}}`, jsonschema.Options{}).Grammar)
	m := p.NewMatcher()
	n := 0
	for m.AcceptText("[") == nil {
		n++
	}
	if n < 60 || n > grammar.MaxDepth {
		t.Errorf("%d levels deep", n)
	}
	if m.AcceptText(strings.Repeat("]", n)) != nil || !m.Done() {
		t.Error("what was opened cannot be closed")
	}
}

func TestMissingSpecial(t *testing.T) {
	b := grammar.NewBuilder()
	start, end := b.Node(), b.Node()
	b.Final(end)
	b.Special(start, end, "<|no_such_token|>")
	g, err := b.Build(start)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := large().Bind(g); err == nil {
		t.Error("a token that does not exist was bound")
	}
}

// TestConcurrent lets many Matchers of one Program run at once.
func TestConcurrent(t *testing.T) {
	v := large()
	p := bind(t, v, compile(t, typical[5].schema, jsonschema.Options{}).Grammar)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 1))
			for range 3 {
				walk(t, p, v, rng, nil)
			}
		})
	}
	wg.Wait()
}

// TestHostile compiles what is made to be too large, in bounded time.
func TestHostile(t *testing.T) {
	deep := strings.Repeat(`{"items":`, 500) + "{}" + strings.Repeat("}", 500)
	var props, anyOf []string
	for i := range 1500 {
		props = append(props, fmt.Sprintf(`"p%d":{"type":"string","maxLength":%d}`, i, i+1))
	}
	var patterns, lengths []string
	for i := range 500 {
		patterns = append(patterns, fmt.Sprintf(`"p%d":{"type":"string","pattern":"(a|b)*a(a|b){11}%d"}`, i, i))
		lengths = append(lengths, fmt.Sprintf(`"p%d":{"type":"string","pattern":"^[a-z]+$","minLength":%d}`, i, i+2000))
	}
	for i := range 40 {
		anyOf = append(anyOf, fmt.Sprintf(`{"anyOf":[{"minimum":%d},{"maxLength":%d},{"maxItems":%d}]}`, i, i, i))
	}
	for _, tt := range []struct {
		name, schema string
		fails        bool
	}{
		{"deep", deep, true},
		{"wide", `{"type":"object","properties":{` + strings.Join(props, ",") + `}}`, true},
		{"many-members", `{"type":"object","properties":{` + strings.Join(props[:999], ",") + `}}`, false},
		{"product", `{"allOf":[` + strings.Join(anyOf, ",") + `]}`, true},
		{"regex", `{"type":"string","pattern":"(a|b)*a(a|b){18}"}`, true},
		{"counted", `{"type":"object","properties":{` + strings.Join(props, ",") + `},"maxProperties":1000}`, true},
		{"self", `{"$ref":"#"}`, true},
		{"mutual", `{"$ref":"#/$defs/a","$defs":{"a":{"allOf":[{"$ref":"#/$defs/b"}]},"b":{"anyOf":[{"$ref":"#/$defs/a"}]}}}`, true},
		{"chain", `{"type":"string","pattern":"^[a-z]+$","minLength":8000}`, false},
		{"patterns", `{"type":"object","properties":{` + strings.Join(patterns, ",") + `}}`, true},
		{"pattern-lengths", `{"type":"object","properties":{` + strings.Join(lengths, ",") + `}}`, true},
		{"exponent", `{"minimum":1e999999999}`, true},
		{"long-string", `{"type":"string","minLength":1000000,"maxLength":1000000000}`, false},
		{"many-items", `{"type":"array","minItems":1000000000,"items":{"type":"array","minItems":1000000000}}`, false},
		{"divisor", `{"type":"integer","multipleOf":9973,"minimum":1e300}`, false},
		{"enum", `{"enum":["` + strings.Repeat(strings.Repeat("x", 30)+`","`, 5000) + `"]}`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := jsonschema.Compile([]byte(tt.schema), jsonschema.Options{})
			if (err != nil) != tt.fails {
				t.Errorf("%.200v", err)
			}
			if err == nil {
				bind(t, large(), c.Grammar)
			}
		})
	}
}

// TestExcludedNames holds whole masks against Accept where a name that the schema
// gives to another member must not be written again.
func TestExcludedNames(t *testing.T) {
	v := large()
	tok := v.Tokenizer()
	p := bind(t, v, compile(t, `{"type":"object","properties":{"name":{"type":"integer"},"title":{"type":"null"}},"additionalProperties":{"type":"integer"}}`, jsonschema.Options{}).Grammar)
	mask := make([]uint64, v.Words())
	for _, text := range []string{`{"name":1,`, `{"name":1,"`, `{"x":1,"na`, `{"x":1,"name`, `{"x":1,"namex`, `{`} {
		m := p.NewMatcher()
		if err := m.AcceptText(text); err != nil {
			t.Fatal(err)
		}
		m.Mask(mask)
		for id := range int32(tok.Size()) {
			if got, want := has(mask, id), m.Clone().Accept(id) == nil; got != want {
				t.Fatalf("after %s: the mask says %v of %q", text, got, tok.Piece(id))
			}
		}
	}
}
