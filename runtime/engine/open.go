package engine

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/runtime/chat"
	"github.com/sluice-ai/sluice/runtime/gguf"
	"github.com/sluice-ai/sluice/runtime/kernel"
	"github.com/sluice-ai/sluice/runtime/lfm2"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

// Options say how to run a model. A zero field takes the default it documents.
type Options struct {
	// Threads is how many cores a step uses. Default: all.
	Threads int
	// Context is the most tokens a sequence may have. Default: what the file
	// says, but at most 32768, for which the LFM2 family is trained.
	Context int
	// Parallel is how many generations run at once, taking turns. Default 4.
	Parallel int
	// Queue is how many more may wait; further ones get [ErrBusy]. Default 64; -1 is none.
	Queue int
	// OnStep, if set, is called after every step that succeeded, in order and one
	// call at a time. The next step waits for it: it must be quick, and must not
	// call the model.
	OnStep func(Step)
}

// A Step tells what one turn of the model did.
type Step struct {
	Tokens   int           // tokens advanced; 1 is decoding, more is a prompt
	Urgent   bool          // work of a session rather than of a generation
	Wait     time.Duration // before its turn came
	Duration time.Duration // of the computation
}

const (
	maxBatch       = 256 // tokens in a step
	trainedContext = 32768
	// stepGoal is how long a step of a prompt should take: others wait that long.
	stepGoal = 250 * time.Millisecond
)

// A Model is an opened model.
type Model struct {
	file  *gguf.File
	net   *lfm2.Model
	tok   *tokenizer.Tokenizer
	style chat.Style
	info  Info
	opts  Options

	unused  []int32 // ids that are never sampled
	visible []bool  // by id: does it have text in an answer?

	slots gate // generations
	steps gate // whoever is inside may use work and pool, and set dead
	pool  *kernel.Pool
	work  *lfm2.Work
	dead  atomic.Bool   // closed: the file is no longer there
	pace  atomic.Uint64 // nanoseconds per token of a prompt, as float bits; 0 is unknown
}

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
	// Abilities are what the model is good for: "judge", "chat", "tools".
	Abilities []string
	// JudgeScale and JudgeBias calibrate the judge's logit; 1 and 0 if the file says nothing.
	JudgeScale, JudgeBias float64
	Template              string // the chat template, for showing
	Style                 string // the generation of chat templates it belongs to
}

// Open opens the model in the GGUF file at path, mapped into memory.
func Open(path string, o Options) (*Model, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	m, err := open(f, o)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening model %s: %w", path, err), f.Close())
	}
	return m, nil
}

// OpenBytes opens the GGUF file held in data, which must not change afterwards.
// Name is for messages.
func OpenBytes(name string, data []byte, o Options) (*Model, error) {
	f, err := gguf.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("opening model %s: %w", name, err)
	}
	m, err := open(f, o)
	if err != nil {
		return nil, fmt.Errorf("opening model %s: %w", name, err)
	}
	return m, nil
}

func open(f *gguf.File, o Options) (*Model, error) {
	if o.Threads < 0 || o.Context < 0 || o.Parallel < 0 || o.Queue < -1 {
		return nil, errors.New("threads, context, parallel and queue cannot be negative")
	}
	net, err := lfm2.Load(f)
	if err != nil {
		return nil, err
	}
	tok, err := loadTokenizer(f)
	if err != nil {
		return nil, err
	}
	if tok.Size() > net.Vocab {
		return nil, fmt.Errorf("the tokenizer has %d tokens and the model only %d", tok.Size(), net.Vocab)
	}
	if o.Context > net.Context {
		return nil, fmt.Errorf("a context of %d is more than the model's %d", o.Context, net.Context)
	}
	o.Context = cmp.Or(o.Context, min(net.Context, trainedContext))
	o.Threads = cmp.Or(o.Threads, runtime.GOMAXPROCS(0))
	o.Parallel = cmp.Or(o.Parallel, 4)
	o.Queue = cmp.Or(o.Queue, 64)

	m := &Model{
		file: f, net: net, tok: tok, opts: o,
		slots: gate{capacity: o.Parallel, room: max(o.Queue, 0)},
		steps: gate{capacity: 1, room: -1},
		pool:  kernel.NewPool(o.Threads),
	}
	m.work = lfm2.NewWork(net, m.pool, maxBatch)
	template, _ := f.Str("tokenizer.chat_template")
	m.style = chat.StyleOf(template)
	types, _ := f.Ints("tokenizer.ggml.token_type")
	m.classify(types)
	m.info = describe(f, net, o, template, m.style)
	return m, nil
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

// markers are the control tokens that chat.Parser looks for in an answer.
var markers = []string{"<|tool_call_start|>", "<|tool_call_end|>", "<think>", "</think>"}

// classify finds the ids that are never sampled (padding, unused rows, rows
// beyond the vocabulary) and those that have text in an answer.
func (m *Model) classify(types []int64) {
	m.visible = make([]bool, m.net.Vocab)
	for id := range int32(m.net.Vocab) {
		known := int(id) < m.tok.Size()
		if !known || id == m.tok.PAD() || int(id) < len(types) && types[id] == int64(tokenizer.Unused) {
			m.unused = append(m.unused, id)
		}
		m.visible[id] = known && (!m.tok.IsControl(id) || slices.Contains(markers, m.tok.Token(id)))
	}
}

func describe(f *gguf.File, net *lfm2.Model, o Options, template string, style chat.Style) Info {
	i := Info{
		Arch: "lfm2", FileBytes: f.Size, Type: fileType(f),
		Layers: net.Layers, Attention: net.Attention(), Dim: net.Dim, Heads: net.Heads,
		KVHeads: slices.Max(net.KVHeads), HeadDim: net.HeadDim, FFN: net.FFN, Vocab: net.Vocab,
		Context: o.Context, Trained: net.Context, JudgeScale: 1, Template: template, Style: style.String(),
	}
	i.Name, _ = f.Str("general.name")
	for _, t := range f.Tensors {
		i.Params += int64(t.Elements())
	}
	if i.Abilities, _ = f.Strs("sluice.abilities"); i.Abilities == nil {
		i.Abilities = []string{"chat", "tools"}
	}
	if v, ok := f.Float("sluice.judge.scale"); ok {
		i.JudgeScale = v
	}
	i.JudgeBias, _ = f.Float("sluice.judge.bias")
	return i
}

// fileTypes names values of general.file_type.
var fileTypes = map[int64]string{
	0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 14: "Q4_K_S", 15: "Q4_K_M",
	16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 32: "BF16",
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

// Info describes the model.
func (m *Model) Info() Info {
	i := m.info
	i.Abilities = slices.Clone(i.Abilities)
	return i
}

// Tokenizer returns the model's tokenizer. It stays usable after Close.
func (m *Model) Tokenizer() *tokenizer.Tokenizer { return m.tok }

// Style returns the generation of chat templates the model was trained on.
func (m *Model) Style() chat.Style { return m.style }

// Close ends the model: the step in progress finishes, everything later fails
// with [ErrClosed], and the file is unmapped.
func (m *Model) Close() error {
	m.steps.acquire(urgent)
	dead := m.dead.Swap(true)
	m.steps.leave()
	if dead {
		return nil
	}
	m.pool.Close()
	return m.file.Close()
}

// tokensPerStep returns how many tokens of a prompt make a step of about stepGoal.
func (m *Model) tokensPerStep() int {
	pace := math.Float64frombits(m.pace.Load())
	if pace == 0 {
		return 64
	}
	return int(min(max(float64(stepGoal)/pace, 16), maxBatch))
}
