package lfm2

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/runtime/gguf"
	"github.com/sluice-ai/sluice/runtime/quant"
	"github.com/sluice-ai/sluice/runtime/synth"
)

var (
	modelsDir = flag.String("models", "", "write the models that bench/peers asks other engines about to this folder, and plan.json")
	wide      = flag.Bool("wide", false, "also compare in chunks and in a batch, whose logits other tests hold equal to the bit")
)

// A parityCase is a model that llama.cpp was asked about, and how.
//
// With F32 weights only the order of sums differs. With F16 and BF16 weights
// llama.cpp rounds activations to the weights' type and we do not; widened to
// F32, the same F16 weights agree like F32 ones. With quantised weights both
// engines round activations to 8-bit integers, in blocks of their own choice.
// That moves probabilities by some hundredths, more where it makes a token choose
// another expert, and the likeliest token where two are close; there the tokens
// fed are llama.cpp's, and what is required is that on average our probabilities
// are as near as llama.cpp's to those of the same weights in F32.
type parityCase struct {
	synth.Config
	prompt    int     // random tokens; 0 is a sentence
	kv        string  // how both keep keys and values; "" is F32
	adapter   bool    // a LoRA adapter at strength 0.75
	tolerance float64 // largest difference of a probability
	greedy    bool    // our own greedy choice must be the same
}

const exact, halved, rounded = 1e-5, 1e-3, 0.25

var parityCases = func() []parityCase {
	model := func(size, typ string, seed uint64) synth.Config {
		return synth.Config{Size: size, Type: typ, Seed: seed}
	}
	untied := func(size, typ string) synth.Config {
		return synth.Config{Size: size, Type: typ, Seed: 4, Untied: true}
	}
	cases := []parityCase{
		{Config: model("tiny", "f32", 1), tolerance: exact, greedy: true},
		{Config: model("tiny", "f32", 2), tolerance: exact, greedy: true},
		{Config: model("tiny", "f32", 3), tolerance: exact, greedy: true},
		{Config: model("tiny", "f16", 1), tolerance: halved, greedy: true},
		{Config: model("tiny", "f16", 2), tolerance: halved, greedy: true},
		{Config: model("tiny", "f16", 3), tolerance: halved, greedy: true},
		{Config: model("mini", "f32", 4), tolerance: exact, greedy: true},
		{Config: model("tinymoe", "f32", 4), tolerance: exact, greedy: true},
		{Config: model("tinymoe", "f16", 4), tolerance: 0.01, greedy: true},
		{Config: untied("mini", "f32"), tolerance: exact, greedy: true},
		{Config: untied("tinymoe", "f32"), tolerance: exact, greedy: true},
		{Config: untied("mini", "q4_k_m"), tolerance: rounded},
		{Config: untied("tinymoe", "q4_0"), tolerance: rounded},
		{Config: model("mini", "f32", 4), adapter: true, tolerance: exact, greedy: true},
		{Config: model("tinymoe", "f32", 4), adapter: true, tolerance: exact, greedy: true},
		{Config: model("mini", "q8_0", 4), adapter: true, tolerance: rounded},

		{Config: model("tiny", "f32", 1), prompt: 4096, tolerance: exact, greedy: true},
		{Config: model("tiny", "f32", 1), prompt: 4096, kv: "F16", tolerance: halved, greedy: true},
		{Config: model("tiny", "f32", 1), prompt: 4096, kv: "Q8_0", tolerance: 0.02},
		{Config: model("tiny", "q8_0", 1), prompt: 4096, tolerance: rounded},
		{Config: model("tinymoe", "f32", 4), prompt: 4096, tolerance: exact, greedy: true},
		{Config: model("tinymoe", "q4_0", 4), prompt: 1000, tolerance: rounded},
	}
	for _, typ := range []string{"bf16", "q8_0", "q6_k", "q5_k_m", "q5_k_s", "q5_1", "q5_0", "q4_k_m", "q4_k_s", "q4_1", "q4_0"} {
		for _, size := range []string{"mini", "tinymoe"} {
			cases = append(cases, parityCase{Config: model(size, typ, 4), tolerance: rounded})
		}
	}
	return cases
}()

// slow reports whether the case runs only with -wide.
func (c parityCase) slow() bool {
	return c.Size == "tinymoe" && c.tolerance == rounded && c.Type != "q4_0" && c.Type != "q4_k_m" || strings.HasSuffix(c.Type, "_s")
}

func (c parityCase) model() string {
	name := fmt.Sprintf("%s-%s-%d", c.Size, c.Type, c.Seed)
	if c.Untied {
		name += "-untied"
	}
	return name
}

// name is that of the reference.
func (c parityCase) name() string {
	name := c.model()
	if c.adapter {
		name += "-lora"
	}
	if c.prompt > 0 {
		name += fmt.Sprintf("-%d", c.prompt)
	}
	if c.kv != "" {
		name += "-kv" + c.kv
	}
	return name
}

// steps is how many tokens are decoded.
func (c parityCase) steps() int {
	switch {
	case c.prompt > 0:
		return 16
	case c.Seed == 4 && (c.Size == "tinymoe" || c.Untied || c.adapter):
		return 32
	}
	return 64
}

const adapterScale, adapterRank = 0.75, 4

// parityAdapter is the adapter for a model's file. The embedding has none: with a
// tied output llama.cpp would multiply by it the wrong way round.
func parityAdapter(t *testing.T, f *gguf.File) *gguf.File {
	t.Helper()
	a, _ := newAdapter(t, f, adapterRank, adapterScale, 17)
	var tensors []gguf.Tensor
	for _, x := range a.Tensors {
		if x.Name != "token_embd.weight.lora_a" && x.Name != "token_embd.weight.lora_b" {
			tensors = append(tensors, x)
		}
	}
	out, err := gguf.New(a.Fields, tensors, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A planned case tells a peer what to do. It answers in NAME.json.
type planned struct {
	Name    string  `json:"name"`
	Model   string  `json:"model"`             // file name
	Adapter string  `json:"adapter,omitempty"` // file name
	Scale   float64 `json:"scale,omitempty"`
	Prompt  []int32 `json:"prompt,omitempty"` // none is the sentence
	KV      string  `json:"kv"`
	Steps   int     `json:"steps"`
	Hub     string  `json:"hub,omitempty"` // the same model as transformers has it, a folder
}

// writeModels writes all models, adapters and checkpoints, each once, and plan.json.
func writeModels(t *testing.T, folder string) {
	t.Helper()
	var plan []planned
	for _, c := range parityCases {
		p := planned{Name: c.name(), Model: c.model() + ".gguf", KV: c.kv, Steps: c.steps()}
		path := filepath.Join(folder, p.Model)
		if _, err := os.Stat(path); err != nil {
			if err := synth.WriteFile(path, c.Config, nil); err != nil {
				t.Fatal(err)
			}
		}
		f, err := gguf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		m, err := Load(f)
		if err != nil {
			t.Fatal(err)
		}
		if c.prompt > 0 {
			p.Prompt = parityPrompt(c.prompt, m.Vocab)
		}
		if c.adapter {
			p.Adapter, p.Scale = c.model()+".lora", adapterScale
			writeGGUF(t, filepath.Join(folder, p.Adapter), parityAdapter(t, f))
		}
		if c.Type == "f32" && c.kv == "" && !c.adapter {
			p.Hub = c.model()
			if err := os.MkdirAll(filepath.Join(folder, p.Hub), 0o777); err != nil {
				t.Fatal(err)
			}
			newCheckpoint(t, f, m).write(t, filepath.Join(folder, p.Hub), 1)
		}
		plan = append(plan, p)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	b, err := json.MarshalIndent(plan, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "plan.json"), b, 0o666); err != nil {
		t.Fatal(err)
	}
}

// parityPrompt is BOS and random tokens.
func parityPrompt(n, vocab int) []int32 {
	tokens := randomTokens(n, vocab, 23)
	tokens[0] = 1
	return tokens
}

func writeGGUF(t *testing.T, path string, f *gguf.File) {
	t.Helper()
	var w gguf.Writer
	for _, field := range f.Fields {
		w.Set(field.Key, field.Value)
	}
	for _, x := range f.Tensors {
		w.AddBytes(x.Name, x.Type, x.Dims, x.Data)
	}
	var b bytes.Buffer
	if _, err := w.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}

// kvType returns the type that a case keeps keys and values in.
func (c parityCase) kvType() quant.Type {
	if c.kv == "" {
		return quant.F32
	}
	t, err := quant.Parse(c.kv)
	if err != nil {
		panic(err)
	}
	return t
}
