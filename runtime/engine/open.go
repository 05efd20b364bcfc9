package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-ai/sluice/runtime/chat"
	"github.com/sluice-ai/sluice/runtime/draft"
	"github.com/sluice-ai/sluice/runtime/gguf"
	"github.com/sluice-ai/sluice/runtime/grammar"
	"github.com/sluice-ai/sluice/runtime/kernel"
	"github.com/sluice-ai/sluice/runtime/lfm2"
	"github.com/sluice-ai/sluice/runtime/sched"
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
	// values and convolution states; weights, buffers and Grammars come on top. When it is
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
	// Parallel is how many generations run at once, in the same steps. Default 16.
	Parallel int
	// Queue is how many more may wait; further ones get [ErrBusy]. Default 64; -1 is none.
	Queue int
	// Cache bounds the bytes, within Memory, of prompts kept for requests that begin
	// the same; sequences in use take them back when they need them. Default: a
	// quarter of Memory, at most 1 GiB; -1 is none.
	Cache int64
	// Grammars bounds the bytes, on top of Memory, of formats that are kept for requests
	// with the same: at most 16 are, the one used last whatever it takes, and what answers
	// in progress use counts no more once it is let go. Default: 128 MiB.
	Grammars int64
	// DisableDrafts switches guessing tokens off. Answers are the same either way.
	DisableDrafts bool
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

// A Step tells what one step of the model did.
type Step struct {
	Tokens    int           // tokens advanced, of all sequences
	Prompts   int           // of those, the ones of prompts and sessions
	Answers   int           // answers that had part in it
	Sequences int           // sequences that advanced together
	Urgent    bool          // work of a session among them
	Wait      time.Duration // before their turn came: the longest
	Waiting   int           // generations that wait to begin
	Duration  time.Duration // of the computation
}

// Stats counts what a model did since it was opened, and tells how it stands.
type Stats struct {
	Running, Waiting int // generations

	PromptTokens, CachedTokens int64 // of generations that began; the cached ones are among the others
	CacheHits, CacheMisses     int64 // generations that found some of their prompt in the cache, and that did not
	CacheEntries               int
	CacheBytes                 int64
	GrammarBytes               int64 // of formats that are kept

	Drafted, Accepted int64 // tokens guessed, and guessed rightly

	MemoryUsed, MemoryLimit int64 // bytes of sequences and of the cache, promises included
}

const (
	maxBatch       = 256 // tokens in a step
	trainedContext = 32768
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

	turnStart, toolsStart int32 // control tokens; -1 where the vocabulary has none

	pool    *kernel.Pool
	wake    chan struct{} // something may be done
	stopped chan struct{} // the loop has ended
	dead    atomic.Bool   // closed, or about to be

	// Of the loop alone.
	work  *lfm2.Work
	timer *time.Timer
	plan  []sched.Piece
	spans []lfm2.Span
	stop  stopSign // of the step in progress; others set it

	mu       sync.Mutex
	sched    *sched.Scheduler
	cache    *cache // nil if there is none
	costs    draft.Costs
	stats    Stats
	spare    [][]float32   // buffers of logits
	patience time.Duration // how long a step waits at least for those who are thinking; tests wait longer
	thinking int           // owners that got logits of the last step and have not said yet what comes next
	round    int           // counts the steps, for thinking
	changed  bool          // somebody may be let in
	stepping int           // tokens of the step in progress
	wasted   int           // of those, for nobody
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
	if o.Threads < 0 || o.Context < 0 || o.Parallel < 0 || o.Queue < -1 || o.Memory < 0 || o.Grammars < 0 || o.Cache < -1 {
		return nil, errors.New("threads, context, memory, cache, grammars, parallel and queue cannot be negative")
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
	o.Parallel = cmp.Or(o.Parallel, 16)
	o.Cache = cmp.Or(o.Cache, min(budget.Limit()/4, mostCache))
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
		pool:  pool,
		sched: sched.New(sched.Config{Slots: o.Parallel, Queue: max(o.Queue, 0), Tokens: maxBatch}),
		cache: newCache(shape, o.Cache),
		wake:  make(chan struct{}, 1), stopped: make(chan struct{}), patience: patienceLeast,
		timer: time.NewTimer(time.Hour), stop: stopSign{Context: context.Background()},
		turnStart: -1, toolsStart: -1,
	}
	if id, ok := tok.ID("<|im_start|>"); ok {
		m.turnStart = id
	}
	if id, ok := tok.ID("<|tool_list_start|>"); ok {
		m.toolsStart = id
	}
	m.grammars = newGrammars(func() *grammar.Vocab { return grammar.NewVocab(tok, net.Vocab) }, cmp.Or(o.Grammars, keepGrammars))
	m.work = lfm2.NewWork(net, m.pool, maxBatch)
	template, _ := f.Str("tokenizer.chat_template")
	m.prompts = newPrompter(template, tok.BOSText())
	types, _ := f.Ints("tokenizer.ggml.token_type")
	m.classify(types)
	m.info = describe(f, net, m.opts, template, m.prompts.style)
	m.info.Prompts = m.prompts.how
	m.info.Format, m.info.KV, m.info.KVBytes, m.info.Memory = format, shape.KV.String(), shape.TokenBytes(), budget.Limit()
	for _, f := range files {
		f.DropMetadata() // the tokenizer and info have what is needed of it
	}
	go m.run()
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

// Stats tells what the model did and how it stands.
func (m *Model) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.stats
	s.Running, s.Waiting = m.sched.Inside(), m.sched.Waiting()
	s.MemoryUsed, s.MemoryLimit = m.budget.Used(), m.budget.Limit()
	if m.cache != nil {
		s.CacheEntries, s.CacheBytes = m.cache.Len(), m.cache.Bytes()
	}
	m.grammars.mu.Lock()
	defer m.grammars.mu.Unlock()
	s.GrammarBytes = m.grammars.bytes()
	return s
}

// Close ends the model: the step in progress finishes, everything later fails
// with [ErrClosed], and the files are unmapped. Closing twice is harmless.
func (m *Model) Close() error {
	closed := m.dead.Swap(true)
	m.signal()
	<-m.stopped
	if closed {
		return nil
	}
	m.mu.Lock()
	if m.cache != nil {
		m.cache.Clear()
	}
	m.mu.Unlock()
	m.pool.Close()
	return errors.Join(m.net.Close(), closeAll(m.files))
}
