package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-ai/sluice/runtime/chat"
	"github.com/sluice-ai/sluice/runtime/sample"
	"github.com/sluice-ai/sluice/runtime/sched"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

// A Request asks for one answer. Either Messages or Prompt is set.
type Request struct {
	Messages []chat.Message
	Tools    []json.RawMessage
	Date     time.Time // shown to models whose template shows one; zero is not shown
	// Prompt is the tokens themselves, used as they are.
	Prompt []int32
	// Group is who asks, a tenant: groups share the model fairly, and what is kept
	// of a prompt is found by its own group only.
	Group string

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
	// Form, if set, says in another way than Schema what the answer's text is.
	Form *Form
	// Verbatim, if it is not nil, holds the strings that Schema and Calls leave free (no
	// enum, const, pattern, format or maxLength, a minLength of 1 at most) to pieces of
	// these texts, as [grammar.Source] cuts them. Texts that hold no piece, or are longer
	// than [grammar.MaxSource] together, are as none. A model with [Info].Verbatim writes
	// them in the texts' own tokens ([grammar.Vocab.TokenSource]).
	Verbatim []string
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
	CachedTokens     int           // of the prompt: they were read for an earlier request
	CompletionTokens int           // tokens sampled or forced by a grammar, the ending one included
	Drafted          int           // tokens guessed and verified together with others
	Accepted         int           // of those, the ones that were right
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
// and returns that error. While emit runs, the model works on: for this answer
// one step ahead, for others without waiting.
//
// It fails with [ErrBusy] if too many requests wait or other sequences hold the
// memory, with a [*ContextError] if
// the prompt leaves no room for an answer, with a [*GrammarError] if the
// answer cannot be held to Schema and Calls, and with ctx's error at once when ctx
// ends. The Result is valid as far as the generation came.
func (m *Model) Generate(ctx context.Context, r Request, emit func(Chunk) error) (res Result, err error) {
	if err := r.Validate(); err != nil {
		return Result{}, err
	}
	prompt, err := m.Tokens(&r)
	if err != nil {
		return Result{}, err
	}
	res = Result{PromptTokens: len(prompt)}
	if len(prompt) == 0 {
		return res, errors.New("the model's template makes nothing of the messages")
	}
	if len(prompt) >= m.opts.Context {
		return res, &ContextError{Needed: len(prompt) + 1, Limit: m.opts.Context}
	}
	if err := cmp.Or(m.check(prompt), ctx.Err()); err != nil {
		return res, err
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
	room := m.opts.Context - len(prompt)
	if r.MaxTokens > 0 {
		room = min(room, r.MaxTokens)
	}
	a := &answer{
		m: m, r: &r, smp: smp, text: m.tok.NewStream(false), stop: stopper{stops: r.Stop},
		guide: m.newGuide(programs, r.Verbatim, len(r.Messages) > 0 && m.Style().StartsThinking()), left: room,
	}
	g := &generation{task: m.newTask(sched.Normal, r.Group), a: a, history: slices.Clone(prompt)}
	prompt = slices.Clip(g.history) // not the caller's: a step may outlast the call
	g.task.prompt, g.task.ahead, g.task.keep = prompt, min(room, headStart), m.places(prompt)
	if err := m.arrive(g.task); err != nil {
		return res, err
	}
	defer m.leave(g.task)
	err = m.wait(ctx, g.task)
	res.Queue = lap()
	if err != nil {
		return res, err
	}
	res.CachedTokens = g.task.cached
	err = g.prefill(ctx)
	res.Prefill = lap()
	if err != nil {
		return res, err
	}
	defer func() {
		res.Decode = lap()
		res.CompletionTokens, res.Drafted, res.Accepted = room-a.left, g.drafted, g.accepted
		if a.guide != nil {
			res.Invalid = a.verdict()
		}
	}()
	for {
		if res.Finish, err = g.read(); res.Finish != "" || err != nil {
			m.pause(g.task)
			return res, cmp.Or(a.emit(emit), err)
		}
		if err := g.submit(); err != nil {
			return res, err
		}
		if err := a.emit(emit); err != nil {
			return res, err
		}
		if err := m.wait(ctx, g.task); errors.Is(err, ErrMemory) { // the head start is used up, and others hold the rest
			m.pause(g.task)
			a.finish()
			res.Finish = "length"
			return res, a.emit(emit)
		} else if err != nil {
			return res, err
		}
	}
}
