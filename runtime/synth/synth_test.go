package synth

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/runtime/gguf"
	"github.com/sluice-ai/sluice/runtime/quant"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

// The shapes have the parameter counts of the reference's table 1.1.
func TestParameterCounts(t *testing.T) {
	for size, want := range map[string]int64{
		"350m": 354_483_968, "700m": 742_489_344, "1.2b": 1_170_340_608, "2.6b": 2_569_272_320,
		"2.5-2.6b": 2_697_198_592, "8b-a1b": 8_339_930_560, "24b-a2b": 23_843_661_440,
	} {
		b := builder{shape: shapes[size]}
		b.tensors()
		if got := b.w.Size() / 4; got != want {
			t.Errorf("%s has %d parameters, want %d", size, got, want)
		}
	}
}

// A Q4_0 file holds Q4_0, Q6_K (the tied embedding) and F32, as llama-quantize
// writes; rows too short for Q6_K become Q8_0.
func TestTypes(t *testing.T) {
	for _, tt := range []struct {
		size, typ    string
		matrix, tied quant.Type
	}{
		{"mini", "q4_0", quant.Q4_0, quant.Q6_K}, {"tiny", "q4_0", quant.Q4_0, quant.Q8_0},
		{"mini", "q6_k", quant.Q6_K, quant.Q6_K}, {"mini", "q8_0", quant.Q8_0, quant.Q8_0},
		{"tiny", "f16", quant.F16, quant.F16}, {"tiny", "BF16", quant.BF16, quant.BF16}, {"tiny", "f32", quant.F32, quant.F32},
		{"mini", "q4_k_m", quant.Q4_K, quant.Q6_K}, {"tiny", "q4_k_m", quant.Q5_0, quant.Q8_0}, {"tiny", "q5_k_m", quant.Q5_1, quant.Q8_0},
	} {
		var b bytes.Buffer
		if err := Write(&b, Config{Size: tt.size, Type: tt.typ, Seed: 1}, nil); err != nil {
			t.Fatal(err)
		}
		f, err := gguf.Parse(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]quant.Type{
			"token_embd.weight": tt.tied, "blk.0.ffn_up.weight": tt.matrix, "blk.2.attn_q.weight": tt.matrix,
			"blk.0.shortconv.conv.weight": quant.F32, "blk.0.attn_norm.weight": quant.F32, "token_embd_norm.weight": quant.F32,
		} {
			if got := f.Tensor(name); got == nil || got.Type != want {
				t.Errorf("%s %s: %s is %v, want %v", tt.size, tt.typ, name, got.Type, want)
			}
		}
	}
}

func TestSeed(t *testing.T) {
	sum := func(c Config) [32]byte {
		var b bytes.Buffer
		var last int64
		if err := Write(&b, c, func(done, total int64) {
			if done <= last || done > total {
				t.Errorf("progress went from %d to %d of %d", last, done, total)
			}
			last = done
		}); err != nil {
			t.Fatal(err)
		}
		return sha256.Sum256(b.Bytes())
	}
	if again := sum(Config{Seed: 1}); again != sum(Config{Seed: 1}) {
		t.Error("the same seed gave different files")
	}
	if sum(Config{Seed: 1}) == sum(Config{Seed: 2}) {
		t.Error("different seeds gave the same file")
	}
}

func TestDistribution(t *testing.T) {
	v := make([]float32, 200_000)
	fill(v, 3, 2, 0.5)
	mean, square := 0.0, 0.0
	for _, x := range v {
		mean += float64(x) / float64(len(v))
		square += (float64(x) - 2) * (float64(x) - 2) / float64(len(v))
	}
	if math.Abs(mean-2) > 0.01 || math.Abs(math.Sqrt(square)-0.5) > 0.01 {
		t.Errorf("mean %g, standard deviation %g", mean, math.Sqrt(square))
	}
	slices.Sort(v)
	if len(slices.Compact(v)) < 100_000 {
		t.Error("numbers repeat")
	}
}

// Every vocabulary loads, encodes words by merges, and comes back as it was.
func TestVocabulary(t *testing.T) {
	for size, s := range shapes {
		v, err := newVocabulary(s, "")
		if err != nil {
			t.Fatal(err)
		}
		if len(v.tokens) != s.Vocab || len(v.types) != s.Vocab {
			t.Fatalf("%s: %d tokens, want %d", size, len(v.tokens), s.Vocab)
		}
		tok, err := tokenizer.New(tokenizer.Vocab{Tokens: v.tokens, Types: v.types, Merges: v.merges, Pre: "lfm2", BOS: 1, EOS: 7, PAD: 0, AddBOS: true})
		if err != nil {
			t.Fatalf("%s: %v", size, err)
		}
		text := "what the people think of the world: 42 äöü 日本\n"
		ids := tok.Encode(nil, text, tokenizer.Options{})
		if got := tok.Decode(ids); got != text {
			t.Errorf("%s: %q came back as %q", size, text, got)
		}
		if len(ids) >= len(text)-5 {
			t.Errorf("%s: %d tokens for %d bytes: merges do not work", size, len(ids), len(text))
		}
		for id, want := range map[int32]string{1: "<|startoftext|>", 6: "<|im_start|>", 7: "<|im_end|>", 10: "<|tool_call_start|>"} {
			if tok.Token(id) != want {
				t.Errorf("%s: id %d is %q, want %q", size, id, tok.Token(id), want)
			}
		}
	}
}

func TestRefuses(t *testing.T) {
	err := Write(io.Discard, Config{Size: "7b", Type: "q3_k"}, nil)
	if err == nil || !strings.Contains(err.Error(), `size "7b" is unknown`) || !strings.Contains(err.Error(), `type "q3_k" cannot be written`) {
		t.Errorf("Write = %v", err)
	}
	path := filepath.Join(t.TempDir(), "x.gguf")
	if err := WriteFile(path, Config{Size: "7b"}, nil); err == nil {
		t.Error("an unknown size was written")
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file was left behind")
	}
}

// A tensor of several chunks has the same numbers whoever makes them, and no
// chunk repeats another.
func TestChunks(t *testing.T) {
	make32 := func(procs int) []byte {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		var b builder
		b.random("x", quant.F16, []int{1024, 3*chunkElements/1024 + 5}, 0, 1)
		var out bytes.Buffer
		if _, err := b.w.WriteTo(&out); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	one, many := make32(1), make32(3)
	if !bytes.Equal(one, many) {
		t.Error("one and several workers make different files")
	}
	seen := map[string]bool{}
	for from := len(one) % 4096; from+2048 <= len(one); from += 2048 {
		row := string(one[from : from+2048])
		if seen[row] {
			t.Fatalf("the numbers at byte %d occurred before", from)
		}
		seen[row] = true
	}
}

// A borrowed vocabulary is cut to the shape's size, and still encodes by merges.
func TestBorrowedVocabulary(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mini.gguf")
	if err := WriteFile(file, Config{Size: "mini", Type: "f32"}, nil); err != nil {
		t.Fatal(err)
	}
	s := shapes["tiny"]
	v, err := newVocabulary(s, file)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.New(tokenizer.Vocab{Tokens: v.tokens, Types: v.types, Merges: v.merges, Pre: "lfm2", BOS: 1, EOS: 7, PAD: 0, AddBOS: true})
	if err != nil || len(v.tokens) != s.Vocab {
		t.Fatalf("%d tokens, %v", len(v.tokens), err)
	}
	if ids := tok.Encode(nil, "of the people", tokenizer.Options{}); tok.Decode(ids) != "of the people" || len(ids) > 11 {
		t.Errorf("encoded as %v, %q", ids, tok.Decode(ids))
	}
	if _, err := newVocabulary(s, file+".none"); err == nil {
		t.Error("a file that is not there was borrowed from")
	}
}
