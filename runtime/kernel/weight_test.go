package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sluice-ai/sluice/runtime/quant"
)

// each runs f with every implementation alone, and with none.
func each(t *testing.T, f func(t *testing.T)) {
	on := make([]bool, len(implementations))
	for i, im := range implementations {
		on[i] = *im.use
		*im.use = false
	}
	defer func() {
		for i, im := range implementations {
			*im.use = on[i]
		}
	}()
	t.Run("generic", f)
	for i, im := range implementations {
		t.Run(im.name, func(t *testing.T) {
			if !on[i] {
				require(t, im.name)
			}
			*im.use = true
			defer func() { *im.use = false }()
			f(t)
		})
	}
}

// quantTypes are the types with integer kernels.
var quantTypes = []quant.Type{quant.Q8_0, quant.Q4_0, quant.Q6_K, quant.Q4_1, quant.Q5_0, quant.Q5_1, quant.Q4_K, quant.Q5_K, quant.Q2_K, quant.Q3_K, quant.IQ4_NL, quant.MXFP4}

// randomBlocks returns n elements of t: random bits everywhere, and halves of
// moderate size for the scales.
func randomBlocks(t quant.Type, n int, r *rand.Rand) []byte {
	b := make([]byte, quant.RowBytes(t, n))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	halves := []int{0}
	switch t {
	case quant.Q4_1, quant.Q5_1, quant.Q4_K, quant.Q5_K:
		halves = []int{0, 2}
	case quant.Q6_K:
		halves = []int{208}
	case quant.Q2_K:
		halves = []int{80, 82}
	case quant.Q3_K:
		halves = []int{108}
	case quant.MXFP4: // a byte of exponent, near that of 1
		halves = nil
		for i := 0; i < len(b); i += t.BlockBytes() {
			b[i] = 120 + b[i]%8
		}
	}
	for i := 0; i < len(b); i += t.BlockBytes() {
		for _, h := range halves {
			f := quant.FloatToHalf(float32(r.NormFloat64()) * 0.01)
			b[i+h], b[i+h+1] = byte(f), byte(f>>8)
		}
	}
	return b
}

func randomFloats(n int, r *rand.Rand) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64() * math.Exp(2*r.NormFloat64()))
	}
	return x
}

// want computes a product by its definition, that of packed matrices if asked to.
func want(w *Weight, x []float32, n int, packed bool) []float32 {
	dst := make([]float32, n*w.Rows)
	q, d, dsum := make([]int8, w.Cols), make([]float32, w.Cols/32), make([]float32, w.Cols/32)
	sums, dsum16 := make([]int32, w.Cols/16), make([]float32, w.Cols/16)
	var u unpacked
	for c := range n {
		quantizeGeneric(q, d, sums, x[c*w.Cols:][:w.Cols], span(w.Type, w.Cols))
		for b := range d {
			dsum[b] = d[b] * float32(sum8(q[32*b:][:32]))
		}
		for i := range dsum16 {
			dsum16[i] = d[i/2] * float32(sum8(q[16*i:][:16]))
		}
		for r := range w.Rows {
			if packed && span(w.Type, w.Cols) > 1 {
				dst[c*w.Rows+r] = dotWide(w.Type, w.row(r), q, d, span(w.Type, w.Cols))
				continue
			}
			u.unpack(w.Type, w.row(r), w.Cols)
			dst[c*w.Rows+r] = dotUnpacked(&u, q, d, dsum)
			if u.late != nil {
				dst[c*w.Rows+r] += dotLate(u.late, dsum16)
			}
		}
	}
	return dst
}

// dotWide is the product of a row with a column whose scales are those of span
// blocks of 32, as packed matrices define it.
func dotWide(t quant.Type, row []byte, q []int8, d []float32, span int) float32 {
	var acc float32
	var u unpacked
	size, wide := scaleSize(t), 32*span
	bytes := quant.RowBytes(t, wide)
	for b := range len(q) / wide {
		block := row[b*bytes:][:bytes]
		u.unpack(t, block, wide)
		var part float32
		for i, s := range u.scale {
			var sum int32
			for j := i * size; j < (i+1)*size; j++ {
				sum += int32(u.v[j]) * int32(q[wide*b+j])
			}
			part += float32(float32(sum) * s)
		}
		if hasMin(t) {
			var sum int32
			for i := range 8 {
				_, m := quant.ScaleMinK(block[4:16], i)
				sum += int32(m) * sum8(q[wide*b+32*i:][:32])
			}
			part += float32(-half(block[2:]) * float32(sum))
		}
		acc += float32(part * d[span*b])
	}
	return acc
}

func TestMatMulQuantizedExact(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	p := NewPool(2)
	defer p.Close()
	each(t, func(t *testing.T) {
		var s Scratch
		for _, qt := range quantTypes {
			for _, shape := range [][3]int{{16, 256, 1}, {1, 256, 2}, {15, 512, 3}, {33, 256, 4}, {70, 768, 5}, {48, 1024, 8}, {17, 256, 9}, {64, 512, 17}, {31, 4608, 1}, {300, 512, 1}, {300, 256, 2}, {100, 256, 41}} {
				rows, cols, n := shape[0], shape[1], shape[2]
				t.Run(fmt.Sprintf("%v-%dx%dx%d", qt, rows, cols, n), func(t *testing.T) {
					data := guardedBytes(t, randomBlocks(qt, rows*cols, r))
					w, err := NewWeight(qt, rows, cols, data)
					if err != nil {
						t.Fatal(err)
					}
					x := guardedFloats(t, randomFloats(n*cols, r))
					dst := guardedFloats(t, make([]float32, n*rows))
					ways := []*Weight{w}
					if w.Packable() {
						ways = append(ways, w.Pack(p, guardedBytes(t, make([]byte, w.PackedBytes()))))
					}
					for _, way := range ways {
						clear(dst)
						way.MatMul(p, dst, x, n, &s)
						for i, v := range want(w, x, n, way.packed) {
							if math.Float32bits(v) != math.Float32bits(dst[i]) {
								t.Fatalf("packed %v, column %d row %d: %g, want %g", way.packed, i/rows, i%rows, dst[i], v)
							}
						}
					}
				})
			}
		}
	})
}

func TestNewWeightRejects(t *testing.T) {
	tests := []struct {
		name              string
		t                 quant.Type
		rows, cols, bytes int
	}{
		{"no-rows", quant.Q8_0, 0, 32, 0},
		{"no-columns", quant.Q8_0, 1, 0, 0},
		{"half-a-block", quant.Q8_0, 2, 16, 34},
		{"short", quant.Q8_0, 2, 32, 67},
		{"long", quant.Q8_0, 2, 32, 69},
		{"a-row-more", quant.F32, 2, 3, 36},
		{"unsupported", quant.Q8_1, 1, 32, 36},
		{"unknown", quant.Type(99), 1, 1, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := NewWeight(tt.t, tt.rows, tt.cols, make([]byte, tt.bytes)); err == nil {
				t.Error("accepted")
			}
		})
	}
}

// TestMatMulAccuracy holds each type to the product of its dequantised weights
// and the columns as they were. Two things may differ: a rounded element, by half
// a step of top/127 and by what 1/127 and the two products with it round, less
// than 2^-22 of top; and the float32 operations, for each a rounding of no more
// than the sum of all terms' magnitudes.
func TestMatMulAccuracy(t *testing.T) {
	r := rand.New(rand.NewPCG(23, 24))
	const rows, cols, n = 32, 512, 3
	for _, qt := range quantTypes {
		t.Run(qt.String(), func(t *testing.T) {
			w, err := NewWeight(qt, rows, cols, randomBlocks(qt, rows*cols, r))
			if err != nil {
				t.Fatal(err)
			}
			x, dst, row := randomFloats(n*cols, r), make([]float32, n*rows), make([]float32, cols)
			var s Scratch
			w.MatMul(nil, dst, x, n, &s)
			var u unpacked
			for i := range rows {
				w.Row(i, row)
				u.unpack(qt, w.row(i), cols)
				for c := range n {
					var want, rounding, magnitude float64
					for j := range cols {
						size := 32 * span(qt, cols)
						col := x[c*cols+j/size*size:][:size]
						top := math.Max(float64(slices.Max(col)), -float64(slices.Min(col)))
						want += float64(row[j]) * float64(x[c*cols+j])
						rounding += math.Abs(float64(row[j])) * top * (0.5/127 + 0x1p-22)
						part := math.Abs(float64(u.scale[j/scaleSize(qt)]) * float64(u.v[j]))
						if u.min != nil {
							part += math.Abs(float64(u.min[j/32]))
						}
						if u.late != nil {
							part += math.Abs(float64(u.late[j/16]))
						}
						magnitude += part * top
					}
					bound := rounding + float64(cols/16+5)*ulp*magnitude
					if got := float64(dst[c*rows+i]); !(math.Abs(got-want) <= bound) {
						t.Fatalf("row %d column %d: %g, want %g ± %g", i, c, got, want, bound)
					}
				}
			}
		})
	}
}
