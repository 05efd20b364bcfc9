package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sluice-ai/sluice/runtime/quant"
)

const ulp = 0x1p-23 // twice the relative error of one rounding

// lengths are every tail of every unroll, and both sides of maxAsm.
func lengths() []int {
	var n []int
	for i := range 70 {
		n = append(n, i)
	}
	return append(n, 127, 128, 129, 1024, maxAsm-1, maxAsm, maxAsm+1)
}

func TestDot(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	each(t, func(t *testing.T) {
		for _, n := range lengths() {
			x, y := guardedFloats(t, randomFloats(n, r)), guardedFloats(t, randomFloats(n, r))
			var want, scale float64
			for i := range x {
				want += float64(x[i]) * float64(y[i])
				scale += math.Abs(float64(x[i]) * float64(y[i]))
			}
			bound := float64(n+1) * ulp * scale // any order of n rounded additions fits
			if got := float64(Dot(x, y)); !(math.Abs(got-want) <= bound) {
				t.Errorf("n=%d: Dot = %g, want %g ± %g", n, got, want, bound)
			}
		}
	})
}

func TestAxpyAndMul(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	each(t, func(t *testing.T) {
		for _, n := range lengths() {
			x, y := guardedFloats(t, randomFloats(n, r)), guardedFloats(t, randomFloats(n, r))
			before, a := slices.Clone(y), float32(1.7)
			Axpy(a, x, y)
			for i := range y {
				p := float64(a) * float64(x[i])
				want := p + float64(before[i])
				if bound := ulp * (math.Abs(p) + math.Abs(want)); !(math.Abs(float64(y[i])-want) <= bound) {
					t.Fatalf("n=%d: Axpy [%d] = %g, want %g ± %g", n, i, y[i], want, bound)
				}
			}
			Mul(y, x, before)
			for i := range y {
				if y[i] != x[i]*before[i] {
					t.Fatalf("n=%d: Mul [%d] = %g", n, i, y[i])
				}
			}
		}
	})
}

func TestRMSNorm(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	each(t, func(t *testing.T) {
		for _, n := range lengths()[1:] {
			x, w := guardedFloats(t, randomFloats(n, r)), guardedFloats(t, randomFloats(n, r))
			dst := guardedFloats(t, make([]float32, n))
			RMSNorm(dst, x, w, 1e-5)
			var sum float64
			for _, v := range x {
				sum += float64(v) * float64(v)
			}
			scale := 1 / math.Sqrt(sum/float64(n)+float64(float32(1e-5)))
			for i := range dst {
				want := float64(x[i]) * scale * float64(w[i])
				// Half the dot product's error, as a root halves it, and four roundings.
				if bound := (float64(n)/2 + 4) * ulp * math.Abs(want); !(math.Abs(float64(dst[i])-want) <= bound) {
					t.Fatalf("n=%d: [%d] = %g, want %g ± %g", n, i, dst[i], want, bound)
				}
			}
		}
	})
}

// expError bounds the relative error of the exponential: half an ulp for rounding
// r, whose last bit the argument's reduction leaves uncertain, one for the
// polynomial's rounding and its own error of 0.7 ulp, one for the last addition.
const expError = 3 * ulp

func TestSiLUMul(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	each(t, func(t *testing.T) {
		for _, n := range lengths() {
			gate, up := guardedFloats(t, randomFloats(n, r)), guardedFloats(t, randomFloats(n, r))
			if n > 3 {
				gate[0], gate[1], gate[2] = -300, 300, 0
			}
			before := slices.Clone(gate)
			SiLUMul(gate, up)
			for i := range gate {
				x := float64(before[i])
				want := x / (1 + math.Exp(-x)) * float64(up[i])
				// exp's own error, and an addition, a division and a product; for x
				// below -87 the result is nearly 0 instead.
				bound := (expError+3*ulp)*math.Abs(want) + 0x1p-100*math.Abs(float64(up[i]))
				if !(math.Abs(float64(gate[i])-want) <= bound) {
					t.Fatalf("n=%d: silu(%g)*%g = %g, want %g ± %g", n, x, up[i], gate[i], want, bound)
				}
			}
		}
	})
}

// TestSiLUEverywhere walks the exponential's whole domain.
func TestSiLUEverywhere(t *testing.T) {
	each(t, func(t *testing.T) {
		gate, up := make([]float32, 256), make([]float32, 256)
		for base := -87.0; base < 87; base += 0.05 {
			for i := range gate {
				gate[i], up[i] = float32(base+0.05*float64(i)/256), 1
			}
			in := slices.Clone(gate)
			SiLUMul(gate, up)
			for i, got := range gate {
				want := float64(in[i]) / (1 + math.Exp(-float64(in[i])))
				if in[i] >= -87 && !(math.Abs(float64(got)-want) <= (expError+3*ulp)*math.Abs(want)) {
					t.Fatalf("silu(%g) = %g, want %g", in[i], got, want)
				}
			}
		}
	})
}

func TestQuantizeBlocks(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	each(t, func(t *testing.T) {
		for blocks := 1; blocks < 17; blocks++ {
			span := 1
			switch {
			case blocks%8 == 0:
				span = 8
			case blocks%4 == 0:
				span = 4
			}
			x := guardedFloats(t, randomFloats(32*blocks, r))
			switch blocks {
			case 2:
				clear(x[:32])
				x[5] = 0x1p-110 // as good as zero
			case 3:
				clear(x[32:64])
				x[40] = -smallest
			case 4:
				for i := range x[:32] {
					x[i] = float32(i-16) / 2 // ties
				}
				x[0] = -127
			}
			q, d, sums := make([]int8, 32*blocks), make([]float32, blocks), make([]int32, 2*blocks)
			quantizeGeneric(q, d, sums, x, span)
			gq := guardedBytes(t, make([]byte, 32*blocks))
			gd := guardedFloats(t, make([]float32, blocks))
			gs := make([]int32, 2*blocks)
			got := make([]int8, len(gq))
			quantizeBlocks(int8s(gq), gd, gs, x, span)
			copy(got, int8s(gq))
			if !slices.Equal(got, q) || !slices.Equal(gd, d) || !slices.Equal(gs, sums) {
				t.Errorf("%d blocks: differs from the definition", blocks)
			}
			for i, v := range x {
				if e := math.Abs(float64(v) - float64(q[i])*float64(d[i/32])); e > float64(d[i/32])*(0.5+128*ulp)+smallest {
					t.Errorf("%g becomes %d*%g", v, q[i], d[i/32])
				}
			}
		}
	})
}

func TestRope(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	each(t, func(t *testing.T) {
		for _, n := range []int{1, 8, 12, 32, 64} {
			cos, sin := guardedFloats(t, make([]float32, n)), guardedFloats(t, make([]float32, n))
			x := guardedFloats(t, randomFloats(3*2*n, r))
			in := slices.Clone(x)
			const pos, theta = 11, 1e6
			freq := make([]float64, n)
			RopeFrequencies(freq, theta)
			RopeTable(cos, sin, pos, freq)
			Rope(x, cos, sin)
			for h := range 3 {
				for i := range n {
					a := pos * math.Pow(theta, -2*float64(i)/float64(2*n))
					lo, hi := float64(in[2*n*h+i]), float64(in[2*n*h+i+n])
					for j, want := range []float64{lo*math.Cos(a) - hi*math.Sin(a), hi*math.Cos(a) + lo*math.Sin(a)} {
						// Roundings of sine or cosine, product and sum.
						if got := float64(x[2*n*h+i+n*j]); !(math.Abs(got-want) <= 2*ulp*(math.Abs(lo)+math.Abs(hi))) {
							t.Errorf("n=%d head %d pair %d: %g, want %g", n, h, i, got, want)
						}
					}
				}
			}
		}
	})
}

// TestConvStep compares steps with the convolution of the whole sequence.
func TestConvStep(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	each(t, func(t *testing.T) {
		for _, d := range []int{1, 5, 8, 13, 64} {
			taps, state := guardedFloats(t, randomFloats(3*d, r)), guardedFloats(t, make([]float32, 2*d))
			var s [][]float64
			for step := range 5 {
				bcx := guardedFloats(t, randomFloats(3*d, r))
				dst := guardedFloats(t, make([]float32, d))
				ConvStep(dst, bcx, taps, state)
				row := make([]float64, d)
				for c := range d {
					row[c] = float64(bcx[c] * bcx[2*d+c])
				}
				s = append(s, row)
				for c := range d {
					var z, scale float64
					for k := range 3 {
						if i := step - 2 + k; i >= 0 {
							v := float64(taps[k*d+c]) * s[i][c]
							z, scale = z+v, scale+math.Abs(v)
						}
					}
					want, bound := float64(bcx[d+c])*z, 5*ulp*scale*math.Abs(float64(bcx[d+c]))
					if !(math.Abs(float64(dst[c])-want) <= bound) {
						t.Fatalf("d=%d step %d channel %d: %g, want %g ± %g", d, step, c, dst[c], want, bound)
					}
				}
			}
		}
	})
}

// TestMatMulFloat checks float weights against float64, and that a column does
// not depend on its company.
func TestMatMulFloat(t *testing.T) {
	r := rand.New(rand.NewPCG(19, 20))
	each(t, func(t *testing.T) {
		var s Scratch
		for _, ft := range []quant.Type{quant.F32, quant.F16, quant.BF16} {
			for _, shape := range [][3]int{{1, 1, 1}, {4, 16, 4}, {7, 33, 5}, {37, 64, 3}, {16, 100, 9}, {65, 256, 8}} {
				rows, cols, n := shape[0], shape[1], shape[2]
				t.Run(fmt.Sprintf("%v-%dx%dx%d", ft, rows, cols, n), func(t *testing.T) {
					data := make([]byte, quant.RowBytes(ft, rows*cols))
					if err := quant.Quantize(ft, data, randomFloats(rows*cols, r)); err != nil {
						t.Fatal(err)
					}
					w, err := NewWeight(ft, rows, cols, guardedBytes(t, data))
					if err != nil {
						t.Fatal(err)
					}
					x := guardedFloats(t, randomFloats(n*cols, r))
					dst := guardedFloats(t, make([]float32, n*rows))
					w.MatMul(nil, dst, x, n, &s)
					row, alone := make([]float32, cols), make([]float32, rows)
					for c := range n {
						w.MatMul(nil, alone, x[c*cols:][:cols], 1, &s)
						if !slices.Equal(alone, dst[c*rows:][:rows]) {
							t.Fatalf("column %d differs when computed alone", c)
						}
						for i := range rows {
							w.Row(i, row)
							var want, scale float64
							for j, v := range row {
								p := float64(v) * float64(x[c*cols+j])
								want, scale = want+p, scale+math.Abs(p)
							}
							if bound := float64(cols+1) * ulp * scale; !(math.Abs(float64(alone[i])-want) <= bound) {
								t.Fatalf("column %d row %d: %g, want %g ± %g", c, i, alone[i], want, bound)
							}
						}
					}
				})
			}
		}
	})
}
