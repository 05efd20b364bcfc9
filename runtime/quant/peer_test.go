package quant

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"testing"
)

// The numbers in this file are ggml's own, from the library that llama-cpp-python
// 0.3.36 builds: bench/peers/quantize.py prints them. It makes the inputs as
// splitmix and weights do.

// splitmix returns n outputs of SplitMix64.
func splitmix(n int, seed uint64) []uint64 {
	out := make([]uint64, n)
	for i := range out {
		x := seed + uint64(i+1)*0x9e3779b97f4a7c15
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		out[i] = x ^ x>>31
	}
	return out
}

// weights returns n numbers around zero, some far from it.
func weights(n int, seed uint64) []float32 {
	out := make([]float32, n)
	for i, x := range splitmix(n, seed) {
		s := float32(int(x&0xffff+x>>16&0xffff+x>>32&0xffff+x>>48)-131070) / 65536
		out[i] = s * (1 + float32(s*s))
	}
	return out
}

func shortHash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// TestDequantizeIsGGML reads 64 blocks of random bytes as ggml does, to the bit.
func TestDequantizeIsGGML(t *testing.T) {
	for _, tt := range []struct {
		t      Type
		halves []int // offsets
		hash   string
	}{
		{Q4_0, []int{0}, "56009499d7be3198"},
		{Q4_1, []int{0, 2}, "605a72f5d6eb7188"},
		{Q5_0, []int{0}, "a05f4f4ad1962d20"},
		{Q5_1, []int{0, 2}, "2f39368f0b9da901"},
		{Q8_0, []int{0}, "50592b9477662b55"},
		{Q2_K, []int{80, 82}, "aebb63edc1d9276e"},
		{Q3_K, []int{108}, "e485c9b6dd5d14a8"},
		{Q4_K, []int{0, 2}, "288752a45f3428e4"},
		{Q5_K, []int{0, 2}, "e6fd4f914b38fbc2"},
		{Q6_K, []int{208}, "3f6cd2a97b2fb440"},
		{IQ4_NL, []int{0}, "3ddabf27358f3773"},
		{MXFP4, nil, "126e5219f437453e"},
	} {
		t.Run(tt.t.String(), func(t *testing.T) {
			size := 64 * tt.t.BlockBytes()
			var src []byte
			for _, x := range splitmix(size/8+1, 7) {
				src = le.AppendUint64(src, x)
			}
			src = src[:size]
			for i := 0; i < size; i += tt.t.BlockBytes() {
				for _, h := range tt.halves {
					src[i+h+1] &= 0xbf // an exponent below 16: finite
				}
			}
			dst := make([]float32, 64*tt.t.BlockSize())
			if err := Dequantize(tt.t, dst, src); err != nil {
				t.Fatal(err)
			}
			raw := make([]byte, 4*len(dst))
			if err := Quantize(F32, raw, dst); err != nil {
				t.Fatal(err)
			}
			if got := shortHash(raw); got != tt.hash {
				t.Errorf("the values' hash is %s, ggml's %s", got, tt.hash)
			}
		})
	}
}

// TestQuantizeAgainstGGML requires ggml's own bytes where its rule is ours, and a
// smaller error where we search: relative to the root of the sum of squares, with
// all elements alike and with each weighted by its magnitude.
func TestQuantizeAgainstGGML(t *testing.T) {
	x := weights(1<<15, 3)
	for _, tt := range []struct {
		t               Type
		hash            string
		ours            bool // the hash is not ggml's: it holds every machine to the same bytes
		plain, weighted float64
	}{
		{Q8_0, "d0048f0fab82210b", false, 0.007382, 0.003691},
		{Q4_0, "92b02e3823e26e56", false, 0.116984, 0.060284},
		{Q5_0, "7d2114e0093c05f9", false, 0.058433, 0.029451},
		{Q6_K, "7b0c60cdb180d810", false, 0.023442, 0.010995},
		{Q4_1, "441b1771b4a194aa", true, 0.097929, 0.046969},
		{Q5_1, "bbc43d601037893b", true, 0.047670, 0.022920},
		{Q4_K, "dc87282e31e5d36a", true, 0.090676, 0.044304},
		{Q5_K, "1ab33b9aaa950f92", true, 0.045992, 0.023446},
	} {
		t.Run(tt.t.String(), func(t *testing.T) {
			b, y := make([]byte, RowBytes(tt.t, len(x))), make([]float32, len(x))
			if err := Quantize(tt.t, b, x); err != nil {
				t.Fatal(err)
			}
			if err := Dequantize(tt.t, y, b); err != nil {
				t.Fatal(err)
			}
			var plain, weighted, square, cube float64
			for i, v := range x {
				e, w := float64(v-y[i]), math.Abs(float64(v))
				plain, square = plain+e*e, square+w*w
				weighted, cube = weighted+w*e*e, cube+w*w*w
			}
			plain, weighted = math.Sqrt(plain/square), math.Sqrt(weighted/cube)
			t.Logf("error %.6f (ggml %.6f), weighted %.6f (%.6f)", plain, tt.plain, weighted, tt.weighted)
			switch {
			case shortHash(b) != tt.hash:
				t.Errorf("the blocks' hash is %s, not %s", shortHash(b), tt.hash)
			case tt.ours && (plain > 0.995*tt.plain || weighted > 0.995*tt.weighted):
				t.Error("the error is not smaller than ggml's")
			}
		})
	}
}
