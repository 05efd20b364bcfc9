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
}

// Shape returns what a sequence of this model remembers.
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
	arch, ok := f.Str("general.architecture")
	switch {
	case !ok:
		return errors.New("the file does not say what model it holds (no general.architecture); use an LFM2 model in GGUF format")
	case arch == "lfm2moe":
		return errors.New("the file holds a mixture-of-experts LFM2 model (lfm2moe), which is not supported yet; use a dense one such as LFM2-1.2B")
	case arch == "clip":
		return errors.New("the file holds a vision or audio projector (mmproj), not a language model; give the model's own GGUF file")
	case arch != "lfm2":
		return fmt.Errorf("the file holds a model of architecture %q, and only LFM2 models (architecture \"lfm2\") can be run; get one such as LFM2-1.2B", arch)
	}
	if n, ok := f.Int("split.count"); ok && n > 1 {
		return fmt.Errorf("the file is one part of a model split into %d; join them with llama-gguf-split --merge", n)
	}
	if causal, ok := f.Bool("lfm2.attention.causal"); ok && !causal {
		return errors.New("the file holds a bidirectional LFM2 encoder, which cannot generate or judge; use a causal LFM2 model")
	}
	if n, ok := f.Int("lfm2.attention.sliding_window"); ok && n > 0 {
		return errors.New("the file holds an LFM2 audio detokenizer (sliding-window attention), not a language model")
	}
	return nil
}

// readConfig reads the shape from f's metadata, and the layer kinds from its
// tensors where an old file does not list them.
func readConfig(f *gguf.File) (Config, error) {
	r := configReader{f: f}
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
	if r.err != nil {
		return Config{}, r.err
	}
	c.HeadDim = c.Dim / c.Heads
	if _, ok := f.Int("lfm2.attention.key_length"); ok {
		c.HeadDim = r.int("attention.key_length", 1, 1<<12)
		if v, ok := f.Int("lfm2.attention.value_length"); ok && v != int64(c.HeadDim) {
			return Config{}, fmt.Errorf("lfm2.attention.value_length is %d and key_length %d; they must be equal", v, c.HeadDim)
		}
	} else if c.Dim%c.Heads != 0 {
		return Config{}, fmt.Errorf("lfm2.embedding_length %d does not divide into %d heads", c.Dim, c.Heads)
	}
	if c.Heads*c.HeadDim > 1<<17 {
		return Config{}, fmt.Errorf("%d heads of %d elements are implausibly wide", c.Heads, c.HeadDim)
	}
	if c.HeadDim%2 != 0 {
		return Config{}, fmt.Errorf("heads of %d elements cannot be rotated in halves", c.HeadDim)
	}
	if n, ok := f.Int("lfm2.rope.dimension_count"); ok && n != int64(c.HeadDim) {
		return Config{}, fmt.Errorf("lfm2.rope.dimension_count is %d; only whole heads (%d) can be rotated", n, c.HeadDim)
	}
	if kind, ok := f.Str("lfm2.rope.scaling.type"); ok && kind != "none" {
		return Config{}, fmt.Errorf("lfm2.rope.scaling.type %q is not supported", kind)
	}
	embed := f.Tensor("token_embd.weight")
	if embed == nil || len(embed.Dims) != 2 {
		return Config{}, errors.New("tensor \"token_embd.weight\" is missing or not a matrix")
	}
	if c.Vocab = embed.Dims[1]; c.Vocab > math.MaxInt32 {
		return Config{}, fmt.Errorf("a vocabulary of %d is impossible", c.Vocab)
	}
	if r.err == nil {
		c.KVHeads, r.err = readKVHeads(f, c)
	}
	return c, r.err
}

// readKVHeads reads lfm2.attention.head_count_kv: an array with 0 for each
// convolution layer, or in files from elsewhere one number, the layer kinds then
// being told by the tensors.
func readKVHeads(f *gguf.File, c Config) ([]int, error) {
	const key = "lfm2.attention.head_count_kv"
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

// A configReader reads numbers under "lfm2." and keeps the first error.
type configReader struct {
	f   *gguf.File
	err error
}

func (r *configReader) int(key string, lo, hi int64) int {
	n, ok := r.f.Int("lfm2." + key)
	if r.err == nil && !ok {
		r.err = fmt.Errorf("metadata lfm2.%s is missing or not an integer", key)
	} else if r.err == nil && (n < lo || n > hi) {
		r.err = fmt.Errorf("metadata lfm2.%s is %d, outside %d to %d", key, n, lo, hi)
	}
	return int(n)
}

func (r *configReader) float(key string, lo, hi float64) float64 {
	v, ok := r.f.Float("lfm2." + key)
	if r.err == nil && !ok {
		r.err = fmt.Errorf("metadata lfm2.%s is missing or not a number", key)
	} else if r.err == nil && !(v >= lo && v <= hi) {
		r.err = fmt.Errorf("metadata lfm2.%s is %g, outside %g to %g", key, v, lo, hi)
	}
	return v
}
