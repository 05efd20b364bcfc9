package engine

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/runtime/chat"
	"github.com/sluice-ai/sluice/runtime/gguf"
	"github.com/sluice-ai/sluice/runtime/grammar"
	"github.com/sluice-ai/sluice/runtime/kernel"
	"github.com/sluice-ai/sluice/runtime/lfm2"
	"github.com/sluice-ai/sluice/runtime/state"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

// Options say how to run a model. A zero field takes the default it documents.
type Options struct {
	// Threads is how many cores a step uses. Default: all.
	Threads int
	// Context is the most tokens a sequence may have. Default: what the file
	// says, but at most 32768, for which the LFM2 family is trained, and what
	// Memory holds.
	Context int
	// Memory bounds the bytes of all sequences together, that is their keys and
	// values and convolution states; weights and buffers come on top. When it is
	// used up, requests get [ErrBusy]. Default: half of what is free when the model
	// is opened.
	Memory int64
	// KV is how keys and values are kept: "f16", "q8_0" (about half of that), or
	// "f32". Default "f16".
	KV string
	// Unpacked leaves the weights as the file has them instead of laying them out
	// for this machine when the model is opened: slower, but the pages of the file are
	// shared with other processes, and given up by the system when memory is short.
	Unpacked bool
	// Adapters are LoRA adapters in GGUF, applied together.
	Adapters []Adapter
	// Parallel is how many generations run at once, taking turns. Default 4.
	Parallel int
	// Queue is how many more may wait; further ones get [ErrBusy]. Default 64; -1 is none.
	Queue int
	// OnStep, if set, is called after every step that succeeded, in order and one
	// call at a time. The next step waits for it: it must be quick, and must not
	// call the model.
	OnStep func(Step)
}

// An Adapter is a LoRA adapter's file and its strength.
type Adapter struct {
	Path  string
	Scale float64 // 1 is as trained. Default 1
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
	files   []*gguf.File // the model's, then the adapters'
	net     *lfm2.Model
	tok     *tokenizer.Tokenizer
	prompts prompter
	info    Info
	opts    Options

	grammars *grammars

	shape   state.Shape
	budget  *state.Budget
	unused  []int32 // ids that are never sampled
	visible []bool  // by id: does it have text in an answer?

	slots gate // generations
	steps gate // whoever is inside may use work and pool, and set dead
	pool  *kernel.Pool
	work  *lfm2.Work
	dead  atomic.Bool   // closed: the file is no longer there
	pace  atomic.Uint64 // nanoseconds per token of a prompt, as float bits; 0 is unknown
}

// Open opens the model at path, mapped into memory: a GGUF file, any part of one
// that was split, or the folder of a checkpoint in safetensors.
func Open(path string, o Options) (*Model, error) {
	f, format, err := openFile(path)
	if err != nil {
		return nil, err
	}
	return open(path, f, format, o)
}

// OpenBytes opens the GGUF file held in data, which must not change afterwards.
// Name is for messages.
func OpenBytes(name string, data []byte, o Options) (*Model, error) {
	f, err := gguf.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("opening model %s: %w", name, err)
	}
	return open(name, f, "GGUF", o)
}

// open owns f, also if it fails.
func open(name string, f *gguf.File, format string, o Options) (_ *Model, err error) {
	files := []*gguf.File{f}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("opening model %s: %w", name, err), closeAll(files))
		}
	}()
	if o.Threads < 0 || o.Context < 0 || o.Parallel < 0 || o.Queue < -1 || o.Memory < 0 {
		return nil, errors.New("threads, context, memory, parallel and queue cannot be negative")
	}
	var adapters []lfm2.Adapter
	for _, a := range o.Adapters {
		af, err := gguf.Open(a.Path)
		if err != nil {
			return nil, fmt.Errorf("adapter: %w", err)
		}
		files = append(files, af)
		adapters = append(adapters, lfm2.Adapter{Name: a.Path, File: af, Scale: float32(cmp.Or(a.Scale, 1))})
	}
	net, err := lfm2.Load(f, adapters...)
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
	shape, budget, err := plan(net, f.Size, &o)
	if err != nil {
		return nil, err
	}
	o.Threads = cmp.Or(o.Threads, runtime.GOMAXPROCS(0))
	o.Parallel = cmp.Or(o.Parallel, 4)
	o.Queue = cmp.Or(o.Queue, 64)

	pool := kernel.NewPool(o.Threads)
	if !o.Unpacked {
		if err := net.Pack(pool, f.Release); err != nil {
			pool.Close()
			return nil, err
		}
	}
	m := &Model{
		files: files, net: net, tok: tok, shape: shape, budget: budget, opts: o,
		slots: gate{capacity: o.Parallel, room: max(o.Queue, 0)},
		steps: gate{capacity: 1, room: -1},
		pool:  pool,
	}
	m.grammars = newGrammars(func() *grammar.Vocab { return grammar.NewVocab(tok, net.Vocab) })
	m.work = lfm2.NewWork(net, m.pool, maxBatch)
	template, _ := f.Str("tokenizer.chat_template")
	m.prompts = newPrompter(template, tok.BOSText())
	types, _ := f.Ints("tokenizer.ggml.token_type")
	m.classify(types)
	m.info = describe(f, net, m.opts, template, m.prompts.style)
	m.info.Prompts = m.prompts.how
	m.info.Format, m.info.KV, m.info.KVBytes, m.info.Memory = format, shape.KV.String(), shape.TokenBytes(), budget.Limit()
	return m, nil
}

func closeAll(files []*gguf.File) error {
	var errs []error
	for _, f := range files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
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

// Info describes the model.
func (m *Model) Info() Info {
	i := m.info
	i.Abilities = slices.Clone(i.Abilities)
	return i
}

// Tokenizer returns the model's tokenizer. It stays usable after Close.
func (m *Model) Tokenizer() *tokenizer.Tokenizer { return m.tok }

// Style returns the generation of chat templates the model was trained on.
func (m *Model) Style() chat.Style { return m.prompts.style }

// Close ends the model: the step in progress finishes, everything later fails
// with [ErrClosed], and the files are unmapped.
func (m *Model) Close() error {
	m.steps.acquire(urgent)
	dead := m.dead.Swap(true)
	m.steps.leave()
	if dead {
		return nil
	}
	m.pool.Close()
	return errors.Join(m.net.Close(), closeAll(m.files))
}

// tokensPerStep returns how many tokens of a prompt make a step of about stepGoal.
func (m *Model) tokensPerStep() int {
	pace := math.Float64frombits(m.pace.Load())
	if pace == 0 {
		return 64
	}
	return int(min(max(float64(stepGoal)/pace, 16), maxBatch))
}
