package lfm2

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sluice-ai/sluice/runtime/gguf"
	"github.com/sluice-ai/sluice/runtime/kernel"
	"github.com/sluice-ai/sluice/runtime/quant"
	"github.com/sluice-ai/sluice/runtime/sample"
	"github.com/sluice-ai/sluice/runtime/state"
	"github.com/sluice-ai/sluice/runtime/synth"
)

// A reference is what a peer answered: testdata/parity/*.json.
type reference struct {
	Peer   string
	SHA256 string
	Text   string
	Prompt []int32 // none if it is parityPrompt's
	Vocab  int
	Steps  []referenceStep
}

type referenceStep struct {
	token int32
	top   [][2]float64 // id, probability
}

func (s *referenceStep) UnmarshalJSON(b []byte) error {
	return json.Unmarshal(b, &[]any{&s.token, &s.top})
}

func readReference(t *testing.T, name string) (ref reference) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "testdata", "parity", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &ref); err != nil {
		t.Fatal(err)
	}
	return ref
}

// TestParity requires llama.cpp's greedy tokens and top-20 probabilities.
func TestParity(t *testing.T) {
	if *modelsDir != "" {
		writeModels(t, *modelsDir)
		return
	}
	for _, c := range parityCases {
		if c.slow() && !*wide {
			continue
		}
		t.Run(c.name(), func(t *testing.T) {
			ref := readReference(t, c.name())
			m, file := synthetic(t, c.Config)
			if sum := sha256.Sum256(file); hex.EncodeToString(sum[:]) != ref.SHA256 {
				t.Fatal("the synthetic model is not the one llama.cpp was asked about: run make parity")
			}
			var adapters []Adapter
			if c.adapter {
				f := parse(t, file)
				adapters = append(adapters, Adapter{Name: "adapter", File: parityAdapter(t, f), Scale: adapterScale})
				m = load(t, f, adapters...)
			}
			if len(ref.Steps) != c.steps() || ref.Vocab != m.Vocab {
				t.Fatalf("the reference has %d steps and a vocabulary of %d", len(ref.Steps), ref.Vocab)
			}
			if c.prompt > 0 {
				ref.Prompt = parityPrompt(c.prompt, m.Vocab)
			}
			ways := []way{{"alone", 512, 0, false}}
			if *wide {
				ways = append(ways, way{"in chunks of 61", 61, 0, false}, way{"in a batch of 4", 128, 3, false})
			}
			ways = append(ways, way{"packed", 128, 3, true})
			var worst, mean float64
			flips := 0
			for _, w := range ways {
				if w.packed {
					if err := m.Pack(testPool(t), func([]byte) {}); err != nil {
						t.Fatal(err)
					}
					if m.PackedBytes() == 0 {
						continue
					}
					t.Cleanup(func() { _ = m.Close() })
				}
				d, average, f := compare(t, m, c, ref, w)
				if d > c.tolerance {
					t.Errorf("%s: a probability differs by %g, more than %g", w.name, d, c.tolerance)
				}
				if c.greedy && f > 0 {
					t.Errorf("%s: %d greedy tokens differ", w.name, f)
				}
				worst, mean, flips = max(worst, d), max(mean, average), max(flips, f)
			}
			row := fmt.Sprintf("| %s | %d | %.1e | %.1e | %d of %d |", c.name(), len(ref.Prompt), worst, mean, len(ref.Steps)-flips, len(ref.Steps))
			if c.tolerance == rounded {
				exact := load(t, widened(t, file), adapters...)
				ours, theirs := againstExact(t, m, exact, c, ref)
				row += fmt.Sprintf(" %.1e | %.1e |", ours, theirs)
				limit := 1.25
				if c.Type == "q4_0" { // columns in blocks of 128 against 32
					limit = 1.6
				}
				if ours > limit*theirs+1e-4 {
					t.Errorf("probabilities are %g from those of the same weights in F32, and llama.cpp's are %g", ours, theirs)
				}
			}
			t.Log(row)
		})
	}
}

// A way is how a reference's tokens are read: in chunks, and with how many other
// sequences in the same batches.
type way struct {
	name   string
	chunk  int
	others int
	packed bool // from here on
}

// compare runs m over the reference's tokens. It returns the largest and the mean
// difference of a probability among the reference's top 20, and in how many steps
// the likeliest token is another one. Until the first such step this is greedy
// decoding of our own.
func compare(t *testing.T, m *Model, c parityCase, ref reference, how way) (worst, mean float64, flips int) {
	t.Helper()
	w := NewWork(m, testPool(t), 512)
	shape := m.Shape()
	shape.KV = c.kvType()
	limit := len(ref.Prompt) + len(ref.Steps)
	batch := make([]Span, 1+how.others)
	batch[0].Seq = state.New(shape, limit)
	for i := range how.others {
		batch[1+i].Seq = state.New(shape, limit)
	}
	forward := func(tokens []int32, logits []float32) {
		batch[0].Tokens, batch[0].Logits = tokens, logits
		for i := range how.others {
			batch[1+i].Tokens = randomTokens(len(tokens), m.Vocab, uint64(i+batch[0].Seq.Pos()))
		}
		if err := m.Forward(t.Context(), w, batch); err != nil {
			t.Fatal(err)
		}
	}
	logits := make([]float32, m.Vocab)
	tokens, count := ref.Prompt, 0
	for _, step := range ref.Steps {
		for ; len(tokens) > how.chunk; tokens = tokens[how.chunk:] {
			forward(tokens[:how.chunk], nil)
		}
		forward(tokens, logits)
		norm, ok := sample.LogSumExp(logits)
		if !ok {
			t.Fatal("logits are not finite")
		}
		for _, idp := range step.top {
			d := math.Abs(math.Exp(float64(logits[int(idp[0])])-norm) - idp[1])
			worst, mean, count = max(worst, d), mean+d, count+1
		}
		if sample.ArgMax(logits) != step.token {
			flips++
		}
		tokens = []int32{step.token}
	}
	return worst, mean / float64(count), flips
}

// widened returns the file with all tensors in F32.
func widened(t *testing.T, file []byte) *gguf.File {
	t.Helper()
	f := parse(t, file)
	tensors := slices.Clone(f.Tensors)
	for i := range tensors {
		tensors[i].Type, tensors[i].Data = quant.F32, encode(floats(tensors[i]))
	}
	out, err := gguf.New(f.Fields, tensors, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// againstExact returns how far the probabilities that m and the reference give
// the reference's top 20 are from exact's, on average. What quantised weights
// stand for is exact; what both engines add to that is the rounding of activations.
func againstExact(t *testing.T, m, exact *Model, c parityCase, ref reference) (ours, theirs float64) {
	t.Helper()
	count := 0
	got, want := probabilities(t, m, c, ref), probabilities(t, exact, c, ref)
	for i, step := range ref.Steps {
		for _, idp := range step.top {
			id := int(idp[0])
			ours += math.Abs(got[i][id] - want[i][id])
			theirs += math.Abs(idp[1] - want[i][id])
			count++
		}
	}
	return ours / float64(count), theirs / float64(count)
}

// probabilities returns those of every token at every step of the reference.
func probabilities(t *testing.T, m *Model, c parityCase, ref reference) (all [][]float64) {
	t.Helper()
	w := NewWork(m, testPool(t), 512)
	shape := m.Shape()
	shape.KV = c.kvType()
	seq := state.New(shape, len(ref.Prompt)+len(ref.Steps))
	logits := make([]float32, m.Vocab)
	tokens := ref.Prompt
	for _, step := range ref.Steps {
		for part := range slices.Chunk(tokens, w.Max()) {
			if err := m.Forward(t.Context(), w, []Span{{seq, part, logits}}); err != nil {
				t.Fatal(err)
			}
		}
		norm, ok := sample.LogSumExp(logits)
		if !ok {
			t.Fatal("logits are not finite")
		}
		row := make([]float64, len(logits))
		for id, l := range logits {
			row[id] = math.Exp(float64(l) - norm)
		}
		all, tokens = append(all, row), []int32{step.token}
	}
	return all
}

// TestTransformers requires the top-20 probabilities of transformers, for a
// checkpoint in safetensors.
func TestTransformers(t *testing.T) {
	for _, c := range parityCases {
		if c.Type != "f32" || c.kv != "" || c.adapter {
			continue
		}
		t.Run(c.name(), func(t *testing.T) {
			ref := readReference(t, "hf-"+c.name())
			plain, file := synthetic(t, c.Config)
			if sum := sha256.Sum256(file); hex.EncodeToString(sum[:]) != ref.SHA256 {
				t.Fatal("the synthetic model is not the one transformers was asked about: run make parity")
			}
			folder := t.TempDir()
			newCheckpoint(t, parse(t, file), plain).write(t, folder, 2)
			f, err := OpenHub(folder)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			m := load(t, f)
			if c.prompt > 0 {
				ref.Prompt = parityPrompt(c.prompt, m.Vocab)
			}
			w := NewWork(m, testPool(t), 512)
			seq, at, worst := state.New(m.Shape(), len(ref.Prompt)), 0, 0.0
			logits := make([]float32, m.Vocab)
			for _, step := range ref.Steps { // here, a position
				next := ref.Prompt[at : step.token+1]
				for part := range slices.Chunk(next, w.Max()) {
					if err := m.Forward(t.Context(), w, []Span{{seq, part, logits}}); err != nil {
						t.Fatal(err)
					}
				}
				at += len(next)
				norm, _ := sample.LogSumExp(logits)
				for _, idp := range step.top {
					worst = max(worst, math.Abs(math.Exp(float64(logits[int(idp[0])])-norm)-idp[1]))
				}
			}
			t.Logf("| %s | %d | %.1e |", c.name(), len(ref.Prompt), worst)
			if at != len(ref.Prompt) || len(ref.Steps) < 30 || !(worst <= exact) {
				t.Errorf("%d positions of %d tokens: a probability differs by %g", len(ref.Steps), at, worst)
			}
		})
	}
}

func parse(t *testing.T, file []byte) *gguf.File {
	t.Helper()
	f, err := gguf.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func load(t *testing.T, f *gguf.File, adapters ...Adapter) *Model {
	t.Helper()
	m, err := Load(f, adapters...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func testPool(tb testing.TB) *kernel.Pool {
	pool := kernel.NewPool(2)
	tb.Cleanup(pool.Close)
	return pool
}

// synthetic returns a random model and the file it came from.
func synthetic(tb testing.TB, c synth.Config) (*Model, []byte) {
	tb.Helper()
	var b writer
	if err := synth.Write(&b, c, nil); err != nil {
		tb.Fatal(err)
	}
	f, err := gguf.Parse(b)
	if err != nil {
		tb.Fatal(err)
	}
	m, err := Load(f)
	if err != nil {
		tb.Fatal(err)
	}
	return m, b
}

type writer []byte

func (w *writer) Write(p []byte) (int, error) {
	*w = append(slices.Grow(*w, len(p)), p...)
	return len(p), nil
}
