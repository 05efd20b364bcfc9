package lfm2

import (
	"math"
	"testing"

	"github.com/sluice-ai/sluice/runtime/state"
	"github.com/sluice-ai/sluice/runtime/synth"
)

// TestPackSameBits compares a model whose weights are packed with the file's, token
// by token and many at once.
func TestPackSameBits(t *testing.T) {
	for _, typ := range []string{"q4_0", "q8_0", "q4_k_m", "q5_k_m"} {
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
			for i, v := range logits[0] {
				if math.Float32bits(v) != math.Float32bits(logits[1][i]) {
					t.Fatalf("logit %d is %g packed, %g in the file", i, logits[1][i], v)
				}
			}
		})
	}
}
