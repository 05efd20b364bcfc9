package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sluice-ai/sluice/runtime/quant"
)

// Rows keep their values, and scores and mixtures over them are those of the kept
// values up to the roundings of a sum in any order.
func TestKV(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	each(t, func(t *testing.T) {
		for _, typ := range []quant.Type{quant.F32, quant.F16, quant.Q8_0} {
			for _, n := range []int{8, 16, 24, 32, 40, 64, 80, 96, 128, 200} {
				if !KVSupported(typ, n) {
					continue
				}
				for _, rows := range []int{1, 2, 3, 4, 5, 31, 128, keysPerTest + 3} {
					testKV(t, r, typ, n, rows)
				}
			}
		}
	})
}

const keysPerTest = 512

func testKV(t *testing.T, r *rand.Rand, typ quant.Type, n, rows int) {
	t.Helper()
	name, size := fmt.Sprintf("%v %d rows of %d", typ, rows, n), quant.RowBytes(typ, n)
	cache := guardedBytes(t, make([]byte, rows*size))
	kept := make([]float32, rows*n)
	for i := range rows {
		x := guardedFloats(t, randomFloats(n, r))
		KVStore(typ, cache[i*size:][:size], x)
		want := make([]byte, size)
		if err := quant.Quantize(typ, want, x); err != nil {
			t.Fatal(err)
		}
		if err := quant.Dequantize(typ, kept[i*n:][:n], cache[i*size:][:size]); err != nil {
			t.Fatal(err)
		}
		if string(want) != string(cache[i*size:][:size]) {
			t.Fatalf("%s: row %d is not what quant writes", name, i)
		}
	}
	q, scores, scale := guardedFloats(t, randomFloats(n, r)), guardedFloats(t, make([]float32, rows)), float32(0.37)
	KVScores(typ, scores, q, cache, scale)
	for i, got := range scores {
		var want, sum float64
		for j := range n {
			p := float64(scale) * float64(q[j]) * float64(kept[i*n+j])
			want += p
			sum += math.Abs(p)
		}
		if bound := float64(n+3) * ulp * sum; !(math.Abs(float64(got)-want) <= bound) {
			t.Fatalf("%s: score %d is %g, want %g ± %g", name, i, got, want, bound)
		}
	}
	p, mixed := guardedFloats(t, randomFloats(rows, r)), guardedFloats(t, randomFloats(n, r))
	KVMix(typ, mixed, p, cache)
	for j, got := range mixed {
		var want, sum float64
		for i := range rows {
			v := float64(p[i]) * float64(kept[i*n+j])
			want += v
			sum += math.Abs(v)
		}
		if bound := float64(rows+3) * ulp * sum; !(math.Abs(float64(got)-want) <= bound) {
			t.Fatalf("%s: mixture [%d] is %g, want %g ± %g", name, j, got, want, bound)
		}
	}
}

func TestKVStoreSaturates(t *testing.T) {
	each(t, func(t *testing.T) {
		inf := float32(math.Inf(1))
		x := []float32{1e6, -1e6, inf, -inf, 65504, 65519, -65520, 1, 7e4}
		dst := make([]byte, 2*len(x))
		KVStore(quant.F16, dst, x)
		want := []float32{65504, -65504, 65504, -65504, 65504, 65504, -65504, 1, 65504}
		for i := range x {
			if got := half(dst[2*i:]); got != want[i] {
				t.Errorf("%g became %g, want %g", x[i], got, want[i])
			}
		}
	})
}

func BenchmarkKV(b *testing.B) {
	const n, rows = 64, 128
	r := rand.New(rand.NewPCG(1, 2))
	q, p := randomFloats(n, r), randomFloats(rows, r)
	for _, typ := range []quant.Type{quant.F32, quant.F16, quant.Q8_0} {
		cache := make([]byte, rows*quant.RowBytes(typ, n))
		for i := range rows {
			KVStore(typ, cache[i*quant.RowBytes(typ, n):], q)
		}
		b.Run("scores-"+typ.String(), func(b *testing.B) {
			for b.Loop() {
				KVScores(typ, p, q, cache, 1)
			}
		})
		b.Run("mix-"+typ.String(), func(b *testing.B) {
			for b.Loop() {
				KVMix(typ, q, p, cache)
			}
		})
	}
}
