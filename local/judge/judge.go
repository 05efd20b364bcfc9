package judge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/local/calibrate"
	"github.com/sluice-ai/sluice/local/hints"
	"github.com/sluice-ai/sluice/runtime/engine"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

// Config configures a [Judge]. A zero field takes the default it documents.
type Config struct {
	// Model is the target id of the model that judges, as the verdict names it.
	Model string
	// Supported is the p_local from which the verdict is "supported". Default 0.6.
	Supported float64
	// Unsupported is the p_local up to which it is "unsupported". Default 0.4.
	Unsupported float64
	// Calibration, when not nil, takes the place of both thresholds, and verdicts
	// name it. Whoever sets it has made sure that it fits the model.
	Calibration *calibrate.Calibration
	// MaxTokens bounds what the model reads of one request. Default 1024.
	MaxTokens int
	// Local are the local targets that can answer: the rules look at what they can do.
	Local []llm.Target
}

// A Judge assesses requests. It is safe for concurrent use.
type Judge struct {
	cfg    Config
	by     string // Config.Model, and "+" and the calibration's id when there is one
	model  *engine.Model
	base   *engine.Session // holds the prefix that every prompt shares; only cloned
	routes [2][]int32      // the labels local and cloud
	tasks  [][]int32       // the labels of Tasks
}

// New returns a judge that asks model, which must outlive it. It reads the
// prompt's constant prefix once. A nil model is allowed: then only the rules
// speak, and every other verdict is unavailable.
func New(ctx context.Context, model *engine.Model, cfg Config) (*Judge, error) {
	cfg.Supported = cmp.Or(cfg.Supported, 0.6)
	cfg.Unsupported = cmp.Or(cfg.Unsupported, 0.4)
	cfg.MaxTokens = cmp.Or(cfg.MaxTokens, 1024)
	by := cfg.Model
	if c := cfg.Calibration; c != nil {
		cfg.Supported, cfg.Unsupported = c.Supported, c.Unsupported
		by += "+" + c.ID
	}
	j := &Judge{cfg: cfg, by: by, model: model}
	if model == nil {
		return j, nil
	}
	j.routes = [2][]int32{j.text("local"), j.text("cloud")}
	for _, t := range Tasks {
		j.tasks = append(j.tasks, j.text(" "+t))
	}
	ids, err := j.tokens(prefix())
	if err != nil {
		return nil, err
	}
	if j.base, err = model.NewSession(); err != nil {
		return nil, fmt.Errorf("the judge's session: %w", err)
	}
	if err := j.base.Prefill(ctx, ids); err != nil {
		return nil, errors.Join(fmt.Errorf("the judge's prefix: %w", err), j.Close())
	}
	return j, nil
}

// Close frees the judge's session. The model stays open.
func (j *Judge) Close() error {
	if j.base != nil {
		j.base.Close()
	}
	return nil
}

// Assess judges req. It never fails: what goes wrong is a verdict of its own.
func (j *Judge) Assess(ctx context.Context, req *llm.Request) llm.Assessment {
	dig := digest(req)
	signals := cheap(req, dig)
	if a, ok := j.rule(req); ok {
		a.Signals = signals
		return a
	}
	if j.model == nil {
		return llm.Assessment{Boundary: llm.NoVerdict, By: "rule:no-judge", Why: "no judging model is configured", Signals: signals}
	}
	a, err := j.ask(ctx, req, dig)
	if err != nil {
		why := "the judging model failed"
		if ctx.Err() != nil {
			why = "the judging model did not answer in time"
		} else if errors.Is(err, engine.ErrBusy) {
			why = "the judging model is busy"
		}
		return llm.Assessment{Boundary: llm.NoVerdict, By: j.by, Why: why, Signals: signals}
	}
	a.Signals = append(a.Signals, signals...)
	return a
}

// rule speaks where no model is needed: the request asks for what no local model has.
func (j *Judge) rule(req *llm.Request) (llm.Assessment, bool) {
	no := func(name, why string) (llm.Assessment, bool) {
		return llm.Assessment{Boundary: llm.Unsupported, By: "rule:" + name, Why: why}, true
	}
	for _, m := range req.Modalities {
		if m != "text" && !j.can(m) {
			return no("modality", "no local model takes "+m+" input")
		}
	}
	return llm.Assessment{}, false
}

func (j *Judge) can(ability string) bool {
	for _, t := range j.cfg.Local {
		if t.Has(ability) {
			return true
		}
	}
	return false
}

// ask scores the labels.
func (j *Judge) ask(ctx context.Context, req *llm.Request, dig string) (llm.Assessment, error) {
	ids, err := j.tokens(question(dig))
	if err != nil {
		return llm.Assessment{}, err
	}
	ids = j.bound(ids)
	s, err := j.base.Clone()
	if err != nil {
		return llm.Assessment{}, err
	}
	defer s.Close()
	if err := s.Prefill(ctx, ids); err != nil {
		return llm.Assessment{}, err
	}
	routes, err := s.Score(ctx, j.routes[:])
	if err != nil {
		return llm.Assessment{}, err
	}
	info := j.model.Info()
	raw := routes[0] - routes[1]
	says := raw*cmp.Or(info.JudgeScale, 1) + info.JudgeBias
	kind, hint := hints.Of(req)
	odds := share * (says + hint)
	p := 1 / (1 + math.Exp(-odds))
	route := 0
	if raw < 0 {
		route = 1
	}
	if err := s.Prefill(ctx, j.routes[route]); err != nil {
		return llm.Assessment{}, err
	}
	tasks, err := s.Score(ctx, j.tasks)
	if err != nil {
		return llm.Assessment{}, err
	}
	best := 0
	for i := range tasks {
		if Tasks[i] == kind {
			tasks[i] += hinted
		}
		if tasks[i] > tasks[best] {
			best = i
		}
	}
	a := llm.Assessment{
		Task: Tasks[best], PLocal: p, Boundary: j.boundary(p), By: j.by,
		Tokens: len(ids) + len(j.routes[route]),
		Signals: []llm.Signal{
			{Name: "lfm2.log_odds", Value: round(raw), Weight: round(share * says)},
			{Name: "hints", Value: kind, Weight: round(share * hint)},
		},
	}
	a.Why = fmt.Sprintf("%s, p_local %.2f", a.Task, p)
	return a, nil
}

// The model and the hints are two witnesses of the same thing, and agree more
// often than strangers would: each counts for share of what it says. A kind of
// task that the hints name counts hinted (a natural logarithm) for the model too.
const (
	share  = 0.6
	hinted = 2
)

func (j *Judge) boundary(p float64) llm.Boundary {
	switch {
	case p >= j.cfg.Supported:
		return llm.Supported
	case p <= j.cfg.Unsupported:
		return llm.Unsupported
	}
	return llm.Uncertain
}

// bound keeps the first two thirds and the last third of a prompt that is too long.
func (j *Judge) bound(ids []int32) []int32 {
	over := len(ids) - j.cfg.MaxTokens
	if over <= 0 {
		return ids
	}
	head := j.cfg.MaxTokens * 2 / 3
	return append(ids[:head:head], ids[head+over:]...)
}

// tokens encodes segments; only special ones may become special tokens.
func (j *Judge) tokens(segments []segment) ([]int32, error) {
	var ids []int32
	for _, s := range segments {
		if !s.special {
			ids = append(ids, j.text(s.text)...)
			continue
		}
		id, ok := j.model.Tokenizer().ID(s.text)
		if !ok {
			return nil, fmt.Errorf("the judging model's vocabulary has no token %s: it is not of the LFM2 family", s.text)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// text encodes ordinary text.
func (j *Judge) text(s string) []int32 {
	return j.model.Tokenizer().Encode(nil, s, tokenizer.Options{})
}

// cheap returns plain facts of the request, for people: they weigh nothing.
func cheap(req *llm.Request, dig string) []llm.Signal {
	chars := 0
	for _, m := range req.Messages {
		chars += len(m.Text)
	}
	return []llm.Signal{
		{Name: "bytes", Value: chars},
		{Name: "turns", Value: len(req.Messages)},
		{Name: "tools", Value: len(req.Tools)},
		{Name: "code", Value: strings.Contains(dig, "```")},
	}
}

func round(v float64) float64 { return math.Round(v*1000) / 1000 }
