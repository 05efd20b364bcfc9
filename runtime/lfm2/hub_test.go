package lfm2

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/runtime/gguf"
	"github.com/sluice-ai/sluice/runtime/quant"
	"github.com/sluice-ai/sluice/runtime/state"
	"github.com/sluice-ai/sluice/runtime/synth"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

// A checkpoint is a model as transformers saves it, made from a GGUF file.
type checkpoint struct {
	config map[string]any
	names  []string // of tensors
	shapes map[string][]int
	types  map[string]quant.Type
	data   map[string][]byte
	tokens []byte // tokenizer.json
}

func newCheckpoint(tb testing.TB, f *gguf.File, m *Model) *checkpoint {
	tb.Helper()
	c := &checkpoint{shapes: map[string][]int{}, types: map[string]quant.Type{}, data: map[string][]byte{}}
	kinds, kv := []string{}, 0
	for _, h := range m.KVHeads {
		if h > 0 {
			kinds, kv = append(kinds, "full_attention"), h
		} else {
			kinds = append(kinds, "conv")
		}
	}
	c.config = map[string]any{
		"architectures": []string{"Lfm2ForCausalLM"}, "model_type": "lfm2", "vocab_size": m.Vocab, "hidden_size": m.Dim,
		"intermediate_size": m.FFN, "block_auto_adjust_ff_dim": false, "num_hidden_layers": m.Layers, "layer_types": kinds,
		"num_attention_heads": m.Heads, "num_key_value_heads": kv, "max_position_embeddings": m.Context, "norm_eps": 1e-5,
		"conv_L_cache": m.Taps, "conv_bias": false, "rope_theta": m.Theta, "tie_word_embeddings": f.Tensor("output.weight") == nil,
		"bos_token_id": 1, "eos_token_id": 7, "pad_token_id": 0, "torch_dtype": "float32",
	}
	if m.Experts > 0 {
		for k, v := range map[string]any{
			"architectures": []string{"Lfm2MoeForCausalLM"}, "model_type": "lfm2_moe", "num_experts": m.Experts,
			"num_experts_per_tok": m.Active, "moe_intermediate_size": m.ExpertFFN, "num_dense_layers": m.DenseLayers,
			"use_expert_bias": true, "norm_topk_prob": true, "routed_scaling_factor": json.RawMessage("1.0"),
		} {
			c.config[k] = v
		}
	}
	names := map[string]string{
		"attn_norm": "operator_norm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
		"attn_output": "self_attn.out_proj", "attn_q_norm": "self_attn.q_layernorm", "attn_k_norm": "self_attn.k_layernorm",
		"shortconv.in_proj": "conv.in_proj", "shortconv.conv": "conv.conv", "shortconv.out_proj": "conv.out_proj", "ffn_norm": "ffn_norm",
		"ffn_gate": "feed_forward.w1", "ffn_up": "feed_forward.w3", "ffn_down": "feed_forward.w2", "ffn_gate_inp": "feed_forward.gate",
	}
	for _, t := range f.Tensors {
		shape := slices.Clone(t.Dims)
		slices.Reverse(shape)
		switch t.Name {
		case "token_embd.weight":
			c.set("model.embed_tokens.weight", shape, t.Type, t.Data)
			continue
		case "token_embd_norm.weight":
			c.set("model.embedding_norm.weight", shape, t.Type, t.Data)
			continue
		case "output.weight":
			c.set("lm_head.weight", shape, t.Type, t.Data)
			continue
		}
		var l int
		var rest string
		if _, err := fmt.Sscanf(strings.Replace(t.Name, ".", " ", 2), "blk %d %s", &l, &rest); err != nil {
			tb.Fatal(t.Name, err)
		}
		layer := fmt.Sprintf("model.layers.%d.", l)
		rest = strings.TrimSuffix(rest, ".weight")
		switch {
		case rest == "exp_probs_b.bias":
			c.set(layer+"feed_forward.expert_bias", shape, t.Type, t.Data)
		case rest == "shortconv.conv":
			c.set(layer+"conv.conv.weight", []int{shape[0], 1, shape[1]}, t.Type, t.Data)
		case strings.HasSuffix(rest, "_exps"):
			part := strings.TrimPrefix(names[strings.TrimSuffix(rest, "_exps")], "feed_forward.")
			size := len(t.Data) / shape[0]
			for e := range shape[0] {
				c.set(fmt.Sprintf("%sfeed_forward.experts.%d.%s.weight", layer, e, part), shape[1:], t.Type, t.Data[e*size:][:size])
			}
		default:
			c.set(layer+names[rest]+".weight", shape, t.Type, t.Data)
		}
	}
	c.tokens = tokenizerJSON(tb, f)
	return c
}

func (c *checkpoint) set(name string, shape []int, t quant.Type, data []byte) {
	if c.data[name] == nil {
		c.names = append(c.names, name)
	}
	c.shapes[name], c.types[name], c.data[name] = shape, t, data
}

func tokenizerJSON(tb testing.TB, f *gguf.File) []byte {
	tokens, _ := f.Strs("tokenizer.ggml.tokens")
	merges, _ := f.Strs("tokenizer.ggml.merges")
	types, _ := f.Ints("tokenizer.ggml.token_type")
	vocab, added := map[string]int{}, []any{}
	for id, t := range tokens {
		switch int32(types[id]) {
		case tokenizer.Control:
			added = append(added, map[string]any{"id": id, "content": t, "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false})
			fallthrough
		case tokenizer.Normal:
			vocab[t] = id
		}
	}
	pattern := `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	byteLevel := map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}
	b, err := json.Marshal(map[string]any{
		"version": "1.0", "truncation": nil, "padding": nil, "normalizer": nil, "added_tokens": added,
		"pre_tokenizer": map[string]any{"type": "Sequence", "pretokenizers": []any{
			map[string]any{"type": "Split", "pattern": map[string]any{"Regex": pattern}, "behavior": "Isolated", "invert": false}, byteLevel}},
		"post_processor": map[string]any{"type": "TemplateProcessing",
			"single": []any{map[string]any{"SpecialToken": map[string]any{"id": "<|startoftext|>", "type_id": 0}},
				map[string]any{"Sequence": map[string]any{"id": "A", "type_id": 0}}},
			"pair":           []any{map[string]any{"Sequence": map[string]any{"id": "A", "type_id": 0}}, map[string]any{"Sequence": map[string]any{"id": "B", "type_id": 1}}},
			"special_tokens": map[string]any{"<|startoftext|>": map[string]any{"id": "<|startoftext|>", "ids": []int{1}, "tokens": []string{"<|startoftext|>"}}}},
		"decoder": byteLevel,
		"model":   map[string]any{"type": "BPE", "ignore_merges": true, "vocab": vocab, "merges": merges},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// write writes the checkpoint to folder in so many shards.
func (c *checkpoint) write(tb testing.TB, folder string, shards int) {
	tb.Helper()
	put := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o666); err != nil {
			tb.Fatal(err)
		}
	}
	object := func(v any) []byte {
		b, err := json.Marshal(v)
		if err != nil {
			tb.Fatal(err)
		}
		return b
	}
	put("config.json", object(c.config))
	put("tokenizer.json", c.tokens)
	put("tokenizer_config.json", object(map[string]any{"chat_template": "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}"}))
	index := map[string]string{}
	for s := range shards {
		name := "model.safetensors"
		if shards > 1 {
			name = fmt.Sprintf("model-%05d-of-%05d.safetensors", s+1, shards)
		}
		header, body := map[string]any{"__metadata__": map[string]string{"format": "pt"}}, []byte{}
		for i, t := range c.names {
			if i%shards != s {
				continue
			}
			header[t] = map[string]any{"dtype": c.types[t].String(), "shape": c.shapes[t], "data_offsets": []int{len(body), len(body) + len(c.data[t])}}
			body = append(body, c.data[t]...)
			index[t] = name
		}
		h := object(header)
		h = append(h, strings.Repeat(" ", (8-len(h)%8)%8)...)
		put(name, append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(h))), h...), body...))
	}
	if shards > 1 {
		put("model.safetensors.index.json", object(map[string]any{"metadata": map[string]any{}, "weight_map": index}))
	}
}

// A checkpoint gives the logits of the GGUF file it was made from, and the same
// metadata, however its tensors are spread and named.
func TestHub(t *testing.T) {
	rename := func(from, to string) func(c *checkpoint) {
		return func(c *checkpoint) {
			for i, n := range c.names {
				if strings.HasPrefix(n, from) {
					c.names[i] = to + strings.TrimPrefix(n, from)
					c.shapes[c.names[i]], c.types[c.names[i]], c.data[c.names[i]] = c.shapes[n], c.types[n], c.data[n]
				}
			}
		}
	}
	nest := func(key, prefix string) func(c *checkpoint) {
		return func(c *checkpoint) {
			c.config = map[string]any{"model_type": "lfm2_vl", key: c.config}
			rename("model.", prefix)(c)
		}
	}
	for _, tt := range []struct {
		name string
		synth.Config
		shards int
		change func(c *checkpoint)
	}{
		{"dense", synth.Config{Size: "tiny", Type: "f32", Seed: 1}, 1, nil},
		{"half", synth.Config{Size: "tiny", Type: "f16", Seed: 1}, 1, nil},
		{"shards", synth.Config{Size: "tiny", Type: "bf16", Seed: 1}, 3, nil},
		{"untied", synth.Config{Size: "tiny", Type: "f32", Seed: 1, Untied: true}, 1, nil},
		{"moe", synth.Config{Size: "tinymoe", Type: "bf16", Seed: 1}, 2, nil},
		{"fused", synth.Config{Size: "tinymoe", Type: "bf16", Seed: 1}, 1, fuse},
		{"bare", synth.Config{Size: "tiny", Type: "f32", Seed: 1}, 1, rename("model.", "")},
		{"vision", synth.Config{Size: "tiny", Type: "f32", Seed: 1}, 1, nest("text_config", "model.language_model.")},
		{"vision-old", synth.Config{Size: "tiny", Type: "f32", Seed: 1}, 1, nest("text_config", "language_model.model.")},
		{"audio", synth.Config{Size: "tiny", Type: "f32", Seed: 1}, 1, nest("lfm", "lfm.")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, file := synthetic(t, tt.Config)
			f, err := gguf.Parse(file)
			if err != nil {
				t.Fatal(err)
			}
			c := newCheckpoint(t, f, m)
			if tt.change != nil {
				tt.change(c)
			}
			folder := t.TempDir()
			c.write(t, folder, tt.shards)
			hub, err := OpenHub(folder)
			if err != nil {
				t.Fatal(err)
			}
			defer hub.Close()
			v, err := Load(hub)
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{"tokenizer.ggml.tokens", "tokenizer.ggml.merges", "tokenizer.ggml.token_type", "tokenizer.ggml.bos_token_id",
				"tokenizer.ggml.eos_token_id", "tokenizer.ggml.padding_token_id", "tokenizer.ggml.add_bos_token", "tokenizer.ggml.pre"} {
				got, _ := hub.Field(key)
				want, _ := f.Field(key)
				if !reflect.DeepEqual(got, want) {
					t.Errorf("%s differs", key)
				}
			}
			if got, _ := hub.Str("tokenizer.chat_template"); !strings.Contains(got, "m.content") {
				t.Errorf("template %q", got)
			}
			tokens := randomTokens(50, m.Vocab, 4)
			want := run(t, m, NewWork(m, testPool(t), 64), state.New(m.Shape(), 64), tokens, 64)
			got := run(t, v, NewWork(v, testPool(t), 64), state.New(v.Shape(), 64), tokens, 64)
			bound := 0.0
			if m.Experts > 0 { // the two references normalise differently, by a millionth
				bound = 1e-4
			}
			if d := farthest(got, want); d > bound {
				t.Errorf("logits differ by %g", d)
			}
		})
	}
}

// fuse puts the experts of each layer in one tensor, as transformers 5 holds them.
func fuse(c *checkpoint) {
	type key struct{ layer, part string }
	fused, count := map[key][]byte{}, map[string]int{}
	var names []string
	for _, n := range c.names {
		layer, rest, ok := strings.Cut(n, "experts.")
		if !ok {
			names = append(names, n)
			continue
		}
		count[layer] = max(count[layer], len(c.data[n]))
		fused[key{layer, strings.TrimSuffix(rest, ".weight")}] = c.data[n]
	}
	c.names = names
	e := c.config["num_experts"].(int)
	d, fe := c.config["hidden_size"].(int), c.config["moe_intermediate_size"].(int)
	for layer := range count {
		var both, down []byte
		for i := range e {
			both = append(append(both, fused[key{layer, fmt.Sprint(i, ".w1")}]...), fused[key{layer, fmt.Sprint(i, ".w3")}]...)
			down = append(down, fused[key{layer, fmt.Sprint(i, ".w2")}]...)
		}
		c.set(layer+"experts.gate_up_proj", []int{e, 2 * fe, d}, quant.BF16, both)
		c.set(layer+"experts.down_proj", []int{e, d, fe}, quant.BF16, down)
	}
}

func TestHubRefuses(t *testing.T) {
	m, file := synthetic(t, tinyMoE)
	f, err := gguf.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	without := func(name string) func(*checkpoint) {
		return func(c *checkpoint) { c.names = slices.DeleteFunc(c.names, func(n string) bool { return n == name }) }
	}
	for _, tt := range []struct {
		name   string
		change func(c *checkpoint)
		want   string
	}{
		{"no-embedding", without("model.embed_tokens.weight"), `tensor "model.embed_tokens.weight" is missing`},
		{"no-expert", without("model.layers.3.feed_forward.experts.5.w2.weight"), `"model.layers.3.feed_forward.experts.5.w2.weight" is missing`},
		{"shape", func(c *checkpoint) { c.config["moe_intermediate_size"] = 128 }, "has sizes [256 256] instead of [128 256]"},
		{"untied", func(c *checkpoint) { c.config["tie_word_embeddings"] = false }, `"lm_head.weight" is missing`},
		{"integers", func(c *checkpoint) {
			n := "model.layers.0.ffn_norm.weight"
			c.types[n] = quant.I32
		}, "is of type I32"},
		{"fused-short", func(c *checkpoint) {
			c.set("model.layers.2.feed_forward.experts.gate_up_proj", []int{1}, quant.F32, make([]byte, 4))
		}, "do not fit 8 experts of 256"},
		{"other-model", func(c *checkpoint) { c.config["model_type"] = "llama" }, "llama"},
		{"bias", func(c *checkpoint) { c.config["conv_bias"] = true }, "have a bias"},
		{"encoder", func(c *checkpoint) { c.config["architectures"] = []string{"Lfm2BidirectionalModel"} }, "bidirectional"},
		{"tokens", func(c *checkpoint) { c.tokens = []byte("{}") }, "tokenizer.json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCheckpoint(t, f, m)
			tt.change(c)
			folder := t.TempDir()
			c.write(t, folder, 1)
			hub, err := OpenHub(folder)
			if err == nil {
				_, err = Load(hub)
				hub.Close()
			}
			if err == nil {
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q does not contain %q", err, tt.want)
			}
		})
	}
}
