package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-ai/sluice/runtime/chat"
	"github.com/sluice-ai/sluice/runtime/gguf"
	"github.com/sluice-ai/sluice/runtime/lfm2"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

// Info describes a model.
type Info struct {
	Name      string
	Arch      string // "lfm2"
	Type      string // of most weights, as llama.cpp names file types: "Q4_0", "F16"
	Params    int64
	FileBytes int64
	Layers    int
	Attention int // how many of the layers are attention; the others are convolutions
	Dim       int
	Heads     int
	KVHeads   int
	HeadDim   int
	FFN       int
	Vocab     int
	Context   int // most tokens of a sequence, as opened
	Trained   int // context the file claims
	Theta     float64
	Tied      bool // the output is the embedding's matrix
	// Of a mixture of experts; Experts is 0 in a dense model.
	Experts, ExpertsUsed, ExpertFFN, DenseLayers int
	// ActiveParams are those a token uses: Params in a dense model.
	ActiveParams int64
	// PackedBytes are those of the weights that were laid out for this machine, StepBytes
	// those of the matrices that a step of one token reads. TokenMACs are a token's
	// multiplications in the layers, OutputMACs those of its logits; attention is not counted.
	PackedBytes, StepBytes, TokenMACs, OutputMACs int64
	// Format is "GGUF" or "safetensors", Adapters the paths of those applied.
	Format   string
	Adapters []string
	// KV is how keys and values are kept, in KVBytes for each token of a sequence;
	// Memory is the budget of all sequences together.
	KV      string
	KVBytes int
	Memory  int64
	// Abilities are what the model is good for: "judge", "chat", "tools".
	Abilities []string
	// Verbatim says that what the model writes into forms and calls is copied from the
	// request: whoever asks sets [Request.Verbatim].
	Verbatim bool
	// JudgeScale and JudgeBias calibrate the judge's logit; 1 and 0 if the file says nothing.
	JudgeScale, JudgeBias float64
	Template              string // the chat template, for showing
	Prompts               string // how prompts are written: "built in", or "by the file's template"
	Style                 string // the generation of chat templates it belongs to
}

func loadTokenizer(f *gguf.File) (*tokenizer.Tokenizer, error) {
	if kind, _ := f.Str("tokenizer.ggml.model"); kind != "gpt2" {
		return nil, fmt.Errorf("the file's tokenizer is %q; LFM2's is byte-level BPE (\"gpt2\")", kind)
	}
	tokens, _ := f.Strs("tokenizer.ggml.tokens")
	merges, _ := f.Strs("tokenizer.ggml.merges")
	pre, _ := f.Str("tokenizer.ggml.pre")
	addBOS, ok := f.Bool("tokenizer.ggml.add_bos_token")
	v := tokenizer.Vocab{Tokens: tokens, Merges: merges, Pre: pre, AddBOS: addBOS || !ok}
	if types, ok := f.Ints("tokenizer.ggml.token_type"); ok {
		for _, t := range types {
			v.Types = append(v.Types, int32(t))
		}
	}
	for _, id := range []struct {
		key string
		to  *int32
	}{{"bos", &v.BOS}, {"eos", &v.EOS}, {"padding", &v.PAD}} {
		*id.to = -1
		if n, ok := f.Int("tokenizer.ggml." + id.key + "_token_id"); ok {
			if n < -1 || n >= int64(len(tokens)) {
				return nil, fmt.Errorf("metadata tokenizer.ggml.%s_token_id is %d, outside the vocabulary of %d", id.key, n, len(tokens))
			}
			*id.to = int32(n)
		}
	}
	return tokenizer.New(v)
}

func describe(f *gguf.File, net *lfm2.Model, o Options, template string, style chat.Style) Info {
	i := Info{
		FileBytes: f.Size, Type: fileType(f),
		Layers: net.Layers, Attention: net.Attention(), Dim: net.Dim, Heads: net.Heads,
		KVHeads: slices.Max(net.KVHeads), HeadDim: net.HeadDim, FFN: net.FFN, Vocab: net.Vocab,
		Context: o.Context, Trained: net.Context, JudgeScale: 1, Template: template, Style: style.String(),
		Theta: net.Theta, Tied: f.Tensor("output.weight") == nil,
		Experts: net.Experts, ExpertsUsed: net.Active, ExpertFFN: net.ExpertFFN, DenseLayers: net.DenseLayers,
	}
	i.Arch, _ = f.Str("general.architecture")
	for _, a := range o.Adapters {
		i.Adapters = append(i.Adapters, a.Path)
	}
	i.Name, _ = f.Str("general.name")
	for _, t := range f.Tensors {
		i.Params += int64(t.Elements())
	}
	cost := net.Cost()
	i.PackedBytes, i.StepBytes = int64(net.PackedBytes()), int64(cost.Bytes)
	i.TokenMACs, i.OutputMACs = int64(cost.Layers), int64(cost.Output)
	i.ActiveParams = i.Params
	if net.Experts > 0 {
		sparse := int64(net.Layers - net.DenseLayers)
		i.ActiveParams -= sparse * int64(net.Experts-net.Active) * 3 * int64(net.Dim) * int64(net.ExpertFFN)
	}
	if i.Abilities, _ = f.Strs("sluice.abilities"); i.Abilities == nil {
		i.Abilities = []string{"chat", "tools"}
	}
	i.Verbatim, _ = f.Bool("sluice.verbatim")
	if v, ok := f.Float("sluice.judge.scale"); ok {
		i.JudgeScale = v
	}
	i.JudgeBias, _ = f.Float("sluice.judge.bias")
	return i
}

// fileTypes names values of general.file_type.
var fileTypes = map[int64]string{
	0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M",
	16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 25: "IQ4_NL", 32: "BF16", 38: "MXFP4_MOE",
}

// fileType returns the file's own word, or the type most of its bytes have.
func fileType(f *gguf.File) string {
	if n, ok := f.Int("general.file_type"); ok && fileTypes[n] != "" {
		return fileTypes[n]
	}
	bytes, best := map[string]int{}, ""
	for _, t := range f.Tensors {
		name := strings.ToUpper(t.Type.String())
		if bytes[name] += len(t.Data); bytes[name] > bytes[best] {
			best = name
		}
	}
	return best
}
