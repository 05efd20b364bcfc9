package lfm2

import (
	"errors"
	"fmt"
	"math"

	"github.com/sluice-ai/sluice/runtime/gguf"
	"github.com/sluice-ai/sluice/runtime/state"
)

// A Config is the shape of a model.
type Config struct {
	Layers  int
	Dim     int   // d, the width of the residual stream
	FFN     int   // F, the width of the feed-forward layers
	Heads   int   // H, query heads
	HeadDim int   // hd
	KVHeads []int // [Layers]; 0 marks a short-convolution layer
	Vocab   int   // V, rows of the embedding
	Taps    int   // K, of the short convolution
	Context int   // positions the file says the model was made for
	Eps     float32
	Theta   float64 // base of the rotary embedding

	// Of a mixture of experts; Experts is 0 in a dense model.
	Experts     int // E, in each sparse layer
	Active      int // k, experts a token uses
	ExpertFFN   int // Fe, the width of one expert
	DenseLayers int // layers from 0 on that are not sparse
	Router      Router
}

// A Router says how the weights of a token's experts come from their scores.
//
// The two references differ by less than rounding where it matters: llama.cpp
// divides by max(sum, 6.1e-5), transformers by sum + 1e-6. A model is run as the
// reference for its file format would.
type Router struct {
	Normalise bool
	Add       float32 // to the sum divided by
	Floor     float32 // the least that sum can be
	Scale     float32 // of the weights, afterwards
}

// sparse reports whether layer l is a mixture of experts.
func (c *Config) sparse(l int) bool { return c.Experts > 0 && l >= c.DenseLayers }

// Shape returns what a sequence of this model remembers, keys and values in F32.
func (c *Config) Shape() state.Shape {
	return state.Shape{KVHeads: c.KVHeads, HeadDim: c.HeadDim, Dim: c.Dim, Taps: c.Taps}
}

// Attention returns the number of attention layers.
func (c *Config) Attention() int {
	n := 0
	for _, h := range c.KVHeads {
		if h > 0 {
			n++
		}
	}
	return n
}

// maxKVHeads returns the most key-value heads of any layer.
func (c *Config) maxKVHeads() int {
	n := 0
	for _, h := range c.KVHeads {
		n = max(n, h)
	}
	return n
}

// checkArchitecture explains in one sentence why f is not a model that this package runs.
func checkArchitecture(f *gguf.File) error {
	if kind, ok := f.Str("general.type"); ok && kind == "adapter" {
		return errors.New("the file holds a LoRA adapter, not a model; open the model it was made for and give this as an adapter")
	}
	arch, ok := f.Str("general.architecture")
	switch {
	case !ok:
		return errors.New("the file does not say what model it holds (no general.architecture); use an LFM2 model in GGUF format")
	case arch == "clip":
		return errors.New("the file holds a vision or audio projector (mmproj), not a language model; give the model's own GGUF file")
	case arch != "lfm2" && arch != "lfm2moe":
		return fmt.Errorf("the file holds a model of architecture %q, and only LFM2 models (architecture \"lfm2\" or \"lfm2moe\") can be run; get one such as LFM2-1.2B", arch)
	}
	if n, ok := f.Int("split.count"); ok && n > 1 {
		return fmt.Errorf("the file is one part of a model split into %d; open it by its path, with the others beside it", n)
	}
	if causal, ok := f.Bool(arch + ".attention.causal"); ok && !causal {
		return errors.New("the file holds a bidirectional LFM2 encoder, which cannot generate or judge; use a causal LFM2 model")
	}
	if n, ok := f.Int(arch + ".attention.sliding_window"); ok && n > 0 {
		return errors.New("the file holds an LFM2 audio detokenizer (sliding-window attention), not a language model")
	}
	return nil
}

// readConfig reads the shape from f's metadata, and the layer kinds from its
// tensors where an old file does not list them.
func readConfig(f *gguf.File) (Config, error) {
	arch, _ := f.Str("general.architecture")
	r := configReader{f: f, prefix: arch + "."}
	c := Config{
		Layers:  r.int("block_count", 1, 1024),
		Dim:     r.int("embedding_length", 1, 1<<17),
		FFN:     r.int("feed_forward_length", 1, 1<<17),
		Heads:   r.int("attention.head_count", 1, 1<<12),
		Taps:    r.int("shortconv.l_cache", 2, 64),
		Context: r.int("context_length", 1, 1<<24),
		Eps:     float32(r.float("attention.layer_norm_rms_epsilon", 0, 1)),
		Theta:   r.float("rope.freq_base", 1, 1e12),
	}
	if arch == "lfm2moe" {
		r.experts(&c)
	}
	if r.err != nil {
		return Config{}, r.err
	}
	c.HeadDim = c.Dim / c.Heads
	if _, ok := f.Int(r.prefix + "attention.key_length"); ok {
		c.HeadDim = r.int("attention.key_length", 1, 1<<12)
		if v, ok := f.Int(r.prefix + "attention.value_length"); ok && v != int64(c.HeadDim) {
			return Config{}, fmt.Errorf("%sattention.value_length is %d and key_length %d; they must be equal", r.prefix, v, c.HeadDim)
		}
	} else if c.Dim%c.Heads != 0 {
		return Config{}, fmt.Errorf("%sembedding_length %d does not divide into %d heads", r.prefix, c.Dim, c.Heads)
	}
	if c.Heads*c.HeadDim > 1<<17 {
		return Config{}, fmt.Errorf("%d heads of %d elements are implausibly wide", c.Heads, c.HeadDim)
	}
	if c.HeadDim%2 != 0 {
		return Config{}, fmt.Errorf("heads of %d elements cannot be rotated in halves", c.HeadDim)
	}
	if n, ok := f.Int(r.prefix + "rope.dimension_count"); ok && n != int64(c.HeadDim) {
		return Config{}, fmt.Errorf("%srope.dimension_count is %d; only whole heads (%d) can be rotated", r.prefix, n, c.HeadDim)
	}
	if kind, ok := f.Str(r.prefix + "rope.scaling.type"); ok && kind != "none" {
		return Config{}, fmt.Errorf("%srope.scaling.type %q is not supported", r.prefix, kind)
	}
	embed := f.Tensor("token_embd.weight")
	if embed == nil || len(embed.Dims) != 2 {
		return Config{}, errors.New("tensor \"token_embd.weight\" is missing or not a matrix")
	}
	if c.Vocab = embed.Dims[1]; c.Vocab > math.MaxInt32 {
		return Config{}, fmt.Errorf("a vocabulary of %d is impossible", c.Vocab)
	}
	if r.err == nil {
		c.KVHeads, r.err = readKVHeads(f, r.prefix, c)
	}
	return c, r.err
}

// readKVHeads reads attention.head_count_kv: an array with 0 for each
// convolution layer, or in files from elsewhere one number, the layer kinds then
// being told by the tensors.
func readKVHeads(f *gguf.File, prefix string, c Config) ([]int, error) {
	key := prefix + "attention.head_count_kv"
	list, isList := f.Ints(key)
	one, isOne := f.Int(key)
	switch {
	case isList && len(list) != c.Layers:
		return nil, fmt.Errorf("%s has %d entries for %d layers", key, len(list), c.Layers)
	case !isList && !isOne:
		return nil, fmt.Errorf("metadata %s is missing or not a list of integers", key)
	}
	heads := make([]int, c.Layers)
	for l := range heads {
		conv := f.Tensor(fmt.Sprintf("blk.%d.shortconv.conv.weight", l)) != nil
		n := one
		if isList {
			n = list[l]
		} else if conv {
			n = 0
		}
		switch {
		case n < 0 || n > int64(c.Heads) || (n > 0 && int64(c.Heads)%n != 0):
			return nil, fmt.Errorf("layer %d has %d key-value heads for %d query heads", l, n, c.Heads)
		case n == 0 && !conv:
			return nil, fmt.Errorf("layer %d should be a convolution, but tensor \"blk.%d.shortconv.conv.weight\" is missing", l, l)
		case n > 0 && conv:
			return nil, fmt.Errorf("layer %d should be attention, but has a tensor \"blk.%d.shortconv.conv.weight\"", l, l)
		}
		heads[l] = int(n)
	}
	return heads, nil
}

// A configReader reads numbers under a prefix such as "lfm2." and keeps the
// first error.
type configReader struct {
	f      *gguf.File
	prefix string
	err    error
}

func (r *configReader) int(key string, lo, hi int64) int {
	n, ok := r.f.Int(r.prefix + key)
	if r.err == nil && !ok {
		r.err = fmt.Errorf("metadata %s%s is missing or not an integer", r.prefix, key)
	} else if r.err == nil && (n < lo || n > hi) {
		r.err = fmt.Errorf("metadata %s%s is %d, outside %d to %d", r.prefix, key, n, lo, hi)
	}
	return int(n)
}

func (r *configReader) float(key string, lo, hi float64) float64 {
	v, ok := r.f.Float(r.prefix + key)
	if r.err == nil && !ok {
		r.err = fmt.Errorf("metadata %s%s is missing or not a number", r.prefix, key)
	} else if r.err == nil && !(v >= lo && v <= hi) {
		r.err = fmt.Errorf("metadata %s%s is %g, outside %g to %g", r.prefix, key, v, lo, hi)
	}
	return v
}

// has reports whether there is any metadata under key.
func (r *configReader) has(key string) bool {
	_, ok := r.f.Field(r.prefix + key)
	return ok
}

// experts reads what only a mixture of experts has.
func (r *configReader) experts(c *Config) {
	c.Experts = r.int("expert_count", 1, 1024)
	c.Active = r.int("expert_used_count", 1, int64(c.Experts))
	c.ExpertFFN = r.int("expert_feed_forward_length", 1, 1<<17)
	c.DenseLayers = r.int("leading_dense_block_count", 0, int64(c.Layers))
	c.Router = Router{Normalise: true, Floor: 0x1p-14, Scale: 1}
	const sigmoid = 2
	if r.has("expert_gating_func") {
		if n := r.int("expert_gating_func", 0, math.MaxInt32); r.err == nil && n != sigmoid {
			r.err = fmt.Errorf("metadata %sexpert_gating_func is %d; LFM2's router is a sigmoid (%d)", r.prefix, n, sigmoid)
		}
	}
	if v, ok := r.f.Bool(r.prefix + "expert_weights_norm"); ok {
		c.Router.Normalise = v
	}
	if r.has("expert_weights_scale") {
		if v := r.float("expert_weights_scale", 0, 1e6); v != 0 {
			c.Router.Scale = float32(v)
		}
	}
	if v, ok := r.f.Float(fromHub); ok { // transformers' way
		c.Router.Add, c.Router.Floor = float32(v), 0
	}
}

// fromHub is a key that [FromHub] sets: what transformers adds to the sum of the
// experts' weights.
const fromHub = "sluice.router.epsilon"
