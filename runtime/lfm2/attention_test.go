package lfm2

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sluice-ai/sluice/runtime/kernel"
	"github.com/sluice-ai/sluice/runtime/quant"
	"github.com/sluice-ai/sluice/runtime/state"
	"github.com/sluice-ai/sluice/runtime/synth"
)

// Sequences read in steps as a scheduler could plan them, some tokens of some of them
// in each, on any number of threads, give the bits of sequences read alone and token
// by token, whatever keys and values are kept as.
func TestStepsOfAnyShape(t *testing.T) {
	m, _ := synthetic(t, synth.Config{Size: "tiny", Type: "f32", Seed: 31})
	for _, kv := range []quant.Type{quant.F32, quant.F16, quant.Q8_0} {
		shape := m.Shape()
		shape.KV = kv
		alone := NewWork(m, testPool(t), 1)
		var tokens [][]int32
		var want [][]float32
		for i, n := range []int{300, 131, 40, 257} {
			tokens = append(tokens, randomTokens(n, m.Vocab, uint64(40+i)))
			want = append(want, run(t, m, alone, state.New(shape, n), tokens[i], 1))
		}
		for plan, threads := range []int{1, 2, 5, 2, 3} {
			t.Run(fmt.Sprintf("%v-%d", kv, plan), func(t *testing.T) {
				pool := kernel.NewPool(threads)
				defer pool.Close()
				testSteps(t, m, NewWork(m, pool, 200), shape, tokens, want, rand.New(rand.NewPCG(uint64(plan), 6)))
			})
		}
	}
}

func testSteps(t *testing.T, m *Model, w *Work, shape state.Shape, tokens [][]int32, want [][]float32, r *rand.Rand) {
	seqs, next := make([]*state.Seq, len(tokens)), make([]int, len(tokens))
	for i := range seqs {
		seqs[i] = state.New(shape, len(tokens[i]))
	}
	for left := true; left; {
		left = false
		var batch []Span
		var who []int
		room := w.Max()
		for _, i := range r.Perm(len(seqs)) {
			rest := tokens[i][next[i]:]
			left = left || len(rest) > 0
			n := min(len(rest), room, 1+r.IntN([]int{1, 6, 40, 150}[r.IntN(4)]))
			if n == 0 || r.IntN(4) == 0 {
				continue
			}
			room -= n
			who = append(who, i)
			batch = append(batch, Span{seqs[i], rest[:n], make([]float32, n*m.Vocab)})
		}
		if err := m.Forward(t.Context(), w, batch); err != nil {
			t.Fatal(err)
		}
		for j, i := range who {
			n := len(batch[j].Tokens)
			if !slices.Equal(batch[j].Logits, want[i][next[i]*m.Vocab:][:n*m.Vocab]) {
				t.Fatalf("sequence %d: tokens from %d on, %d of them, differ", i, next[i], n)
			}
			next[i] += n
		}
	}
}
