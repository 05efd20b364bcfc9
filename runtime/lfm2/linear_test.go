package lfm2

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/runtime/gguf"
	"github.com/sluice-ai/sluice/runtime/quant"
	"github.com/sluice-ai/sluice/runtime/state"
	"github.com/sluice-ai/sluice/runtime/synth"
)

// newAdapter returns a random adapter of rank r and alpha 2r for all matrices of
// f, and a copy of f in F32 with scale times it added.
func newAdapter(t *testing.T, f *gguf.File, r int, scale float32, seed uint64) (adapter, merged *gguf.File) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 9))
	arch, _ := f.Str("general.architecture")
	fields := []gguf.Field{
		{Key: "general.architecture", Value: arch}, {Key: "general.type", Value: "adapter"},
		{Key: "adapter.type", Value: "lora"}, {Key: "adapter.lora.alpha", Value: float32(2 * r)},
	}
	random := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = (rng.Float32() - 0.5) / 4
		}
		return v
	}
	var sides, tensors []gguf.Tensor
	for _, x := range f.Tensors {
		if len(x.Dims) < 2 || strings.Contains(x.Name, "conv.conv") {
			tensors = append(tensors, x)
			continue
		}
		cols, rows, count := x.Dims[0], x.Dims[1], x.Elements()/x.Dims[0]/x.Dims[1]
		if x.Name == "token_embd.weight" {
			// A row of A for each token, and B widens it: the roles of rows and columns change.
			a, b := random(rows*r), random(cols*r)
			sides = append(sides, gguf.Tensor{Name: x.Name + ".lora_a", Type: quant.F32, Dims: []int{r, rows}, Data: encode(a)},
				gguf.Tensor{Name: x.Name + ".lora_b", Type: quant.F32, Dims: []int{r, cols}, Data: encode(b)})
			w := floats(x)
			for v := range rows {
				for i := range cols {
					for j := range r {
						w[v*cols+i] += 2 * scale * a[v*r+j] * b[i*r+j]
					}
				}
			}
			tensors = append(tensors, gguf.Tensor{Name: "output.weight", Type: x.Type, Dims: x.Dims, Data: x.Data})
			x.Type, x.Data = quant.F32, encode(w)
			tensors = append(tensors, x)
			continue
		}
		a, b := random(cols*r*count), random(rows*r*count)
		dimsA, dimsB := []int{cols, r}, []int{r, rows}
		if count > 1 {
			dimsA, dimsB = append(dimsA, count), append(dimsB, count)
		}
		sides = append(sides, gguf.Tensor{Name: x.Name + ".lora_a", Type: quant.F32, Dims: dimsA, Data: encode(a)},
			gguf.Tensor{Name: x.Name + ".lora_b", Type: quant.F32, Dims: dimsB, Data: encode(b)})
		w := floats(x)
		for e := range count {
			for o := range rows {
				for i := range cols {
					for j := range r {
						w[(e*rows+o)*cols+i] += 2 * scale * b[(e*rows+o)*r+j] * a[(e*r+j)*cols+i]
					}
				}
			}
		}
		x.Type, x.Data = quant.F32, encode(w)
		tensors = append(tensors, x)
	}
	var err error
	if adapter, err = gguf.New(fields, sides, nil); err != nil {
		t.Fatal(err)
	}
	if merged, err = gguf.New(f.Fields, tensors, nil); err != nil {
		t.Fatal(err)
	}
	return adapter, merged
}

func floats(t gguf.Tensor) []float32 {
	v := make([]float32, t.Elements())
	if err := quant.Dequantize(t.Type, v, t.Data); err != nil {
		panic(err)
	}
	return v
}

func encode(v []float32) []byte {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

// A model with adapters computes what the merged weights do, for every kind of
// matrix, and two adapters add up.
func TestAdapters(t *testing.T) {
	for _, size := range []string{"tiny", "tinymoe"} {
		t.Run(size, func(t *testing.T) {
			m, file := synthetic(t, synth.Config{Size: size, Type: "f32", Seed: 31})
			f, err := gguf.Parse(file)
			if err != nil {
				t.Fatal(err)
			}
			one, merged := newAdapter(t, f, 4, 0.75, 1)
			want, err := Load(merged)
			if err != nil {
				t.Fatal(err)
			}
			tokens := randomTokens(40, m.Vocab, 4)
			logits := func(m *Model, sizes ...int) []float32 {
				return run(t, m, NewWork(m, testPool(t), 64), state.New(m.Shape(), 64), tokens, sizes...)
			}
			plain, expected := logits(m, 64), logits(want, 64)
			if d := farthest(plain, expected); d < 0.1 {
				t.Fatalf("the adapter moves logits by %g only", d)
			}
			got, err := Load(f, Adapter{Name: "one", File: one, Scale: 0.75})
			if err != nil {
				t.Fatal(err)
			}
			whole := logits(got, 64)
			if d := farthest(whole, expected); d > 2e-4 {
				t.Errorf("logits differ by %g from the merged model's", d)
			}
			if d := farthest(logits(got, 1, 7, 64), whole); d != 0 {
				t.Errorf("chunks change logits by %g", d)
			}
			if got, err = Load(f, Adapter{Name: "one", File: one, Scale: 0.25}, Adapter{Name: "again", File: one, Scale: 0.5}); err != nil {
				t.Fatal(err)
			}
			if d := farthest(logits(got, 64), expected); d > 2e-4 {
				t.Errorf("two adapters: logits differ by %g", d)
			}
			if got, err = Load(f, Adapter{Name: "one", File: one}); err != nil {
				t.Fatal(err)
			}
			if d := farthest(logits(got, 64), plain); d != 0 {
				t.Errorf("at strength 0 logits differ by %g", d)
			}
		})
	}
}

func TestAdaptersRefused(t *testing.T) {
	_, file := synthetic(t, tiny)
	f, err := gguf.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	good, _ := newAdapter(t, f, 2, 1, 1)
	for _, tt := range []struct {
		name   string
		fields map[string]any
		change func(*gguf.Tensor) bool
		want   string
	}{
		{"model", map[string]any{"general.type": "model"}, nil, "the file is no adapter"},
		{"kind", map[string]any{"adapter.type": "ia3"}, nil, `of type "ia3"`},
		{"arch", map[string]any{"general.architecture": "lfm2moe"}, nil, `for models of architecture "lfm2moe"`},
		{"activated", map[string]any{"adapter.alora.invocation_tokens": []uint32{1}}, nil, "aLoRA"},
		{"half", nil, func(t *gguf.Tensor) bool { return t.Name != "blk.0.ffn_up.weight.lora_b" }, "has only one of .lora_a and .lora_b"},
		{"suffix", nil, func(t *gguf.Tensor) bool {
			t.Name = strings.Replace(t.Name, "blk.0.ffn_up.weight.lora_a", "blk.0.ffn_up.weight.a", 1)
			return true
		}, "neither .lora_a nor .lora_b"},
		{"elsewhere", nil, func(t *gguf.Tensor) bool {
			t.Name = strings.Replace(t.Name, "blk.0.ffn_up", "blk.7.ffn_up", 1)
			return true
		}, `"blk.7.ffn_up.weight.lora_a" changes nothing`},
		{"shape", nil, func(t *gguf.Tensor) bool {
			if t.Name == "blk.0.ffn_up.weight.lora_a" {
				t.Dims = []int{2, 128}
			}
			return true
		}, "made for another model"},
		{"flat", nil, func(t *gguf.Tensor) bool {
			if t.Name == "blk.0.ffn_up.weight.lora_a" {
				t.Dims = []int{256}
			}
			return true
		}, "has sizes [256]"},
		{"embedding", nil, func(t *gguf.Tensor) bool {
			if t.Name == "token_embd.weight.lora_a" {
				t.Dims = []int{640, 2}
			}
			return true
		}, "made for another model"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var fields []gguf.Field
			for _, field := range good.Fields {
				if v, ok := tt.fields[field.Key]; ok {
					field.Value = v
				}
				fields = append(fields, field)
			}
			if v, ok := tt.fields["adapter.alora.invocation_tokens"]; ok {
				fields = append(fields, gguf.Field{Key: "adapter.alora.invocation_tokens", Value: v})
			}
			var tensors []gguf.Tensor
			for _, x := range good.Tensors {
				x.Dims = slices.Clone(x.Dims)
				if tt.change == nil || tt.change(&x) {
					tensors = append(tensors, x)
				}
			}
			a, err := gguf.New(fields, tensors, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err = Load(f, Adapter{Name: "x.gguf", File: a, Scale: 1}); err == nil {
				t.Fatal("loaded")
			}
			if !strings.Contains(err.Error(), tt.want) || !strings.Contains(fmt.Sprint(err), "x.gguf") {
				t.Errorf("error %q does not contain %q and the adapter's name", err, tt.want)
			}
		})
	}
}
