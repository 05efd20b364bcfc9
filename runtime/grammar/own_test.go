package grammar_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/sluice-ai/sluice/runtime/grammar"
	"github.com/sluice-ai/sluice/runtime/grammar/jsonschema"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

// vocabOf returns a vocabulary of the bytes and what merges make: of each word,
// from its first byte on or by the parts between its bars; last come the spaced,
// each of which is a space and one of the others.
func vocabOf(words, spaced []string) *grammar.Vocab {
	tokens := []string{"<|pad|>", "<|startoftext|>", "<|im_end|>"}
	types := []int32{tokenizer.Control, tokenizer.Control, tokenizer.Control}
	var merges []string
	seen := map[string]bool{}
	add := func(s string) {
		if !seen[s] {
			seen[s] = true
			tokens, types = append(tokens, tokenizer.EncodeBytes(s)), append(types, tokenizer.Normal)
		}
	}
	merge := func(left, right string) {
		if m := tokenizer.EncodeBytes(left) + " " + tokenizer.EncodeBytes(right); !slices.Contains(merges, m) {
			merges = append(merges, m)
		}
		add(left + right)
	}
	for b := range 256 {
		add(string([]byte{byte(b)}))
	}
	for _, w := range words {
		done := ""
		for _, part := range strings.Split(w, "|") {
			for i := 1; i < len(part); i++ {
				merge(part[:i], part[i:i+1])
			}
			if done != "" {
				merge(done, part)
			}
			done += part
		}
	}
	for _, w := range spaced {
		merge(" ", w)
	}
	tok, err := tokenizer.New(tokenizer.Vocab{Tokens: tokens, Types: types, Merges: merges, BOS: 1, EOS: 2, PAD: 0})
	if err != nil {
		panic(err)
	}
	return grammar.NewVocab(tok, len(tokens)+3)
}

var copies = sync.OnceValue(func() *grammar.Vocab {
	return vocabOf(strings.Fields("An|a Lim|a Ferr|eira Rua do Our|o ship to lam|ps Blu|e Quil lfea ther feather in now 17 471 東|京|都 で|す 。 さん \": , \\n {\" [\" ok kg"),
		strings.Fields("An Lima Rua do ship to Blue Quil \" lamps 東京 ("))
})

// A definition is what docs/structured-output.md says of own tokens, apart from the package.
type definition struct {
	v      *grammar.Vocab
	text   string
	begins []int
	ends   map[int]bool
	own    map[int]string
}

func define(v *grammar.Vocab, texts ...string) *definition {
	d := &definition{v: v, ends: map[int]bool{}, own: map[int]string{}}
	spell := func(s string) string { s = spelled(s); return s[1 : len(s)-1] }
	for _, t := range texts {
		t = strings.TrimRightFunc(t, unicode.IsSpace)
		at := len(d.text)
		for _, id := range v.Tokenizer().Encode(nil, t, tokenizer.Options{}) {
			p := string(v.Tokenizer().Piece(id))
			n := 0
			for i := range len(p) {
				n++
				if p[i] < 0x80 {
					n += len(spell(p[i:i+1])) - 1
				}
			}
			if n == len(p) {
				d.own[at] = p
				if p[0] == ' ' && d.has(p[1:]) {
					d.own[at+1] = p[1:]
				}
			}
			at += n
		}
		before := 'S'
		for _, r := range t {
			now := rune(class(r))
			alone := func(k rune) bool { return k == 'C' || k == 'O' }
			if now != 'S' && (before != now || alone(now)) {
				d.begins = append(d.begins, len(d.text))
			}
			if before != 'S' && (before != now || alone(before)) {
				d.ends[len(d.text)] = true
			}
			d.text += spell(string(r))
			before = now
		}
		d.ends[len(d.text)] = before != 'S'
		d.text += "\x00"
	}
	return d
}

// has reports whether s is a token of text.
func (d *definition) has(s string) bool {
	_, ok := d.v.Tokenizer().ID(tokenizer.EncodeBytes(s))
	return ok && s != ""
}

// next returns what may follow when said has been written of a string.
func (d *definition) next(said string) map[string]bool {
	got := map[string]bool{}
	for _, p := range d.begins {
		if !strings.HasPrefix(d.text[p:], said) {
			continue
		}
		p += len(said)
		if d.ends[p] && said != "" {
			got[`"`] = true
		}
		own := d.own[p]
		for n := p + 1; n <= len(d.text) && n < p+40; n++ {
			if s := d.text[p:n]; d.has(s) && s[len(s)-1] != 0 && (own == "" || s == own || len(s) < len(own) && d.ends[n]) {
				got[s] = true
			}
		}
	}
	return got
}

func maskOf(m *grammar.Matcher, v *grammar.Vocab) (tokens []string) {
	bits := make([]uint64, v.Words())
	m.Mask(bits)
	for id := range int32(v.Tokenizer().Size()) {
		if has(bits, id) {
			tokens = append(tokens, string(v.Tokenizer().Piece(id)))
		}
	}
	slices.Sort(tokens)
	return tokens
}

func TestOwnTokens(t *testing.T) {
	v := copies()
	p := bind(t, v, compile(t, `{"type":"string"}`, jsonschema.Options{}).Grammar)
	for _, tt := range []struct{ name, text, said, allowed string }{ // tokens between bars
		{"opening", "Ana Lima", ``, `"`},
		{"beginning", "Ana Lima, Rua", `"`, `,|Ana|Lima|Rua`},
		{"word", "Ana Lima, Rua", `"Ana`, `"| Lima`},
		{"comma", "Ana Lima, Rua", `"Ana Lima`, `"|,`},
		{"space-led", "Ana Lima, Rua", `"Ana Lima,`, `"| Rua`},
		{"end", "Ana Lima", `"Ana Lima`, `"`},
		{"two-places", "Ana Lima, Ana Ferreira", `"Ana`, `"| | Lima`},
		{"inside-a-token", "Ana Lima", `"An`, `a`},
		{"parts", "Quillfeather", `"`, `Quil`},
		{"not-as-cut-anew", "Quillfeather", `"Quil`, `lfea`},
		{"inside", "Quillfeather", `"Quill`, `f|fe|fea|feat|feath|feathe|feather`},
		{"digits", "4711 17", `"`, `17|471`},
		{"digits-on", "4711 17", `"471`, `1`},
		{"japanese", "東京都です。", `"東京都で`, "\xe3|\xe3\x81|す|\""},
		{"japanese-border", "東京都です。", `"東京都`, `"|です|で`},
		{"japanese-end", "東京都です。", `"東京都です`, `"|。`},
		{"escaped", "ok\nAna", `"ok`, "\"|\\|\\n"},
		{"behind-escaped", "ok\nAna", `"ok\n`, `Ana`},
		{"quoted", `ok"Ana"`, `"ok`, `"|\`},
		{"in-an-escape", `ok"Ana"`, `"ok\`, `"`},
		{"trimmed", "ok. \n", `"ok`, `"|.`},
		{"texts-apart", "Ana\x00Lima", `"Ana`, `"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := p.NewMatcherOf(v.TokenSource(strings.Split(tt.text, "\x00")))
			if err := m.AcceptText(tt.said); err != nil {
				t.Fatal(err)
			}
			want := strings.Split(tt.allowed, "|")
			slices.Sort(want)
			if got := maskOf(m, v); !slices.Equal(got, want) {
				t.Errorf("%q after %s: %q, want %q", tt.text, tt.said, got, want)
			}
		})
	}
}

// TestOwnMasks holds masks against the definition and against Accept, on the way
// through random texts, and forced tokens against the masks.
func TestOwnMasks(t *testing.T) {
	parts := []string{"Ana", "Lima", "Ferreira", "Rua do Ouro", "Quillfeather", "feather", "17", "4711", "東京都です。", "さん", "です", " ", " ", " ", ", ", "\n", "\"", "\\", "(", "x", "5kg", "é", "\xff", "😀"}
	rng := rand.New(rand.NewPCG(11, 12))
	for _, v := range []*grammar.Vocab{copies(), large()} {
		tok := v.Tokenizer()
		p := bind(t, v, compile(t, `{"type":"array","items":{"type":"string"},"minItems":1,"maxItems":3}`, jsonschema.Options{Whitespace: jsonschema.Spaced}).Grammar)
		for range 60 {
			var texts []string
			for range 1 + rng.IntN(2) {
				var b strings.Builder
				for range 1 + rng.IntN(8) {
					b.WriteString(parts[rng.IntN(len(parts))])
				}
				texts = append(texts, strings.ToValidUTF8(b.String(), "\ufffd"))
			}
			src := v.TokenSource(texts)
			if src == nil {
				continue
			}
			d, want := define(v, texts...), pieces(texts...)
			m := p.NewMatcherOf(src)
			text, from := "", -1 // where the string in progress begins
			bits := make([]uint64, v.Words())
			take := func(id int32) {
				s := string(tok.Piece(id))
				if m.Mask(bits); !has(bits, id) || m.Accept(id) != nil {
					t.Fatalf("%q: after %s %q is not allowed", texts, text, s)
				}
				inside := from >= 0
				if inside && s[0] != '"' && !d.next(text[from:])[s] {
					t.Fatalf("%q: after %s %q is no own token", texts, text, s)
				}
				for i := range len(s) {
					if s[i] == '"' && !midEscape(text) {
						if from < 0 {
							from = len(text) + 1
						} else {
							if i > 0 && inside || !want[unspell(text[from:])] {
								t.Fatalf("%q: %s is closed by %q", texts, text, s)
							}
							from, inside = -1, false
						}
					} else if from >= 0 && !inside {
						t.Fatalf("%q: after %s %q goes on behind the quote", texts, text, s)
					}
					text += s[i : i+1]
				}
			}
			for !m.Complete() {
				forced := m.Forced()
				if from >= 0 && !strings.HasSuffix(text, `"`) && len(d.next(text[from:])) == 1 && len(forced) == 0 && !d.next(text[from:])[`"`] {
					t.Fatalf("%q: after %s nothing is forced", texts, text)
				}
				for _, id := range forced {
					take(id)
				}
				if m.Complete() {
					break
				}
				if from >= 0 {
					got := slices.DeleteFunc(maskOf(m, v), func(s string) bool { return len(s) > 1 && s[0] == '"' && !midEscape(text) })
					var all []string
					for s := range d.next(text[from:]) {
						all = append(all, s)
					}
					if slices.Sort(all); !slices.Equal(got, all) {
						t.Fatalf("%q: after %s %q is allowed, want %q", texts, text, got, all)
					}
				}
				m.Mask(bits)
				id := pick(rng, v, bits, rng.IntN(6) == 0)
				if id < 0 {
					t.Fatalf("%q: a dead end after %s", texts, text)
				}
				if tok.IsEOG(id) {
					break
				}
				take(id)
			}
		}
	}
}

func midEscape(text string) bool {
	return strings.HasSuffix(strings.ReplaceAll(text, `\\`, ""), `\`)
}

// unspell is the text that JSON spells as s.
func unspell(s string) string {
	return strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n").Replace(s)
}

// TestOwnPieces writes pieces of Latin text in the tokens that the tokenizer makes
// of the answer, which is how a model is taught to.
func TestOwnPieces(t *testing.T) {
	const text = "Please ship to (Ana Lima), Rua do Ouro 17, 2 Blue lamps; Quillfeather knows - 4711-ok Ferreira"
	v := copies()
	tok := v.Tokenizer()
	p := bind(t, v, compile(t, `{"type":"array","items":{"type":"string"}}`, jsonschema.Options{Whitespace: jsonschema.Spaced}).Grammar)
	src := v.TokenSource([]string{text})
	bits := make([]uint64, v.Words())
	for s := range pieces(text) {
		answer := "[" + quote(s) + ", " + quote("Ana") + "]"
		m := p.NewMatcherOf(src)
		for _, id := range tok.Encode(nil, answer, tokenizer.Options{}) {
			m.Mask(bits)
			if !has(bits, id) || m.Accept(id) != nil {
				t.Fatalf("%q of %s is not allowed", tok.Piece(id), answer)
			}
		}
	}
}

func TestOwnForced(t *testing.T) {
	v := copies()
	p := bind(t, v, compile(t, `{"type":"object","properties":{"to":{"type":"string"},"ok":{"const":1}},"required":["to","ok"],"additionalProperties":false}`, jsonschema.Options{Whitespace: jsonschema.Spaced}).Grammar)
	for _, tt := range []struct{ text, said, forced string }{
		{"Quillfeather", ``, `{"|to|":| "|Quil|lfea|ther|"|,| "|ok|":| |1|}`},
		{"Quillfeather", `{"to": "`, `Quil|lfea|ther|"|,| "|ok|":| |1|}`},
		{"Quillfeather, Quillon", `{"to": "Quil`, ``},
		{"Ana Lima", `{"to": "`, ``},
		{"Lima Lima", `{"to": "`, `Lima`},
		{"Lima", `{"to": "Li`, `m|a|"|,| "|ok|":| |1|}`},
	} {
		m := p.NewMatcherOf(v.TokenSource([]string{tt.text}))
		if err := m.AcceptText(tt.said); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, id := range m.Forced() {
			got = append(got, string(v.Tokenizer().Piece(id)))
		}
		if strings.Join(got, "|") != tt.forced {
			t.Errorf("%q after %s: forced %q, want %q", tt.text, tt.said, got, tt.forced)
		}
	}
}

// TestOwnWithout takes vocabularies that lack a byte but together with others: there
// strings are as without own tokens.
func TestOwnWithout(t *testing.T) {
	for lacks, want := range map[string]string{`"`: `"a|b"`, "b": `"|a|b"`} {
		tokens, types := []string{"<|im_end|>", `"a`, `b"`}, []int32{tokenizer.Control, tokenizer.Normal, tokenizer.Normal}
		for _, b := range tokenizer.ByteTokens() {
			if b != lacks {
				tokens, types = append(tokens, b), append(types, tokenizer.Normal)
			}
		}
		tok, err := tokenizer.New(tokenizer.Vocab{Tokens: tokens, Types: types, BOS: -1, EOS: 0, PAD: -1})
		if err != nil {
			t.Fatal(err)
		}
		v := grammar.NewVocab(tok, len(tokens))
		m := bind(t, v, compile(t, `{"type":"string"}`, jsonschema.Options{}).Grammar).NewMatcherOf(v.TokenSource([]string{"ab"}))
		for s := range strings.SplitSeq(want, "|") {
			if got := maskOf(m, v); !slices.Contains(got, s) {
				t.Fatalf("without %s: %q is allowed, want %s", lacks, got, s)
			}
			m.Forced()
			id, _ := tok.ID(s)
			if err := m.Accept(id); err != nil {
				t.Fatal(err)
			}
		}
		if !m.Complete() {
			t.Errorf("without %s: the string is not over", lacks)
		}
	}
}
