package quant

import (
	"bytes"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestTypes(t *testing.T) {
	tests := []struct {
		t            Type
		id           uint32
		name         string
		elems, bytes int
	}{
		{F32, 0, "F32", 1, 4}, {F16, 1, "F16", 1, 2}, {Q4_0, 2, "Q4_0", 32, 18}, {Q4_1, 3, "Q4_1", 32, 20},
		{Q5_0, 6, "Q5_0", 32, 22}, {Q5_1, 7, "Q5_1", 32, 24}, {Q8_0, 8, "Q8_0", 32, 34},
		{Q2_K, 10, "Q2_K", 256, 84}, {Q3_K, 11, "Q3_K", 256, 110}, {IQ4_NL, 20, "IQ4_NL", 32, 18}, {MXFP4, 39, "MXFP4", 32, 17},
		{Q4_K, 12, "Q4_K", 256, 144}, {Q5_K, 13, "Q5_K", 256, 176}, {Q6_K, 14, "Q6_K", 256, 210}, {BF16, 30, "BF16", 1, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if uint32(tt.t) != tt.id || tt.t.String() != tt.name || tt.t.BlockSize() != tt.elems || tt.t.BlockBytes() != tt.bytes {
				t.Errorf("%d %v %d %d", uint32(tt.t), tt.t, tt.t.BlockSize(), tt.t.BlockBytes())
			}
			if !tt.t.Supported() {
				t.Error("not supported")
			}
			if got, err := Parse(strings.ToLower(tt.name)); err != nil || got != tt.t {
				t.Errorf("Parse: %v, %v", got, err)
			}
			if got := RowBytes(tt.t, 3*tt.elems); got != 3*tt.bytes {
				t.Errorf("RowBytes of three blocks: %d", got)
			}
		})
	}
	if s := Type(99).String(); s != "Type(99)" || Type(99).Supported() || Type(99).BlockSize() != 0 {
		t.Errorf("unknown type: %s", s)
	}
	if _, err := Parse("Q9_9"); err == nil {
		t.Error("Parse accepts Q9_9")
	}
	for _, bad := range []struct {
		t Type
		n int
	}{{Q8_0, 31}, {Q8_0, -32}, {Q6_K, 128}, {Type(99), 32}, {Type(4), 32}, {F64, math.MaxInt}} {
		if got := RowBytes(bad.t, bad.n); got != -1 {
			t.Errorf("RowBytes(%v, %d) = %d", bad.t, bad.n, got)
		}
	}
}

// unhex reads hex with spaces; "xx*n" repeats the bytes xx n times.
func unhex(t *testing.T, s string) []byte {
	var out []byte
	for f := range strings.FieldsSeq(s) {
		f, times, _ := strings.Cut(f, "*")
		b, err := hex.DecodeString(f)
		if err != nil {
			t.Fatal(err)
		}
		n := 1
		if times != "" {
			n = 0
			for _, c := range times {
				n = 10*n + int(c-'0')
			}
		}
		out = append(out, bytes.Repeat(b, n)...)
	}
	return out
}

// TestLayout holds blocks whose values were worked out by hand from the layouts
// in ggml: want names some elements; the others must equal rest.
func TestLayout(t *testing.T) {
	// Halves: 0x3c00 is 1, 0x4000 is 2, 0xb800 is -0.5, 0x3800 is 0.5.
	tests := []struct {
		name string
		t    Type
		hex  string
		want map[int]float32
		rest float32
	}{
		{"f32", F32, "0000803f 000000c0", map[int]float32{0: 1, 1: -2}, 0},
		{"f16-subnormal", F16, "003c 0080 0100 ff7b", map[int]float32{0: 1, 1: 0, 2: 0x1p-24, 3: 65504}, 0},
		{"bf16", BF16, "803f 49c0", map[int]float32{0: 1, 1: -3.140625}, 0},
		{"q8_0", Q8_0, "00b8 7f 80 00*29 ff", map[int]float32{0: -63.5, 1: 64, 31: 0.5}, 0},
		{"q4_0-low-then-high", Q4_0, "0040 f1 88*14 80", map[int]float32{0: -14, 16: 14, 15: -16}, 0},
		{"q4_1", Q4_1, "003c 00b8 21 00*15", map[int]float32{0: 0.5, 16: 1.5}, -0.5},
		{"q5_0-fifth-bits", Q5_0, "003c 01000080 0f 00*14 f0", map[int]float32{0: 15, 31: 15}, -16},
		{"q5_1-fifth-bits", Q5_1, "003c 0038 00000100 00*15 01", map[int]float32{16: 16.5, 15: 1.5}, 0.5},
		{"iq4_nl-levels", IQ4_NL, "0040 f0 88*14 19", map[int]float32{0: -254, 16: 226, 15: 26, 31: -208}, 2},
		{"mxfp4-one", MXFP4, "7f f1 00*14 2e", map[int]float32{0: 0.5, 16: -6, 15: -4, 31: 1}, 0},
		{"mxfp4-subnormal-0", MXFP4, "00 01 00*15", map[int]float32{0: 0x1p-128}, 0},
		{"mxfp4-subnormal-1", MXFP4, "01 01 00*15", map[int]float32{0: 0x1p-127}, 0},
		{"mxfp4-normal-2", MXFP4, "02 01 00*15", map[int]float32{0: 0x1p-126}, 0},
		{"q6_k", Q6_K, "1f 00*127 03 00*63 01 00*15 0038", map[int]float32{0: 0.5 * (15 + 48 - 32), 64: 0}, math.MaxFloat32},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := unhex(t, tt.hex)
			dst := make([]float32, len(src)/tt.t.BlockBytes()*tt.t.BlockSize())
			if err := Dequantize(tt.t, dst, src); err != nil {
				t.Fatal(err)
			}
			for i, v := range dst {
				want, ok := tt.want[i]
				if !ok && tt.rest != math.MaxFloat32 {
					want, ok = tt.rest, true
				}
				if ok && v != want {
					t.Errorf("[%d] = %g, want %g", i, v, want)
				}
			}
		})
	}
}

// TestLayoutK checks the K types group by group.
func TestLayoutK(t *testing.T) {
	// d = 1, dmin = 0.5; every nibble pair is 0x53: low 3, high 5.
	scales := []byte{0x41, 0x3f, 0x80, 0x07, 0x02, 0xc0, 0x00, 0x3f, 0x35, 0x90, 0x0a, 0xff}
	sc := []float32{1, 63, 0, 7, 0x10 | 5, 0, 2<<4 | 10, 15}
	mn := []float32{2, 0, 0, 63, 3, 3<<4 | 9, 0, 15}
	half := []byte{0x00, 0x3c, 0x00, 0x38}
	src := slices.Concat(half, scales, bytes.Repeat([]byte{0x53}, 128))
	dst := make([]float32, 256)
	if err := Dequantize(Q4_K, dst, src); err != nil {
		t.Fatal(err)
	}
	for i, v := range dst {
		q := []float32{3, 5}[i/32%2]
		if want := sc[i/32]*q - 0.5*mn[i/32]; v != want {
			t.Fatalf("Q4_K [%d] = %g, want %g", i, v, want)
		}
	}

	high := make([]byte, 32)
	for l := range high {
		high[l] = byte(37 * l)
	}
	src = slices.Concat(half, scales, high, bytes.Repeat([]byte{0x53}, 128))
	if err := Dequantize(Q5_K, dst, src); err != nil {
		t.Fatal(err)
	}
	for i, v := range dst {
		q := []float32{3, 5}[i/32%2] + 16*float32(high[i%32]>>(i/32)&1)
		if want := sc[i/32]*q - 0.5*mn[i/32]; v != want {
			t.Fatalf("Q5_K [%d] = %g, want %g", i, v, want)
		}
	}

	// Q6_K: build each element's six bits by the layout, read them back.
	src = make([]byte, 210)
	q := make([]int, 256)
	for i := range q {
		q[i] = (i*29 + 7) % 64
		n, e, l := i/128, i%128/32, i%32 // half, quarter of it, position
		src[64*n+l+32*(e%2)] |= byte(q[i]&15) << (4 * (e / 2))
		src[128+32*n+l] |= byte(q[i]>>4) << (2 * e)
	}
	for i := range 16 {
		src[192+i] = byte(int8(5*i - 40))
	}
	src[208], src[209] = 0x00, 0x38
	if err := Dequantize(Q6_K, dst, src); err != nil {
		t.Fatal(err)
	}
	for i, v := range dst {
		if want := 0.5 * float32(5*(i/16)-40) * float32(q[i]-32); v != want {
			t.Fatalf("Q6_K [%d] = %g, want %g", i, v, want)
		}
	}
}

// TestLayoutTwoThreeBits builds each element's bits and each group's scale by the
// layout and reads them back.
func TestLayoutTwoThreeBits(t *testing.T) {
	value := func(i int) int { return (i*29 + i/7) % 8 }
	dst := make([]float32, 256)

	two := make([]byte, 84)
	for i := range 256 {
		n, s, l := i/128, i%128/32, i%32
		two[16+32*n+l] |= byte(value(i)&3) << (2 * s)
	}
	for i := range 16 {
		two[i] = byte(i | (15-i)<<4)
	}
	copy(two[80:], []byte{0x00, 0x3c, 0x00, 0x38})
	if err := Dequantize(Q2_K, dst, two); err != nil {
		t.Fatal(err)
	}
	for i, v := range dst {
		if want := float32(i/16*(value(i)&3)) - 0.5*float32(15-i/16); v != want {
			t.Fatalf("Q2_K [%d] = %g, want %g", i, v, want)
		}
	}

	three := make([]byte, 110)
	scale := func(i int) int { return 11*i%64 - 32 }
	for i := range 256 {
		n, s, l := i/128, i%128/32, i%32
		three[l] |= byte(value(i)>>2) << (i / 32)
		three[32+32*n+l] |= byte(value(i)&3) << (2 * s)
	}
	for i := range 16 {
		sc := byte(scale(i) + 32)
		three[96+i%8] |= sc & 15 << (i / 8 * 4)
		three[104+i%4] |= sc >> 4 << (i / 4 * 2)
	}
	three[108], three[109] = 0x00, 0x38
	if err := Dequantize(Q3_K, dst, three); err != nil {
		t.Fatal(err)
	}
	for i, v := range dst {
		if want := 0.5 * float32(scale(i/16)*(value(i)-4)); v != want {
			t.Fatalf("Q3_K [%d] = %g, want %g", i, v, want)
		}
	}
}

// TestQuantizeBytes checks the writers against blocks worked out by hand.
func TestQuantizeBytes(t *testing.T) {
	x := make([]float32, 32)
	x[0], x[1], x[16], x[31] = 127, -63.5, 1.5, -127
	got := make([]byte, 34)
	if err := Quantize(Q8_0, got, x); err != nil {
		t.Fatal(err)
	}
	// -63.5 and 1.5 round away from zero, as C's roundf does.
	if want := unhex(t, "003c 7f c0 00*14 02 00*14 81"); !bytes.Equal(got, want) {
		t.Errorf("Q8_0 %x, want %x", got, want)
	}
	clear(x)
	x[0], x[1], x[16], x[17] = -8, 7, 3.4, 8
	got = got[:18]
	if err := Quantize(Q4_0, got, x); err != nil {
		t.Fatal(err)
	}
	// d = -8/-8 = 1; 8 is clipped to 7.
	if want := unhex(t, "003c b0 ff 88*14"); !bytes.Equal(got, want) {
		t.Errorf("Q4_0 %x, want %x", got, want)
	}
	clear(x)
	x[0], x[1], x[16], x[31] = -16, 15, 3.4, 1
	got = make([]byte, 22)
	if err := Quantize(Q5_0, got, x); err != nil {
		t.Fatal(err)
	}
	// Integers 0, 31, 19 and 17; zeros become 16, whose fifth bit is set.
	if want := unhex(t, "003c feffffff 30 0f 00*13 10"); !bytes.Equal(got, want) {
		t.Errorf("Q5_0 %x, want %x", got, want)
	}
}

// TestQuantizeExact writes values that blocks can hold exactly: the search must
// find the very integers and scales they were made of.
func TestQuantizeExact(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	half := []byte{0x00, 0x3c, 0x00, 0x38} // 1 and 0.5
	scales := make([]byte, 12)
	sc, mn := [8]uint8{63, 1, 17, 40, 5, 32, 16, 50}, [8]uint8{0, 63, 1, 33, 62, 16, 48, 15}
	putScalesK(scales, &sc, &mn)
	for _, tt := range []struct {
		t    Type
		head []byte
	}{{Q4_1, half}, {Q5_1, half}, {Q4_K, slices.Concat(half, scales)}, {Q5_K, slices.Concat(half, scales)}} {
		t.Run(tt.t.String(), func(t *testing.T) {
			block := make([]byte, tt.t.BlockBytes())
			for i := range block {
				block[i] = byte(r.Uint32())
			}
			copy(block, tt.head)
			low := tt.t.BlockBytes() - tt.t.BlockSize()/2
			for i := low; i < len(block); i += 16 { // each group has its least and its largest integer
				block[i], block[i+1] = 0xff, 0x00
			}
			for i := len(tt.head); i < low; i += 4 {
				copy(block[i:], []byte{0xff, 0, 0xff, 0})
				if tt.t == Q5_1 { // four bytes of fifth bits for elements 0, 16 and 1, 17
					copy(block[i:], []byte{0x01, 0xff, 0x01, 0x00})
				}
			}
			x := make([]float32, tt.t.BlockSize())
			if err := Dequantize(tt.t, x, block); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(block))
			if err := Quantize(tt.t, got, x); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, block) {
				t.Errorf("got  %x\nwant %x", got, block)
			}
		})
	}
}

// TestQuantizeOdd holds the searches to blocks they could stumble over: the
// values must come back finite and no further off than a plain rounding's bound.
func TestQuantizeOdd(t *testing.T) {
	fill := func(f func(i int) float32) []float32 {
		x := make([]float32, 256)
		for i := range x {
			x[i] = f(i)
		}
		return x
	}
	blocks := map[string][]float32{
		"zero":      fill(func(int) float32 { return 0 }),
		"constant":  fill(func(int) float32 { return 3 }),
		"negative":  fill(func(int) float32 { return -3 }),
		"far":       fill(func(i int) float32 { return 1000 + float32(i%32)/32 }),
		"one":       fill(func(i int) float32 { return float32(max(0, i-254)) }),
		"tiny":      fill(func(i int) float32 { return float32(i-128) * 1e-12 }),
		"subnormal": fill(func(i int) float32 { return float32(i-128) * 1e-42 }),
		"large":     fill(func(i int) float32 { return float32(i-128) * 400 }),
		"alternate": fill(func(i int) float32 { return float32(1 - 2*(i%2)) }),
	}
	for _, qt := range []Type{Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K} {
		for name, x := range blocks {
			b, y := make([]byte, RowBytes(qt, 256)), make([]float32, 256)
			if err := Quantize(qt, b, x); err != nil {
				t.Fatal(err)
			}
			if err := Dequantize(qt, y, b); err != nil {
				t.Fatal(err)
			}
			top := abs(widest(x))
			for i := range x {
				if e := abs(x[i] - y[i]); !(e <= top/7+1e-5) {
					t.Fatalf("%v %s: %g becomes %g", qt, name, x[i], y[i])
				}
			}
		}
	}
}

func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	// bound is the error of one element against the largest of its block.
	tests := []struct {
		t     Type
		bound float64
	}{
		{F32, 0},
		{F16, 0x1p-11},
		{BF16, 0x1p-8},
		{Q8_0, 0.5/127 + 0x1p-11*1.01}, // half a step, and the scale's rounding
		{Q4_0, 1.0/8 + 0x1p-11},        // a whole step where the range is one-sided
		{Q4_1, 2.0 / 14},               // a whole step of the widest that the search tries
		{Q5_1, 2.0 / 30},
		{Q5_0, 1.0/16 + 0x1p-11},
		{Q4_K, 2.0/14 + 2.0/63}, // a step, and what rounding scale and minimum moves
		{Q5_K, 2.0/30 + 2.0/63},
		{Q6_K, 1.0 / 16}, // of the block's largest: 1/32 of a group's, twice over
	}
	for _, tt := range tests {
		t.Run(tt.t.String(), func(t *testing.T) {
			for _, scale := range []float64{0, 1e-3, 1, 1e3} {
				x := make([]float32, 1024)
				for i := range x {
					x[i] = float32(scale * r.NormFloat64())
				}
				b := make([]byte, RowBytes(tt.t, len(x)))
				if err := Quantize(tt.t, b, x); err != nil {
					t.Fatal(err)
				}
				y := make([]float32, len(x))
				if err := Dequantize(tt.t, y, b); err != nil {
					t.Fatal(err)
				}
				n := tt.t.BlockSize()
				for i := range x {
					top := float64(abs(widest(x[i/n*n:][:n])))
					// The scale itself may be a subnormal half, 2^-25 from what it should be.
					if e := math.Abs(float64(x[i] - y[i])); !(e <= tt.bound*top+128*0x1p-25) {
						t.Fatalf("scale %g: %g becomes %g", scale, x[i], y[i])
					}
				}
				again := make([]byte, len(b))
				if err := Quantize(tt.t, again, y); err != nil {
					t.Fatal(err)
				}
				if tt.t == F16 || tt.t == BF16 {
					if !bytes.Equal(again, b) {
						t.Error("not idempotent")
					}
				}
			}
		})
	}
}

// TestQ6KSearchHelps holds the search to an error below that of the plain scale.
func TestQ6KSearchHelps(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var plain, searched float64
	for range 200 {
		x := make([]float32, 16)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		q := make([]int8, 16)
		s := searchScale(q, x, 32)
		p := widest(x) / -32
		for i, v := range x {
			w := float64(v) * float64(v) // the search weighs errors by the square
			e := float64(v - s*float32(q[i]))
			f := float64(v - p*float32(max(-32, min(31, roundToEven(v/p)))))
			searched, plain = searched+w*e*e, plain+w*f*f
		}
	}
	if searched > 0.8*plain {
		t.Errorf("error %g by search, %g without", searched, plain)
	}
}

func TestWrongLengths(t *testing.T) {
	for ty := range typeEnd {
		if !ty.Supported() {
			if err := Dequantize(ty, nil, nil); err == nil {
				t.Errorf("%v: read though not supported", ty)
			}
			continue
		}
		n, b := ty.BlockSize(), ty.BlockBytes()
		for _, c := range [][2]int{{n, b - 1}, {n, b + 1}, {n - 1, b}, {n + 1, b}, {2 * n, b}, {n, 2 * b}} {
			if c[0] == 0 {
				continue
			}
			if err := Dequantize(ty, make([]float32, c[0]), make([]byte, c[1])); err == nil {
				t.Errorf("%v: Dequantize takes %d elements of %d bytes", ty, c[0], c[1])
			}
			if err := Quantize(ty, make([]byte, c[1]), make([]float32, c[0])); err == nil {
				t.Errorf("%v: Quantize takes %d elements of %d bytes", ty, c[0], c[1])
			}
		}
	}
	if err := Quantize(Q2_K, make([]byte, 84), make([]float32, 256)); err == nil {
		t.Error("Quantize writes Q2_K")
	}
}

func TestHalf(t *testing.T) {
	for h := range 1 << 16 {
		f := HalfToFloat(uint16(h))
		back := FloatToHalf(f)
		if f != f {
			if b := HalfToFloat(back); b == b {
				t.Fatalf("%#x is no NaN any more", h)
			}
			continue
		}
		if back != uint16(h) {
			t.Fatalf("%#x -> %g -> %#x", h, f, back)
		}
		if h&0x7fff >= 0x7bff {
			continue
		}
		// Between h and its successor: below the middle, the tie, above it.
		next := HalfToFloat(uint16(h + 1))
		mid := f + (next-f)/2
		even := uint16(h + h&1)
		for _, c := range []struct {
			f    float32
			want uint16
		}{{math.Nextafter32(mid, f), uint16(h)}, {mid, even}, {math.Nextafter32(mid, next), uint16(h + 1)}} {
			if got := FloatToHalf(c.f); got != c.want {
				t.Fatalf("FloatToHalf(%g) = %#x, want %#x", c.f, got, c.want)
			}
		}
	}
	for _, c := range []struct {
		f    float32
		want uint16
	}{{65519.996, 0x7bff}, {65520, 0x7c00}, {-1e9, 0xfc00}, {float32(math.Inf(1)), 0x7c00}, {1e-9, 0}} {
		if got := FloatToHalf(c.f); got != c.want {
			t.Errorf("FloatToHalf(%g) = %#x, want %#x", c.f, got, c.want)
		}
	}
	for _, c := range []struct {
		f    float32
		want uint16
	}{{1, 0x3f80}, {1 + 0x1p-8, 0x3f80}, {1 + 3*0x1p-8, 0x3f82}, {math.MaxFloat32, 0x7f80}} {
		if got := FloatToBFloat(c.f); got != c.want {
			t.Errorf("FloatToBFloat(%g) = %#x, want %#x", c.f, got, c.want)
		}
	}
	if b := BFloatToFloat(FloatToBFloat(float32(math.NaN()))); b == b {
		t.Error("NaN became a number")
	}
}
