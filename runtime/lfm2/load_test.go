package lfm2

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/runtime/gguf"
	"github.com/sluice-ai/sluice/runtime/quant"
	"github.com/sluice-ai/sluice/runtime/state"
)

// rewrite returns a copy of a file with changed metadata (nil removes a key) and tensors.
func rewrite(t *testing.T, f *gguf.File, fields map[string]any, change func(*gguf.Tensor) bool) *gguf.File {
	t.Helper()
	var w gguf.Writer
	for _, field := range f.Fields {
		if v, ok := fields[field.Key]; !ok {
			w.Set(field.Key, field.Value)
		} else if v != nil {
			w.Set(field.Key, v)
		}
	}
	for key, v := range fields {
		if _, ok := f.Field(key); !ok && v != nil {
			w.Set(key, v)
		}
	}
	for _, tensor := range f.Tensors {
		tensor.Dims = slices.Clone(tensor.Dims)
		if change == nil || change(&tensor) {
			size := quant.RowBytes(tensor.Type, tensor.Dims[0]) * tensor.Elements() / tensor.Dims[0]
			w.Add(tensor.Name, tensor.Type, tensor.Dims, func(out io.Writer) error {
				_, err := out.Write(append(slices.Clone(tensor.Data), make([]byte, max(0, size-len(tensor.Data)))...)[:size])
				return err
			})
		}
	}
	var b bytes.Buffer
	if _, err := w.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	out, err := gguf.Parse(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestLoadRefuses(t *testing.T) {
	_, file := synthetic(t, tiny)
	f, err := gguf.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	without := func(name string) func(*gguf.Tensor) bool {
		return func(t *gguf.Tensor) bool { return t.Name != name }
	}
	resized := func(name string, dims ...int) func(*gguf.Tensor) bool {
		return func(t *gguf.Tensor) bool {
			if t.Name == name {
				t.Dims = dims
			}
			return true
		}
	}
	checkRefused(t, f, []refusal{
		{"no-arch", map[string]any{"general.architecture": nil}, nil, "does not say what model"},
		{"llama", map[string]any{"general.architecture": "llama"}, nil, `architecture "llama", and only LFM2`},
		{"other-keys", map[string]any{"general.architecture": "lfm2moe"}, nil, "metadata lfm2moe.block_count is missing"},
		{"adapter", map[string]any{"general.type": "adapter"}, nil, "LoRA adapter, not a model"},
		{"mmproj", map[string]any{"general.architecture": "clip"}, nil, "mmproj"},
		{"split", map[string]any{"split.count": uint16(3)}, nil, "one part of a model split into 3"},
		{"encoder", map[string]any{"lfm2.attention.causal": false}, nil, "bidirectional"},
		{"no-layers", map[string]any{"lfm2.block_count": nil}, nil, "metadata lfm2.block_count is missing"},
		{"layers-0", map[string]any{"lfm2.block_count": uint32(0)}, nil, "lfm2.block_count is 0"},
		{"layers-many", map[string]any{"lfm2.block_count": uint32(1 << 31)}, nil, "lfm2.block_count is 2147483648"},
		{"layers-str", map[string]any{"lfm2.block_count": "5"}, nil, "not an integer"},
		{"kv-length", map[string]any{"lfm2.attention.head_count_kv": []int32{0, 0, 2}}, nil, "has 3 entries for 5 layers"},
		{"kv-divide", map[string]any{"lfm2.attention.head_count_kv": []int32{0, 0, 3, 0, 2}}, nil, "layer 2 has 3 key-value heads for 4"},
		{"kv-negative", map[string]any{"lfm2.attention.head_count_kv": []int32{0, 0, -2, 0, 2}}, nil, "layer 2 has -2"},
		{"kv-conv", map[string]any{"lfm2.attention.head_count_kv": []int32{2, 0, 2, 0, 2}}, nil, "layer 0 should be attention"},
		{"kv-attn", map[string]any{"lfm2.attention.head_count_kv": []int32{0, 0, 0, 0, 2}}, nil, "layer 2 should be a convolution"},
		{"heads", map[string]any{"lfm2.attention.head_count": uint32(3)}, nil, "does not divide into 3 heads"},
		{"odd-heads", map[string]any{"lfm2.attention.key_length": uint32(31)}, nil, "cannot be rotated"},
		{"value-length", map[string]any{"lfm2.attention.key_length": uint32(32), "lfm2.attention.value_length": uint32(64)}, nil, "must be equal"},
		{"taps", map[string]any{"lfm2.shortconv.l_cache": uint32(4)}, nil, `tensor "blk.0.shortconv.conv.weight" has sizes [3 128] instead of [4 128]`},
		{"eps", map[string]any{"lfm2.attention.layer_norm_rms_epsilon": float32(-1)}, nil, "rms_epsilon is -1"},
		{"rope", map[string]any{"lfm2.rope.dimension_count": uint32(16)}, nil, "rope.dimension_count is 16"},
		{"no-embedding", nil, without("token_embd.weight"), `"token_embd.weight" is missing`},
		{"no-norm", nil, without("token_embd_norm.weight"), `tensor "token_embd_norm.weight" is missing`},
		{"no-up", nil, without("blk.3.ffn_up.weight"), `tensor "blk.3.ffn_up.weight" is missing`},
		{"in-proj", nil, resized("blk.1.shortconv.in_proj.weight", 128, 128), `tensor "blk.1.shortconv.in_proj.weight" has sizes [128 128] instead of [128 384]`},
		{"flat", nil, resized("token_embd.weight", 128*640), `"token_embd.weight" is missing or not a matrix`},
	})
}

// A refusal is a change to a file, and what the error must then say.
type refusal struct {
	name   string
	fields map[string]any
	change func(*gguf.Tensor) bool
	want   string
}

func checkRefused(t *testing.T, f *gguf.File, tests []refusal) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Load(rewrite(t, f, tt.fields, tt.change))
			if err == nil {
				t.Fatalf("loaded %+v", m.Config)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q does not contain %q", err, tt.want)
			}
		})
	}
}

// Files from elsewhere may give one number of key-value heads, write the head's
// size, or hold an output matrix of their own.
func TestLoadVariants(t *testing.T) {
	m, file := synthetic(t, tiny)
	f, err := gguf.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	tokens := randomTokens(20, m.Vocab, 4)
	w := NewWork(m, testPool(t), 64)
	want := run(t, m, w, state.New(m.Shape(), 64), tokens, 64)

	v, err := Load(rewrite(t, f, map[string]any{
		"lfm2.attention.head_count_kv": uint32(2), "lfm2.attention.key_length": uint32(32), "lfm2.attention.value_length": uint32(32),
	}, nil))
	if err != nil {
		t.Fatal(err)
	}
	got := run(t, v, NewWork(v, testPool(t), 64), state.New(v.Shape(), 64), tokens, 64)
	if d := farthest(got, want); d != 0 {
		t.Errorf("scalar head_count_kv: logits differ by %g", d)
	}

	var out gguf.Writer
	for _, field := range f.Fields {
		out.Set(field.Key, field.Value)
	}
	for _, tensor := range f.Tensors {
		out.AddBytes(tensor.Name, tensor.Type, tensor.Dims, tensor.Data)
	}
	zeros := make([]byte, 4*m.Vocab*m.Dim)
	out.AddBytes("output.weight", quant.F32, []int{m.Dim, m.Vocab}, zeros)
	var b bytes.Buffer
	if _, err := out.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	untied, err := gguf.Parse(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if v, err = Load(untied); err != nil {
		t.Fatal(err)
	}
	got = run(t, v, NewWork(v, testPool(t), 64), state.New(v.Shape(), 64), tokens, 64)
	if slices.ContainsFunc(got, func(l float32) bool { return l != 0 }) {
		t.Error("output.weight was not used")
	}
}
