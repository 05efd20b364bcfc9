package engine

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/runtime/gguf"
	"github.com/sluice-ai/sluice/runtime/quant"
	"github.com/sluice-ai/sluice/runtime/synth"
)

func writeFile(t *testing.T, path string, w *gguf.Writer) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := w.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// A mixture of experts opens like any model and says what it is.
func TestMoEInfo(t *testing.T) {
	var file bytes.Buffer
	if err := synth.Write(&file, synth.Config{Size: "tinymoe", Type: "q4_0", Seed: 5, Untied: true}, nil); err != nil {
		t.Fatal(err)
	}
	m, err := OpenBytes("moe", file.Bytes(), Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	i := m.Info()
	if i.Arch != "lfm2moe" || i.Experts != 8 || i.ExpertsUsed != 3 || i.ExpertFFN != 256 || i.DenseLayers != 2 || i.Tied || i.Theta != 5e6 || i.Format != "GGUF" {
		t.Errorf("%+v", i)
	}
	if want := i.Params - 4*5*3*256*256; i.ActiveParams != want {
		t.Errorf("%d active parameters of %d, want %d", i.ActiveParams, i.Params, want)
	}
	if text, _, res := generate(t, m, Request{Messages: hello(), MaxTokens: 20}); text == "" || res.CompletionTokens == 0 {
		t.Errorf("answer %q, %+v", text, res)
	}
}

// An adapter changes answers; its path is told, and a bad one is an error that
// names it and leaves nothing open.
func TestAdapters(t *testing.T) {
	folder := t.TempDir()
	model := filepath.Join(folder, "tiny.gguf")
	if err := os.WriteFile(model, tinyFile(), 0o666); err != nil {
		t.Fatal(err)
	}
	var w gguf.Writer
	w.Set("general.type", "adapter")
	w.Set("general.architecture", "lfm2")
	w.Set("adapter.type", "lora")
	w.Set("adapter.lora.alpha", float32(16))
	ones := bytes.Repeat([]byte{0, 0x2c}, 128*4) // 0.0625 in F16
	w.AddBytes("blk.0.shortconv.out_proj.weight.lora_a", quant.F16, []int{128, 4}, ones)
	w.AddBytes("blk.0.shortconv.out_proj.weight.lora_b", quant.F16, []int{4, 128}, ones)
	adapter := writeFile(t, filepath.Join(folder, "adapter.gguf"), &w)

	tokens := []int32{1, 50, 60}
	logits := func(o Options) []float32 {
		m, err := Open(model, o)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if n := len(m.Info().Adapters); n != len(o.Adapters) {
			t.Errorf("%d adapters told of %d", n, len(o.Adapters))
		}
		all, err := m.Logits(t.Context(), tokens)
		if err != nil {
			t.Fatal(err)
		}
		return all[2]
	}
	moved := func(a, b []float32) (d float32) {
		for i := range a {
			d = max(d, a[i]-b[i], b[i]-a[i])
		}
		return d
	}
	plain := logits(Options{})
	one := logits(Options{Adapters: []Adapter{{Path: adapter}}})
	same := logits(Options{Adapters: []Adapter{{Path: adapter, Scale: 1}}})
	less := logits(Options{Adapters: []Adapter{{Path: adapter, Scale: 0.01}}})
	if moved(plain, one) < 0.1 || moved(one, same) != 0 || moved(plain, less) >= moved(plain, one) {
		t.Errorf("logits move by %g, at strength 1 by %g more, at 0.01 by %g", moved(plain, one), moved(one, same), moved(plain, less))
	}
	for _, path := range []string{model, filepath.Join(folder, "none.gguf")} {
		if _, err := Open(model, Options{Adapters: []Adapter{{Path: path}}}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("adapter %s: %v", path, err)
		}
	}
	if _, err := Open(adapter, Options{}); err == nil || !strings.Contains(err.Error(), "LoRA adapter, not a model") {
		t.Errorf("an adapter as a model: %v", err)
	}
}

func TestInspect(t *testing.T) {
	c, err := InspectBytes(tinyFile())
	if err != nil {
		t.Fatal(err)
	}
	if c.Format != "GGUF" || c.Bytes != int64(len(tinyFile())) {
		t.Errorf("%s of %d bytes", c.Format, c.Bytes)
	}
	types := map[string]string{}
	for _, f := range c.Fields {
		types[f.Key] = f.Type
	}
	for key, want := range map[string]string{"general.architecture": "str", "lfm2.block_count": "u32", "tokenizer.ggml.tokens": "arr[str]", "lfm2.rope.freq_base": "f32"} {
		if types[key] != want {
			t.Errorf("%s is %q, want %q", key, types[key], want)
		}
	}
	if len(c.Tensors) == 0 || c.Tensors[0].Name != "token_embd.weight" || c.Tensors[0].Type != "Q8_0" || c.Tensors[0].Dims[1] != 640 || c.Tensors[0].Bytes != 128*640/32*34 {
		t.Errorf("tensors begin with %+v", c.Tensors[0])
	}
	if _, err := Inspect(t.TempDir()); err == nil || !strings.Contains(err.Error(), "needs config.json") {
		t.Errorf("an empty folder: %v", err)
	}
}
