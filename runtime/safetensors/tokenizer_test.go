package safetensors

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

// tokenizerJSON is a small file as the tokenizers library writes it: the byte
// tokens from id 3 on, "ab" and "abc", merges in both spellings.
func tokenizerJSON(change func(map[string]any)) []byte {
	vocab := map[string]int{}
	for i, token := range tokenizer.ByteTokens() {
		vocab[token] = i + 3
	}
	vocab["ab"], vocab["abc"] = 259, 260
	f := map[string]any{
		"version": "1.0", "normalizer": nil,
		"added_tokens": []any{
			map[string]any{"id": 0, "content": "<|pad|>", "special": true},
			map[string]any{"id": 1, "content": "<|startoftext|>", "special": true},
			map[string]any{"id": 2, "content": "<|im_end|>", "special": true},
			map[string]any{"id": 263, "content": "<think>", "special": false},
		},
		"pre_tokenizer": map[string]any{"type": "Sequence", "pretokenizers": []any{
			map[string]any{"type": "Split", "pattern": map[string]any{"Regex": llama3}, "behavior": "Isolated", "invert": false},
			map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
		}},
		"post_processor": map[string]any{"type": "Sequence", "processors": []any{
			map[string]any{"type": "ByteLevel", "add_prefix_space": true},
			map[string]any{"type": "TemplateProcessing", "single": []any{
				map[string]any{"SpecialToken": map[string]any{"id": "<|startoftext|>", "type_id": 0}},
				map[string]any{"Sequence": map[string]any{"id": "A", "type_id": 0}},
			}, "special_tokens": map[string]any{"<|startoftext|>": map[string]any{"id": "<|startoftext|>", "ids": []int{1}}}},
		}},
		"decoder": map[string]any{"type": "ByteLevel"},
		"model":   map[string]any{"type": "BPE", "ignore_merges": true, "vocab": vocab, "merges": []any{"a b", []string{"ab", "c"}}},
	}
	if change != nil {
		change(f)
	}
	b, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	return b
}

func TestParseTokenizer(t *testing.T) {
	v, err := ParseTokenizer(tokenizerJSON(nil), Config{Vocab: 270, BOS: -1, EOS: 2, PAD: 0})
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Tokens) != 270 || v.BOS != 1 || !v.AddBOS || v.EOS != 2 || v.PAD != 0 || v.Pre != "lfm2" {
		t.Errorf("%d tokens, %d %d %d %v", len(v.Tokens), v.BOS, v.EOS, v.PAD, v.AddBOS)
	}
	for id, want := range map[int]struct {
		text string
		kind int32
	}{
		1: {"<|startoftext|>", tokenizer.Control}, 263: {"<think>", tokenizer.UserDefined}, 260: {"abc", tokenizer.Normal},
		261: {"[PAD261]", tokenizer.Unused}, 269: {"[PAD269]", tokenizer.Unused},
	} {
		if v.Tokens[id] != want.text || v.Types[id] != want.kind {
			t.Errorf("token %d is %q of type %d, want %v", id, v.Tokens[id], v.Types[id], want)
		}
	}
	if !slices.Equal(v.Merges, []string{"a b", "ab c"}) {
		t.Errorf("merges %q", v.Merges)
	}
	tok, err := tokenizer.New(v)
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.Encode(nil, "abcab<think>", tokenizer.Options{AddBOS: true, ParseSpecial: true}); !slices.Equal(got, []int32{1, 260, 259, 263}) &&
		!slices.Equal(got, []int32{1, 260, 3 + 'a' - '!', 3 + 'b' - '!', 263}) {
		t.Errorf("Encode = %v", got)
	}
	if v, err = ParseTokenizer(tokenizerJSON(nil), Config{BOS: -1, EOS: -1, PAD: -1}); err != nil || len(v.Tokens) != 264 {
		t.Errorf("without a size: %d tokens, %v", len(v.Tokens), err)
	}
}

func TestParseTokenizerRefuses(t *testing.T) {
	model := func(f map[string]any) map[string]any { return f["model"].(map[string]any) }
	for name, change := range map[string]func(map[string]any){
		"unigram":        func(f map[string]any) { model(f)["type"] = "Unigram" },
		"byte-fallback":  func(f map[string]any) { model(f)["byte_fallback"] = true },
		"no-vocab":       func(f map[string]any) { model(f)["vocab"] = nil },
		"normalizer":     func(f map[string]any) { f["normalizer"] = map[string]any{"type": "NFKC"} },
		"no-pre":         func(f map[string]any) { f["pre_tokenizer"] = nil },
		"another-pre":    func(f map[string]any) { f["pre_tokenizer"] = map[string]any{"type": "Whitespace"} },
		"outside":        func(f map[string]any) { model(f)["vocab"].(map[string]int)["zz"] = 300 },
		"huge-id":        func(f map[string]any) { model(f)["vocab"].(map[string]int)["zz"] = 1 << 31 },
		"negative-id":    func(f map[string]any) { model(f)["vocab"].(map[string]int)["zz"] = -1 },
		"same-id":        func(f map[string]any) { model(f)["vocab"].(map[string]int)["zz"] = 259 },
		"empty-token":    func(f map[string]any) { model(f)["vocab"].(map[string]int)[""] = 261 },
		"long-token":     func(f map[string]any) { model(f)["vocab"].(map[string]int)[strings.Repeat("a", 2000)] = 261 },
		"no-added-id":    func(f map[string]any) { f["added_tokens"] = []any{map[string]any{"content": "x"}} },
		"merge-of-one":   func(f map[string]any) { model(f)["merges"] = []any{"ab"} },
		"merge-of-three": func(f map[string]any) { model(f)["merges"] = []any{"a b c"} },
		"merge-list":     func(f map[string]any) { model(f)["merges"] = []any{[]string{"a", "b", "c"}} },
		"merge-number":   func(f map[string]any) { model(f)["merges"] = []any{1} },
	} {
		if _, err := ParseTokenizer(tokenizerJSON(change), Config{Vocab: 270, BOS: -1, EOS: -1, PAD: -1}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	// Without a size from config.json, a far id must not make a huge table.
	if _, err := ParseTokenizer([]byte(`{"pre_tokenizer":`+string(preOf(t))+`,"model":{"type":"BPE","vocab":{"a":2000000000}}}`), Config{}); err == nil {
		t.Error("an id of two billion is accepted")
	}
}

func preOf(t *testing.T) json.RawMessage {
	var f map[string]json.RawMessage
	if err := json.Unmarshal(tokenizerJSON(nil), &f); err != nil {
		t.Fatal(err)
	}
	return f["pre_tokenizer"]
}

// FuzzParseTokenizer: no panic, and what is accepted has one type per token; it
// need not be a vocabulary that makes sense.
func FuzzParseTokenizer(f *testing.F) {
	f.Add(tokenizerJSON(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := ParseTokenizer(data, Config{BOS: -1, EOS: -1, PAD: -1})
		if err != nil {
			return
		}
		if len(v.Tokens) != len(v.Types) || len(v.Tokens) > maxVocab {
			t.Fatalf("%d tokens, %d types", len(v.Tokens), len(v.Types))
		}
		if len(v.Tokens) <= 1<<12 {
			tokenizer.New(v) //nolint:errcheck // it may refuse; it may not panic
		}
	})
}
