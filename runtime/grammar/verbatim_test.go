package grammar_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/sluice-ai/sluice/runtime/grammar"
	"github.com/sluice-ai/sluice/runtime/grammar/jsonschema"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

// class is the definition of docs/structured-output.md, apart from the package's.
func class(r rune) byte {
	switch {
	case unicode.IsSpace(r):
		return 'S'
	case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai) || r == 'ー' || r == 'ｰ':
		return 'C'
	case unicode.IsLetter(r), unicode.IsMark(r), unicode.Is(unicode.Nl, r):
		return 'L'
	case unicode.IsDigit(r), unicode.IsNumber(r):
		return 'D'
	}
	return 'O'
}

// pieces returns what may be copied of texts.
func pieces(texts ...string) map[string]bool {
	out := map[string]bool{}
	for _, t := range texts {
		rs := []rune(t)
		alone := func(r rune) bool { return class(r) == 'C' || class(r) == 'O' }
		for i := range rs {
			if class(rs[i]) == 'S' || i > 0 && class(rs[i-1]) == class(rs[i]) && !alone(rs[i]) {
				continue
			}
			for j := i + 1; j <= len(rs); j++ {
				if last := rs[j-1]; class(last) != 'S' && (j == len(rs) || class(rs[j]) != class(last) || alone(last)) {
					out[string(rs[i:j])] = true
				}
			}
		}
	}
	return out
}

// quote spells s as encoding/json does without HTML's escapes.
func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

var anyString = sync.OnceValue(func() *grammar.Program {
	c, err := jsonschema.Compile([]byte(`{"type":"string"}`), jsonschema.Options{})
	if err != nil {
		panic(err)
	}
	p, err := large().Bind(c.Grammar)
	if err != nil {
		panic(err)
	}
	return p
})

func copied(p *grammar.Program, src *grammar.Source, text string) bool {
	m := p.NewMatcherOf(src)
	return m.AcceptText(text) == nil && m.Done()
}

func TestBorders(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		good, bad  []string
	}{
		{"latin", "Call Zoë O'Neil-Ng, now. ", []string{"Call", "Zoë", "Zoë O'Neil-Ng", "O", "Neil", "Ng", "O'", "'", "-Ng, now.", "Call Zoë O'Neil-Ng, now.", "."},
			[]string{"", "Cal", "all", "Zo", "oë", "ë", " Zoë", "Zoë ", "Zoë O'Nei", "now. ", " ", "Zoe", "Call  Zoë", "zoë"}},
		{"digits", "send 5kg to A12, +49 (0)151-2345", []string{"5", "kg", "5kg", "A", "12", "A12", "+49", "(0)151-2345", "151", "2345"},
			[]string{"k", "15", "51", "4", "9", "234", "1", "A1"}},
		{"japanese", "佐々木さんはカレーを食べた。東京2025年", []string{"佐々木", "佐", "々", "さん", "カ", "カレー", "レー", "ー", "。", "東京", "2025", "年", "京2025年"}, []string{"2", "025", "佐木", ""}},
		{"korean-thai", "김철수 ไทย", []string{"김철수", "ไ", "ไทย", "ทย"}, []string{"김", "철수"}},
		{"cyrillic", "Мария-Анна 7-й дом", []string{"Мария", "7", "й", "7-й дом"}, []string{"Мари", "рия", "до"}},
		{"combining", "e\u0301a b\u0308", []string{"e\u0301a", "b\u0308"}, []string{"e", "e\u0301", "b", "a"}},
		{"quotes", `He said "no" \ and {"a":"b"}`, []string{`"no"`, `"`, `no`, `"no`, `said "no" \ and`, `\`, `{"a":"b"}`, `:"b`}, []string{`n`, `He said "`[:8], `b" `}},
		{"lines", "Name:\tAda\r\nCity:\nBern\n\n", []string{"Ada", "Name:\tAda", "Ada\r\nCity:\nBern", "Bern"}, []string{"\tAda", "Bern\n", "Ada\nCity", "Ber", "Ada\r"}},
		{"controls", "a\x01b\x1f\bc\fd/<&>\u2028e\x7f", []string{"a\x01b", "\x01", "b\x1f\bc\fd/<&>", "e\x7f", "<"}, []string{"\f", "\u2028", "d/<&>\u2028"}},
		{"emoji", "ok 👍🏽 yes😀😀no", []string{"👍", "👍🏽", "🏽", "😀", "😀😀", "yes😀", "no", "ok 👍🏽 yes😀😀no"}, []string{"ye", "o"}},
		{"marked-emoji", "❤️ x", []string{"❤", "❤️", "\ufe0f", "x"}, nil},
		{"roman", "Ⅳ5", []string{"Ⅳ", "5", "Ⅳ5"}, nil},
		{"one-letter", "x", []string{"x"}, []string{"", "xx"}},
		{"no-utf8", "a\xffb", []string{"a\ufffdb", "\ufffd"}, []string{"ab"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := grammar.NewSource([]string{tt.text})
			for _, s := range tt.good {
				if !copied(anyString(), src, spelled(s)) {
					t.Errorf("%q is refused", s)
				}
			}
			for _, s := range tt.bad {
				if copied(anyString(), src, spelled(s)) {
					t.Errorf("%q is allowed", s)
				}
			}
		})
	}
	for _, spelling := range []string{`"\u0041da"`, `"A\u00e9"`, `"a\/b"`, `"A` + "\x00" + `"`, `Ada`, `"Ada`, `"Ada" `} {
		if copied(anyString(), grammar.NewSource([]string{"Ada Aé a/b A\x00"}), spelling) {
			t.Errorf("%s is allowed", spelling)
		}
	}
}

// spelled is quote with U+2028 as itself, as Python writes it.
func spelled(s string) string { return strings.ReplaceAll(quote(s), `\u2028`, "\u2028") }

func TestNoSource(t *testing.T) {
	for _, texts := range [][]string{nil, {}, {""}, {" \n", "\t"}, {strings.Repeat("word ", grammar.MaxSource/5+1)}, {strings.Repeat("\x01a", grammar.MaxSource/7+1)}} {
		if src := grammar.NewSource(texts); src != nil {
			t.Errorf("a source of %d texts", len(texts))
		} else if !copied(anyString(), src, `"anything"`) {
			t.Error("without a source strings are free")
		}
	}
	if src := grammar.NewSource([]string{" ", "", "a b", "\n"}); src == nil || !copied(anyString(), src, `"a b"`) || copied(anyString(), src, `"a b\n"`) {
		t.Error("texts without pieces are in the way of others")
	}
	// Where one text ends another does not go on.
	src := grammar.NewSource([]string{"New", "York", "new"})
	if copied(anyString(), src, `"New York"`) || copied(anyString(), src, `"NewYork"`) || !copied(anyString(), src, `"York"`) {
		t.Error("a piece reaches across texts")
	}
}

// TestPieces holds a Source against the definition: all strings between any two
// places of random texts.
func TestPieces(t *testing.T) {
	parts := []string{"a", "b", "ab", "é", "Z", " ", "  ", "\n", "1", "23", ".", "\"", "\\", "日", "本", "ー", "😀", "-", "\u0301", "\t", "n", "u00"}
	rng := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		var texts []string
		for range 1 + rng.IntN(3) {
			var b strings.Builder
			for range rng.IntN(14) {
				b.WriteString(parts[rng.IntN(len(parts))])
			}
			texts = append(texts, b.String())
		}
		src, want := grammar.NewSource(texts), pieces(texts...)
		if (src == nil) != (len(want) == 0) {
			t.Fatalf("%q: a source %v with %d pieces", texts, src != nil, len(want))
		}
		for _, text := range texts {
			rs := []rune(text)
			for i := range rs {
				for j := i; j <= len(rs); j++ {
					if s := string(rs[i:j]); src != nil && copied(anyString(), src, quote(s)) != want[s] {
						t.Fatalf("%q: of %q the matcher says %v", texts, s, !want[s])
					}
				}
			}
		}
	}
}

const letterText = `From: Ana-Lucía Ferreira <ana@ferreira.example>
Order 4711: 2 "Blue" lamps (5kg), ship to Rua do Ouro 17, 1100-061 Lisboa.
佐藤さんによろしく😀 — tell him C:\tmp is "full"	ok`

const formSchema = `{"type":"object","properties":{"name":{"type":"string"},"kind":{"enum":["order","other"]},"n":{"type":"integer"},` +
	`"code":{"type":"string","maxLength":4},"tags":{"type":"array","items":{"type":"string","minLength":1},"maxItems":3},"more":{"type":"object","additionalProperties":{"type":"string"}}},` +
	`"required":["name","kind","tags","more"]}`

type form struct {
	Name string
	Kind string
	Code *string
	Tags []string
	More map[string]string
}

// TestVerbatimWalks lets a random picker fill a form: it never comes to a dead
// end, what it fills in are pieces, and what is not verbatim is as ever.
func TestVerbatimWalks(t *testing.T) {
	v := large()
	tok := v.Tokenizer()
	p := bind(t, v, compile(t, formSchema, jsonschema.Options{Whitespace: jsonschema.Spaced}).Grammar)
	if !p.Verbatim() || bind(t, v, compile(t, `{"enum":["a"]}`, jsonschema.Options{}).Grammar).Verbatim() {
		t.Error("Verbatim")
	}
	texts := []string{letterText, "ok", " second text, Lisboa\n"}
	src, want := grammar.NewSource(texts), pieces(texts...)
	rng := rand.New(rand.NewPCG(9, 10))
	mask := make([]uint64, v.Words())
	keys, codes, lengths := 0, 0, map[int]bool{}
	for range 60 {
		m := p.NewMatcherOf(src)
		var ids []int32
		for {
			if rng.IntN(2) == 0 {
				for _, id := range m.Forced() {
					m.Mask(mask)
					if !has(mask, id) || m.Accept(id) != nil {
						t.Fatalf("after %q %q is forced and not allowed", tok.Decode(ids), tok.Piece(id))
					}
					ids = append(ids, id)
				}
			}
			m.Mask(mask)
			id := pick(rng, v, mask, len(ids) > 60 || rng.IntN(4) == 0)
			if id < 0 {
				t.Fatalf("a dead end after %q", tok.Decode(ids))
			}
			if err := m.Clone().Accept(id); err != nil || m.Accept(id) != nil {
				t.Fatalf("%q after %q: %v", tok.Piece(id), tok.Decode(ids), err)
			}
			if tok.IsEOG(id) {
				break
			}
			ids = append(ids, id)
		}
		var f form
		text := tok.Decode(ids)
		if err := json.Unmarshal([]byte(text), &f); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		strs := append([]string{f.Name}, f.Tags...)
		for k, s := range f.More {
			strs = append(strs, s)
			if !want[k] {
				keys++
			}
		}
		for _, s := range strs {
			lengths[len(s)] = true
			if !want[s] {
				t.Fatalf("%q is no piece: %s", s, text)
			}
		}
		if f.Code != nil && !want[*f.Code] {
			codes++
		}
	}
	if keys == 0 || codes == 0 || len(lengths) < 10 {
		t.Errorf("%d names and %d codes are made up, strings have %d lengths", keys, codes, len(lengths))
	}
}

// TestVerbatimReachable writes every piece in the tokens that the tokenizer makes
// of the whole answer.
func TestVerbatimReachable(t *testing.T) {
	v := large()
	tok := v.Tokenizer()
	p := bind(t, v, compile(t, `{"type":"array","items":{"type":"string"}}`, jsonschema.Options{Whitespace: jsonschema.Spaced}).Grammar)
	src := grammar.NewSource([]string{letterText})
	mask := make([]uint64, v.Words())
	rng := rand.New(rand.NewPCG(3, 3))
	n := 0
	for s := range pieces(letterText) {
		if rng.IntN(8) > 0 {
			continue
		}
		n++
		text := "[" + quote(s) + ", " + quote("ok") + "]"
		m := p.NewMatcherOf(src)
		for _, id := range tok.Encode(nil, text, tokenizer.Options{}) {
			m.Mask(mask)
			if !has(mask, id) || m.Accept(id) != nil {
				t.Fatalf("%q of %s is not allowed", tok.Piece(id), text)
			}
		}
		if !m.Done() {
			t.Errorf("%s is taken for a part", text)
		}
	}
	t.Logf("%d pieces", n)
}

// TestVerbatimMask holds masks against Accept, token by token.
func TestVerbatimMask(t *testing.T) {
	v := large()
	tok := v.Tokenizer()
	p := bind(t, v, compile(t, formSchema, jsonschema.Options{}).Grammar)
	for i, src := range []*grammar.Source{
		grammar.NewSource([]string{letterText}), nil,
		grammar.NewSource([]string{strings.Repeat("name names \"name\", \"names\": {a} ", 60) + letterText}), // wide from the start
		v.TokenSource([]string{strings.Repeat("name names \"name\", \"names\": {a} ", 60) + letterText}),
	} {
		fresh := bind(t, v, compile(t, formSchema, jsonschema.Options{}).Grammar)
		for _, text := range []string{
			``, `{"name":`, `{"name":"`, `{"name":"n`, `{"name":"name`, `{"name":"ok","kind":"order","tags":["`, `{"name":"Rua do`, `{"name":"tell him C:\\tmp is \"full\"`, `{"name":"tell him C:\\tmp is \`,
			`{"name":"ok","kind":"order","tags":`, `{"name":"name","kind":"order`, `{"name":"name","kind":"order","tags":[],"more":{"`, `{"name":"name","kind":"order","tags":[],"more":{"x`,
		} {
			m := p.NewMatcherOf(src)
			if err := m.AcceptText(text); err != nil {
				if i != 0 { // the first has no "name"
					t.Fatal(err)
				}
				continue
			}
			other := fresh.NewMatcherOf(src)
			if err := other.AcceptText(text); err != nil {
				t.Fatal(err)
			}
			mask, same := make([]uint64, v.Words()), make([]uint64, v.Words())
			for range 2 { // found, and kept
				m.Mask(mask)
				if other.Mask(same); !slices.Equal(mask, same) {
					t.Fatalf("source %d after %s: what other sources left makes a difference", i, text)
				}
			}
			for id := range int32(tok.Size()) {
				if got, want := has(mask, id), m.Clone().Accept(id) == nil; got != want {
					t.Fatalf("source %d after %s: the mask says %v of %q", i, text, got, tok.Piece(id))
				}
			}
		}
	}
}

func TestVerbatimForced(t *testing.T) {
	tok := large().Tokenizer()
	for _, tt := range []struct{ text, said, forced string }{
		{"Ask Quillfeather now.", `"Quill`, `feather`},
		{"Ask Quillfeather, then Quillon", `"Quill`, ``},
		{"Köln", ``, `"Köln"`},
		{"a\nb", `"a\`, `nb"`},
		{"say 日本", `"日`, ``},
		{"xa xb", ``, `"x`},
		{"one two", `"one`, ``},
		{"one two", `"one `, `two"`},
	} {
		m := anyString().NewMatcherOf(grammar.NewSource([]string{tt.text}))
		if err := m.AcceptText(tt.said); err != nil {
			t.Fatal(err)
		}
		if got := tok.Decode(m.Forced()); got != tt.forced && !(got != "" && strings.HasPrefix(tt.forced, got)) || got == "" && tt.forced != "" {
			t.Errorf("%q after %s: forced %q, want %q", tt.text, tt.said, got, tt.forced)
		}
	}
}

func TestVerbatimClones(t *testing.T) {
	src := grammar.NewSource([]string{"Ada Byron and Ada Lovelace"})
	m := anyString().NewMatcherOf(src)
	if err := m.AcceptText(`"Ada `); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		for _, name := range []string{"Byron", "Lovelace"} {
			c := m.Clone()
			wg.Go(func() {
				mask := make([]uint64, large().Words())
				c.Mask(mask)
				c.Forced()
				if c.AcceptText(name) != nil || c.AcceptText("x") == nil || c.AcceptText(`"`) != nil || !c.Complete() {
					t.Errorf("a clone does not read %s", name)
				}
			})
		}
	}
	wg.Wait()
	if m.AcceptText(`Byron and Ada Lovelace"`) != nil || !m.Complete() {
		t.Error("the clones changed what they were made of")
	}
}

// TestVerbatimLarge looks at the time of what is large, or made to be slow.
func TestVerbatimLarge(t *testing.T) {
	for _, tt := range []struct{ name, text string }{
		{"words", words(32 << 10)},
		{"one-mark", strings.Repeat(".", 200_000)},
		{"one-word", strings.Repeat("abcdefgh ", 20_000)},
		{"one-letter", strings.Repeat("a", 200_000)},
		{"japanese", strings.Repeat("日本中です。", 10_000)},
	} {
		for _, source := range []func([]string) *grammar.Source{grammar.NewSource, large().TokenSource} {
			clock := time.Now()
			src := source([]string{tt.text})
			built := time.Since(clock)
			m := anyString().NewMatcherOf(src)
			mask := make([]uint64, large().Words())
			clock = time.Now()
			n := 0
			for ; n < 50 && !m.Complete(); n++ {
				m.Mask(mask)
				for i := range int32(large().Tokenizer().Size()) {
					if has(mask, i) && m.Accept(i) == nil {
						break
					}
				}
			}
			took := time.Since(clock)
			t.Logf("%s: built in %v, %d masks in %v", tt.name, built, n, took)
			if built > 5*time.Second || took > 5*time.Second {
				t.Errorf("%s: built in %v, %d masks in %v", tt.name, built, n, took)
			}
		}
	}
}

// words returns about n bytes of text of many different words.
func words(n int) string {
	rng := rand.New(rand.NewPCG(1, 1))
	var b strings.Builder
	for b.Len() < n {
		for range 1 + rng.IntN(4) {
			b.WriteByte("bcdfgklmnprst"[rng.IntN(13)])
			b.WriteByte("aeiou"[rng.IntN(5)])
		}
		b.WriteString([]string{" ", ", ", ". ", " "}[rng.IntN(4)])
	}
	return b.String()
}

func BenchmarkSource(b *testing.B) {
	text := []string{words(32 << 10)}
	for b.Loop() {
		grammar.NewSource(text)
	}
}

// BenchmarkVerbatimMask is the mask at the beginning of a string, of which a
// Matcher keeps the first it makes, and inside.
func BenchmarkVerbatimMask(b *testing.B) {
	src := grammar.NewSource([]string{words(32 << 10)})
	mask := make([]uint64, large().Words())
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			anyString().NewMatcherOf(src).Mask(mask)
		}
	})
	for _, said := range []string{`"`, `"ba`} {
		m := anyString().NewMatcherOf(src)
		if err := m.AcceptText(said); err != nil {
			b.Fatal(err)
		}
		b.Run(said, func(b *testing.B) {
			for b.Loop() {
				m.Mask(mask)
			}
		})
	}
}
