package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sluice-ai/sluice/runtime/quant"
)

var kvTypes = []quant.Type{quant.F32, quant.F16, quant.Q8_0}

// Pages keep what quant would keep, each key in its place.
func TestKVStore(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	each(t, func(t *testing.T) {
		for _, typ := range kvTypes {
			for _, n := range []int{2, 8, 16, 24, 32, 40, 64, 80, 96, 128, 200} {
				if !KVSupported(typ, n) {
					continue
				}
				size := quant.RowBytes(typ, n)
				keys, values := guardedBytes(t, make([]byte, KVPage*size)), guardedBytes(t, make([]byte, KVPage*size))
				x := make([][]float32, KVPage)
				for i := range KVPage {
					x[i] = guardedFloats(t, randomFloats(n, r))
				}
				for _, i := range r.Perm(KVPage) {
					KVStoreKey(typ, keys, i, x[i])
					KVStoreValue(typ, values[i*size:][:size], x[i])
				}
				row, kept, got := make([]byte, size), make([]float32, n), make([]float32, n)
				for i := range KVPage {
					if err := quant.Quantize(typ, row, x[i]); err != nil {
						t.Fatal(err)
					}
					if err := quant.Dequantize(typ, kept, row); err != nil {
						t.Fatal(err)
					}
					if KVKey(typ, got, keys, i); !slices.Equal(got, kept) {
						t.Fatalf("%v of %d: key %d is not what quant writes", typ, n, i)
					}
					if string(row) != string(values[i*size:][:size]) {
						t.Fatalf("%v of %d: value %d is not what quant writes", typ, n, i)
					}
				}
			}
		}
	})
}

func TestKVStoreSaturates(t *testing.T) {
	each(t, func(t *testing.T) {
		inf := float32(math.Inf(1))
		x := []float32{1e6, -1e6, inf, -inf, 65504, 65519, -65520, 1, 7e4}
		dst, page, key := make([]byte, 2*len(x)), make([]byte, KVPage*2*len(x)), make([]float32, len(x))
		KVStoreValue(quant.F16, dst, x)
		KVStoreKey(quant.F16, page, 77, x)
		KVKey(quant.F16, key, page, 77)
		want := []float32{65504, -65504, 65504, -65504, 65504, 65504, -65504, 1, 65504}
		for i := range x {
			if got := half(dst[2*i:]); got != want[i] || key[i] != want[i] {
				t.Errorf("%g became %g and %g, want %g", x[i], got, key[i], want[i])
			}
		}
	})
}

// A history is the keys and values of one head, in pages and as they are kept.
type history struct {
	typ          quant.Type
	d            int
	k, v         [][]byte
	keys, values [][]float32
}

func newHistory(t testing.TB, typ quant.Type, d, n int, r *rand.Rand) *history {
	h := &history{typ: typ, d: d}
	size := quant.RowBytes(typ, d)
	for i := range n {
		if i%KVPage == 0 {
			h.k = append(h.k, guardedBytes(t, make([]byte, KVPage*size)))
			h.v = append(h.v, guardedBytes(t, make([]byte, KVPage*size)))
		}
		h.put(i, randomFloats(d, r), randomFloats(d, r))
	}
	return h
}

func (h *history) put(i int, key, value []float32) {
	page, at, size := i/KVPage, i%KVPage, quant.RowBytes(h.typ, h.d)
	row := h.v[page][at*size:][:size]
	KVStoreKey(h.typ, h.k[page], at, key)
	KVStoreValue(h.typ, row, value)
	k, v := make([]float32, h.d), make([]float32, h.d)
	KVKey(h.typ, k, h.k[page], at)
	if err := quant.Dequantize(h.typ, v, row); err != nil {
		panic(err)
	}
	h.keys, h.values = append(h.keys, k), append(h.values, v)
}

// attend returns what each query, seeing so many keys, mixes.
func (h *history) attend(t testing.TB, a *Attention, q [][]float32, seen []int) [][]float32 {
	a.Begin(h.typ, h.d, len(q))
	for i := range q {
		a.Query(i, q[i], seen[i])
	}
	for from := 0; from < seen[len(seen)-1]; from += KVPage {
		a.Page(from, h.k[from/KVPage], h.v[from/KVPage])
	}
	out := make([][]float32, len(q))
	for i := range out {
		out[i] = guardedFloats(t, make([]float32, h.d))
		a.Result(i, out[i])
	}
	return out
}

// want returns the definition's result in float64, and a bound of the error of
// each element, from roundings alone.
func (h *history) want(q []float32, seen int) (mixed, bound []float64) {
	scores, top, off := make([]float64, seen), math.Inf(-1), 0.0
	for i := range scores {
		var sum float64
		for j, v := range q {
			p := float64(v) * float64(h.keys[i][j]) / math.Sqrt(float64(h.d))
			scores[i] += p
			sum += math.Abs(p)
		}
		top, off = max(top, scores[i]), max(off, float64(h.d+3)*ulp*sum) // any order of additions
	}
	var total float64
	for i, s := range scores {
		off = max(off, ulp*(top-s)) // of the difference
		scores[i] = math.Exp(s - top)
		total += scores[i]
	}
	mixed, bound = make([]float64, h.d), make([]float64, h.d)
	// Scores off by off, above and below the line; additions in both; what a page
	// scales by, and the exponential.
	relative := 4*off + float64(2*seen+8*(seen/KVPage+1)+8)*ulp
	for j := range mixed {
		for i, w := range scores {
			v := w / total * float64(h.values[i][j])
			mixed[j] += v
			bound[j] += relative * math.Abs(v)
		}
		bound[j] += 0x1p-100
	}
	return mixed, bound
}

// Attention is the softmax's mixture up to roundings, and no bit of a row depends
// on the rows beside it or on keys it does not see.
func TestAttention(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	each(t, func(t *testing.T) {
		for _, typ := range kvTypes {
			for _, d := range []int{2, 8, 16, 24, 32, 48, 64, 80, 96, 128} {
				if !KVSupported(typ, d) {
					continue
				}
				for _, seen := range [][]int{
					{1}, {5, 5}, {16, 16, 17}, {127, 127, 128, 128, 129, 129, 130, 130}, {33, 34, 35, 36, 37, 38, 39},
					{300}, {64, 65, 66, 67, 68}, {120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 138},
				} {
					testAttention(t, r, typ, d, seen)
				}
			}
		}
	})
}

func testAttention(t *testing.T, r *rand.Rand, typ quant.Type, d int, seen []int) {
	t.Helper()
	what := fmt.Sprintf("%v of %d, rows that see %d", typ, d, seen)
	n := slices.Max(seen)
	h := newHistory(t, typ, d, n, r)
	q := make([][]float32, len(seen))
	for i := range q {
		q[i] = guardedFloats(t, randomFloats(d, r))
	}
	var a Attention
	all := h.attend(t, &a, q, seen)
	for i, got := range all {
		mixed, bound := h.want(q[i], seen[i])
		for j, w := range mixed {
			if !(math.Abs(float64(got[j])-w) <= bound[j]) {
				t.Fatalf("%s: row %d [%d] is %g, want %g ± %g", what, i, j, got[j], w, bound[j])
			}
		}
	}
	for first := range q {
		for end := first + 1; end <= len(q); end += 3 {
			part := h.attend(t, &a, q[first:end], seen[first:end])
			for i, got := range part {
				if !slices.Equal(got, all[first+i]) {
					t.Fatalf("%s: row %d is another in the company of %d rows", what, first+i, end-first)
				}
			}
		}
	}
	// Wide keys and values give what their narrow types do.
	if typ != quant.F32 {
		wide := &history{typ: quant.F32, d: d}
		for i := range h.keys {
			if i%KVPage == 0 {
				wide.k, wide.v = append(wide.k, make([]byte, 4*KVPage*d)), append(wide.v, make([]byte, 4*KVPage*d))
			}
			wide.put(i, h.keys[i], h.values[i])
		}
		for i, got := range wide.attend(t, &a, q, seen) {
			if !slices.Equal(got, all[i]) {
				t.Fatalf("%s: row %d differs from that of the same numbers in F32", what, i)
			}
		}
	}
	// The first row must not notice what only later ones see, not even infinities.
	if typ == quant.F32 {
		bad := slices.Repeat([]float32{float32(math.Inf(1))}, d)
		for i := seen[0]; i < n; i++ {
			KVStoreKey(typ, h.k[i/KVPage], i%KVPage, bad)
			KVStoreValue(typ, h.v[i/KVPage][i%KVPage*4*d:], bad)
		}
		if got := h.attend(t, &a, q, seen)[0]; !slices.Equal(got, all[0]) {
			t.Fatalf("%s: the first row depends on keys it does not see", what)
		}
	}
}

// exp2Error bounds the relative error of 2^x: that of the polynomial, which is
// small, and roundings of its last steps, fused or not.
const exp2Error = 2 * ulp

// TestExp2Everywhere walks the exponential's whole domain.
func TestExp2Everywhere(t *testing.T) {
	each(t, func(t *testing.T) {
		p, x := make([]float32, KVPage), make([]float32, KVPage)
		for base := -126.0; base < -0.02; base += 0.02 {
			x[0] = 0 // the largest
			for i := range x[1:] {
				x[1+i] = float32(base + 0.02*float64(i)/KVPage)
			}
			copy(p, x)
			top, sum, factor := []float32{float32(base)}, make([]float32, sumLanes), []float32{0}
			attendWeights(p, []int{KVPage}, top, sum, factor)
			if top[0] != 0 || p[0] != 1 {
				t.Fatalf("2^0 = %g, top %g", p[0], top[0])
			}
			for i, got := range append(p, factor[0]) {
				in := float32(base)
				if i < len(x) {
					in = x[i]
				}
				if want := math.Exp2(float64(in)); in >= exp2Least && !(math.Abs(float64(got)-want) <= exp2Error*want) {
					t.Fatalf("2^%g = %g, want %g", in, got, want)
				}
			}
		}
		for _, low := range []float32{-127, -200, -1e30, float32(math.Inf(-1))} {
			p[0], p[1] = 0, low
			attendWeights(p, []int{2}, []float32{low}, make([]float32, sumLanes), []float32{0})
			if !(p[1] >= 0 && p[1] <= 0x1p-126) {
				t.Errorf("2^%g = %g", low, p[1])
			}
		}
	})
}

func TestAttentionDoesNotAllocate(t *testing.T) {
	h := newHistory(t, quant.F16, 64, 300, rand.New(rand.NewPCG(1, 2)))
	var a Attention
	q, dst := make([]float32, 64), make([]float32, 64)
	step := func() {
		a.Begin(quant.F16, 64, 3)
		for i := range 3 {
			a.Query(i, q, 280+i)
		}
		for i := range h.k {
			a.Page(i*KVPage, h.k[i], h.v[i])
		}
		a.Result(2, dst)
	}
	step()
	if n := testing.AllocsPerRun(10, step); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAttention(b *testing.B) {
	const d, pages = 64, 16
	r := rand.New(rand.NewPCG(1, 2))
	for _, typ := range kvTypes {
		h := newHistory(b, typ, d, pages*KVPage, r)
		for _, rows := range []int{1, 2, 4, 8, 32} {
			b.Run(fmt.Sprintf("%v/rows=%d", typ, rows), func(b *testing.B) {
				var a Attention
				q, dst := randomFloats(d, r), make([]float32, d)
				for b.Loop() {
					a.Begin(typ, d, rows)
					for i := range rows {
						a.Query(i, q, pages*KVPage)
					}
					for i := range pages {
						a.Page(i*KVPage, h.k[i], h.v[i])
					}
					for i := range rows {
						a.Result(i, dst)
					}
				}
				b.ReportMetric(float64(2*d*pages*KVPage*rows*b.N)/b.Elapsed().Seconds()/1e9, "GMAC/s")
			})
		}
	}
}
