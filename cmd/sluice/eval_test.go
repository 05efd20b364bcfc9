package main

import (
	"bytes"
	"math"
	"testing"

	"github.com/sluice-ai/sluice/runtime/gguf"
	"github.com/sluice-ai/sluice/runtime/nano"
	"github.com/sluice-ai/sluice/runtime/quant"
)

// The control has nano's shape, its vectors and the size of its numbers, and
// nothing of what they say.
func TestControlIsNoise(t *testing.T) {
	text, err := noisy(nano.Bytes(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := noisy(nano.Bytes(), 1); err != nil || !bytes.Equal(again, text) {
		t.Errorf("the same seed made other noise: %v", err)
	}
	was, err := gguf.Parse(nano.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	is, err := gguf.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(is.Fields) != len(was.Fields) || len(is.Tensors) != len(was.Tensors) {
		t.Fatalf("%d fields and %d tensors became %d and %d", len(was.Fields), len(was.Tensors), len(is.Fields), len(is.Tensors))
	}
	for _, a := range was.Tensors {
		b := is.Tensor(a.Name)
		if len(a.Dims) == 1 {
			if !bytes.Equal(a.Data, b.Data) {
				t.Errorf("the vector %s changed", a.Name)
			}
			continue
		}
		x, y := make([]float32, a.Elements()), make([]float32, a.Elements())
		if err := quant.Dequantize(a.Type, x, a.Data); err != nil {
			t.Fatal(err)
		}
		if err := quant.Dequantize(b.Type, y, b.Data); err != nil {
			t.Fatal(err)
		}
		var xx, yy, xy float64
		for i := range x {
			xx += float64(x[i]) * float64(x[i])
			yy += float64(y[i]) * float64(y[i])
			xy += float64(x[i]) * float64(y[i])
		}
		// Of n independent numbers the correlation has deviation 1/√n, and the power √(2/n).
		n := float64(len(x))
		if r := xy / math.Sqrt(xx*yy); math.Abs(r) > 6/math.Sqrt(n) || math.Abs(yy/xx-1) > 6*math.Sqrt(2/n)+0.01 {
			t.Errorf("%s: correlation %.3f with what it was, %.2f times the power", a.Name, r, yy/xx)
		}
	}
}
