package lfm2

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sluice-ai/sluice/runtime/gguf"
	"github.com/sluice-ai/sluice/runtime/safetensors"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

// OpenHub opens a checkpoint as transformers saves it (a folder with config.json,
// tokenizer.json and *.safetensors) as the GGUF file that llama.cpp's converter
// would make of it: the same metadata and the same tensor names. Tensors stay
// where they are, in the type they have; so the experts of a layer stay apart, as
// blk.N.ffn_gate.E.weight and so on. The caller closes the result.
func OpenHub(folder string) (_ *gguf.File, err error) {
	c, err := safetensors.ReadConfig(folder)
	if err != nil {
		return nil, err
	}
	v, err := safetensors.ReadTokenizer(folder, c)
	if err != nil {
		return nil, err
	}
	template, err := hubTemplate(folder)
	if err != nil {
		return nil, err
	}
	causal, err := hubCausal(folder)
	if err != nil {
		return nil, err
	}
	if c.ConvBias {
		return nil, fmt.Errorf("reading checkpoint %s: its convolutions have a bias, which no LFM2 that was released has", folder)
	}
	weights, err := safetensors.Open(folder)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("reading checkpoint %s: %w", folder, err), weights.Close())
		}
	}()
	h := hub{c: c, causal: causal, from: weights}
	h.prefix = h.findPrefix()
	if err := h.tensors(); err != nil {
		return nil, err
	}
	f, err := gguf.New(h.fields(filepath.Base(folder), v, template), h.to, weights.Close)
	if err != nil {
		return nil, err
	}
	f.Size = weights.Size
	return f, nil
}

// A hub translates one checkpoint.
type hub struct {
	c      safetensors.Config
	causal bool
	from   *safetensors.File
	prefix string // of tensor names
	to     []gguf.Tensor
}

// findPrefix returns what the names of the language model's tensors begin with:
// the bare model has no prefix, and those that also see or hear have longer ones.
func (h *hub) findPrefix() string {
	prefixes := []string{"model.", ""}
	switch h.c.Nested {
	case "text_config":
		prefixes = []string{"model.language_model.", "language_model.model."}
	case "lfm":
		prefixes = []string{"lfm."}
	}
	for _, p := range prefixes {
		if h.from.Tensor(p+"embed_tokens.weight") != nil {
			return p
		}
	}
	return prefixes[0]
}

// add takes the tensor called from, of shape, as to.
func (h *hub) add(to, from string, shape ...int) error {
	t := h.from.Tensor(from)
	if t == nil {
		return fmt.Errorf("tensor %q is missing", from)
	}
	return h.addPart(to, t, 0, t.Elements(), shape)
}

// addPart takes n elements of t from the at-th on as a tensor of shape.
func (h *hub) addPart(to string, t *safetensors.Tensor, at, n int, shape []int) error {
	typ, ok := t.DType.Quant()
	if !ok {
		return fmt.Errorf("tensor %q is of type %s, which is not supported; use a checkpoint in BF16, F16 or F32", t.Name, t.DType)
	}
	elements, dims := 1, make([]int, 0, len(shape))
	for i := range shape { // GGUF's order is the reverse, and lets sizes of 1 be
		if s := shape[len(shape)-1-i]; s != 1 || len(shape) == 1 {
			elements, dims = elements*s, append(dims, s)
		}
	}
	if elements != n {
		return fmt.Errorf("tensor %q has sizes %v instead of %v", t.Name, t.Shape, shape)
	}
	size := len(t.Data) / t.Elements()
	h.to = append(h.to, gguf.Tensor{Name: to, Type: typ, Dims: dims, Data: t.Data[at*size : (at+n)*size : (at+n)*size]})
	return nil
}

// tensors translates all names (sections 5 and 6.2 of the reference).
func (h *hub) tensors() error {
	c := &h.c
	kv := c.KVHeads * c.HeadDim
	type entry struct {
		to, from string
		shape    []int
	}
	top := []entry{
		{"token_embd.weight", "embed_tokens.weight", []int{c.Vocab, c.Dim}},
		{"token_embd_norm.weight", "embedding_norm.weight", []int{c.Dim}},
	}
	for _, e := range top {
		if err := h.add(e.to, h.prefix+e.from, e.shape...); err != nil {
			return err
		}
	}
	if !c.Tied {
		if err := h.add("output.weight", h.head(), c.Vocab, c.Dim); err != nil {
			return err
		}
	}
	for l := range c.Layers {
		to, from := fmt.Sprintf("blk.%d.", l), fmt.Sprintf("%slayers.%d.", h.prefix, l)
		layer := []entry{
			{"attn_norm.weight", "operator_norm.weight", []int{c.Dim}},
			{"ffn_norm.weight", "ffn_norm.weight", []int{c.Dim}},
		}
		if c.Attention[l] {
			layer = append(layer,
				entry{"attn_q.weight", "self_attn.q_proj.weight", []int{c.Heads * c.HeadDim, c.Dim}},
				entry{"attn_k.weight", "self_attn.k_proj.weight", []int{kv, c.Dim}},
				entry{"attn_v.weight", "self_attn.v_proj.weight", []int{kv, c.Dim}},
				entry{"attn_output.weight", "self_attn.out_proj.weight", []int{c.Dim, c.Heads * c.HeadDim}},
				entry{"attn_q_norm.weight", "self_attn.q_layernorm.weight", []int{c.HeadDim}},
				entry{"attn_k_norm.weight", "self_attn.k_layernorm.weight", []int{c.HeadDim}})
		} else {
			layer = append(layer,
				entry{"shortconv.in_proj.weight", "conv.in_proj.weight", []int{3 * c.Dim, c.Dim}},
				entry{"shortconv.conv.weight", "conv.conv.weight", []int{c.Dim, 1, c.Taps}},
				entry{"shortconv.out_proj.weight", "conv.out_proj.weight", []int{c.Dim, c.Dim}})
		}
		if c.Experts > 0 && l >= c.DenseLayers {
			layer = append(layer, entry{"ffn_gate_inp.weight", "feed_forward.gate.weight", []int{c.Experts, c.Dim}})
			if c.ExpertBias {
				layer = append(layer, entry{"exp_probs_b.bias", "feed_forward.expert_bias", []int{c.Experts}})
			}
		} else {
			layer = append(layer,
				entry{"ffn_gate.weight", "feed_forward.w1.weight", []int{c.FFN, c.Dim}},
				entry{"ffn_up.weight", "feed_forward.w3.weight", []int{c.FFN, c.Dim}},
				entry{"ffn_down.weight", "feed_forward.w2.weight", []int{c.Dim, c.FFN}})
		}
		for _, e := range layer {
			if err := h.add(to+e.to, from+e.from, e.shape...); err != nil {
				return err
			}
		}
		if c.Experts > 0 && l >= c.DenseLayers {
			if err := h.experts(to, from+"feed_forward.experts."); err != nil {
				return err
			}
		}
	}
	return nil
}

// head returns the name of the output's matrix.
func (h *hub) head() string {
	for _, name := range []string{"lm_head.weight", strings.TrimSuffix(h.prefix, "model.") + "lm_head.weight"} {
		if h.from.Tensor(name) != nil {
			return name
		}
	}
	return "lm_head.weight"
}

// experts translates the experts of a layer. Checkpoints have a tensor for each
// matrix of each; transformers since version 5 may also write all of a layer in
// one, gate and up of an expert one after the other.
func (h *hub) experts(to, from string) error {
	c := &h.c
	size := c.ExpertFFN * c.Dim
	both, down := h.from.Tensor(from+"gate_up_proj"), h.from.Tensor(from+"down_proj")
	if both != nil && (both.Elements() != 2*size*c.Experts || down == nil || down.Elements() != size*c.Experts) {
		return fmt.Errorf("tensors %q and down_proj do not fit %d experts of %d", both.Name, c.Experts, c.ExpertFFN)
	}
	for e := range c.Experts {
		for i, part := range []struct {
			to, from string
			shape    []int
		}{
			{"ffn_gate", "w1", []int{c.ExpertFFN, c.Dim}},
			{"ffn_up", "w3", []int{c.ExpertFFN, c.Dim}},
			{"ffn_down", "w2", []int{c.Dim, c.ExpertFFN}},
		} {
			name := fmt.Sprintf("%s%s.%d.weight", to, part.to, e)
			var err error
			switch {
			case both == nil:
				err = h.add(name, fmt.Sprintf("%s%d.%s.weight", from, e, part.from), part.shape...)
			case i < 2:
				err = h.addPart(name, both, (2*e+i)*size, size, part.shape)
			default:
				err = h.addPart(name, down, e*size, size, part.shape)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// fields returns the metadata.
func (h *hub) fields(name string, v tokenizer.Vocab, template string) (fields []gguf.Field) {
	c, arch := &h.c, "lfm2"
	if c.Experts > 0 {
		arch = "lfm2moe"
	}
	kv := make([]int32, c.Layers)
	for l, attention := range c.Attention {
		if attention {
			kv[l] = int32(c.KVHeads)
		}
	}
	set := func(key string, value any) { fields = append(fields, gguf.Field{Key: key, Value: value}) }
	set("general.architecture", arch)
	set("general.type", "model")
	set("general.name", name)
	set(arch+".block_count", uint32(c.Layers))
	set(arch+".context_length", uint32(c.Context))
	set(arch+".embedding_length", uint32(c.Dim))
	set(arch+".feed_forward_length", uint32(c.FFN))
	set(arch+".attention.head_count", uint32(c.Heads))
	set(arch+".attention.head_count_kv", kv)
	set(arch+".attention.key_length", uint32(c.HeadDim))
	set(arch+".attention.value_length", uint32(c.HeadDim))
	set(arch+".attention.layer_norm_rms_epsilon", float32(c.Eps))
	set(arch+".rope.freq_base", float32(c.Theta))
	set(arch+".vocab_size", uint32(c.Vocab))
	set(arch+".shortconv.l_cache", uint32(c.Taps))
	if !h.causal {
		set(arch+".attention.causal", false)
	}
	if c.Experts > 0 {
		set("lfm2moe.expert_count", uint32(c.Experts))
		set("lfm2moe.expert_used_count", uint32(c.ExpertsUsed))
		set("lfm2moe.expert_feed_forward_length", uint32(c.ExpertFFN))
		set("lfm2moe.leading_dense_block_count", uint32(c.DenseLayers))
		set("lfm2moe.expert_gating_func", uint32(2)) // sigmoid
		set("lfm2moe.expert_weights_norm", c.NormTopK)
		set("lfm2moe.expert_weights_scale", float32(c.RoutedScale))
		set(fromHub, float32(1e-6))
	}
	set("tokenizer.ggml.model", "gpt2")
	set("tokenizer.ggml.pre", "lfm2")
	set("tokenizer.ggml.tokens", v.Tokens)
	if v.Types != nil {
		set("tokenizer.ggml.token_type", v.Types)
	}
	set("tokenizer.ggml.merges", v.Merges)
	for _, id := range []struct {
		key string
		id  int32
	}{{"bos", v.BOS}, {"eos", v.EOS}, {"padding", v.PAD}} {
		if id.id >= 0 {
			set("tokenizer.ggml."+id.key+"_token_id", uint32(id.id))
		}
	}
	set("tokenizer.ggml.add_bos_token", v.AddBOS)
	if template != "" {
		set("tokenizer.chat_template", template)
	}
	return fields
}

// hubCausal reports whether a checkpoint reads from left to right only: the
// encoders' config.json differs in the name of the class alone.
func hubCausal(folder string) (bool, error) {
	path := filepath.Join(folder, "config.json")
	b, err := readUpTo(path, maxTemplate)
	if err != nil {
		return false, err
	}
	var config struct{ Architectures []string }
	if err := json.Unmarshal(b, &config); err != nil {
		return false, fmt.Errorf("reading %s: %w", path, err)
	}
	for _, a := range config.Architectures {
		if strings.Contains(a, "Bidirectional") {
			return false, nil
		}
	}
	return true, nil
}

const maxTemplate = 4 << 20 // bytes of a file with a chat template

// hubTemplate returns a checkpoint's chat template, "" if it has none: from
// chat_template.jinja, chat_template.json or tokenizer_config.json.
func hubTemplate(folder string) (string, error) {
	b, err := readUpTo(filepath.Join(folder, "chat_template.jinja"), maxTemplate)
	if err != nil || b != nil {
		return string(b), err
	}
	for _, name := range []string{"chat_template.json", "tokenizer_config.json"} {
		if b, err = readUpTo(filepath.Join(folder, name), maxTemplate); err != nil {
			return "", err
		}
		var file struct {
			Template json.RawMessage `json:"chat_template"`
		}
		if b == nil {
			continue
		}
		if err := json.Unmarshal(b, &file); err != nil {
			return "", fmt.Errorf("reading %s: %w", filepath.Join(folder, name), err)
		}
		var one string
		if json.Unmarshal(file.Template, &one) == nil && one != "" {
			return one, nil
		}
		var named []struct{ Name, Template string }
		if json.Unmarshal(file.Template, &named) == nil {
			for _, t := range named {
				if t.Name == "default" {
					return t.Template, nil
				}
			}
		}
	}
	return "", nil
}

// readUpTo returns a file's bytes; nil if there is none.
func readUpTo(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return b, err
}
