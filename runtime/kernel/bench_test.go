package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/sluice-ai/sluice/runtime/quant"
)

// BenchmarkMatMul multiplies matrices of the shapes of a 350M model.
func BenchmarkMatMul(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, qt := range append([]quant.Type{quant.F32, quant.F16, quant.BF16}, quantTypes...) {
		for _, n := range []int{1, 2, 4, 8, 16, 200, 512} {
			for _, threads := range []int{1, 2} {
				b.Run(fmt.Sprintf("%v/n=%d/threads=%d", qt, n, threads), func(b *testing.B) {
					p := NewPool(threads)
					defer p.Close()
					rows, cols := 4608, 1024
					var ws []*Weight
					for range 64 << 20 / (quant.RowBytes(qt, rows*cols)) {
						w, err := NewWeight(qt, rows, cols, randomBlocks(qt, rows*cols, r))
						if err != nil {
							b.Fatal(err)
						}
						ws = append(ws, w)
						if n > 1 {
							break
						}
					}
					x, dst := randomFloats(n*cols, r), make([]float32, n*rows)
					var s Scratch
					b.SetBytes(int64(len(ws[0].data)))
					i := 0
					for b.Loop() {
						ws[i%len(ws)].MatMul(p, dst, x, n, &s)
						i++
					}
					b.ReportMetric(float64(n*rows*cols)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GMAC/s")
				})
			}
		}
	}
}
