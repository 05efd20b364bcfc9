package tokenizer

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// randomVocab has the bytes and n merges of tokens before them, over few letters.
func randomVocab(rng *rand.Rand, n int) Vocab {
	v := Vocab{Tokens: ByteTokens(), BOS: -1, EOS: -1, PAD: -1}
	known := []string{"a", "b", "c"}
	for range n {
		left, right := known[rng.IntN(len(known))], known[rng.IntN(len(known))]
		if len(left+right) > 12 || slices.Contains(v.Tokens, left+right) {
			continue
		}
		v.Merges = append(v.Merges, left+" "+right)
		v.Tokens = append(v.Tokens, left+right)
		known = append(known, left+right)
	}
	rng.Shuffle(len(v.Merges), func(i, j int) { v.Merges[i], v.Merges[j] = v.Merges[j], v.Merges[i] })
	return v
}

// mergeOracle applies the merges to piece by the book.
func mergeOracle(v Vocab, piece string) []string {
	if slices.Contains(v.Tokens, piece) {
		return []string{piece}
	}
	parts := strings.Split(piece, "")
	for {
		best, at := len(v.Merges), 0
		for i := range len(parts) - 1 {
			if r := slices.Index(v.Merges, parts[i]+" "+parts[i+1]); r >= 0 && r < best {
				best, at = r, i
			}
		}
		if best == len(v.Merges) {
			return parts
		}
		parts = slices.Replace(parts, at, at+2, parts[at]+parts[at+1])
	}
}

// Short and long pieces, on both sides of the change of method, merge by the book.
func TestMergeDifferential(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 60 {
		v := randomVocab(rng, 30)
		tok, err := New(v)
		if err != nil {
			t.Fatal(err)
		}
		for range 40 {
			var b strings.Builder
			for range 1 + rng.IntN(2*shortPiece) {
				b.WriteByte("abc"[rng.IntN(3)])
			}
			var got []string
			for _, id := range tok.Encode(nil, b.String(), Options{}) {
				got = append(got, string(tok.Piece(id)))
			}
			if want := mergeOracle(v, b.String()); !slices.Equal(got, want) {
				t.Fatalf("merges %q: Encode(%q) = %q, want %q", v.Merges, b.String(), got, want)
			}
		}
	}
}

// A megabyte of one letter, of spaces, of a marker's beginning: no blow-up.
func TestHostileText(t *testing.T) {
	tok := toy(t)
	for _, unit := range []string{"a", " ", "\n ", "ab", "<", "<think>", "\xff", "'", "1", "\u0301"} {
		text := strings.Repeat(unit, (1<<20)/len(unit))
		start := time.Now()
		ids := tok.Encode(nil, text, Options{ParseSpecial: true})
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%d times %q took %v", len(text)/len(unit), unit, d)
		}
		if tok.Decode(ids) != text {
			t.Errorf("%q does not round-trip", unit)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	tests := []struct {
		name string
		edit func(v *Vocab)
		want string
	}{
		{"no-tokens", func(v *Vocab) { v.Tokens = nil }, "empty vocabulary"},
		{"pre", func(v *Vocab) { v.Pre = "gpt-4o" }, `unknown pre-tokenizer "gpt-4o"`},
		{"types", func(v *Vocab) { v.Types = v.Types[1:] }, "token types"},
		{"unknown-type", func(v *Vocab) { v.Types[3] = 9 }, "unknown type 9"},
		{"duplicate", func(v *Vocab) { v.Tokens[5] = v.Tokens[6] }, "tokens 5 and 6 have the same text"},
		{"bos-range", func(v *Vocab) { v.BOS = int32(len(v.Tokens)) }, "BOS id"},
		{"eos-negative", func(v *Vocab) { v.EOS = -2 }, "EOS id -2"},
		{"merge-one-word", func(v *Vocab) { v.Merges[0] = "aa" }, "merge 0 is not a pair"},
		{"merge-three-words", func(v *Vocab) { v.Merges[1] = "a a a" }, "merge 1 is not a pair"},
		{"merge-empty-side", func(v *Vocab) { v.Merges[1] = " a" }, "merge 1 is not a pair"},
		{"merge-unknown", func(v *Vocab) { v.Merges[2] = "h qq" }, "merge 2 needs"},
		{"merge-unknown-result", func(v *Vocab) { v.Merges[2] = "h z" }, "merge 2 needs"},
		{"merge-of-special", func(v *Vocab) { v.Merges[2] = "<thin k>"; v.Tokens[0] = "<thin"; v.Tokens[1] = "k>" }, "merge 2 needs"},
		{"special-too-long", func(v *Vocab) { v.Tokens[v.PAD] = strings.Repeat("x", 513) }, "513 bytes"},
		{"no-replacement", func(v *Vocab) { v.Tokens[0xEF] = "missing" }, "no token for byte 0xef"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := toyVocab()
			tt.edit(&v)
			if _, err := New(v); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New: %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestNewTolerates(t *testing.T) {
	v := toyVocab()
	v.Tokens = append(v.Tokens, "", "")                   // some files have empty tokens
	v.Types = append(v.Types, Normal, Control)            //
	v.Merges = append(v.Merges, v.Merges[0], v.Merges[3]) // a repeated merge keeps its first rank
	v.Tokens[0xC0], v.Tokens[0xFF] = "no", "bytes"        // bytes that no text needs
	tok, err := New(v)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := spell(tok, tok.Encode(nil, "aaaahell", Options{ParseSpecial: true})), "a|a|a|a|h|e|l|l"; got == want {
		t.Errorf("merges are lost: %s", got)
	}
	if got := tok.Decode(tok.Encode(nil, "\xffa", Options{})); got != "\uFFFDa" {
		t.Errorf("a byte without token: %q, want U+FFFD", got)
	}
}

func FuzzEncode(f *testing.F) {
	tok := toy(f)
	for _, seed := range []string{"hello wor", "<|im_end|><think>!\xff", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"} {
		f.Add(seed, 3)
	}
	f.Fuzz(func(t *testing.T, text string, cut int) {
		for _, special := range []bool{false, true} {
			ids := tok.Encode(nil, text, Options{ParseSpecial: special})
			if got := tok.Decode(ids); got != text {
				t.Fatalf("Decode(Encode(%q)) = %q", text, got)
			}
			s := tok.NewStream(false)
			var streamed strings.Builder
			for _, id := range ids {
				streamed.Write(s.Push(id))
			}
			streamed.Write(s.Flush())
			if !special && streamed.String() != repaired(text) {
				t.Fatalf("streamed %q, want %q", streamed.String(), repaired(text))
			}
		}
		cut = max(0, min(cut, len(text)))
		parts := []Part{{Text: text[:cut], Literal: true}, {Text: text[cut:], Literal: true}}
		if got := tok.EncodeParts(nil, parts, Options{ParseSpecial: true}); !slices.Equal(got, tok.Encode(nil, text, Options{})) {
			t.Fatalf("literal parts of %q are not its plain tokens", text)
		}
		parts[0].Literal, parts[1].Literal = false, false
		if got := tok.EncodeParts(nil, parts, Options{ParseSpecial: true}); !slices.Equal(got, tok.Encode(nil, text, Options{ParseSpecial: true})) {
			t.Fatalf("special parts of %q are not its special tokens", text)
		}
	})
}

func ExampleTokenizer_EncodeParts() {
	tok, _ := New(toyVocab())
	for _, literal := range []bool{false, true} {
		parts := []Part{{Text: "<|im_start|>"}, {Text: "a<|im_end|>", Literal: literal}, {Text: "<|im_end|>"}}
		fmt.Println(spell(tok, tok.EncodeParts(nil, parts, Options{ParseSpecial: true})))
	}
	// Output:
	// <|im_start|>|a|<|im_end|>|<|im_end|>
	// <|im_start|>|a|<|||i|m|_|e|n|d|||>|<|im_end|>
}
