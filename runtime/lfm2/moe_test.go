package lfm2

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/sluice-ai/sluice/runtime/gguf"
	"github.com/sluice-ai/sluice/runtime/quant"
	"github.com/sluice-ai/sluice/runtime/state"
	"github.com/sluice-ai/sluice/runtime/synth"
)

var tinyMoE = synth.Config{Size: "tinymoe", Type: "f32", Seed: 11}

// experts is section 4 of the reference, one token after the other.
func (n naive) experts(blk string, u [][]float64) [][]float64 {
	stack := func(name string) (out [][][]float64) {
		all := n.matrix(blk + name)
		for m := range slices.Chunk(all, len(all)/n.Experts) {
			out = append(out, m)
		}
		return out
	}
	gate, up, down := stack("ffn_gate_exps.weight"), stack("ffn_up_exps.weight"), stack("ffn_down_exps.weight")
	bias := n.matrix(blk + "exp_probs_b.bias")[0]
	router := times(u, n.matrix(blk+"ffn_gate_inp.weight"))
	var y [][]float64
	for t := range u {
		p, by := make([]float64, n.Experts), make([]int, n.Experts)
		for e, g := range router[t] {
			p[e], by[e] = 1/(1+math.Exp(-g)), e
		}
		slices.SortStableFunc(by, func(a, b int) int { return cmp.Compare(p[b]+bias[b], p[a]+bias[a]) })
		sum, out := 0.0, make([]float64, n.Dim)
		for _, e := range by[:n.Active] {
			sum += p[e]
		}
		for _, e := range by[:n.Active] {
			g, v := times(u[t:t+1], gate[e]), times(u[t:t+1], up[e])
			for i, x := range g[0] {
				g[0][i] = x / (1 + math.Exp(-x)) * v[0][i]
			}
			for i, x := range times(g, down[e])[0] {
				out[i] += p[e] / sum * x
			}
		}
		y = append(y, out)
	}
	return y
}

// Section 4's unit test: expert e scales its input by e+1, the router's scores
// are sigmoid(2), sigmoid(1), sigmoid(0), and the input is 1.
func TestRouter(t *testing.T) {
	s := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	for _, tt := range []struct {
		name   string
		k      int
		bias   []float32
		router Router
		want   float64
	}{
		{"one", 1, nil, Router{Scale: 1}, s(2)},
		{"bias-chooses-only", 1, []float32{0, 0, 1}, Router{Scale: 1}, 3 * s(0)},
		{"normalised", 2, nil, Router{Normalise: true, Add: 1e-6, Scale: 1}, (s(2) + 2*s(1)) / (s(2) + s(1) + 1e-6)},
		{"scaled", 2, nil, Router{Normalise: true, Floor: 0x1p-14, Scale: 2.5}, 2.5 * (s(2) + 2*s(1)) / (s(2) + s(1))},
		{"floor", 1, nil, Router{Normalise: true, Floor: 2, Scale: 1}, s(2) / 2},
		{"all", 3, []float32{0, 0, 9}, Router{Scale: 1}, s(2) + 2*s(1) + 3*s(0)},
	} {
		picked, weight := make([]int32, tt.k), make([]float32, tt.k)
		tt.router.choose(picked, weight, []float32{2, 1, 0}, tt.bias)
		got := 0.0
		for i, e := range picked {
			got += float64(weight[i]) * float64(e+1)
		}
		if math.Abs(got-tt.want) > 1e-6 {
			t.Errorf("%s: %g, want %g (experts %v)", tt.name, got, tt.want, picked)
		}
	}
}

// A router that answers nonsense still chooses different experts that exist.
func TestRouterOfNonsense(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, scores := range [][]float32{{nan, nan, nan, nan}, {inf, -inf, nan, 0}, {0, 0, 0, 0}, {-inf, -inf, -inf, -inf}} {
		picked, weight := make([]int32, 3), make([]float32, 3)
		(&Router{Normalise: true, Scale: 1}).choose(picked, weight, slices.Clone(scores), []float32{nan, 0, -inf, 0})
		seen := map[int32]bool{}
		for _, e := range picked {
			if e < 0 || e > 3 || seen[e] {
				t.Errorf("%v: chose %v", scores, picked)
			}
			seen[e] = true
		}
	}
}

// Old files hold each expert in a tensor of its own; a missing bias is none.
func TestExpertsApart(t *testing.T) {
	m, file := synthetic(t, tinyMoE)
	f, err := gguf.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	var tensors []gguf.Tensor
	for _, x := range f.Tensors {
		if len(x.Dims) < 3 {
			tensors = append(tensors, x)
			continue
		}
		size := len(x.Data) / x.Dims[2]
		for e := range x.Dims[2] {
			name := x.Name[:len(x.Name)-len("_exps.weight")]
			tensors = append(tensors, gguf.Tensor{Name: fmt.Sprintf("%s.%d.weight", name, e), Type: x.Type, Dims: x.Dims[:2], Data: x.Data[e*size:][:size]})
		}
	}
	apart, err := gguf.New(f.Fields, tensors, nil)
	if err != nil {
		t.Fatal(err)
	}
	v, err := Load(apart)
	if err != nil {
		t.Fatal(err)
	}
	tokens := randomTokens(40, m.Vocab, 4)
	want := run(t, m, NewWork(m, testPool(t), 64), state.New(m.Shape(), 64), tokens, 64)
	if d := farthest(run(t, v, NewWork(v, testPool(t), 64), state.New(v.Shape(), 64), tokens, 64), want); d != 0 {
		t.Errorf("logits differ by %g", d)
	}
	if v, err = Load(rewrite(t, f, nil, func(t *gguf.Tensor) bool { return t.Name != "blk.3.exp_probs_b.bias" })); err != nil {
		t.Fatal(err)
	}
	if d := farthest(run(t, v, NewWork(v, testPool(t), 64), state.New(v.Shape(), 64), tokens, 64), want); d == 0 {
		t.Error("the bias changes nothing")
	}
}

func TestMoERefuses(t *testing.T) {
	_, file := synthetic(t, tinyMoE)
	f, err := gguf.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	checkRefused(t, f, []refusal{
		{"softmax", map[string]any{"lfm2moe.expert_gating_func": uint32(1)}, nil, "router is a sigmoid"},
		{"experts", map[string]any{"lfm2moe.expert_count": uint32(9)}, nil, "instead of [256 9]"},
		{"no-experts", map[string]any{"lfm2moe.expert_count": nil}, nil, "lfm2moe.expert_count is missing"},
		{"used", map[string]any{"lfm2moe.expert_used_count": uint32(9)}, nil, "expert_used_count is 9, outside 1 to 8"},
		{"dense", map[string]any{"lfm2moe.leading_dense_block_count": uint32(7)}, nil, "leading_dense_block_count is 7"},
		{"dense-more", map[string]any{"lfm2moe.leading_dense_block_count": uint32(3)}, nil, `tensor "blk.2.ffn_gate.weight" is missing`},
		{"dense-less", map[string]any{"lfm2moe.leading_dense_block_count": uint32(1)}, nil, `tensor "blk.1.ffn_gate_inp.weight" is missing`},
		{"scale", map[string]any{"lfm2moe.expert_weights_scale": float32(-1)}, nil, "expert_weights_scale is -1"},
		{"no-down", nil, func(t *gguf.Tensor) bool { return t.Name != "blk.3.ffn_down_exps.weight" }, `tensor "blk.3.ffn_down_exps.weight" is missing`},
		{"flat", nil, func(t *gguf.Tensor) bool {
			if t.Name == "blk.3.ffn_up_exps.weight" {
				t.Dims = []int{t.Dims[0], t.Dims[1] * t.Dims[2]}
			}
			return true
		}, "has sizes [256 2048] instead of [256 256 8]"},
	})
}

// Scale and normalisation come from the file.
func TestRouterOfFile(t *testing.T) {
	m, file := synthetic(t, tinyMoE)
	if want := (Router{Normalise: true, Floor: 0x1p-14, Scale: 1}); m.Router != want {
		t.Errorf("router %+v, want %+v", m.Router, want)
	}
	f, err := gguf.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	v, err := Load(rewrite(t, f, map[string]any{
		"lfm2moe.expert_weights_scale": float32(2.5), "lfm2moe.expert_weights_norm": false, "lfm2moe.expert_gating_func": nil,
	}, nil))
	if err != nil {
		t.Fatal(err)
	}
	if v.Router.Scale != 2.5 || v.Router.Normalise {
		t.Errorf("router %+v", v.Router)
	}
	if typ := f.Tensor("blk.2.ffn_gate_exps.weight").Type; typ != quant.F32 {
		t.Errorf("experts are %v", typ)
	}
}
