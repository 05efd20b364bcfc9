package tokenizer

import (
	"slices"
	"strings"
	"testing"
)

// toy returns a small vocabulary: the 256 bytes, then words as merges make
// them, then special tokens.
func toy(t testing.TB) *Tokenizer {
	t.Helper()
	tok, err := New(toyVocab())
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func toyVocab() Vocab {
	v := Vocab{Tokens: ByteTokens(), BOS: -1, EOS: -1, PAD: -1, Pre: "lfm2"}
	merge := func(left, right string) {
		left, right = EncodeBytes(left), EncodeBytes(right)
		v.Merges = append(v.Merges, left+" "+right)
		v.Tokens = append(v.Tokens, left+right)
	}
	merge("a", "a")
	merge("aa", "aa")
	merge("h", "e")
	merge("l", "l")
	merge("he", "ll")
	merge("hell", "o")
	merge(" ", "w")
	merge("o", "r")
	merge(" w", "or")
	merge("\xc3", "\xa9") // é
	v.Tokens = append(v.Tokens, EncodeBytes("whole"))
	v.Types = slices.Repeat([]int32{Normal}, len(v.Tokens))
	special := func(text string, typ int32) int32 {
		v.Tokens, v.Types = append(v.Tokens, text), append(v.Types, typ)
		return int32(len(v.Tokens) - 1)
	}
	v.PAD = special("<|pad|>", Control)
	v.BOS = special("<|startoftext|>", Control)
	special("<|endoftext|>", Control)
	special("<|im_start|>", Control)
	v.EOS = special("<|im_end|>", Control)
	special("<think>", UserDefined)
	special("<think>!", UserDefined)
	special("[PAD1]", Unused)
	v.AddBOS = true
	return v
}

// spell writes ids as their texts, separated by bars.
func spell(t *Tokenizer, ids []int32) string {
	var out []string
	for _, id := range ids {
		out = append(out, string(t.Piece(id)))
	}
	return strings.Join(out, "|")
}

func TestEncode(t *testing.T) {
	plain, special := Options{}, Options{ParseSpecial: true}
	both := Options{ParseSpecial: true, AddBOS: true}
	tests := []struct {
		name, text string
		opts       Options
		want       string
	}{
		{"empty", "", plain, ""},
		{"empty-bos", "", both, "<|startoftext|>"},
		{"merges", "hello wor", plain, "hello| wor"},
		{"leftmost-on-ties", "aaaaa", plain, "aaaa|a"},
		{"odd-run", "aaaaaaa", plain, "aaaa|aa|a"},
		{"ignore-merges", "whole", plain, "whole"},
		{"ignore-merges-is-per-piece", "wholes", plain, "w|h|o|l|e|s"},
		{"two-bytes", "é", plain, "é"},
		{"half-a-rune", "\xc3", plain, "\xc3"},
		{"special-as-text", "<think>", plain, "<|t|h|i|n|k|>"},
		{"special", "a<|im_end|>b", special, "a|<|im_end|>|b"},
		{"longest-special", "<think>!<think>?", special, "<think>!|<think>|?"},
		{"unused-is-text", "[PAD1]", special, "[|P|A|D|1|]"},
		{"bos", "hello", both, "<|startoftext|>|hello"},
		{"bos-not-doubled", "<|startoftext|>hello", both, "<|startoftext|>|hello"},
		{"bos-later-is-kept", "hello<|startoftext|>", both, "<|startoftext|>|hello|<|startoftext|>"},
		{"bos-text-is-not-bos", "<|start", Options{AddBOS: true}, "<|startoftext|>|<|||s|t|a|r|t"},
	}
	tok := toy(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ids := tok.Encode(nil, tt.text, tt.opts)
			if got := spell(tok, ids); got != tt.want {
				t.Errorf("Encode(%q) = %s, want %s", tt.text, got, tt.want)
			}
			if again := tok.Encode([]int32{7}, tt.text, tt.opts); !slices.Equal(again[1:], ids) || again[0] != 7 {
				t.Errorf("Encode does not append")
			}
		})
	}
}
