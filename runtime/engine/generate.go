package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-ai/sluice/runtime/chat"
	"github.com/sluice-ai/sluice/runtime/sample"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

// A Request asks for one answer. Either Messages or Prompt is set.
type Request struct {
	Messages []chat.Message
	Tools    []json.RawMessage
	Date     time.Time // shown to models whose template shows one; zero is not shown
	// Prompt is the tokens themselves, used as they are.
	Prompt []int32

	// MaxTokens bounds the answer. 0 is what the context leaves.
	MaxTokens int
	Sampling  sample.Config
	// Stop are texts that end the answer, which does not contain them.
	Stop []string
	// Logprobs asks for [Chunk.Tokens], TopLogprobs for so many alternatives to each.
	Logprobs    bool
	TopLogprobs int
	// Watch asks for [Chunk.Tokens] of the tokens that the model chose itself, without
	// those that a grammar forced, which are still read in one step. Logprobs is more.
	Watch bool

	// Schema, if set, is a JSON Schema: the answer is JSON that satisfies it, by
	// construction as far as docs/structured-output.md says "held".
	Schema json.RawMessage
	// Calls, if set, makes sure that the answer's tool calls are calls of Tools with
	// arguments that satisfy their schemas. With Schema, the answer is calls or JSON;
	// where calls are required, calls only.
	Calls *Calls
}

// A Chunk is the next piece of an answer: whole code points of text. It contains
// the markers of tool calls and thoughts as text, for [chat.Parser], and no other
// control token.
type Chunk struct {
	Text   string
	Tokens []TokenLogprob // the tokens that are complete with this chunk
}

// A TokenLogprob is a token and the natural logarithm of its probability.
type TokenLogprob struct {
	ID      int32
	Bytes   []byte // what it stands for, perhaps part of a code point; not to be changed
	Logprob float64
	Top     []TokenLogprob // likeliest first
}

// A Result tells how a generation ended.
type Result struct {
	Finish           string // "stop": the model or a stop string ended it; "length": MaxTokens, the context or memory
	PromptTokens     int
	CompletionTokens int           // tokens sampled or forced by a grammar, the ending one included
	Invalid          error         // why the answer is not what Schema and Calls ask for: [ErrCut], or a condition checked afterwards
	Queue            time.Duration // until the generation began
	Prefill          time.Duration // until the first token
	Decode           time.Duration // from there to the end
}

const maxStops, maxTopLogprobs = 16, 20

// Validate reports every mistake in r that does not depend on the model.
func (r *Request) Validate() error {
	var errs []error
	if len(r.Messages) > 0 && len(r.Prompt) > 0 || len(r.Messages) == 0 && len(r.Prompt) == 0 {
		errs = append(errs, errors.New("exactly one of messages and prompt must be given"))
	}
	if r.MaxTokens < 0 {
		errs = append(errs, fmt.Errorf("max_tokens cannot be %d", r.MaxTokens))
	}
	if len(r.Stop) > maxStops {
		errs = append(errs, fmt.Errorf("%d stop strings are more than %d", len(r.Stop), maxStops))
	}
	if slices.Contains(r.Stop, "") {
		errs = append(errs, errors.New("a stop string is empty"))
	}
	if r.TopLogprobs < 0 || r.TopLogprobs > maxTopLogprobs {
		errs = append(errs, fmt.Errorf("top_logprobs must be between 0 and %d, not %d", maxTopLogprobs, r.TopLogprobs))
	}
	return errors.Join(append(errs, r.Sampling.Validate())...)
}

// Tokens returns the prompt of r as tokens, with BOS exactly once if it is made
// of messages. What users and tools wrote cannot become control tokens. It
// fails with [ErrTemplate] when the model's own template refuses the messages.
func (m *Model) Tokens(r *Request) ([]int32, error) {
	if len(r.Messages) == 0 {
		return r.Prompt, nil
	}
	parts, err := m.prompts.parts(r.Messages, chat.Options{
		Tools: r.Tools, AddGenerationPrompt: true, Date: r.Date, BOS: m.tok.BOSText(),
	})
	if err != nil {
		return nil, err
	}
	return m.tok.EncodeParts(nil, parts, tokenizer.Options{ParseSpecial: true}), nil
}

// Generate answers r, passing each chunk to emit in order; emit is called from
// this goroutine and not after Generate returns. If emit fails, Generate stops
// and returns that error.
//
// It fails with [ErrBusy] if too many requests wait or other sequences hold the
// memory, with a [*ContextError] if
// the prompt leaves no room for an answer, with a [*GrammarError] if the
// answer cannot be held to Schema and Calls, and with ctx's error within one layer
// of a step when ctx ends. The Result is valid as far as the generation came.
func (m *Model) Generate(ctx context.Context, r Request, emit func(Chunk) error) (res Result, err error) {
	if err := r.Validate(); err != nil {
		return Result{}, err
	}
	prompt, err := m.Tokens(&r)
	if err != nil {
		return Result{}, err
	}
	res = Result{PromptTokens: len(prompt)}
	if len(prompt) >= m.opts.Context {
		return res, &ContextError{Needed: len(prompt) + 1, Limit: m.opts.Context}
	}
	programs, err := m.programs(ctx, &r)
	if err != nil {
		return res, err
	}
	smp, err := sample.New(r.Sampling, m.net.Vocab, m.unused)
	if err != nil {
		return res, err
	}
	clock := time.Now()
	lap := func() time.Duration {
		last := clock
		clock = time.Now()
		return clock.Sub(last)
	}
	s := m.newSession(normal)
	defer s.Close()
	if err := m.slots.enter(ctx, s.turn, normal); err != nil {
		return res, err
	}
	defer m.slots.leave()
	res.Queue = lap()
	room := m.opts.Context - len(prompt)
	if r.MaxTokens > 0 {
		room = min(room, r.MaxTokens)
	}
	if err := s.seq.Promise(len(prompt) + min(room, headStart)); err != nil {
		return res, busy(err)
	}
	if err := s.Prefill(ctx, prompt); err != nil {
		return res, err
	}
	for _, id := range prompt {
		smp.Accept(id)
	}
	res.Prefill = lap()
	defer func() { res.Decode = lap() }()

	a := &answer{
		m: m, r: &r, smp: smp, emit: emit, text: m.tok.NewStream(false), stop: stopper{stops: r.Stop},
		guide: m.newGuide(programs, len(r.Messages) > 0 && m.Style().StartsThinking()), left: room,
	}
	defer func() {
		res.CompletionTokens = room - a.left
		if a.guide != nil {
			res.Invalid = a.verdict()
		}
	}()
	var next [1]int32
	for {
		run, err := a.next(s.Logits(), next[:0])
		if err != nil {
			return res, err
		}
		for _, id := range run {
			if res.Finish, err = a.take(id); res.Finish != "" || err != nil {
				return res, err
			}
		}
		if err := s.Prefill(ctx, run); errors.Is(err, ErrMemory) { // the head start is used up, and others hold the rest
			res.Finish = "length"
			return res, a.finish()
		} else if err != nil {
			return res, err
		}
	}
}

// An answer turns tokens into chunks.
type answer struct {
	m    *Model
	r    *Request
	smp  *sample.Sampler
	emit func(Chunk) error
	text *tokenizer.Stream
	stop stopper

	guide   *guide // nil without a grammar
	chose   bool   // the token was sampled, not forced
	left    int    // tokens that may still come
	stopped bool   // by a stop string

	made, sent int       // bytes of text made of tokens, and passed on
	pending    []pending // tokens whose text is not all passed on
}

type pending struct {
	TokenLogprob
	from, to int // where its text lies
}

// next returns the tokens to take: those that the grammar forces, or one that is
// sampled, in dst. With log-probabilities every token is sampled, so that each
// has its own.
func (a *answer) next(logits []float32, dst []int32) ([]int32, error) {
	a.chose = true
	if a.guide == nil {
		id, err := a.smp.Sample(logits)
		return append(dst, id), err
	}
	if !a.r.Logprobs {
		if run := a.guide.forced(); len(run) > 0 {
			a.chose = false
			return run[:min(len(run), a.left)], nil
		}
	}
	id, err := a.smp.SampleMasked(logits, a.guide.mask())
	return append(dst, id), err
}

// take adds the next token, whichever way it came about. It returns how the
// answer ended, or "".
func (a *answer) take(id int32) (finish string, err error) {
	a.left--
	if a.m.tok.IsEOG(id) {
		return "stop", a.finish()
	}
	if a.guide != nil {
		if err := a.guide.accept(id); err != nil {
			return "", err
		}
	}
	a.stopped, err = a.add(id)
	switch {
	case err != nil:
		return "", err
	case a.stopped:
		return "stop", nil
	case a.guide != nil && a.guide.complete():
		return "stop", a.finish()
	case a.left == 0:
		return "length", a.finish()
	}
	a.smp.Accept(id)
	return "", nil
}

// verdict says why the answer so far is not what its grammar asks for, or nil.
func (a *answer) verdict() error {
	if a.stopped {
		return ErrCut
	}
	return a.guide.verdict()
}

// add takes the next token. It reports whether a stop string ended the answer.
func (a *answer) add(id int32) (stopped bool, err error) {
	var text []byte
	if a.m.visible[id] {
		text = a.text.Push(id)
	} else {
		text = a.text.Flush()
	}
	from := a.made
	a.made += len(text)
	if a.r.Logprobs || a.r.Watch && a.chose {
		a.pending = append(a.pending, pending{a.logprob(id), from, a.made})
	}
	pass, stopped := a.stop.push(text)
	a.sent += len(pass)
	return stopped, a.send(pass, func(p pending) bool {
		return p.to <= a.sent || stopped && p.from < a.sent
	})
}

// finish passes on what was held back.
func (a *answer) finish() error {
	pass, stopped := a.stop.push(a.text.Flush())
	a.stopped = stopped
	if !stopped {
		pass = append(slices.Clip(pass), a.stop.flush()...)
	}
	return a.send(pass, func(pending) bool { return !stopped })
}

// send emits text and the pending tokens that are done, which come first.
func (a *answer) send(text []byte, done func(pending) bool) error {
	c := Chunk{Text: string(text)}
	for len(a.pending) > 0 && done(a.pending[0]) {
		c.Tokens = append(c.Tokens, a.pending[0].TokenLogprob)
		a.pending = a.pending[1:]
	}
	if c.Text == "" && len(c.Tokens) == 0 {
		return nil
	}
	return a.emit(c)
}

func (a *answer) logprob(id int32) TokenLogprob {
	t := TokenLogprob{ID: id, Bytes: a.m.tok.Piece(id), Logprob: a.smp.Logprob(id)}
	if a.r.TopLogprobs > 0 {
		for _, alt := range a.smp.Top(a.r.TopLogprobs) {
			t.Top = append(t.Top, TokenLogprob{ID: alt.ID, Bytes: a.m.tok.Piece(alt.ID), Logprob: alt.Logprob})
		}
	}
	return t
}
