package lfm2

import (
	"math"
	"testing"

	"github.com/sluice-ai/sluice/runtime/state"
	"github.com/sluice-ai/sluice/runtime/synth"
)

// TestPack compares a model whose weights are packed with the file's, token by token
// and many at once: the same bits, but for types in blocks of 256, which add up in
// another order, and a rounding that falls the other way changes what follows.
func TestPack(t *testing.T) {
	for typ, tolerance := range map[string]float64{"q8_0": 0, "q4_0": 0.05, "q4_k_m": 0.05, "q5_k_m": 0.05} {
		t.Run(typ, func(t *testing.T) {
			plain, file := synthetic(t, synth.Config{Size: "mini", Type: typ})
			packed, _ := synthetic(t, synth.Config{Size: "mini", Type: typ})
			pool, released := testPool(t), 0
			if err := packed.Pack(pool, func(b []byte) { released += len(b) }); err != nil {
				t.Fatal(err)
			}
			defer packed.Close()
			if packed.PackedBytes() == 0 {
				t.Skip("this machine has no packed layout")
			}
			if released == 0 || released > len(file) {
				t.Errorf("%d bytes released of a file of %d", released, len(file))
			}
			if limit := len(file) + len(file)/20; packed.PackedBytes() > limit {
				t.Errorf("%d bytes packed of a file of %d", packed.PackedBytes(), len(file))
			}
			tokens := randomTokens(90, plain.Vocab, 3)
			var logits [2][]float32
			for i, m := range []*Model{plain, packed} {
				w := NewWork(m, pool, 64)
				seq := state.New(m.Shape(), 128)
				for _, n := range []int{1, 64, 3, 17, 5} {
					got := make([]float32, n*m.Vocab)
					if err := m.Forward(t.Context(), w, []Span{{seq, tokens[:n], got}}); err != nil {
						t.Fatal(err)
					}
					tokens = append(tokens[n:], tokens[:n]...)
					logits[i] = append(logits[i], got...)
				}
			}
			var sum float64
			for i, v := range logits[0] {
				e := math.Abs(float64(v - logits[1][i]))
				sum += e
				if !(e <= 10*tolerance) {
					t.Fatalf("logit %d is %g packed, %g in the file", i, logits[1][i], v)
				}
			}
			if mean := sum / float64(len(logits[0])); !(mean <= tolerance) {
				t.Errorf("logits differ by %g on average", mean)
			}
		})
	}
}
