package tokenizer

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// repaired replaces each maximal ill-formed part of text by U+FFFD, by the
// table of well-formed sequences in the Unicode standard (table 3-7).
func repaired(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && n == 1 {
			lo, hi, more := byte(0x80), byte(0xBF), 0
			switch c := text[i]; {
			case c >= 0xC2 && c <= 0xDF:
				more = 1
			case c >= 0xE0 && c <= 0xEF:
				more = 2
				if c == 0xE0 {
					lo = 0xA0
				}
				if c == 0xED {
					hi = 0x9F
				}
			case c >= 0xF0 && c <= 0xF4:
				more = 3
				if c == 0xF0 {
					lo = 0x90
				}
				if c == 0xF4 {
					hi = 0x8F
				}
			}
			for n <= more && i+n < len(text) && text[i+n] >= lo && text[i+n] <= hi {
				n, lo, hi = n+1, 0x80, 0xBF
			}
			b.WriteString("\uFFFD")
		} else {
			b.WriteString(text[i : i+n])
		}
		i += n
	}
	return b.String()
}

func TestStream(t *testing.T) {
	tests := []struct {
		name, text string
		want       string // after each token, separated by bars; then what Flush adds
	}{
		{"ascii", "ab", "a|b|"},
		{"two-tokens-one-rune", "€", "||€|"},
		{"whole-rune-token", "é", "é|"},
		{"emoji", "🦙a", "|||🦙|a|"},
		{"invalid-at-once", "\xffa", "\uFFFD|a|"},
		{"invalid-when-certain", "\xe2\x82a", "||\uFFFDa|"},
		{"invalid-then-lead", "\xe2\xe2\x82\xac", "|\uFFFD||€|"},
		{"surrogate", "\xed\xa0\x80", "|\uFFFD\uFFFD|\uFFFD|"},
		{"cut-short", "a\xf0\x9f", "a|||\uFFFD"},
		{"control-ends-a-rune", "\xe2<|im_end|>\x82", "|\uFFFD<|im_end|>|\uFFFD|"},
	}
	tok := toy(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := tok.NewStream(false)
			var got strings.Builder
			for _, id := range tok.Encode(nil, tt.text, Options{ParseSpecial: true}) {
				p := s.Push(id)
				if !utf8.Valid(p) {
					t.Errorf("Push gave invalid UTF-8: %q", p)
				}
				got.Write(p)
				got.WriteByte('|')
			}
			got.Write(s.Flush())
			if got.String() != tt.want {
				t.Errorf("streamed %q, want %q", got.String(), tt.want)
			}
		})
	}
}

func TestDecode(t *testing.T) {
	tok := toy(t)
	ids := tok.Encode(nil, "<|im_start|>hello<think>é<|im_end|>", Options{ParseSpecial: true, AddBOS: true})
	if got, want := tok.Decode(ids), "<|startoftext|><|im_start|>hello<think>é<|im_end|>"; got != want {
		t.Errorf("Decode = %q, want %q", got, want)
	}
	if got, want := tok.DecodeText(ids), "hello<think>é"; got != want {
		t.Errorf("DecodeText = %q, want %q", got, want)
	}
	s := tok.NewStream(true)
	var got strings.Builder
	for _, id := range ids {
		got.Write(s.Push(id))
	}
	if got.String() != "hello<think>é" {
		t.Errorf("a stream without control tokens gave %q", got.String())
	}
	for _, id := range []int32{-1, int32(tok.Size()), 1 << 30} {
		if tok.Piece(id) != nil || tok.IsControl(id) || tok.Token(id) != "" {
			t.Errorf("id %d exists", id)
		}
	}
	if eogs := tok.EOGs(); len(eogs) != 2 || eogs[0] != tok.EOS() || string(tok.Piece(eogs[1])) != "<|endoftext|>" {
		t.Errorf("EOGs = %v", eogs)
	}
	if id, ok := tok.ID("[PAD1]"); !ok || len(tok.Piece(id)) != 0 {
		t.Errorf("an unused token has text")
	}
}

func TestByteAlphabet(t *testing.T) {
	seen := make(map[string]bool)
	for b, tok := range ByteTokens() {
		if seen[tok] || utf8.RuneCountInString(tok) != 1 {
			t.Errorf("byte %d: %q", b, tok)
		}
		seen[tok] = true
		if got, pure := appendDecoded(nil, tok); !pure || len(got) != 1 || int(got[0]) != b {
			t.Errorf("byte %d: decoded %v", b, got)
		}
	}
	for text, want := range map[string]string{" a\n": "ĠaĊ", "é": "Ã©", "\x7f\xad": "ġŃ"} { // as vocab.json files have it
		if got := EncodeBytes(text); got != want {
			t.Errorf("EncodeBytes(%q) = %q, want %q", text, got, want)
		}
	}
}
