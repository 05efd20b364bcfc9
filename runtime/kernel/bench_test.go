package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/sluice-ai/sluice/runtime/quant"
)

// benchMatMul multiplies n columns by matrices of rows by cols. For one column it
// goes through 64 MiB of them, as a decoding model does; for several it stays with
// one.
func benchMatMul(b *testing.B, qt quant.Type, rows, cols, n, threads int) {
	r := rand.New(rand.NewPCG(1, 2))
	p := NewPool(threads)
	defer p.Close()
	size := quant.RowBytes(qt, rows*cols)
	count := 1
	if n == 1 {
		count = max(1, 64<<20/size)
	}
	block := randomBlocks(qt, rows*cols, r)
	data := make([]byte, 0, count*size)
	for range count {
		data = append(data, block...)
	}
	ws := make([]*Weight, count)
	for i := range ws {
		w, err := NewWeight(qt, rows, cols, data[i*size:][:size])
		if err != nil {
			b.Fatal(err)
		}
		ws[i] = w
	}
	x, dst := randomFloats(n*cols, r), make([]float32, n*rows)
	var s Scratch
	b.SetBytes(int64(size))
	i := 0
	for b.Loop() {
		ws[i%count].MatMul(p, dst, x, n, &s)
		i++
	}
	b.ReportMetric(float64(n*rows*cols)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GMAC/s")
}

func BenchmarkMatMul(b *testing.B) {
	for _, qt := range append([]quant.Type{quant.F32, quant.F16, quant.BF16}, quantTypes...) {
		for _, n := range []int{1, 16, 200} {
			for _, threads := range []int{1, 2} {
				b.Run(fmt.Sprintf("%v/n=%d/threads=%d", qt, n, threads), func(b *testing.B) {
					benchMatMul(b, qt, 4608, 1024, n, threads)
				})
			}
		}
	}
}

// BenchmarkSmall has the shapes of the embedded model.
func BenchmarkSmall(b *testing.B) {
	for _, shape := range [][2]int{{768, 256}, {256, 768}} {
		for _, n := range []int{1, 200} {
			for _, threads := range []int{1, 2} {
				b.Run(fmt.Sprintf("%dx%d/n=%d/threads=%d", shape[0], shape[1], n, threads), func(b *testing.B) {
					benchMatMul(b, quant.Q8_0, shape[0], shape[1], n, threads)
				})
			}
		}
	}
}

// BenchmarkImplementations compares them on one core.
func BenchmarkImplementations(b *testing.B) {
	on := make([]bool, len(implementations))
	for i, im := range implementations {
		on[i], *im.use = *im.use, false
	}
	defer func() {
		for i, im := range implementations {
			*im.use = on[i]
		}
	}()
	for i, im := range implementations {
		if !on[i] {
			continue
		}
		*im.use = true
		for _, qt := range []quant.Type{quant.Q8_0, quant.Q4_0, quant.Q6_K} {
			for _, n := range []int{1, 64} {
				b.Run(fmt.Sprintf("%s/%v/n=%d", im.name, qt, n), func(b *testing.B) { benchMatMul(b, qt, 1024, 1024, n, 1) })
			}
		}
		*im.use = false
	}
}

func BenchmarkVectors(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	x, y, w := randomFloats(4096, r), randomFloats(4096, r), randomFloats(4096*3, r)
	run := func(name string, n int, f func()) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(4 * n))
			for b.Loop() {
				f()
			}
		})
	}
	run("Dot", 1024, func() { Dot(x[:1024], y) })
	run("Axpy", 1024, func() { Axpy(1e-9, x[:1024], y) })
	run("RMSNorm", 1024, func() { RMSNorm(y[:1024], x[:1024], w, 1e-5) })
	z := make([]float32, 1024)
	run("SiLUMul", 1024, func() { copy(z, x); SiLUMul(z, y) })
	run("ConvStep", 1024, func() { ConvStep(z, w[:3072], w[3072:6144], w[6144:8192]) })
	run("Rope", 1024, func() { Rope(y[:1024], x[:32], x[32:64]) })
	q, d, sums := make([]int8, 1024), make([]float32, 32), make([]int32, 64)
	run("quantize", 1024, func() { quantizeBlocks(q, d, sums, x[:1024], 1) })
}
