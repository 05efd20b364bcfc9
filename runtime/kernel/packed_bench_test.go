package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/sluice-ai/sluice/runtime/quant"
)

// BenchmarkPacked multiplies by packed matrices of the 350M's and 1.2B's shapes. For
// one column it goes through 256 MiB of them.
func BenchmarkPacked(b *testing.B) {
	for _, qt := range []quant.Type{quant.Q4_0, quant.Q8_0, quant.Q4_K, quant.Q6_K} {
		for _, shape := range [][2]int{{1024, 1024}, {4608, 1024}, {1024, 4608}, {2048, 8192}} {
			for _, n := range []int{1, 16, 256} {
				for _, threads := range []int{1, 2} {
					b.Run(fmt.Sprintf("%v/%dx%d/n=%d/threads=%d", qt, shape[0], shape[1], n, threads), func(b *testing.B) {
						benchPacked(b, qt, shape[0], shape[1], n, threads)
					})
				}
			}
		}
	}
}

func benchPacked(b *testing.B, qt quant.Type, rows, cols, n, threads int) {
	r := rand.New(rand.NewPCG(1, 2))
	p := NewPool(threads)
	defer p.Close()
	w, err := NewWeight(qt, rows, cols, randomBlocks(qt, rows*cols, r))
	if err != nil {
		b.Fatal(err)
	}
	if !w.Packable() {
		b.Skip("this machine has no packed layout")
	}
	count := 1
	if n == 1 {
		count = 256<<20/w.PackedBytes() + 1
	}
	arena, err := NewArena(count * (w.PackedBytes() + 64))
	if err != nil {
		b.Fatal(err)
	}
	defer arena.Close()
	ws := make([]*Weight, count)
	for i := range ws {
		ws[i] = w.Pack(p, arena.Alloc(w.PackedBytes()))
	}
	x, dst := randomFloats(n*cols, r), make([]float32, n*rows)
	var s Scratch
	b.SetBytes(int64(w.PackedBytes()))
	i := 0
	for b.Loop() {
		ws[i%count].MatMul(p, dst, x, n, &s)
		i++
	}
	b.ReportMetric(float64(n*rows*cols)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GMAC/s")
}
