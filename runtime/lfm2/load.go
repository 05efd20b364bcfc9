package lfm2

import (
	"fmt"
	"slices"

	"github.com/sluice-ai/sluice/runtime/gguf"
	"github.com/sluice-ai/sluice/runtime/kernel"
	"github.com/sluice-ai/sluice/runtime/quant"
)

// A Model is the weights, over the bytes of the file they came from.
type Model struct {
	Config
	embed  linear    // [V][d]
	norm   []float32 // [d], the final norm, called token_embd_norm in files
	output linear    // [V][d], embed's matrix if tied
	layers []layer
	arena  *kernel.Arena // of Pack; nil before it
}

type layer struct {
	attnNorm, ffnNorm []float32 // [d]
	conv              *shortConv
	attn              *attention // exactly one of conv and attn is set
	ffn               *swiglu
	experts           *experts // exactly one of ffn and experts is set
}

type shortConv struct {
	in   linear    // [3d][d], rows B, C, x
	taps []float32 // [K][d], oldest first
	out  linear    // [d][d]
}

type attention struct {
	kvHeads      int
	q            linear    // [H*hd][d]
	k, v         linear    // [kvHeads*hd][d]
	qNorm, kNorm []float32 // [hd]
	out          linear    // [d][H*hd]
}

// A swiglu is a feed-forward layer, or one expert of a sparse one; F is its width.
type swiglu struct {
	gate, up linear // [F][d]
	down     linear // [d][F]
}

// Load builds the model that f holds, as the adapters change it. The model
// aliases the tensors of all files, so they stay open as long as it is used. It
// fails, saying in one sentence why, if f is not a causal LFM2, a tensor is
// missing or of the wrong shape, or an adapter was made for another model.
func Load(f *gguf.File, adapters ...Adapter) (*Model, error) {
	if err := checkArchitecture(f); err != nil {
		return nil, err
	}
	c, err := readConfig(f)
	if err != nil {
		return nil, fmt.Errorf("reading the model's shape: %w", err)
	}
	d := c.Dim
	ld := loader{f: f}
	for _, a := range adapters {
		open, err := openAdapter(f, a)
		if err != nil {
			return nil, err
		}
		ld.adapters = append(ld.adapters, open)
	}
	m := &Model{
		Config: c,
		embed:  ld.embedding("token_embd.weight", c.Vocab, d),
		norm:   ld.vector("token_embd_norm.weight", d),
		layers: make([]layer, c.Layers),
	}
	m.output = linear{Weight: m.embed.Weight} // corrections of the embedding are not the output's
	if f.Tensor("output.weight") != nil {
		m.output = ld.matrix("output.weight", c.Vocab, d)
	}
	for i := range m.layers {
		if ld.err != nil { // a file that lies about its layers is not followed further
			return nil, ld.err
		}
		l, blk := &m.layers[i], fmt.Sprintf("blk.%d.", i)
		l.attnNorm = ld.vector(blk+"attn_norm.weight", d)
		l.ffnNorm = ld.vector(blk+"ffn_norm.weight", d)
		if c.sparse(i) {
			l.experts = ld.experts(blk, &c)
		} else {
			l.ffn = &swiglu{
				gate: ld.matrix(blk+"ffn_gate.weight", c.FFN, d),
				up:   ld.matrix(blk+"ffn_up.weight", c.FFN, d),
				down: ld.matrix(blk+"ffn_down.weight", d, c.FFN),
			}
		}
		if kv := c.KVHeads[i]; kv == 0 {
			l.conv = &shortConv{
				in:   ld.matrix(blk+"shortconv.in_proj.weight", 3*d, d),
				taps: ld.taps(blk+"shortconv.conv.weight", c.Taps, d),
				out:  ld.matrix(blk+"shortconv.out_proj.weight", d, d),
			}
		} else {
			l.attn = &attention{
				kvHeads: kv,
				q:       ld.matrix(blk+"attn_q.weight", c.Heads*c.HeadDim, d),
				k:       ld.matrix(blk+"attn_k.weight", kv*c.HeadDim, d),
				v:       ld.matrix(blk+"attn_v.weight", kv*c.HeadDim, d),
				qNorm:   ld.vector(blk+"attn_q_norm.weight", c.HeadDim),
				kNorm:   ld.vector(blk+"attn_k_norm.weight", c.HeadDim),
				out:     ld.matrix(blk+"attn_output.weight", d, c.Heads*c.HeadDim),
			}
		}
	}
	for _, a := range ld.adapters {
		if name := a.unused(); name != "" && ld.err == nil {
			ld.err = fmt.Errorf("adapter %s: tensor %q changes nothing in this model; was it made for another one?", a.Name, name)
		}
	}
	if ld.err != nil {
		return nil, ld.err
	}
	return m, nil
}

// A loader fetches tensors by name and keeps the first error.
type loader struct {
	f        *gguf.File
	adapters []*openedAdapter
	err      error
}

func (ld *loader) fail(name, format string, args ...any) {
	if ld.err == nil {
		ld.err = fmt.Errorf("tensor %q %s", name, fmt.Sprintf(format, args...))
	}
}

// tensor returns the tensor whose sizes, fastest first, are dims.
func (ld *loader) tensor(name string, dims ...int) *gguf.Tensor {
	t := ld.f.Tensor(name)
	switch {
	case t == nil:
		ld.fail(name, "is missing")
		return nil
	case !slices.Equal(t.Dims, dims):
		ld.fail(name, "has sizes %v instead of %v", t.Dims, dims)
		return nil
	case !t.Type.Supported():
		ld.fail(name, "is of type %v, which is not supported; use a file in Q4_0, Q4_K_M, Q6_K, Q8_0, F16, BF16 or F32", t.Type)
		return nil
	}
	return t
}

// matrix returns a weight of rows rows, that is of sizes {cols, rows}.
func (ld *loader) matrix(name string, rows, cols int) linear {
	l := linear{Weight: ld.weight(ld.tensor(name, cols, rows), rows, cols)}
	for _, a := range ld.adapters {
		l.sides = append(l.sides, ld.side(a, name, 1, rows, cols)...)
	}
	return l
}

// weight returns a matrix over t's bytes; nil if t is.
func (ld *loader) weight(t *gguf.Tensor, rows, cols int) *kernel.Weight {
	if t == nil {
		return nil
	}
	return ld.weightOf(t.Name, t.Type, rows, cols, t.Data)
}

func (ld *loader) weightOf(name string, t quant.Type, rows, cols int, data []byte) *kernel.Weight {
	w, err := kernel.NewWeight(t, rows, cols, data)
	if err != nil {
		ld.fail(name, "cannot be used: %v", err)
	}
	return w
}

// experts returns a sparse layer. Files hold the experts of a layer in one tensor
// of sizes {cols, rows, E}; old files, and [FromHub], each in its own.
func (ld *loader) experts(blk string, c *Config) *experts {
	x := &experts{
		router: ld.matrix(blk+"ffn_gate_inp.weight", c.Experts, c.Dim),
		each:   make([]swiglu, c.Experts),
	}
	if ld.f.Tensor(blk+"exp_probs_b.bias") != nil {
		x.bias = ld.vector(blk+"exp_probs_b.bias", c.Experts)
	}
	for _, part := range []struct {
		name       string
		rows, cols int
		to         func(*swiglu) *linear
	}{
		{"ffn_gate", c.ExpertFFN, c.Dim, func(s *swiglu) *linear { return &s.gate }},
		{"ffn_up", c.ExpertFFN, c.Dim, func(s *swiglu) *linear { return &s.up }},
		{"ffn_down", c.Dim, c.ExpertFFN, func(s *swiglu) *linear { return &s.down }},
	} {
		all := blk + part.name + "_exps.weight"
		if ld.f.Tensor(all) == nil && ld.f.Tensor(blk+part.name+".0.weight") != nil {
			for e := range x.each {
				*part.to(&x.each[e]) = ld.matrix(fmt.Sprintf("%s%s.%d.weight", blk, part.name, e), part.rows, part.cols)
			}
			continue
		}
		t := ld.tensor(all, part.cols, part.rows, c.Experts)
		if t == nil {
			break
		}
		size := len(t.Data) / c.Experts
		for e := range x.each {
			part.to(&x.each[e]).Weight = ld.weightOf(all, t.Type, part.rows, part.cols, t.Data[e*size:][:size:size])
		}
		for _, a := range ld.adapters {
			for e, s := range ld.side(a, all, c.Experts, part.rows, part.cols) {
				l := part.to(&x.each[e])
				l.sides = append(l.sides, s)
			}
		}
	}
	return x
}

// vector returns a tensor of n elements as floats.
func (ld *loader) vector(name string, n int) []float32 { return ld.floats(ld.tensor(name, n)) }

func (ld *loader) floats(t *gguf.Tensor) []float32 {
	if t == nil {
		return nil
	}
	v := make([]float32, t.Elements())
	if err := quant.Dequantize(t.Type, v, t.Data); err != nil {
		ld.fail(t.Name, "cannot be read: %v", err)
	}
	return v
}

// taps returns convolution taps as [k][d]; files hold [d][k].
func (ld *loader) taps(name string, k, d int) []float32 {
	v := ld.floats(ld.tensor(name, k, d))
	if v == nil {
		return nil
	}
	out := make([]float32, k*d)
	for c := range d {
		for i := range k {
			out[i*d+c] = v[c*k+i]
		}
	}
	return out
}
