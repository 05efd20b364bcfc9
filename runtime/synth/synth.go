// Package synth writes GGUF files of LFM2 models with random weights: any shape,
// any weight type, decided by a seed. They serve to test and to measure the
// engine (and llama.cpp, which loads them too) without downloading a model. What
// such a model says means nothing.
//
// The same Config gives the same bytes on every platform: weights come from
// integer arithmetic and single float32 multiplications.
package synth

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/sluice-ai/sluice/runtime/gguf"
	"github.com/sluice-ai/sluice/runtime/mix"
	"github.com/sluice-ai/sluice/runtime/quant"
)

// A Config says what to write.
type Config struct {
	Size string // a name in [Sizes]. Default "tiny"
	Type string // a name in [Types]. Default "q4_0"
	Seed uint64
	// Untied gives the output a matrix of its own instead of the embedding's.
	Untied bool
	// Verbatim has the file say sluice.verbatim.
	Verbatim bool
	// Vocab is a GGUF file with a byte-level BPE vocabulary whose first tokens and
	// merges are taken, as many as the shape has room for, so that text is cut as
	// with a real model. Default: an invented vocabulary.
	Vocab string
}

// A Shape is the size of a model, as the LFM2 reference's table 1.1 gives it.
type Shape struct {
	Layers    int
	Dim       int
	Heads     int
	KVHeads   int
	FFN       int
	Vocab     int
	Used      int // vocabulary rows with a token of their own; the rest are unused padding
	Context   int
	Attention []int // indices of the attention layers
	Theta     float32

	// Of a mixture of experts.
	Experts   int // 0 in a dense model
	Active    int // experts a token uses
	ExpertFFN int
	Dense     int // leading layers that are not sparse
}

func (s Shape) arch() string {
	if s.Experts > 0 {
		return "lfm2moe"
	}
	return "lfm2"
}

// Sizes lists the names that Config.Size can have, dense ones first. Tiny, mini
// and tinymoe are for tests; mini's and tinymoe's rows are long enough for K-quants.
func Sizes() []string {
	return []string{"tiny", "mini", "230m", "350m", "700m", "1.2b", "2.6b", "2.5-2.6b", "tinymoe", "8b-a1b", "2.5-8b-a1b", "24b-a2b"}
}

var (
	six   = []int{2, 5, 8, 10, 12, 14}
	eight = []int{2, 5, 9, 13, 17, 21, 24, 27}
	moe24 = []int{2, 6, 10, 14, 18, 21}
	moe40 = []int{2, 6, 10, 14, 18, 22, 26, 30, 34, 38}
)

// shapes are those of table 1.1. Which layers of the 230M attend is not published;
// the list here has as many as fit its pattern.
var shapes = map[string]Shape{
	"tiny": {5, 128, 4, 2, 320, 640, 600, 4096, []int{2, 4}, 1e6, 0, 0, 0, 0},
	"mini": {6, 256, 4, 2, 768, 1024, 1000, 8192, []int{2, 4, 5}, 1e6, 0, 0, 0, 0},

	"230m":     {14, 1024, 16, 8, 2560, 65536, 64400, 128000, []int{2, 5, 8, 10, 12}, 1e6, 0, 0, 0, 0},
	"350m":     {16, 1024, 16, 8, 4608, 65536, 64400, 128000, six, 1e6, 0, 0, 0, 0},
	"700m":     {16, 1536, 24, 8, 6912, 65536, 64400, 128000, six, 1e6, 0, 0, 0, 0},
	"1.2b":     {16, 2048, 32, 8, 8192, 65536, 64400, 128000, six, 1e6, 0, 0, 0, 0},
	"2.6b":     {30, 2048, 32, 8, 10752, 65536, 64400, 128000, eight, 1e6, 0, 0, 0, 0},
	"2.5-2.6b": {30, 2048, 32, 8, 10752, 128000, 128000, 131072, eight, 1e7, 0, 0, 0, 0},

	"tinymoe":    {6, 256, 8, 2, 512, 640, 600, 8192, []int{2, 4}, 5e6, 8, 3, 256, 2},
	"8b-a1b":     {24, 2048, 32, 8, 7168, 65536, 64400, 128000, moe24, 1e6, 32, 4, 1792, 2},
	"2.5-8b-a1b": {24, 2048, 32, 8, 7168, 128000, 128000, 131072, moe24, 5e6, 32, 4, 1792, 2},
	"24b-a2b":    {40, 2048, 32, 8, 11776, 65536, 64400, 128000, moe40, 1e6, 64, 4, 1536, 2},
}

// Types lists the names that Config.Type can have.
func Types() []string { return mix.Names() }

func (c Config) withDefaults() Config {
	c.Size = strings.ToLower(cmp.Or(c.Size, "tiny"))
	c.Type = strings.ToLower(cmp.Or(c.Type, "q4_0"))
	return c
}

// Validate reports every mistake in c.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	if _, ok := shapes[c.Size]; !ok {
		errs = append(errs, fmt.Errorf("size %q is unknown; use %s", c.Size, strings.Join(Sizes(), ", ")))
	}
	if _, err := mix.Parse(c.Type); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Write streams the model to out, never holding more than some megabytes of it.
// Progress, if not nil, is told how many of the bytes of tensor data are done.
func Write(out io.Writer, c Config, progress func(done, total int64)) error {
	if err := c.Validate(); err != nil {
		return err
	}
	c = c.withDefaults()
	recipe, err := mix.Parse(c.Type)
	if err != nil {
		return err
	}
	b := builder{shape: shapes[c.Size], recipe: recipe, untied: c.Untied, seed: c.Seed, progress: progress}
	if b.vocab, err = newVocabulary(b.shape, c.Vocab); err != nil {
		return err
	}
	b.metadata(c, recipe.FileType())
	b.tensors()
	b.total = b.w.Size()
	_, err = b.w.WriteTo(out)
	return err
}

// WriteFile is Write to a file at path, which it creates or replaces. A file it
// cannot finish is removed.
func WriteFile(path string, c Config, progress func(done, total int64)) (err error) {
	if err := c.Validate(); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			os.Remove(path)
		}
	}()
	return Write(f, c, progress)
}

// A builder fills a gguf.Writer.
type builder struct {
	w           gguf.Writer
	shape       Shape
	vocab       *vocabulary
	recipe      mix.Recipe
	untied      bool
	plan        []planned // until their types are known
	seed        uint64
	progress    func(done, total int64)
	done, total int64
	count       uint64 // tensors so far: each has a stream of numbers of its own
}

// A planned tensor is one that has no type yet.
type planned struct {
	name            string
	dims            []int
	mean, deviation float32
}

func (b *builder) metadata(c Config, fileType uint32) {
	s, w := b.shape, &b.w
	kv := make([]int32, s.Layers)
	for _, l := range s.Attention {
		kv[l] = int32(s.KVHeads)
	}
	w.Set("general.architecture", s.arch())
	w.Set("general.type", "model")
	w.Set("general.name", fmt.Sprintf("Synthetic LFM2 %s (random weights, seed %d)", strings.ToUpper(c.Size), c.Seed))
	w.Set("general.size_label", strings.ToUpper(c.Size))
	w.Set("general.file_type", fileType)
	w.Set("general.quantization_version", uint32(2))
	w.Set(s.arch()+".block_count", uint32(s.Layers))
	w.Set(s.arch()+".context_length", uint32(s.Context))
	w.Set(s.arch()+".embedding_length", uint32(s.Dim))
	w.Set(s.arch()+".feed_forward_length", uint32(s.FFN))
	w.Set(s.arch()+".attention.head_count", uint32(s.Heads))
	w.Set(s.arch()+".attention.head_count_kv", kv)
	w.Set(s.arch()+".attention.layer_norm_rms_epsilon", float32(1e-5))
	w.Set(s.arch()+".rope.freq_base", s.Theta)
	w.Set(s.arch()+".vocab_size", uint32(s.Vocab))
	w.Set(s.arch()+".shortconv.l_cache", uint32(taps))
	if s.Experts > 0 {
		w.Set("lfm2moe.expert_count", uint32(s.Experts))
		w.Set("lfm2moe.expert_used_count", uint32(s.Active))
		w.Set("lfm2moe.expert_feed_forward_length", uint32(s.ExpertFFN))
		w.Set("lfm2moe.leading_dense_block_count", uint32(s.Dense))
		w.Set("lfm2moe.expert_gating_func", uint32(2)) // sigmoid
	}

	v := b.vocab
	w.Set("tokenizer.ggml.model", "gpt2")
	w.Set("tokenizer.ggml.pre", "lfm2")
	w.Set("tokenizer.ggml.tokens", v.tokens)
	w.Set("tokenizer.ggml.token_type", v.types)
	w.Set("tokenizer.ggml.merges", v.merges)
	w.Set("tokenizer.ggml.bos_token_id", uint32(1))
	w.Set("tokenizer.ggml.eos_token_id", uint32(7))
	w.Set("tokenizer.ggml.padding_token_id", uint32(0))
	w.Set("tokenizer.ggml.add_bos_token", true)
	w.Set("tokenizer.ggml.add_eos_token", false)
	w.Set("tokenizer.chat_template", chatTemplate)
	if c.Verbatim {
		w.Set("sluice.verbatim", true)
	}
}

// taps is the kernel size K of the short convolution.
const taps = 3

// tensors lays out every tensor, with scales that keep activations and logits
// in the range a trained model has: matrices keep the variance of a normalised
// input; the final norm sets the logits' standard deviation to about 2; the query
// norm makes attention look at few positions. Types are those that quantising an
// F32 model would give.
func (b *builder) tensors() {
	b.layOut()
	tensors := make([]mix.Tensor, len(b.plan))
	for i, p := range b.plan {
		tensors[i] = mix.Tensor{Name: p.name, Type: quant.F32, Dims: p.dims}
	}
	for i, t := range b.recipe.Types(tensors, mix.Shape{Layers: b.shape.Layers, Experts: b.shape.Experts}) {
		p := b.plan[i]
		b.random(p.name, t, p.dims, p.mean, p.deviation)
	}
}

func (b *builder) layOut() {
	s := b.shape
	d, hd := s.Dim, s.Dim/s.Heads
	b.matrix("token_embd.weight", d, s.Vocab)
	b.vector("token_embd_norm.weight", d, 2)
	if b.untied {
		b.matrix("output.weight", d, s.Vocab)
	}
	for l := range s.Layers {
		blk := fmt.Sprintf("blk.%d.", l)
		b.vector(blk+"attn_norm.weight", d, 1)
		if slices.Contains(s.Attention, l) {
			b.matrix(blk+"attn_q.weight", d, d)
			b.matrix(blk+"attn_k.weight", d, s.KVHeads*hd)
			b.matrix(blk+"attn_v.weight", d, s.KVHeads*hd)
			b.matrix(blk+"attn_output.weight", d, d)
			b.vector(blk+"attn_q_norm.weight", hd, 1.5)
			b.vector(blk+"attn_k_norm.weight", hd, 1)
		} else {
			b.matrix(blk+"shortconv.in_proj.weight", d, 3*d)
			b.add(blk+"shortconv.conv.weight", []int{taps, d}, 0, 0.6)
			b.matrix(blk+"shortconv.out_proj.weight", d, d)
		}
		b.vector(blk+"ffn_norm.weight", d, 1)
		if s.Experts > 0 && l >= s.Dense {
			b.add(blk+"ffn_gate_inp.weight", []int{d, s.Experts}, 0, rootInverse(d))
			b.add(blk+"exp_probs_b.bias", []int{s.Experts}, 0, 0.2)
			b.expertMatrix(blk+"ffn_gate_exps.weight", d, s.ExpertFFN)
			b.expertMatrix(blk+"ffn_up_exps.weight", d, s.ExpertFFN)
			b.expertMatrix(blk+"ffn_down_exps.weight", s.ExpertFFN, d)
			continue
		}
		b.matrix(blk+"ffn_gate.weight", d, s.FFN)
		b.matrix(blk+"ffn_up.weight", d, s.FFN)
		b.matrix(blk+"ffn_down.weight", s.FFN, d)
	}
}

// matrix adds a weight of rows rows whose elements have variance 1/cols.
func (b *builder) matrix(name string, cols, rows int) {
	b.add(name, []int{cols, rows}, 0, rootInverse(cols))
}

// expertMatrix adds the matrices of all experts, as one tensor.
func (b *builder) expertMatrix(name string, cols, rows int) {
	b.add(name, []int{cols, rows, b.shape.Experts}, 0, rootInverse(cols))
}

// vector adds a norm's weights: mean, give or take a tenth.
func (b *builder) vector(name string, n int, mean float32) { b.add(name, []int{n}, mean, mean/10) }

func (b *builder) add(name string, dims []int, mean, deviation float32) {
	b.plan = append(b.plan, planned{name, dims, mean, deviation})
}
