package lfm2

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sluice-ai/sluice/runtime/gguf"
	"github.com/sluice-ai/sluice/runtime/state"
	"github.com/sluice-ai/sluice/runtime/synth"
)

// damage returns data with one to three of its first limit bytes changed.
func damage(rng *rand.Rand, data []byte, limit int) []byte {
	data = slices.Clone(data)
	for range 1 + rng.IntN(3) {
		at := rng.IntN(min(limit, len(data)))
		switch rng.IntN(4) {
		case 0:
			data[at] ^= 1 << rng.IntN(8)
		case 1:
			data[at] = byte(rng.Int())
		case 2:
			data[at] = "0123456789"[rng.IntN(10)] // keeps JSON whole
		case 3:
			for j := range min(4, len(data)-at) {
				data[at+j] = 0xff
			}
		}
	}
	return data
}

// A tally counts what became of damaged files.
type tally struct{ refused, ran int }

// try loads f and, if that works, reads some tokens. Neither may panic.
func (c *tally) try(t *testing.T, f *gguf.File, adapters ...Adapter) {
	t.Helper()
	m, err := Load(f, adapters...)
	if err != nil {
		c.refused++
		return
	}
	c.ran++
	logits := make([]float32, m.Vocab)
	w := NewWork(m, nil, 8)
	if err := m.Forward(context.Background(), w, []Span{{state.New(m.Shape(), 8), []int32{0, 1, 2}, logits}}); err != nil {
		t.Fatal(err)
	}
}

func (c *tally) check(t *testing.T) {
	t.Helper()
	t.Logf("%d refused, %d ran", c.refused, c.ran)
	if c.refused < 10 || c.ran < 10 {
		t.Error("the damage is too mild or too heavy to show anything")
	}
}

// Damaged files of mixtures, adapters and checkpoints are refused, or run to some
// end: nothing panics, hangs or takes memory that the file's size does not justify.
func TestDamagedMixtures(t *testing.T) {
	_, whole := synthetic(t, synth.Config{Size: "tinymoe", Type: "q4_0", Seed: 1})
	head := bytes.Index(whole, []byte("tokenizer.ggml.tokens"))
	table := bytes.Index(whole, []byte("token_embd.weight"))
	rng := rand.New(rand.NewPCG(3, 4))
	var c tally
	for i := range 150 {
		data := slices.Clone(whole)
		if i%2 == 0 {
			copy(data, damage(rng, whole[:head], head))
		} else {
			copy(data[table:], damage(rng, whole[table:table+6000], 6000))
		}
		f, err := gguf.Parse(data)
		if err != nil {
			c.refused++
			continue
		}
		c.try(t, f)
	}
	c.check(t)
}

func TestDamagedAdapters(t *testing.T) {
	_, file := synthetic(t, tiny)
	base := parse(t, file)
	folder := t.TempDir()
	writeGGUF(t, filepath.Join(folder, "adapter"), parityAdapter(t, base))
	whole, err := os.ReadFile(filepath.Join(folder, "adapter"))
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(5, 6))
	var c tally
	for range 300 {
		f, err := gguf.Parse(damage(rng, whole, 5000))
		if err != nil {
			c.refused++
			continue
		}
		c.try(t, base, Adapter{Name: "damaged", File: f, Scale: 1})
	}
	c.check(t)
}

func TestDamagedCheckpoints(t *testing.T) {
	m, file := synthetic(t, tiny)
	folder := t.TempDir()
	newCheckpoint(t, parse(t, file), m).write(t, folder, 2)
	rng := rand.New(rand.NewPCG(7, 8))
	var c tally
	names := []string{"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors.index.json",
		"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}
	for i := range 240 {
		path := filepath.Join(folder, names[i%len(names)])
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, damage(rng, whole, 3000), 0o666); err != nil {
			t.Fatal(err)
		}
		if f, err := OpenHub(folder); err != nil {
			c.refused++
		} else {
			c.try(t, f)
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(path, whole, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	c.check(t)
}
