package mix_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/runtime/gguf"
	"github.com/sluice-ai/sluice/runtime/lfm2"
	"github.com/sluice-ai/sluice/runtime/mix"
	"github.com/sluice-ai/sluice/runtime/quant"
	"github.com/sluice-ai/sluice/runtime/synth"
)

// model returns a random model.
func model(t testing.TB, size, typ string) *gguf.File {
	t.Helper()
	var b bytes.Buffer
	if err := synth.Write(&b, synth.Config{Size: size, Type: typ, Seed: 5}, nil); err != nil {
		t.Fatal(err)
	}
	return parse(t, b.Bytes())
}

func recipe(t testing.TB, name string) mix.Recipe {
	t.Helper()
	r, err := mix.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func parse(t testing.TB, data []byte) *gguf.File {
	t.Helper()
	f, err := gguf.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// write is Write in memory.
func write(t testing.TB, f *gguf.File, r mix.Recipe, o mix.Options) (*gguf.File, *mix.Report, []byte) {
	t.Helper()
	var b bytes.Buffer
	report, err := mix.Write(t.Context(), &b, f, r, o)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, b.Bytes()), report, b.Bytes()
}

func floats(t testing.TB, x *gguf.Tensor) []float32 {
	t.Helper()
	v := make([]float32, x.Elements())
	if err := quant.Dequantize(x.Type, v, x.Data); err != nil {
		t.Fatal(err)
	}
	return v
}

func metadata(f *gguf.File) map[string]any {
	m := map[string]any{}
	for _, field := range f.Fields {
		m[field.Key] = field.Value
	}
	return m
}

// TestWrite converts models to everything there is, and holds the outcome to the
// recipe, the report, the metadata and what the values were.
func TestWrite(t *testing.T) {
	for size, names := range map[string][]string{"tiny": mix.Names(), "tinymoe": {"bf16", "q8_0", "q5_k_m", "q4_k_m"}} {
		in := model(t, size, "f32")
		for _, name := range names {
			t.Run(size+"-"+name, func(t *testing.T) {
				r := recipe(t, name)
				var last int64
				out, report, data := write(t, in, r, mix.Options{Threads: 3, Progress: func(done, total int64) {
					if done <= last || done > total {
						t.Errorf("progress from %d to %d of %d", last, done, total)
					}
					last = done
				}})
				if last != report.After {
					t.Errorf("progress ended at %d of %d", last, report.After)
				}
				if size == "tiny" {
					if _, _, one := write(t, in, r, mix.Options{Threads: 1}); !bytes.Equal(one, data) {
						t.Error("the number of threads changes the file")
					}
				}
				want := metadata(in)
				want["general.file_type"] = r.FileType()
				if got := metadata(out); !reflect.DeepEqual(got, want) {
					t.Errorf("metadata differ: %v", slices.Collect(maps.Keys(got)))
				}
				worst := map[quant.Type]float64{
					quant.F32: 0, quant.F16: 0.0003, quant.BF16: 0.002, quant.Q8_0: 0.006, quant.Q6_K: 0.02,
					quant.Q5_K: 0.036, quant.Q5_1: 0.035, quant.Q5_0: 0.043, quant.Q4_K: 0.072, quant.Q4_1: 0.071, quant.Q4_0: 0.086,
				}
				for i, x := range out.Tensors {
					was, change := in.Tensors[i], report.Tensors[i]
					if x.Name != was.Name || !slices.Equal(x.Dims, was.Dims) {
						t.Fatalf("tensor %d is %s %v, was %s %v", i, x.Name, x.Dims, was.Name, was.Dims)
					}
					if x.Type == was.Type && !bytes.Equal(x.Data, was.Data) {
						t.Errorf("%s was not copied", x.Name)
					}
					var e, square float64
					before := floats(t, &was)
					for j, v := range floats(t, &x) {
						d, b := float64(v)-float64(before[j]), float64(before[j])
						e, square = e+d*d, square+b*b
					}
					e = math.Sqrt(e / square)
					if math.Abs(e-change.Error) > 1e-9 || change.To != x.Type.String() || change.From != "F32" {
						t.Errorf("%s is %v with error %g, the report says %+v", x.Name, x.Type, e, change)
					}
					if e > worst[x.Type] {
						t.Errorf("%s: the error of %v is %g", x.Name, x.Type, e)
					}
				}
				if _, err := lfm2.Load(out); err != nil {
					t.Errorf("the outcome does not load: %v", err)
				}
			})
		}
	}
}

func TestRequantize(t *testing.T) {
	in := model(t, "mini", "q8_0")
	var b bytes.Buffer
	if _, err := mix.Write(t.Context(), &b, in, recipe(t, "q4_k_m"), mix.Options{}); !errors.Is(err, mix.ErrQuantized) || b.Len() > 0 {
		t.Errorf("%v, after %d bytes", err, b.Len())
	}
	// What has its type already is copied, and that is no second rounding.
	out, _, _ := write(t, in, recipe(t, "q8_0"), mix.Options{})
	for i := range out.Tensors {
		if !bytes.Equal(out.Tensors[i].Data, in.Tensors[i].Data) {
			t.Errorf("%s changed", out.Tensors[i].Name)
		}
	}
	out, report, _ := write(t, in, recipe(t, "q4_k_m"), mix.Options{AllowRequantize: true})
	if got := out.Tensor("blk.0.ffn_up.weight").Type; got != quant.Q4_K {
		t.Errorf("ffn_up is %v", got)
	}
	want := []mix.Group{{"Q8_0", "Q6_K", 4, 0}, {"F32", "F32", 22, 0}, {"Q8_0", "Q4_K", 33, 0}}
	got := report.Summary()
	for i := range got {
		if (got[i].Error > 0) != (got[i].From != got[i].To) {
			t.Errorf("the error of %v to %v is %g", got[i].From, got[i].To, got[i].Error)
		}
		got[i].Error = 0
	}
	if !slices.Equal(got, want) {
		t.Errorf("summary %v, want %v", got, want)
	}
}

// with returns f, rewritten with other metadata and with values changed.
func with(t *testing.T, f *gguf.File, set map[string]any, change func(name string, x []float32)) *gguf.File {
	t.Helper()
	var w gguf.Writer
	rest := maps.Clone(set)
	for _, field := range f.Fields {
		v := field.Value
		if other, ok := rest[field.Key]; ok {
			v = other
			delete(rest, field.Key)
		}
		w.Set(field.Key, v)
	}
	for k, v := range rest {
		w.Set(k, v)
	}
	for _, x := range f.Tensors {
		v := floats(t, &x)
		if change != nil {
			change(x.Name, v)
		}
		data := make([]byte, 4*len(v))
		if err := quant.Quantize(quant.F32, data, v); err != nil {
			t.Fatal(err)
		}
		w.AddBytes(x.Name, quant.F32, x.Dims, data)
	}
	var b bytes.Buffer
	if _, err := w.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return parse(t, b.Bytes())
}

func TestRefuses(t *testing.T) {
	in := model(t, "tiny", "f32")
	put := func(v float32) func(string, []float32) {
		return func(name string, x []float32) {
			if name == "blk.1.ffn_up.weight" {
				x[len(x)-1] = v
			}
		}
	}
	for _, tt := range []struct {
		name   string
		f      *gguf.File
		recipe string
		want   string
	}{
		{"another-architecture", with(t, in, map[string]any{"general.architecture": "llama"}, nil), "q8_0", `architecture "llama"`},
		{"a-shard", with(t, in, map[string]any{"split.count": uint16(3)}, nil), "q8_0", "3 shards"},
		{"no-layers", with(t, in, map[string]any{"lfm2.block_count": uint32(0)}, nil), "q8_0", "0 layers"},
		{"nan", with(t, in, nil, put(float32(math.NaN()))), "q8_0", "blk.1.ffn_up.weight"},
		{"infinity", with(t, in, nil, put(float32(math.Inf(-1)))), "f16", "damaged"},
		{"too-large-for-f16", with(t, in, nil, put(1e5)), "f16", "too large for F16"},
		{"too-large-for-q8", with(t, in, nil, put(1e8)), "q8_0", "too large for Q8_0"},
		{"too-large-for-q5", with(t, in, nil, put(1e8)), "q5_1", "too large for Q5_1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := mix.Write(t.Context(), io.Discard, tt.f, recipe(t, tt.recipe), mix.Options{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// What only described the old file goes; the alignment is the writer's own.
func TestMetadataOfTheOldFile(t *testing.T) {
	f := with(t, model(t, "tiny", "f32"), map[string]any{
		"split.count": uint16(1), "split.no": uint16(0), "split.tensors.count": int32(48), "general.alignment": uint32(32),
		"general.quantization_version": uint32(1), "sluice.abilities": []string{"judge"},
	}, nil)
	out, _, _ := write(t, f, recipe(t, "q8_0"), mix.Options{})
	for _, key := range []string{"split.count", "split.no", "split.tensors.count", "general.alignment"} {
		if _, ok := out.Field(key); ok {
			t.Errorf("%s is still there", key)
		}
	}
	if v, _ := out.Int("general.quantization_version"); v != 2 {
		t.Errorf("quantization_version is %d", v)
	}
	if a, _ := out.Strs("sluice.abilities"); !slices.Equal(a, []string{"judge"}) {
		t.Errorf("abilities are %v", a)
	}
}

func TestWriteFile(t *testing.T) {
	folder := t.TempDir()
	in, out := filepath.Join(folder, "in.gguf"), filepath.Join(folder, "out.gguf")
	if err := synth.WriteFile(in, synth.Config{Size: "tiny", Type: "bf16", Seed: 1}, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(out, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := recipe(t, "q4_0")

	ctx, cancel := context.WithCancel(t.Context())
	_, err := mix.WriteFile(ctx, out, in, r, mix.Options{Progress: func(done, total int64) {
		if done > total/2 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if b, _ := os.ReadFile(out); string(b) != "before" {
		t.Error("a file that could not be finished replaced another")
	}
	if _, err := mix.WriteFile(t.Context(), in, in, r, mix.Options{}); err == nil {
		t.Error("the model was written over itself")
	}
	if _, err := mix.WriteFile(t.Context(), filepath.Join(folder, "no", "out.gguf"), in, r, mix.Options{}); err == nil {
		t.Error("written to a folder that does not exist")
	}
	if _, err := mix.WriteFile(t.Context(), out, in, r, mix.Options{}); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 2 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

// What a conversion allocates does not grow with the model.
func TestMemory(t *testing.T) {
	allocated := func(rows int) int64 {
		var w gguf.Writer
		w.Set("general.architecture", "lfm2")
		w.Set("lfm2.block_count", uint32(1))
		w.AddBytes("token_embd.weight", quant.F16, []int{256, rows}, make([]byte, 512*rows))
		var b bytes.Buffer
		if _, err := w.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		f := parse(t, b.Bytes())
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := mix.Write(t.Context(), io.Discard, f, recipe(t, "q8_0"), mix.Options{Threads: 2}); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return int64(after.TotalAlloc - before.TotalAlloc)
	}
	small, large := allocated(4<<10), allocated(64<<10)
	if large > small+1<<20 || large > 8<<20 {
		t.Errorf("%d bytes for 1 million weights, %d for 16 million", small, large)
	}
}

func BenchmarkWrite(b *testing.B) {
	in := model(b, "mini", "f32")
	for _, name := range []string{"q8_0", "q6_k", "q4_k_m", "q4_0"} {
		b.Run(name, func(b *testing.B) {
			r, err := mix.Parse(name)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(in.Size)
			for b.Loop() {
				if _, err := mix.Write(b.Context(), io.Discard, in, r, mix.Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
