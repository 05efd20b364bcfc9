package tokenizer

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/runtime/gguf"
)

// vocabDir is a folder with vocabularies and test vectors of llama.cpp, the
// files models/ggml-vocab-*.gguf, *.gguf.inp and *.gguf.out of its repository.
// They are too large to keep here.
func vocabDir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("SLUICE_VOCAB_DIR")
	if dir == "" {
		t.Skip("SLUICE_VOCAB_DIR is not set")
	}
	return dir
}

func openVocab(t testing.TB, path string) *Tokenizer {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	v := Vocab{BOS: -1, EOS: -1, PAD: -1, AddBOS: true}
	tokens, _ := f.Strs("tokenizer.ggml.tokens")
	merges, _ := f.Strs("tokenizer.ggml.merges")
	for _, s := range tokens {
		v.Tokens = append(v.Tokens, strings.Clone(s))
	}
	v.Merges = merges
	types, _ := f.Ints("tokenizer.ggml.token_type")
	for _, typ := range types {
		v.Types = append(v.Types, int32(typ))
	}
	v.Pre, _ = f.Str("tokenizer.ggml.pre")
	for key, id := range map[string]*int32{"bos": &v.BOS, "eos": &v.EOS, "padding": &v.PAD} {
		if n, ok := f.Int("tokenizer.ggml." + key + "_token_id"); ok {
			*id = int32(n)
		}
	}
	start := time.Now()
	tok, err := New(v)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d tokens, %d merges, made ready in %v", tok.Size(), len(merges), time.Since(start))
	return tok
}

// Every vocabulary with the lfm2 pre-tokenizer and test vectors agrees with llama.cpp.
func TestParity(t *testing.T) {
	dir := vocabDir(t)
	ran := 0
	for _, name := range []string{"llama-bpe", "lfm2"} {
		path := filepath.Join(dir, "ggml-vocab-"+name+".gguf")
		in, err := os.ReadFile(path + ".inp")
		if err != nil {
			continue
		}
		out, err := os.ReadFile(path + ".out")
		if err != nil {
			t.Fatal(err)
		}
		tok := openVocab(t, path)
		texts := strings.Split(strings.TrimSuffix(string(in), "\n__ggml_vocab_test__\n"), "\n__ggml_vocab_test__\n")
		lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
		if len(texts) != len(lines) {
			t.Fatalf("%s: %d texts, %d lines of ids", name, len(texts), len(lines))
		}
		for i, text := range texts {
			var want []int32
			for _, s := range strings.Fields(lines[i]) {
				id, err := strconv.ParseInt(s, 10, 32)
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, int32(id))
			}
			got := tok.Encode(nil, text, Options{})
			if !slices.Equal(got, want) {
				t.Errorf("%s, text %d: Encode(%q)\n got %v\nwant %v", name, i, text, got, want)
			}
			if back := tok.Decode(got); back != text {
				t.Errorf("%s, text %d: %q came back as %q", name, i, text, back)
			}
			ran++
		}
	}
	if ran == 0 {
		t.Fatalf("no vocabulary in SLUICE_VOCAB_DIR")
	}
	t.Logf("%d texts agree", ran)
}

// english is prose with the usual mix of words, numbers and punctuation.
var english = strings.Repeat(`The council's report, published on 14 March 2023, doesn't say why 1,250 of the
3,800 applications were refused. "We'll look into it," the spokeswoman said; her office has since asked every
department for figures. Residents had complained about delays (some waited nine months), unclear rules and
forms that couldn't be submitted online. A second hearing is planned for the autumn.

`, 200)

func benchmarkEncode(b *testing.B, tok *Tokenizer, text string) {
	var ids []int32
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		ids = tok.Encode(ids[:0], text, Options{ParseSpecial: true})
	}
	b.ReportMetric(float64(len(text))/float64(len(ids)), "B/token")
}

var benchTexts = map[string]string{
	"english": english,
	"russian": strings.Repeat("Совет не сообщил, почему отклонили 1250 из 3800 заявлений. ", 600),
	"chinese": strings.Repeat("委员会没有说明为什么有一千二百五十份申请被拒绝。", 900),
	"code":    strings.Repeat("func (t *Tokenizer) IsEOG(id int32) bool {\n\treturn slices.Contains(t.eogs, id) // O(n)\n}\n\n", 700),
	"one-a":   strings.Repeat("a", 1<<20),
}

// BenchmarkToy has a vocabulary of few merges: most pieces go through merging.
func BenchmarkToy(b *testing.B) {
	tok := toy(b)
	for name, text := range benchTexts {
		b.Run(name, func(b *testing.B) { benchmarkEncode(b, tok, text) })
	}
}

func BenchmarkLlama(b *testing.B) {
	tok := openVocab(b, filepath.Join(vocabDir(b), "ggml-vocab-llama-bpe.gguf"))
	for name, text := range benchTexts {
		b.Run(name, func(b *testing.B) { benchmarkEncode(b, tok, text) })
	}
}

func BenchmarkStream(b *testing.B) {
	tok := toy(b)
	ids := tok.Encode(nil, english, Options{})
	s := tok.NewStream(false)
	b.SetBytes(int64(len(english)))
	b.ReportAllocs()
	for b.Loop() {
		for _, id := range ids {
			s.Push(id)
		}
	}
}
