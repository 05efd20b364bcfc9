package safetensors

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
)

// A Config is the shape of an LFM2 model, as config.json tells it.
type Config struct {
	// Nested is the member of config.json that the shape came from, "text_config"
	// (a model that also sees) or "lfm" (that also hears); "" in a text model.
	// Tensor names differ accordingly: reference/lfm2.md §5.
	Nested string

	Layers    int
	Dim       int // d
	Heads     int // H
	KVHeads   int // of attention layers
	HeadDim   int
	FFN       int    // effective width of dense layers, adjusted as the family does
	Attention []bool // [Layers]; false is a short convolution
	Vocab     int    // rows of the embedding
	Taps      int    // K, conv_L_cache
	ConvBias  bool
	Context   int // max_position_embeddings
	Eps       float64
	Theta     float64
	Tied      bool // the head is the embedding

	// Of a mixture of experts (lfm2_moe); Experts is 0 otherwise.
	Experts     int
	ExpertsUsed int // per token
	ExpertFFN   int // width of one expert
	DenseLayers int // first layers that are not mixtures
	ExpertBias  bool
	NormTopK    bool
	RoutedScale float64

	BOS, EOS, PAD int32 // -1 for none
}

// maxConfig bounds config.json: real ones have a few kilobytes.
const maxConfig = 1 << 20

// ReadConfig reads config.json in a folder.
func ReadConfig(folder string) (Config, error) {
	b, err := readSmall(filepath.Join(folder, "config.json"), maxConfig)
	if err != nil {
		return Config{}, err
	}
	c, err := ParseConfig(b)
	if err != nil {
		return Config{}, fmt.Errorf("reading %s: %w", filepath.Join(folder, "config.json"), err)
	}
	return c, nil
}

// ParseConfig reads config.json of an LFM2 or LFM2-MoE model, in the old and the
// new spelling of its keys, flat or nested. It fails for other models, and for
// values that no such model has.
func ParseConfig(data []byte) (Config, error) {
	if len(data) > maxConfig {
		return Config{}, errors.New("config.json is implausibly long")
	}
	var flat keys
	if err := json.Unmarshal(data, &flat); err != nil || flat == nil {
		return Config{}, errors.New("config.json is no JSON object")
	}
	var c Config
	k := flat
	for _, nested := range []string{"text_config", "lfm"} {
		var inner keys
		if raw, ok := flat[nested]; ok && json.Unmarshal(raw, &inner) == nil && inner != nil {
			k, c.Nested = inner, nested
			break
		}
	}
	r := &configReader{k: k}
	kind := r.text("model_type", "lfm2")
	if kind != "lfm2" && kind != "lfm2_moe" {
		return Config{}, fmt.Errorf("config.json describes a model of type %.40q; only lfm2 and lfm2_moe can be run", kind)
	}
	c.Layers = r.int(1, 1024, 0, "num_hidden_layers")
	c.Dim = r.int(1, 1<<17, 0, "hidden_size")
	c.Heads = r.int(1, 1<<12, 0, "num_attention_heads", "num_heads")
	c.KVHeads = r.int(1, 1<<12, c.Heads, "num_key_value_heads")
	c.Vocab = r.int(1, maxVocab, 0, "vocab_size")
	c.Taps = r.int(2, 64, 3, "conv_L_cache")
	c.ConvBias = r.bool(false, "conv_bias")
	c.Context = r.int(1, 1<<24, 128000, "max_position_embeddings")
	c.Eps = r.float(1e-5, "norm_eps", "block_norm_eps")
	c.Theta = r.theta()
	c.Tied = r.bool(true, "tie_word_embeddings", "tie_embedding")
	c.BOS, c.EOS, c.PAD = r.id("bos_token_id", c.Vocab), r.id("eos_token_id", c.Vocab), r.id("pad_token_id", c.Vocab)
	c.HeadDim = r.int(1, 1<<12, c.Dim/max(c.Heads, 1), "head_dim")
	c.FFN = r.int(1, 1<<17, 0, "block_ff_dim", "intermediate_size")
	if kind == "lfm2_moe" {
		c.Experts = r.int(1, 1<<12, 0, "num_experts")
		c.ExpertsUsed = r.int(1, c.Experts, 0, "num_experts_per_tok")
		c.ExpertFFN = r.int(1, 1<<17, 0, "moe_intermediate_size")
		c.DenseLayers = r.int(0, c.Layers, 0, "num_dense_layers")
		c.ExpertBias = r.bool(true, "use_expert_bias")
		c.NormTopK = r.bool(true, "norm_topk_prob")
		c.RoutedScale = r.float(1, "routed_scaling_factor")
	} else {
		c.FFN = r.adjustFFN(c.FFN)
	}
	if r.err == nil {
		c.Attention = r.layers(c.Layers)
	}
	switch {
	case r.err != nil:
		return Config{}, r.err
	case c.Heads%c.KVHeads != 0:
		return Config{}, fmt.Errorf("config.json: %d heads do not share %d key-value heads evenly", c.Heads, c.KVHeads)
	case c.HeadDim%2 != 0:
		return Config{}, fmt.Errorf("config.json: heads of %d elements cannot be rotated in halves", c.HeadDim)
	}
	return c, nil
}

type keys map[string]json.RawMessage

// A configReader reads members by the first of their spellings that is there,
// and remembers the first failure.
type configReader struct {
	k   keys
	err error
}

func (r *configReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("config.json: "+format, args...)
	}
}

// get decodes the first of names that is there and not null into v.
func (r *configReader) get(v any, names ...string) (name string, ok bool) {
	for _, name := range names {
		raw, there := r.k[name]
		if !there || string(raw) == "null" {
			continue
		}
		if err := json.Unmarshal(raw, v); err != nil {
			r.fail("%s has a value of the wrong kind", name)
			return name, false
		}
		return name, true
	}
	return names[0], false
}

// int reads a number from low to high; fallback 0 means that it must be there.
func (r *configReader) int(low, high, fallback int, names ...string) int {
	var v int
	name, ok := r.get(&v, names...)
	if !ok {
		if fallback == 0 && low > 0 {
			r.fail("%s is missing", name)
		}
		return fallback
	}
	if v < low || v > high {
		r.fail("%s is %d, not between %d and %d", name, v, low, high)
		return max(low, 1)
	}
	return v
}

func (r *configReader) float(fallback float64, names ...string) float64 {
	var v float64
	name, ok := r.get(&v, names...)
	if !ok {
		return fallback
	}
	if v <= 0 || v > 1e15 || math.IsNaN(v) {
		r.fail("%s is %g, which is no plausible value", name, v)
	}
	return v
}

func (r *configReader) bool(fallback bool, names ...string) bool {
	v := fallback
	r.get(&v, names...)
	return v
}

func (r *configReader) text(name, fallback string) string {
	v := fallback
	r.get(&v, name)
	return v
}

// id reads a token id; of a list of ids, the first.
func (r *configReader) id(name string, vocab int) int32 {
	raw, ok := r.k[name]
	if !ok || string(raw) == "null" {
		return -1
	}
	var ids []int32
	if json.Unmarshal(raw, &ids) != nil {
		ids = make([]int32, 1)
		if json.Unmarshal(raw, &ids[0]) != nil {
			r.fail("%s is no token id", name)
			return -1
		}
	}
	if len(ids) == 0 {
		return -1
	}
	if ids[0] < 0 || int(ids[0]) >= vocab {
		r.fail("%s is outside the vocabulary", name)
		return -1
	}
	return ids[0]
}

func (r *configReader) theta() float64 {
	var rope struct {
		Theta *float64 `json:"rope_theta"`
		Type  string   `json:"rope_type"`
	}
	if _, ok := r.get(&rope, "rope_parameters"); ok {
		if rope.Type != "" && rope.Type != "default" {
			r.fail("rope type %.40q is not supported", rope.Type)
		}
		if rope.Theta != nil {
			return (&configReader{k: keys{"rope_theta": fmt.Appendf(nil, "%g", *rope.Theta)}}).float(1e6, "rope_theta")
		}
	}
	return r.float(1e6, "rope_theta", "theta")
}

// adjustFFN returns the effective width of a dense model's feed-forward layers.
func (r *configReader) adjustFFN(ff int) int {
	if !r.bool(true, "block_auto_adjust_ff_dim") {
		return ff
	}
	ff = 2 * ff / 3
	ff = int(r.float(1, "block_ffn_dim_multiplier") * float64(ff))
	multiple := r.int(1, 1<<16, 256, "block_multiple_of")
	ff = (ff + multiple - 1) / multiple * multiple
	if ff < 1 || ff > 1<<18 {
		r.fail("the feed-forward width comes out at %d", ff)
	}
	return ff
}

// layers returns which layers are attention.
func (r *configReader) layers(n int) []bool {
	out := make([]bool, n)
	var kinds []string
	var indices []int
	if name, ok := r.get(&kinds, "layer_types"); ok {
		if len(kinds) != n {
			r.fail("%s has %d entries for %d layers", name, len(kinds), n)
			return nil
		}
		for i, kind := range kinds {
			switch kind {
			case "full_attention":
				out[i] = true
			case "conv":
			default:
				r.fail("layer type %.40q is not supported", kind)
			}
		}
	} else if name, ok := r.get(&indices, "full_attn_idxs"); ok {
		for _, i := range indices {
			if i < 0 || i >= n {
				r.fail("%s names layer %d of %d", name, i, n)
				return nil
			}
			out[i] = true
		}
	} else {
		out = slices.Repeat([]bool{true}, n)
	}
	return out
}
