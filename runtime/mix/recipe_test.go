package mix

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/runtime/quant"
)

// matrices lists the tensors of a model with the given attention layers, all F16 but
// what converters leave in F32. With experts, layers from dense on are sparse.
func matrices(layers, dim, experts, dense int, attention ...int) []Tensor {
	var ts []Tensor
	add := func(t quant.Type, name string, dims ...int) { ts = append(ts, Tensor{name, t, dims}) }
	add(quant.F16, "token_embd.weight", dim, 1024)
	add(quant.F32, "token_embd_norm.weight", dim)
	for l := range layers {
		blk := fmt.Sprintf("blk.%d.", l)
		add(quant.F32, blk+"attn_norm.weight", dim)
		if slices.Contains(attention, l) {
			for _, n := range []string{"attn_q", "attn_k", "attn_v", "attn_output"} {
				add(quant.F16, blk+n+".weight", dim, dim)
			}
			add(quant.F32, blk+"attn_q_norm.weight", 64)
		} else {
			add(quant.F16, blk+"shortconv.in_proj.weight", dim, 3*dim)
			add(quant.F32, blk+"shortconv.conv.weight", 3, dim)
			add(quant.F16, blk+"shortconv.out_proj.weight", dim, dim)
		}
		if experts > 0 && l >= dense {
			add(quant.F32, blk+"ffn_gate_inp.weight", dim, experts)
			add(quant.F32, blk+"exp_probs_b.bias", experts)
			add(quant.F16, blk+"ffn_gate_exps.weight", dim, 2*dim, experts)
			add(quant.F16, blk+"ffn_down_exps.weight", 2*dim, dim, experts)
			continue
		}
		add(quant.F16, blk+"ffn_gate.weight", dim, 2*dim)
		add(quant.F16, blk+"ffn_up.weight", dim, 2*dim)
		add(quant.F16, blk+"ffn_down.weight", 2*dim, dim)
	}
	return ts
}

func recipe(t *testing.T, name string) Recipe {
	t.Helper()
	r, err := Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// assign returns the type that each tensor gets, by name.
func assign(t *testing.T, name string, ts []Tensor, s Shape) map[string]quant.Type {
	got := map[string]quant.Type{}
	for i, typ := range recipe(t, name).Types(ts, s) {
		got[ts[i].Name] = typ
	}
	return got
}

// TestMore holds the mixes to section 9 of the LFM2 reference: which layers'
// attn_v and ffn_down are Q6_K in each model.
func TestMore(t *testing.T) {
	for _, tt := range []struct {
		name                   string
		layers, experts, dense int
		attention              []int
		values, downs          []int
	}{
		{"230m", 14, 0, 0, []int{2, 5, 8, 10, 12}, nil, []int{0, 3, 6, 9, 12, 13}},
		{"1.2b", 16, 0, 0, []int{2, 5, 8, 10, 12, 14}, []int{8, 14}, []int{0, 1, 4, 7, 10, 13, 14, 15}},
		{"2.6b", 30, 0, 0, []int{2, 5, 9, 13, 17, 21, 24, 27}, []int{2, 13, 24, 27}, []int{0, 1, 2, 5, 8, 11, 14, 17, 20, 23, 26, 27, 28, 29}},
		{"8b-a1b", 24, 32, 2, []int{2, 6, 10, 14, 18, 21}, []int{10, 21}, []int{0, 1, 2, 5, 8, 11, 14, 17, 20, 21, 22, 23}},
		{"24b-a2b", 40, 64, 2, []int{2, 6, 10, 14, 18, 22, 26, 30, 34, 38}, []int{2, 14, 26, 34, 38}, []int{0, 1, 2, 3, 4, 7, 10, 13, 16, 19, 22, 25, 28, 31, 34, 35, 36, 37, 38, 39}},
	} {
		for mixName, base := range map[string]quant.Type{"q4_k_m": quant.Q4_K, "q5_k_m": quant.Q5_K} {
			t.Run(tt.name+"-"+mixName, func(t *testing.T) {
				ts := matrices(tt.layers, 256, tt.experts, tt.dense, tt.attention...)
				// The order of a file does not matter.
				rand.New(rand.NewPCG(1, 2)).Shuffle(len(ts), func(i, j int) { ts[i], ts[j] = ts[j], ts[i] })
				got := assign(t, mixName, ts, Shape{tt.layers, tt.experts})
				var values, downs []int
				for l := range tt.layers {
					for name, at := range map[string]*[]int{"attn_v": &values, "ffn_down": &downs, "ffn_down_exps": &downs} {
						typ, ok := got[fmt.Sprintf("blk.%d.%s.weight", l, name)]
						switch {
						case !ok || typ == base:
						case typ == quant.Q6_K:
							*at = append(*at, l)
						default:
							t.Errorf("layer %d: %s is %v", l, name, typ)
						}
					}
				}
				if tt.values != nil && !slices.Equal(values, tt.values) {
					t.Errorf("attn_v is Q6_K in layers %v, want %v", values, tt.values)
				}
				if !slices.Equal(downs, tt.downs) {
					t.Errorf("ffn_down is Q6_K in layers %v, want %v", downs, tt.downs)
				}
			})
		}
	}
}

func TestTypes(t *testing.T) {
	dense := matrices(16, 1024, 0, 0, 2, 5, 8, 10, 12, 14)
	untied := append(slices.Clone(dense), Tensor{"output.weight", quant.F16, []int{1024, 1024}})
	for _, tt := range []struct {
		name   string
		recipe string
		ts     []Tensor
		shape  Shape
		want   string // NAME=TYPE …
	}{
		{"tied-embedding-is-output", "q4_0", dense, Shape{16, 0}, "token_embd=Q6_K blk.0.ffn_up=Q4_0 blk.0.ffn_down=Q4_0 blk.2.attn_v=Q4_0"},
		{"untied", "q4_0", untied, Shape{16, 0}, "token_embd=Q4_0 output=Q6_K"},
		{"untied-mix", "q5_k_m", untied, Shape{16, 0}, "token_embd=Q5_K output=Q6_K"},
		{"q8", "q8_0", untied, Shape{16, 0}, "token_embd=Q8_0 output=Q8_0 blk.0.ffn_down=Q8_0"},
		{"floats-stay-floats", "bf16", untied, Shape{16, 0}, "token_embd=BF16 output=BF16 blk.0.shortconv.in_proj=BF16 blk.0.shortconv.conv=F32"},
		{"never", "q4_k_m", dense, Shape{16, 0}, "token_embd_norm=F32 blk.2.attn_norm=F32 blk.2.attn_q_norm=F32 blk.0.shortconv.conv=F32"},
		{"q4-k-s", "q4_k_s", dense, Shape{16, 0}, "blk.0.ffn_down=Q5_K blk.1.ffn_down=Q5_K blk.2.ffn_down=Q4_K blk.2.attn_v=Q5_K blk.10.attn_v=Q5_K blk.12.attn_v=Q4_K"},
		{"short-rows-of-256", "q4_k_m", matrices(16, 320, 0, 0, 2, 8), Shape{16, 0}, "blk.0.ffn_up=Q5_0 blk.0.ffn_down=Q8_0 blk.2.ffn_down=Q5_0 token_embd=Q8_0"},
		{"short-rows-of-5", "q5_k_m", matrices(16, 320, 0, 0, 2, 8), Shape{16, 0}, "blk.0.ffn_up=Q5_1 blk.0.ffn_down=Q8_0 token_embd=Q8_0"},
		{"short-rows-of-6", "q6_k", matrices(16, 320, 0, 0, 2, 8), Shape{16, 0}, "blk.0.ffn_up=Q8_0"},
		{"rows-of-no-blocks", "q4_0", matrices(16, 40, 0, 0, 2, 8), Shape{16, 0}, "blk.0.ffn_up=F16 token_embd=F16"},
		{"experts", "q4_k_m", matrices(16, 256, 32, 2, 2, 8), Shape{16, 32}, "blk.0.ffn_down=Q6_K blk.3.ffn_gate_exps=Q4_K blk.4.ffn_down_exps=Q6_K blk.3.ffn_gate_inp=F32"},
		{"eight-experts", "q4_k_m", matrices(16, 256, 8, 2, 2, 8), Shape{16, 8}, "blk.2.attn_v=Q8_0 blk.2.attn_k=Q8_0 blk.2.attn_output=Q5_K blk.2.attn_q=Q4_K"},
		{"eight-experts-5", "q5_k_m", matrices(16, 256, 8, 2, 2, 8), Shape{16, 8}, "blk.2.attn_output=Q5_K blk.2.attn_k=Q8_0"},
		{"a-matrix-of-one-row", "q8_0", []Tensor{{"v.weight", quant.F16, []int{64, 1}}, {"m.weight", quant.F16, []int{64, 1, 2}}}, Shape{16, 0}, "v=F16 m=Q8_0"},
		{"not-a-weight", "q8_0", []Tensor{{"v.bias", quant.F16, []int{64, 2}}}, Shape{16, 0}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := assign(t, tt.recipe, tt.ts, tt.shape)
			for f := range strings.FieldsSeq(tt.want) {
				name, want, _ := strings.Cut(f, "=")
				if typ, ok := got[name+".weight"]; !ok || typ.String() != want {
					t.Errorf("%s is %v, want %s", name, typ, want)
				}
			}
			if typ, ok := got["v.bias"]; ok && typ != quant.F16 {
				t.Errorf("a bias is %v", typ)
			}
		})
	}
}

func TestParse(t *testing.T) {
	for _, name := range Names() {
		r, err := Parse(strings.ToUpper(name))
		if err != nil || r.String() != name {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
	if _, err := Parse("q4"); err == nil || !strings.Contains(err.Error(), "q4_k_m") {
		t.Errorf("q4: %v", err)
	}
	if (Recipe{}).String() != "f32" || (Recipe{}).FileType() != 0 {
		t.Error("the zero recipe is not F32")
	}
}
