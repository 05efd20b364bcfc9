package router

import (
	"context"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-ai/sluice/internal/llm"
)

// A Commit is the window in which a local stream is held back and reviewed. It
// closes as soon as so many tokens have come, so long has passed since the first
// of them, or the answer is over. The time is looked at when a token comes, so
// that an answer is held back for at most Wait and the time of one token.
type Commit struct {
	Tokens int           // 0: a stream goes out as soon as it says something
	Wait   time.Duration // 0: no bound in time
}

// open reports whether the window is still open.
func (c Commit) open(tokens int, since time.Duration) bool {
	return tokens < c.Tokens && (c.Wait <= 0 || since < c.Wait)
}

// A local answer that did not stand, and why.
func insufficient(msg string) *llm.Error {
	return &llm.Error{Kind: llm.Unavailable, Code: llm.CodeLocalInsufficient, Msg: msg}
}

var (
	errEmpty  = insufficient("the local model gave an empty answer")
	errUnsure = insufficient("the local model was not sure enough of its answer")
)

// A gate stands between a backend and the client. It restores what redaction
// took out, and holds an answer back until it says something: an upstream that
// opens a stream and then fails has not answered yet. A local answer is held back
// until the commit window closes, or when it is not streamed until it is whole,
// and then reviewed; one that does not stand is stopped if the cloud may take over.
type gate struct {
	x       *Exchange
	ctx     context.Context // of the attempt, for the review
	at      int             // in x.Order
	req     *llm.Request
	emit    func(llm.Event) error
	restore llm.Restorer
	check   *checker // nil: the request asks for no format
	local   bool
	window  Commit

	hold   bool // nothing has been passed on
	whole  bool // nothing is, before the answer is complete: the client gets it whole anyway
	said   bool
	held   []llm.Event
	finish llm.Finish

	text    strings.Builder // of the first choice, as far as it is reviewed
	args    [][]byte        // of its calls
	answer  llm.Answer      // of the first choice, without these: see seen
	since   time.Time       // when the answer first said something
	wait    time.Duration   // how long it was held back after that
	stopped error           // why the answer does not stand; nil while it does
	why     string          // the same in a word, for the ledger
}

// Bounds of what a gate keeps.
const (
	mostHeld = 64      // events that say nothing
	mostText = 1 << 16 // bytes of text that are reviewed
)

func (x *Exchange) newGate(ctx context.Context, at int, req *llm.Request, restore llm.Restorer, emit func(llm.Event) error) *gate {
	local := req.Target.Local()
	g := &gate{
		x: x, ctx: ctx, at: at, req: req, emit: emit, restore: restore, local: local,
		hold: true, whole: local && !req.Stream,
	}
	if c := x.r.cfg.Commit; local && req.Stream && c.Tokens > 0 && !x.settled && x.mayEscalate(ctx, at) {
		g.window = c // else there is nowhere to go: waiting would buy nothing
	}
	return g
}

// wouldTry reports whether c is a cloud target that would be tried now.
func (x *Exchange) wouldTry(c Choice) bool { return !c.Target.Local() && x.r.Healthy(c.Target.ID) }

func (g *gate) event(ev llm.Event) error {
	if ev.Usage != nil {
		g.x.Usage = *ev.Usage
	}
	if g.restore != nil {
		g.restore.Event(&ev)
	}
	for i := range ev.Choices {
		d := &ev.Choices[i]
		if d.Finish != "" {
			g.finish = d.Finish
		}
		if g.local {
			g.read(d)
		}
	}
	if g.check != nil {
		return g.check.event(ev)
	}
	return g.out(ev)
}

// out takes what has been restored and checked.
func (g *gate) out(ev llm.Event) error {
	if !g.hold || ev.Alive {
		return g.pass(ev)
	}
	if !g.said && says(ev) {
		g.said, g.since = true, time.Now()
	}
	g.held = append(g.held, ev)
	switch {
	case g.whole:
		return nil
	case !g.said && len(g.held) < mostHeld:
		return nil
	case g.said && g.finish == "" && g.window.open(len(g.answer.Chosen), time.Since(g.since)):
		return nil
	}
	if g.said && g.window.Tokens > 0 {
		if err := g.review(); err != nil {
			return err
		}
	}
	return g.release()
}

// read adds a delta to what is reviewed. Further choices are taken to be as good as the first.
func (g *gate) read(d *llm.Delta) {
	if d.Index != 0 {
		return
	}
	if room := mostText - g.text.Len(); room > 0 {
		g.text.WriteString(d.Text[:min(len(d.Text), room)])
	}
	g.answer.Chosen = append(g.answer.Chosen, d.Chosen...)
	for _, c := range d.ToolCalls {
		if len(g.args) == 0 || c.Name != "" {
			g.answer.Calls = append(g.answer.Calls, llm.ToolCall{ID: c.ID, Name: c.Name})
			g.args = append(g.args, nil)
		}
		last := &g.args[len(g.args)-1]
		*last = append(*last, c.Arguments...)
	}
	g.answer.Broken = g.answer.Broken || d.Broken
	if d.Finish != "" {
		g.answer.Finish = d.Finish
	}
}

// seen returns what has been read so far. What is read later does not change it.
func (g *gate) seen() *llm.Answer {
	a := g.answer
	a.Text, a.Calls = g.text.String(), slices.Clone(a.Calls)
	for i := range a.Calls {
		a.Calls[i].Arguments = string(g.args[i])
	}
	return &a
}

// review looks at a local answer that nobody has seen yet. It returns an error
// when the answer does not stand and a cloud target may take over.
func (g *gate) review() error {
	a := g.x.r.cfg.Judge.Review(g.ctx, g.req, g.x.Assessment, *g.seen())
	g.x.Revised = &a
	if a.Thresholds == nil || a.PLocal >= a.Thresholds.Escalate || g.x.settled || !g.x.mayEscalate(g.ctx, g.at) {
		return nil
	}
	g.stopped, g.why = errUnsure, a.Why
	return errUnsure
}

// mayEscalate reports whether policy permits a cloud target that comes after the
// one at x.Order[at], and that target would be tried now. Only then is a
// doubtful answer worse than none. What it says binds nobody: policy is asked once
// more before the answer moves.
func (x *Exchange) mayEscalate(ctx context.Context, at int) bool {
	if !slices.ContainsFunc(x.Order[at+1:], x.wouldTry) {
		return false
	}
	d, err := x.ask(ctx, llm.Escalate)
	return err == nil && d.Allow && unmet(d.Obligations, x.Req) == nil &&
		slices.ContainsFunc(x.Order[at+1:], func(c Choice) bool { return x.wouldTry(c) && permits(d, c.Target) })
}

// release passes on what was held back.
func (g *gate) release() error {
	held := g.held
	if g.hold && g.said {
		g.wait = time.Since(g.since)
	}
	g.hold, g.held = false, nil
	for _, ev := range held {
		if err := g.pass(ev); err != nil {
			return err
		}
	}
	return nil
}

func (g *gate) pass(ev llm.Event) error {
	if g.local && silent(ev) {
		return nil // it was for the review
	}
	if g.x.first == 0 {
		g.x.first = max(time.Since(g.x.Req.Received), 1)
	}
	return g.emit(ev)
}

// close ends a complete answer.
func (g *gate) close(ctx context.Context) error {
	if g.restore != nil {
		if rest := g.restore.Flush(); rest != nil {
			if err := g.event(llm.Event{Choices: rest}); err != nil {
				return err
			}
		}
	}
	if g.check != nil {
		if err := g.check.close(ctx); err != nil {
			return err
		}
		if v := g.check.verdict; v != nil && v.Verdict != llm.FormatInvalid {
			g.answer.Broken = false // it was, and has been repaired
		}
	}
	if g.local && g.hold && !g.said {
		g.stopped, g.why = errEmpty, "empty"
		return errEmpty
	}
	switch {
	case !g.local || !g.whole && g.x.r.cfg.Commit.Tokens <= 0: // nobody asked for a review
	case g.hold:
		if err := g.review(); err != nil {
			return err
		}
	default: // it is out; what is found now is for the record
		a := g.x.r.cfg.Judge.Review(g.ctx, g.req, g.x.Assessment, *g.seen())
		g.x.Revised = &a
	}
	if g.local {
		g.x.answer = g.seen()
	}
	return g.release()
}

// describe adds what the gate saw to the attempt's span and to the metrics.
func (g *gate) describe(ctx context.Context, span trace.Span) {
	if !g.local {
		return
	}
	if a := g.x.Revised; a != nil {
		span.SetAttributes(attribute.Float64("sluice.assess.p_revised", a.PLocal))
	}
	if g.stopped != nil {
		span.SetAttributes(attribute.String("sluice.insufficient", g.why))
	}
	if g.req.Stream && g.said && g.window.Tokens > 0 {
		span.SetAttributes(
			attribute.Float64("sluice.commit.wait_ms", float64(g.wait)/float64(time.Millisecond)),
			attribute.Int("sluice.commit.tokens", len(g.answer.Chosen)),
		)
		if g.stopped == nil {
			g.x.Held = g.wait
		}
		g.x.r.meters.committed(ctx, g.wait, g.stopped == nil)
	}
}

// silent reports whether an event of the local tier carries nothing for a client.
func silent(ev llm.Event) bool {
	return ev.Usage == nil && !ev.Alive && !slices.ContainsFunc(ev.Choices, func(d llm.Delta) bool {
		return d.Text != "" || d.Reasoning != "" || d.Refusal != "" || len(d.ToolCalls) > 0 || d.Logprobs != nil || d.Finish != ""
	})
}

// says reports whether ev carries anything a client could use.
func says(ev llm.Event) bool {
	return slices.ContainsFunc(ev.Choices, func(d llm.Delta) bool {
		return d.Text != "" || d.Reasoning != "" || d.Refusal != "" || len(d.ToolCalls) > 0 || d.Finish == llm.Length
	})
}
