package mix

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-ai/sluice/runtime/quant"
)

// A Recipe says which types a model's tensors get. The zero Recipe is F32.
type Recipe struct {
	name     string
	base     quant.Type // of every matrix without a rule of its own
	fileType uint32     // llama.cpp's LLAMA_FTYPE
}

var recipes = []Recipe{
	{"f32", quant.F32, 0}, {"f16", quant.F16, 1}, {"bf16", quant.BF16, 32},
	{"q8_0", quant.Q8_0, 7}, {"q6_k", quant.Q6_K, 18},
	{"q5_k_m", quant.Q5_K, 17}, {"q5_k_s", quant.Q5_K, 16}, {"q5_1", quant.Q5_1, 9}, {"q5_0", quant.Q5_0, 8},
	{"q4_k_m", quant.Q4_K, 15}, {"q4_k_s", quant.Q4_K, 14}, {"q4_1", quant.Q4_1, 3}, {"q4_0", quant.Q4_0, 2},
}

// Names lists what [Parse] knows, the largest first.
func Names() []string {
	names := make([]string, len(recipes))
	for i, r := range recipes {
		names[i] = r.name
	}
	return names
}

// Parse returns the recipe called name, in either case.
func Parse(name string) (Recipe, error) {
	for _, r := range recipes {
		if strings.EqualFold(r.name, name) {
			return r, nil
		}
	}
	return Recipe{}, fmt.Errorf("type %q cannot be written; use %s", name, strings.Join(Names(), ", "))
}

// String returns the recipe's name, in lower case.
func (r Recipe) String() string { return cmp.Or(r.name, "f32") }

// FileType returns the number that a file's general.file_type has.
func (r Recipe) FileType() uint32 { return r.fileType }

// A Tensor is what a recipe looks at.
type Tensor struct {
	Name string
	Type quant.Type // what it is now
	Dims []int      // fastest-varying first
}

// A Shape is what a recipe must know of the whole model.
type Shape struct {
	Layers  int
	Experts int // in a layer; 0 if the model is dense
}

// Types returns the type that each of a model's tensors gets. Those that no
// recipe changes (vectors, norms, routers, convolutions) keep what they have.
func (r Recipe) Types(tensors []Tensor, shape Shape) []quant.Type {
	tied := !slices.ContainsFunc(tensors, func(t Tensor) bool { return t.Name == "output.weight" })
	attention := 0 // layers with attention
	for _, t := range tensors {
		if strings.Contains(t.Name, "attn_v.weight") {
			attention++
		}
	}
	values, downs := 0, 0 // how many of attn_v and ffn_down have had their turn
	types := make([]quant.Type, len(tensors))
	for _, i := range byLayer(tensors) {
		t := tensors[i]
		types[i] = t.Type
		if !changes(t) {
			continue
		}
		types[i] = r.base
		if r.base.BlockSize() == 1 {
			continue
		}
		name := t.Name
		switch {
		case name == "output.weight", tied && name == "token_embd.weight":
			if r.base != quant.Q8_0 {
				types[i] = quant.Q6_K
			}
		case name == "token_embd.weight":
		case strings.Contains(name, "attn_v.weight"):
			types[i] = r.value(values, attention, shape)
			values++
		case strings.Contains(name, "attn_k.weight"):
			if shape.Experts == 8 {
				types[i] = quant.Q8_0
			}
		case strings.Contains(name, "attn_output.weight"):
			if shape.Experts == 8 && (r.name == "q4_k_m" || r.name == "q4_k_s") {
				types[i] = quant.Q5_K
			}
		case strings.Contains(name, "ffn_down"):
			at := downs
			if shape.Experts > 1 {
				at = layer(name)
			}
			types[i] = r.down(at, shape.Layers)
			downs++
		}
		types[i] = fit(types[i], t.Dims[0])
	}
	return types
}

// changes reports whether a recipe may change t: matrices called *.weight, but
// for those too small or too delicate.
func changes(t Tensor) bool {
	matrix := slices.ContainsFunc(t.Dims[min(1, len(t.Dims)):], func(n int) bool { return n > 1 })
	return matrix && strings.HasSuffix(t.Name, "weight") && !strings.Contains(t.Name, "_norm.weight") &&
		!strings.Contains(t.Name, "ffn_gate_inp.weight") && !strings.Contains(t.Name, "shortconv.conv.weight")
}

// value returns the type of the i-th of n attn_v, in the order of layers.
func (r Recipe) value(i, n int, shape Shape) quant.Type {
	switch {
	case shape.Experts == 8:
		return quant.Q8_0
	case (r.name == "q4_k_m" || r.name == "q5_k_m") && more(i, n):
		return quant.Q6_K
	case r.name == "q4_k_s" && i < 4:
		return quant.Q5_K
	}
	return r.base
}

// down returns the type of ffn_down, or of the experts' ffn_down_exps, of layer i
// of n.
func (r Recipe) down(i, n int) quant.Type {
	switch {
	case (r.name == "q4_k_m" || r.name == "q5_k_m") && more(i, n):
		return quant.Q6_K
	case r.name == "q4_k_s" && i < n/8:
		return quant.Q5_K
	}
	return r.base
}

// more reports whether layer i of n is one that gets more bits: the first and the
// last eighth, and every third in between.
func more(i, n int) bool { return i < n/8 || i >= 7*n/8 || (i-n/8)%3 == 2 }

// fit returns t, or what is used instead for rows that are not a whole number of
// its blocks.
func fit(t quant.Type, cols int) quant.Type {
	if cols%t.BlockSize() == 0 {
		return t
	}
	switch t {
	case quant.Q4_K:
		t = quant.Q5_0
	case quant.Q5_K:
		t = quant.Q5_1
	case quant.Q6_K:
		t = quant.Q8_0
	}
	if cols%t.BlockSize() == 0 {
		return t
	}
	return quant.F16
}

// byLayer returns the indices of tensors in the order in which llama.cpp's
// counters meet them: by layer, then by name.
func byLayer(tensors []Tensor) []int {
	order := make([]int, len(tensors))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := tensors[a].Name, tensors[b].Name
		return cmp.Or(cmp.Compare(layer(x), layer(y)), cmp.Compare(x, y))
	})
	return order
}

// layer returns the number in "blk.N.…", -1 if the name has none.
func layer(name string) int {
	n := -1
	if _, err := fmt.Sscanf(name, "blk.%d.", &n); err != nil {
		return -1
	}
	return n
}
