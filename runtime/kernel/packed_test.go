package kernel

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sluice-ai/sluice/runtime/quant"
)

// TestPackedRows takes every row out of a packed matrix again.
func TestPackedRows(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	p := NewPool(2)
	defer p.Close()
	for _, qt := range []quant.Type{quant.Q4_0, quant.Q8_0, quant.Q4_K, quant.Q6_K} {
		for _, rows := range []int{1, 16, 33} {
			const cols = 512
			w, err := NewWeight(qt, rows, cols, randomBlocks(qt, rows*cols, r))
			if err != nil {
				t.Fatal(err)
			}
			if !w.Packable() {
				t.Skip("this machine has no packed layout")
			}
			packed := w.Pack(p, guardedBytes(t, make([]byte, w.PackedBytes())))
			if packed.Packable() {
				t.Errorf("%v: a packed matrix can be packed again", qt)
			}
			row, got := make([]byte, w.stride), make([]float32, cols)
			want := make([]float32, cols)
			for i := range rows {
				if !bytes.Equal(packed.fileRow(row, i), w.row(i)) {
					t.Fatalf("%v of %d rows: row %d comes back changed", qt, rows, i)
				}
				w.Row(i, want)
				packed.Row(i, got)
				for j := range want {
					if math.Float32bits(got[j]) != math.Float32bits(want[j]) {
						t.Fatalf("%v of %d rows: row %d, element %d is %g, not %g", qt, rows, i, j, got[j], want[j])
					}
				}
			}
		}
	}
}

// TestPackedExtremes multiplies the largest and the smallest weights with columns
// of the largest magnitude, where 16 bits are soonest too few.
func TestPackedExtremes(t *testing.T) {
	p := NewPool(1)
	defer p.Close()
	const rows, cols = 16, 512
	each(t, func(t *testing.T) {
		var s Scratch
		for _, qt := range []quant.Type{quant.Q4_0, quant.Q8_0, quant.Q4_K, quant.Q6_K} {
			for _, fill := range []byte{0x00, 0x7f, 0x80, 0xff} {
				for _, sign := range []float32{1, -1} {
					data := randomBlocks(qt, rows*cols, rand.New(rand.NewPCG(1, 2)))
					scales := map[quant.Type][2]int{quant.Q4_0: {0, 2}, quant.Q8_0: {0, 2}, quant.Q4_K: {0, 16}, quant.Q6_K: {192, 210}}[qt]
					for i := range data {
						if at := i % qt.BlockBytes(); at < scales[0] || at >= scales[1] {
							data[i] = fill
						}
					}
					w, err := NewWeight(qt, rows, cols, data)
					if err != nil {
						t.Fatal(err)
					}
					if !w.Packable() {
						t.Skip("no packed layout")
					}
					packed := w.Pack(p, make([]byte, w.PackedBytes()))
					for _, n := range []int{1, 4, 8} {
						x, dst := make([]float32, n*cols), make([]float32, n*rows)
						for i := range x {
							x[i] = sign
						}
						packed.MatMul(p, dst, x, n, &s)
						for i, v := range want(w, x, n, true) {
							if math.Float32bits(v) != math.Float32bits(dst[i]) {
								t.Fatalf("%v, bytes %#x, columns %g, column %d row %d: %g, want %g", qt, fill, sign, i/rows, i%rows, dst[i], v)
							}
						}
					}
				}
			}
		}
	})
}

// TestMultiplySeveral multiplies matrices of several types and sizes with the same
// columns at once, packed and not.
func TestMultiplySeveral(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	p := NewPool(3)
	defer p.Close()
	const cols = 512
	each(t, func(t *testing.T) {
		var s Scratch
		for _, n := range []int{1, 3, 8, 21} {
			x := randomFloats(n*cols, r)
			var products []Product
			var alone [][]float32
			for i, qt := range []quant.Type{quant.Q4_K, quant.Q4_K, quant.Q6_K, quant.Q4_0, quant.Q8_0, quant.F16, quant.Q4_0} {
				rows := 40 + 100*i
				data := make([]byte, quant.RowBytes(qt, rows*cols))
				if qt != quant.F16 {
					copy(data, randomBlocks(qt, rows*cols, r))
				}
				w, err := NewWeight(qt, rows, cols, data)
				if err != nil {
					t.Fatal(err)
				}
				one := make([]float32, n*rows)
				if i%2 == 0 && w.Packable() {
					w = w.Pack(p, make([]byte, w.PackedBytes()))
				}
				w.MatMul(p, one, x, n, &s)
				alone = append(alone, one)
				products = append(products, Product{w, make([]float32, n*rows)})
			}
			s.Multiply(p, x, n, products)
			for i, pr := range products {
				for j, v := range pr.Dst {
					if math.Float32bits(v) != math.Float32bits(alone[i][j]) {
						t.Fatalf("n=%d, matrix %d (%v): element %d is %g, alone %g", n, i, pr.Weight.Type, j, v, alone[i][j])
					}
				}
			}
		}
	})
}
