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
	embed  *kernel.Weight // [V][d]
	norm   []float32      // [d], the final norm, called token_embd_norm in files
	output *kernel.Weight // [V][d], embed itself if tied
	layers []layer
}

type layer struct {
	attnNorm, ffnNorm []float32 // [d]
	conv              *shortConv
	attn              *attention // exactly one of conv and attn is set

	gate, up *kernel.Weight // [F][d]
	down     *kernel.Weight // [d][F]
}

type shortConv struct {
	in   *kernel.Weight // [3d][d], rows B, C, x
	taps []float32      // [K][d], oldest first
	out  *kernel.Weight // [d][d]
}

type attention struct {
	kvHeads      int
	q            *kernel.Weight // [H*hd][d]
	k, v         *kernel.Weight // [kvHeads*hd][d]
	qNorm, kNorm []float32      // [hd]
	out          *kernel.Weight // [d][H*hd]
}

// Load builds the model that f holds. The model aliases f's tensors, so f stays
// open as long as it is used. It fails, saying in one sentence why, if f is not
// a dense causal LFM2 or a tensor is missing or of the wrong shape.
func Load(f *gguf.File) (*Model, error) {
	if err := checkArchitecture(f); err != nil {
		return nil, err
	}
	c, err := readConfig(f)
	if err != nil {
		return nil, fmt.Errorf("reading the model's shape: %w", err)
	}
	d := c.Dim
	ld := loader{f: f}
	m := &Model{
		Config: c,
		embed:  ld.matrix("token_embd.weight", c.Vocab, d),
		norm:   ld.vector("token_embd_norm.weight", d),
		layers: make([]layer, c.Layers),
	}
	m.output = m.embed
	if f.Tensor("output.weight") != nil {
		m.output = ld.matrix("output.weight", c.Vocab, d)
	}
	for i := range m.layers {
		l, blk := &m.layers[i], fmt.Sprintf("blk.%d.", i)
		l.attnNorm = ld.vector(blk+"attn_norm.weight", d)
		l.ffnNorm = ld.vector(blk+"ffn_norm.weight", d)
		l.gate = ld.matrix(blk+"ffn_gate.weight", c.FFN, d)
		l.up = ld.matrix(blk+"ffn_up.weight", c.FFN, d)
		l.down = ld.matrix(blk+"ffn_down.weight", d, c.FFN)
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
	if ld.err != nil {
		return nil, ld.err
	}
	return m, nil
}

// A loader fetches tensors by name and keeps the first error.
type loader struct {
	f   *gguf.File
	err error
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
func (ld *loader) matrix(name string, rows, cols int) *kernel.Weight {
	t := ld.tensor(name, cols, rows)
	if t == nil {
		return nil
	}
	w, err := kernel.NewWeight(t.Type, rows, cols, t.Data)
	if err != nil {
		ld.fail(name, "cannot be used: %v", err)
	}
	return w
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
