package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/local/hub"
	"github.com/sluice-ai/sluice/runtime/chat"
	"github.com/sluice-ai/sluice/runtime/engine"
	"github.com/sluice-ai/sluice/runtime/sample"
)

// ModelFile names a model and where it is.
type ModelFile struct {
	Name    string // the target is "local/" and this
	File    string // a GGUF, a checkpoint's folder, or the name of a pulled model; "" when Data is set
	Data    []byte // a GGUF in memory; it must not be changed
	Context int    // tokens; 0: the model's own, at most 32768
	KV      string // type of the keys and values kept: "f16" (default), "q8_0", "f32"
	Memory  int64  // bytes that sequences may take; 0: what the machine has left
	Cache   int64  // of these, bytes for prompts that are kept; 0: a quarter, at most 1 GiB; -1: none
	// Grammars bounds the bytes, beside Memory, of compiled formats that are kept; 0: 128 MiB.
	Grammars int64
	// Unpacked leaves the weights as the file has them, not laid out for this machine:
	// slower, in pages that are shared with others.
	Unpacked bool
	// Adapters are LoRA adapters laid over the model.
	Adapters []engine.Adapter
}

// Config configures a [Tier]. A zero field takes the default it documents.
type Config struct {
	Models  []ModelFile
	Threads int // 0: one for each core
	Queue   int // requests that may wait for one model; default 64
	// HideSchema keeps the outline of response_format's schema out of the prompt.
	HideSchema bool
	Log        *slog.Logger
}

// A Tier is the local tier. It is safe for concurrent use.
type Tier struct {
	models  map[string]*engine.Model // by target id
	targets []llm.Target
	meters  *meters
	warm    sync.WaitGroup // of models that are being prepared for grammars
	hide    bool           // schemas from the models
}

// Open loads every model, or reports every one that cannot be loaded.
func Open(cfg Config) (*Tier, error) {
	mt, err := newMeters()
	if err != nil {
		return nil, err
	}
	t := &Tier{hide: cfg.HideSchema, models: map[string]*engine.Model{}, meters: mt}
	var errs []error
	for _, f := range cfg.Models {
		id := "local/" + f.Name
		o := engine.Options{
			Threads: cfg.Threads, Context: f.Context, Queue: cfg.Queue, KV: f.KV, Memory: f.Memory, Cache: f.Cache, Grammars: f.Grammars, Unpacked: f.Unpacked, Adapters: f.Adapters,
			OnStep: mt.step(id),
		}
		var m *engine.Model
		var err error
		if f.Data != nil {
			m, err = engine.OpenBytes(f.Name, f.Data, o)
		} else {
			m, err = openFile(f.File, o)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("model %q: %w", f.Name, err))
			continue
		}
		errs = append(errs, mt.observe(id, m))
		info := m.Info()
		zero := 0
		no := false
		t.models[id] = m
		if slices.Contains(info.Abilities, "chat") {
			t.warm.Go(m.Prepare) // else the first answer with a schema would wait for it
		}
		t.targets = append(t.targets, llm.Target{
			ID: id, Provider: "local", Model: f.Name, Context: info.Context, Can: abilities(info.Abilities),
			Zone:  llm.Zone{Region: "on-premises", Operator: "self", RetentionDays: &zero, Trains: &no},
			Price: llm.Price{ID: "local", Known: true},
		})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// openFile opens a model by its path, or by the name under which it was pulled.
func openFile(name string, o engine.Options) (*engine.Model, error) {
	path := Locate(name)
	m, err := engine.Open(path, o)
	if errors.Is(err, fs.ErrNotExist) && path == name {
		if _, perr := hub.Parse(name); perr == nil {
			return nil, fmt.Errorf("%s is neither a file nor a model that has been pulled: `sluice models pull %s` gets it", name, name)
		}
	}
	return m, err
}

// Locate returns where the model called name is: name itself when there is such
// a file, else where `sluice models pull` puts it, else name.
func Locate(name string) string {
	if _, err := os.Stat(name); err == nil {
		return name
	}
	if path, ok := hub.Find(name, hub.DefaultDir()); ok {
		return path
	}
	return name
}

// Close frees the models. Nothing may be running on them.
func (t *Tier) Close() error {
	t.warm.Wait()
	errs := []error{t.meters.close()}
	for _, m := range t.models {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

// Targets returns the local targets in the order of the config.
func (t *Tier) Targets() []llm.Target { return t.targets }

// Healthy reports whether the target exists: a model that was loaded stays loaded.
func (t *Tier) Healthy(id string) bool { return t.models[id] != nil }

// Model returns the model of a target id, or nil.
func (t *Tier) Model(id string) *engine.Model { return t.models[id] }

// Generate runs req on its target. The n choices are generated one after
// another. Text comes as it is made, and so do tool calls that a grammar holds to
// their schemas; others come when they are whole.
func (t *Tier) Generate(ctx context.Context, req *llm.Request, emit func(llm.Event) error) error {
	m := t.models[req.Target.ID]
	if m == nil {
		return &llm.Error{Kind: llm.Internal, Msg: "the target is not one of the local tier's"}
	}
	a := llm.Attempt{Try: 1, Start: time.Now(), Outcome: llm.OK}
	defer func() {
		a.Duration = time.Since(a.Start)
		if req.OnAttempt != nil {
			req.OnAttempt(a)
		}
	}()
	er := engineRequest(req)
	if err := constrain(ctx, m, &er, req, t.hide); err != nil {
		return failed(ctx, &a, err, nil)
	}
	for i := range max(req.N, 1) {
		er.Sampling.Seed = seed(req, i)
		last, err := t.choice(ctx, m, &a, &er, req, i, emit)
		if err != nil {
			return err
		}
		ev := llm.Event{Choices: []llm.Delta{last}}
		if i == max(req.N, 1)-1 {
			use := a.Usage
			ev.Usage = &use
		}
		if err := emit(ev); err != nil {
			a.Outcome, a.Code = llm.Abandoned, "client_gone"
			return err
		}
	}
	return nil
}

// choice generates one of the n answers. It returns the delta that ends it.
func (t *Tier) choice(ctx context.Context, m *engine.Model, a *llm.Attempt, er *engine.Request, req *llm.Request, index int, emit func(llm.Event) error) (llm.Delta, error) {
	parser := newReader(m, er, req.ToolNames())
	calls := newCallWriter(req)
	var emitErr error
	send := func(deltas []chat.Delta, tokens []engine.TokenLogprob) error {
		d := llm.Delta{Index: index}
		if req.Sampling.Logprobs {
			d.Logprobs = logprobs(tokens)
		}
		if req.Watch {
			for _, t := range tokens {
				d.Chosen = append(d.Chosen, t.Logprob)
			}
		}
		for _, p := range deltas {
			d.Text += p.Text
			d.Reasoning += p.Thinking
			if p.Call != nil {
				d.ToolCalls = calls.add(d.ToolCalls, p.Call)
			}
		}
		if d.Text == "" && d.Reasoning == "" && d.ToolCalls == nil && tokens == nil {
			return nil
		}
		emitErr = emit(llm.Event{Choices: []llm.Delta{d}})
		return emitErr
	}
	res, err := m.Generate(ctx, *er, func(c engine.Chunk) error {
		if a.FirstByte == 0 {
			a.FirstByte = time.Since(a.Start)
		}
		return send(parser.Push(c.Text), c.Tokens)
	})
	t.meters.generated(ctx, req.Target.ID, res)
	a.Usage.Input += res.PromptTokens - res.CachedTokens
	a.Usage.Cached += res.CachedTokens
	a.Usage.Output += res.CompletionTokens
	if err == nil {
		err = send(parser.Flush(), nil)
	}
	if err != nil {
		return llm.Delta{}, failed(ctx, a, err, emitErr)
	}
	last := llm.Delta{Index: index, Finish: llm.Finish(res.Finish)}
	if calls.broken || res.Invalid != nil && !errors.Is(res.Invalid, engine.ErrCut) {
		a.Code, last.Broken = "format", true // a condition that only shows afterwards
	}
	if calls.calls > 0 && res.Finish == "stop" {
		last.Finish = llm.ToolCalls
	}
	return last, nil
}

// seed returns the seed of the index-th choice: the client's, or the clock's.
func seed(req *llm.Request, index int) uint64 {
	if req.Sampling.Seed != nil {
		return uint64(*req.Sampling.Seed) + uint64(index)
	}
	return uint64(time.Now().UnixNano()) + uint64(index)
}

// failed turns the engine's error into the gateway's.
func failed(ctx context.Context, a *llm.Attempt, err, emitErr error) error {
	switch {
	case emitErr != nil:
		a.Outcome, a.Code = llm.Abandoned, "client_gone"
		return emitErr
	case ctx.Err() != nil:
		a.Outcome, a.Code = llm.Abandoned, "canceled"
		return &llm.Error{Kind: llm.Canceled, Msg: "the request was cancelled or its deadline passed", Err: err}
	case errors.Is(err, engine.ErrBusy):
		a.Outcome, a.Code = llm.Throttled, "busy"
		return &llm.Error{Kind: llm.Busy, Code: llm.CodeBusy, Msg: "the local model has too much work: try again later", RetryAfter: time.Second, Err: err}
	}
	if long, ok := errors.AsType[*engine.ContextError](err); ok {
		a.Outcome, a.Code = llm.Rejected, "context"
		return &llm.Error{Kind: llm.Unavailable, Code: llm.CodeContextLength, Param: "messages", Err: err,
			Msg: fmt.Sprintf("the request needs %d tokens and the local model takes %d: shorten the messages", long.Needed, long.Limit)}
	}
	if llm.KindOf(err) == llm.Invalid {
		a.Outcome, a.Code = llm.Rejected, "format"
		return err
	}
	a.Outcome, a.Code = llm.Failed, "engine"
	return &llm.Error{Kind: llm.Unavailable, Msg: "the local model failed", Err: err}
}

// engineRequest translates req.
func engineRequest(req *llm.Request) engine.Request {
	out := engine.Request{Group: req.Principal.Tenant, MaxTokens: req.Sampling.MaxTokens, Stop: req.Sampling.Stop, Watch: req.Watch}
	for _, m := range req.Messages {
		em := chat.Message{Role: string(m.Role), Content: m.Text, Name: m.Name, ToolCallID: m.ToolCallID}
		for _, c := range m.ToolCalls {
			args := json.RawMessage(c.Arguments)
			if !json.Valid(args) {
				args = nil // a model once wrote them wrong: the prompt shows a call without arguments
			}
			em.ToolCalls = append(em.ToolCalls, chat.ToolCall{ID: c.ID, Name: c.Name, Arguments: args})
		}
		out.Messages = append(out.Messages, em)
	}
	if string(req.ToolChoice) != `"none"` {
		for _, t := range req.Tools {
			out.Tools = append(out.Tools, bareTool(t))
		}
	}
	s := req.Sampling
	out.Sampling = sample.Config{
		Temperature: or(s.Temperature, defaultTemperature), TopK: or(s.TopK, 0), TopP: or(s.TopP, 1), MinP: or(s.MinP, defaultMinP),
		RepeatPenalty: or(s.RepetitionPenalty, defaultRepetition), FrequencyPenalty: or(s.FrequencyPenalty, 0), PresencePenalty: or(s.PresencePenalty, 0),
	}
	out.Sampling.MaskedLogprobs = s.MaskedLogprobs
	for id, b := range s.LogitBias {
		if out.Sampling.Bias == nil {
			out.Sampling.Bias = map[int32]float32{}
		}
		out.Sampling.Bias[id] = float32(b)
	}
	if s.Logprobs {
		out.Logprobs, out.TopLogprobs = true, s.TopLogprobs
	}
	return out
}

// The settings that Liquid AI recommends for LFM2's text models.
const (
	defaultTemperature = 0.3
	defaultMinP        = 0.15
	defaultRepetition  = 1.05
)

func or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// bareTool returns {"name", "description", "parameters"}, the form that LFM2's
// model cards show, without OpenAI's wrapper.
func bareTool(t llm.Tool) json.RawMessage {
	var wrapped struct {
		Function json.RawMessage `json:"function"`
	}
	if json.Unmarshal(t.Raw, &wrapped) == nil && len(wrapped.Function) > 0 {
		return wrapped.Function
	}
	return slices.Clone(t.Raw)
}

// logprobs returns OpenAI's logprobs object, or nil for no tokens.
func logprobs(tokens []engine.TokenLogprob) json.RawMessage {
	if len(tokens) == 0 {
		return nil
	}
	type entry struct {
		Token   string  `json:"token"`
		Logprob float64 `json:"logprob"`
		Bytes   []int   `json:"bytes"`
		Top     []entry `json:"top_logprobs,omitempty"`
	}
	one := func(piece []byte, lp float64) entry {
		e := entry{Token: string(piece), Logprob: math.Max(lp, -9999), Bytes: make([]int, len(piece))}
		for i, b := range piece {
			e.Bytes[i] = int(b)
		}
		return e
	}
	var out struct {
		Content []entry `json:"content"`
	}
	for _, t := range tokens {
		e := one(t.Bytes, t.Logprob)
		for _, top := range t.Top {
			e.Top = append(e.Top, one(top.Bytes, top.Logprob))
		}
		out.Content = append(out.Content, e)
	}
	b, err := json.Marshal(out)
	if err != nil {
		return nil // numbers and strings only: cannot happen
	}
	return b
}
