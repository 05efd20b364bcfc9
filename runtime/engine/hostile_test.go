package engine

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sluice-ai/sluice/runtime/sample"
)

// A model file with damaged bytes is refused, or runs to some end: it never
// panics and never hangs. Damage goes where it hurts, the metadata and the
// tensor table, and into weights, where it makes infinities and NaNs.
func TestDamagedFiles(t *testing.T) {
	whole := tinyFile()
	table := bytes.Index(whole, []byte("blk.0.attn_norm.weight")) // the tensor table begins just before
	vocabulary := bytes.Index(whole, []byte("tokenizer.ggml.tokens"))
	rng := rand.New(rand.NewPCG(1, 2))
	opened, refused, broken := 0, 0, 0
	for i := range 600 {
		data := slices.Clone(whole)
		for range 1 + rng.IntN(3) {
			at := 0
			switch i % 4 {
			case 0:
				at = rng.IntN(vocabulary)
			case 1:
				at = table + rng.IntN(3000)
			case 2:
				at = rng.IntN(table)
			case 3:
				at = table + 3000 + rng.IntN(len(data)-table-3000)
			}
			switch rng.IntN(3) {
			case 0:
				data[at] ^= 1 << rng.IntN(8)
			case 1:
				data[at] = byte(rng.Int())
			case 2:
				for j := range min(4, len(data)-at) {
					data[at+j] = 0xff
				}
			}
		}
		m, err := OpenBytes("damaged", data, Options{Threads: 1})
		if err != nil {
			refused++
			continue
		}
		opened++
		_, err = m.Generate(t.Context(), Request{Prompt: []int32{1, 50, 300}, MaxTokens: 3, Sampling: sample.Config{Temperature: 1}}, func(Chunk) error { return nil })
		if err != nil {
			broken++
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d refused, %d opened, of which %d could not generate", refused, opened, broken)
	if refused < 50 || opened < 50 {
		t.Error("the damage is too mild or too heavy to show anything")
	}
}
