package jsonschema

import (
	"slices"
	"sync"
	"testing"

	"github.com/sluice-ai/sluice/runtime/grammar"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

// small is a vocabulary of bytes and of tokens that reach across the parts of
// JSON, so that every boundary is crossed.
var small = sync.OnceValue(func() *grammar.Vocab {
	tokens := []string{"<|im_end|>", "<|tool_call_start|>"}
	types := []int32{tokenizer.Control, tokenizer.Control}
	for _, t := range append(tokenizer.ByteTokens(), []string{
		`{"`, `":`, `":"`, `","`, `",`, `"}`, `"]`, `]}`, `}}`, `},{"`, `"a`, `a"`, `a":`, `name`, `"name"`, `true`, `false`, `null`, `12`, `1,`, `10}`, `[1`, `[[`, `]]`, `[]`, `{}`, `[{"`, `,"`, `ab`, `abc`, `\"`, `\n`, `\u00`, `0.`, `.5`, `-1`, `2024`, `-0`, `:{"`, `":[`, `":{"`, `":1`, `"},"`, `é"`, `日本`,
	}...) {
		if i := len(tokens); i > 257 { // after the bytes: text, which the vocabulary writes in its alphabet
			t = tokenizer.EncodeBytes(t)
		}
		if !slices.Contains(tokens, t) {
			tokens = append(tokens, t)
			types = append(types, tokenizer.Normal)
		}
	}
	tok, err := tokenizer.New(tokenizer.Vocab{Tokens: tokens, Types: types, BOS: -1, EOS: 0, PAD: -1})
	if err != nil {
		panic(err)
	}
	return grammar.NewVocab(tok, tok.Size())
})

func program(t testing.TB, c *Compiled) *grammar.Program {
	t.Helper()
	p, err := small().Bind(c.Grammar)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// accepts reports whether p accepts text byte by byte, and holds it against
// several ways to cut text into tokens, each of whose masks must allow the token.
func accepts(t testing.TB, p *grammar.Program, text string) bool {
	t.Helper()
	m := p.NewMatcher()
	ok := m.AcceptText(text) == nil && m.Done()
	for round := range 2 {
		if got := byTokens(t, p, text, round); got != ok {
			t.Errorf("%s: by bytes %v, by tokens (longest %v) %v", text, ok, round == 1, got)
		}
	}
	return ok
}

// byTokens feeds text as single bytes, or as the longest tokens that it has.
func byTokens(t testing.TB, p *grammar.Program, text string, longest int) bool {
	v := small()
	tok := v.Tokenizer()
	m := p.NewMatcher()
	bits := make([]uint64, v.Words())
	for text != "" {
		best := int32(-1)
		for id := range int32(tok.Size()) {
			piece := string(tok.Piece(id))
			if tok.IsControl(id) || piece == "" || len(piece) > len(text) || text[:len(piece)] != piece {
				continue
			}
			if best < 0 || longest == 1 && len(piece) > len(tok.Piece(best)) || longest == 0 && len(piece) < len(tok.Piece(best)) {
				best = id
			}
		}
		m.Mask(bits)
		allowed := bits[best>>6]>>(best&63)&1 != 0
		if err := m.Accept(best); (err == nil) != allowed {
			t.Errorf("before %q: the mask says %v, Accept says %v", text, allowed, err)
		}
		if !allowed {
			return false
		}
		text = text[len(tok.Piece(best)):]
	}
	m.Mask(bits)
	return bits[0]&1 != 0 && m.Accept(0) == nil
}
