package judge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

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
	// Origin says where the thresholds are from: "default" or "config". Default "default".
	Origin string
	// Escalate is the revised p_local below which [Judge.Review] advises against an
	// answer. Default 0.3, negative for never; it is at most Supported.
	Escalate float64
	// Version names this judge in verdicts, so that outcomes can be told from those of
	// another: its model, hints and weights.
	Version string
	// Weights of the signals. Default: a calibration's own, or else [DefaultWeights].
	Weights *Weights
	// Answering returns the model of a local target, for the self-check; nil when
	// there is none. SelfCheck bounds that check; 0 switches it off.
	Answering func(target string) *engine.Model
	SelfCheck time.Duration
}

// The thresholds without a configuration.
const (
	DefaultSupported   = 0.6
	DefaultUnsupported = 0.4
)

// A Judge assesses requests. It is safe for concurrent use.
type Judge struct {
	cfg     Config
	by      string // Config.Model, and "+" and the calibration's id when there is one
	origin  *llm.Thresholds
	weights *Weights
	model   *engine.Model
	base    *engine.Session // holds the prefix that every prompt shares; only cloned
	routes  [2][]int32      // the labels local and cloud
	tasks   [][]int32       // the labels of Tasks
}

// New returns a judge that asks model, which must outlive it. It reads the
// prompt's constant prefix once. A nil model is allowed: then only the rules
// speak, and every other verdict is unavailable.
func New(ctx context.Context, model *engine.Model, cfg Config) (*Judge, error) {
	cfg.Supported = cmp.Or(cfg.Supported, DefaultSupported)
	cfg.Unsupported = cmp.Or(cfg.Unsupported, DefaultUnsupported)
	cfg.MaxTokens = cmp.Or(cfg.MaxTokens, 1024)
	cfg.Escalate = cmp.Or(cfg.Escalate, 0.3)
	by, origin := cfg.Model, cmp.Or(cfg.Origin, "default")
	if c := cfg.Calibration; c != nil {
		cfg.Supported, cfg.Unsupported = c.Supported, c.Unsupported
		by += "+" + c.ID
		origin = "calibration " + c.ID
	}
	cfg.Escalate = min(cfg.Escalate, cfg.Supported)
	j := &Judge{cfg: cfg, by: by, model: model, weights: cfg.Weights}
	if j.weights == nil {
		j.weights = DefaultWeights()
	}
	j.origin = &llm.Thresholds{
		Supported: cfg.Supported, Unsupported: cfg.Unsupported, Escalate: cfg.Escalate, Origin: origin, Weights: j.weights.Version,
	}
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
	facts, run := cheap(req, dig), agentRun(req)
	if a, ok := j.rule(req); ok {
		a.Signals, a.Run = facts, run
		return a
	}
	silent := func(by, why string) llm.Assessment {
		return llm.Assessment{Boundary: llm.NoVerdict, By: by, Why: why, Signals: facts, Run: run}
	}
	if j.model == nil {
		return silent("rule:no-judge", "no judging model is configured")
	}
	a, err := j.ask(ctx, req, dig, run)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return silent(j.by, "the judging model did not answer in time")
	case errors.Is(err, engine.ErrBusy):
		return silent(j.by, "the judging model is busy")
	default:
		return silent(j.by, "the judging model failed")
	}
	a.Signals = append(a.Signals, facts...)
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
	if limit := j.context(); limit > 0 {
		bytes := 0
		for _, m := range req.Messages {
			bytes += len(m.Text)
		}
		if bytes/6 > limit { // a low guess: nothing is refused that might fit
			return no("context", "the request is longer than the context of every local model")
		}
	}
	return llm.Assessment{}, false
}

// context returns the longest context of a local model that chats, 0 when it is unknown.
func (j *Judge) context() int {
	longest := 0
	for _, t := range j.cfg.Local {
		if t.Has("chat") {
			if t.Context == 0 {
				return 0
			}
			longest = max(longest, t.Context)
		}
	}
	return longest
}

func (j *Judge) can(ability string) bool {
	for _, t := range j.cfg.Local {
		if t.Has(ability) {
			return true
		}
	}
	return false
}

// ask scores the labels, and weighs what they say with the other signals.
func (j *Judge) ask(ctx context.Context, req *llm.Request, dig string, run llm.AgentRun) (llm.Assessment, error) {
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
	kind, hint, parts := hints.Of(req)
	values := map[string]float64{
		"lfm2": raw*cmp.Or(info.JudgeScale, 1) + info.JudgeBias, "hints": hint, "ngrams": hints.NGrams(req.LastText()),
	}
	if run.Steps > 0 {
		values["tool_errors"], values["tool_repeats"] = float64(run.Errors), float64(run.Repeats)
	}
	signals, odds := weigh(j.weights.Before, values)
	odds += j.weights.Bias
	p := sigmoid(odds)
	route := 0
	if raw < 0 {
		route = 1
	}
	sets, err := s.ScoreSets(ctx, engine.Labels{After: j.routes[route], Labels: j.tasks})
	if err != nil {
		return llm.Assessment{}, err
	}
	tasks, best := sets[0], 0
	for i := range tasks {
		if Tasks[i] == kind {
			tasks[i] += j.weights.Kind
		}
		if tasks[i] > tasks[best] {
			best = i
		}
	}
	if j.weights.Bias != 0 {
		signals = append(signals, llm.Signal{Name: "bias", Value: 1, Weight: round(j.weights.Bias)})
	}
	a := llm.Assessment{
		Task: Tasks[best], PLocal: p, Boundary: j.boundary(p), By: j.by, Version: j.cfg.Version, Tokens: len(ids) + len(j.routes[route]),
		Signals: append(signals, j.spell(parts)...), Thresholds: j.thresholds(), Run: run,
	}
	a.Why = fmt.Sprintf("%s, p_local %.2f", a.Task, p)
	return a, nil
}

// spell lists what the signal "hints" consists of, each part with what of its
// odds counts. They are shown under that signal, and add nothing to it.
func (j *Judge) spell(parts []hints.Part) (out []llm.Signal) {
	weight := 0.0
	for _, w := range j.weights.Before {
		if w.Name == "hints" {
			weight = w.Weight
		}
	}
	for _, p := range parts {
		out = append(out, llm.Signal{Name: "hints." + p.Name, Value: round(p.Odds), Weight: round(weight * p.Odds)})
	}
	return out
}

// thresholds returns a copy: an assessment is its reader's to change.
func (j *Judge) thresholds() *llm.Thresholds {
	t := *j.origin
	return &t
}

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

// cheap returns plain facts of the request, for people: they add nothing.
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
		{Name: "script", Value: cmp.Or(script(req.LastText()), "mixed or short")},
	}
}
