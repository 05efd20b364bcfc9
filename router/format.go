package router

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluice-ai/sluice/internal/llm"
)

// Formats holds answers to the format that their requests ask for.
type Formats interface {
	// Wants returns what of an answer to req is checked.
	Wants(req *llm.Request) llm.Wanted
	// Check checks one choice of a complete answer to req, and repairs it in place as
	// far as how permits. It asks req.May before a model sees anything of the answer, and
	// calls req.OnAttempt for each call of a model that it makes.
	Check(ctx context.Context, req *llm.Request, c *llm.Choice, how llm.Repair) llm.FormatCheck
}

// FormatConfig says what becomes of answers that break the format of their
// request. A zero field takes the default it documents.
type FormatConfig struct {
	// Repair is how far they are repaired. Default "model".
	Repair llm.Repair
	// Invalid is what becomes of those that are still invalid: "retry" (the default)
	// leaves them to the next target, and the last one's are refused; "refuse" refuses
	// them at once; "pass" passes them on.
	Invalid string
	// Stream says when a streamed answer is checked: "hold" (the default) holds back
	// what has a format until it is complete; "pass" passes it on as it comes, and an
	// invalid answer ends with an error instead of its finish reason.
	Stream string
	// Alive is the silence after which a client whose stream is held back is told that
	// it is coming, and again each time so long has passed, also while the answer is
	// checked and repaired. From then on the request does not move to another target. Default 15s.
	Alive time.Duration
}

// The words of a FormatConfig.
const (
	InvalidRetry  = "retry"
	InvalidRefuse = "refuse"
	InvalidPass   = "pass"
	StreamHold    = "hold"
	StreamPass    = "pass"
)

func (c FormatConfig) withDefaults() FormatConfig {
	if c.Repair == "" {
		c.Repair = llm.RepairModel
	}
	if c.Invalid == "" {
		c.Invalid = InvalidRetry
	}
	if c.Stream == "" {
		c.Stream = StreamHold
	}
	if c.Alive <= 0 {
		c.Alive = 15 * time.Second
	}
	return c
}

// Validate reports every mistake in c.
func (c FormatConfig) Validate() error {
	var errs []error
	for _, f := range []struct{ name, word, words string }{
		{"repair", string(c.Repair), "none, rules, model"},
		{"invalid", c.Invalid, "retry, refuse, pass"},
		{"stream", c.Stream, "hold, pass"},
	} {
		if f.word != "" && !strings.Contains(", "+f.words+",", ", "+f.word+",") {
			errs = append(errs, errors.New(f.name+" must be one of "+f.words))
		}
	}
	if c.Alive < 0 {
		errs = append(errs, errors.New("alive must not be negative"))
	}
	return errors.Join(errs...)
}

// errInvalid is an answer that broke its format and could not be repaired.
func errInvalid(c llm.FormatCheck) error {
	return &llm.Error{Kind: llm.Unavailable, Code: llm.CodeAnswerInvalid,
		Msg: "the model's answer does not satisfy the format of the request (" + c.Broken + "), and could not be repaired"}
}

// final reports whether err is an answer that no other target may replace.
func (c FormatConfig) final(err error) bool {
	e, ok := errors.AsType[*llm.Error](err)
	return ok && e.Code == llm.CodeAnswerInvalid && c.Invalid == InvalidRefuse
}

// maxHeld bounds what is held back of one answer, in bytes.
const maxHeld = 16 << 20

// A checker holds back what of an answer has a format until it is complete, and
// passes on what has passed the check. While it holds back a stream it passes on signs
// of life, from a goroutine of its own but never beside another event, until it is stopped.
type checker struct {
	x       *Exchange
	cfg     FormatConfig
	want    llm.Wanted
	how     llm.Repair
	req     *llm.Request // what the client asked for, with an OnAttempt of its own
	next    func(llm.Event) error
	held    []llm.Event
	size    int
	choices []*building // by index, as far as the answer came
	late    bool        // the check comes after the answer, which has been passed on
	none    bool        // too large: nothing is checked
	verdict *llm.FormatCheck

	mu    sync.Mutex  // held while something is passed on
	last  time.Time   // when that was
	timer *time.Timer // nil until something is held back
	over  bool        // no sign of life any more
	err   error       // what passing one on failed with
}

// A building is a choice in the making. Its texts come in small pieces.
type building struct {
	llm.Choice // without its texts, until it is whole
	text       []byte
	args       [][]byte // of Calls
}

// add takes the next delta of the choice.
func (b *building) add(d llm.Delta) {
	b.text = append(b.text, d.Text...)
	for _, t := range d.ToolCalls {
		i := slices.IndexFunc(b.Calls, func(c llm.ToolDelta) bool { return c.Index == t.Index })
		if i < 0 {
			i = len(b.Calls)
			b.Calls, b.args = append(b.Calls, llm.ToolDelta{Index: t.Index}), append(b.args, nil)
		}
		c := &b.Calls[i]
		b.args[i] = append(b.args[i], t.Arguments...)
		c.Name += t.Name
		c.ID = cmp.Or(c.ID, t.ID)
	}
	if d.Finish != "" {
		b.Finish = d.Finish
	}
}

// whole returns the choice.
func (b *building) whole() *llm.Choice {
	b.Text = string(b.text)
	for i := range b.Calls {
		b.Calls[i].Arguments = string(b.args[i])
	}
	return &b.Choice
}

// newChecker returns what checks an answer from t, or nil where nothing is to be
// checked. Streams of the local tier are held to their format while they are made.
func (x *Exchange) newChecker(ctx context.Context, t llm.Target, d llm.Decision, next func(llm.Event) error) *checker {
	if x.r.cfg.Formats == nil || t.Local() && x.Req.Stream {
		return nil
	}
	want := x.r.cfg.Formats.Wants(x.Req)
	if want == (llm.Wanted{}) {
		return nil
	}
	cfg := x.r.cfg.Format.withDefaults()
	req := *x.Req
	req.OnAttempt = func(a llm.Attempt) {
		a.Hop = llm.Mend
		x.Attempts = append(x.Attempts, a)
		for _, t := range x.r.targets {
			if t.ID == a.Target {
				x.r.meters.attempted(ctx, t, a)
			}
		}
	}
	req.May = func(id string) bool { return x.mayMend(ctx, id) }
	return &checker{
		x: x, cfg: cfg, want: want, how: cfg.Repair.Least(d.Obligations.Repair), req: &req, next: next, last: time.Now(),
		late: x.Req.Stream && cfg.Stream == StreamPass,
	}
}

// mayMend reports whether policy lets the local model with the id see the answer, to
// write it again: a hop of its own.
func (x *Exchange) mayMend(ctx context.Context, id string) bool {
	i := slices.IndexFunc(x.r.targets, func(t llm.Target) bool { return t.ID == id && t.Local() })
	if i < 0 {
		return false
	}
	d, err := x.ask(ctx, llm.Mend)
	return err == nil && d.Allow && permits(d, x.r.targets[i]) && llm.RepairModel.Least(d.Obligations.Repair) == llm.RepairModel && x.bind(d) == nil
}

// event takes the next event of the answer.
func (c *checker) event(ev llm.Event) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if c.none {
		return c.next(ev)
	}
	free := len(c.held) == 0 && !ev.Whole
	for _, d := range ev.Choices {
		for len(c.choices) <= d.Index && d.Index < 128 {
			c.choices = append(c.choices, nil)
		}
		if d.Index < 0 || d.Index >= len(c.choices) {
			continue // nobody asked for that many: it is passed on as it is
		}
		if c.choices[d.Index] == nil {
			c.choices[d.Index] = &building{}
		}
		ch := c.choices[d.Index]
		free = free && !c.holds(d)
		ch.add(d)
		ch.Sent = ch.Sent || free && d.Text != ""
	}
	if free {
		c.last = time.Now()
		return c.next(ev)
	}
	c.held = append(c.held, ev)
	for _, d := range ev.Choices {
		c.size += len(d.Text)
		for _, t := range d.ToolCalls {
			c.size += len(t.Arguments)
		}
	}
	if c.size += len(ev.Raw); c.size > maxHeld {
		c.none = true
		return c.release()
	}
	if c.x.Req.Stream && c.timer == nil {
		c.timer = time.AfterFunc(c.cfg.Alive-time.Since(c.last), c.alive)
	}
	return nil
}

// alive tells the client that its answer is coming, if it has heard nothing for so long.
func (c *checker) alive() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over || c.none || c.err != nil {
		return
	}
	defer func() {
		if recover() != nil { // nobody above would: the next event fails instead
			c.err = errors.New("passing on a sign of life panicked")
		}
	}()
	wait := c.cfg.Alive - time.Since(c.last)
	if wait <= 0 {
		c.last, wait = time.Now(), c.cfg.Alive
		if c.err = c.next(llm.Event{Alive: true}); c.err != nil {
			return
		}
	}
	c.timer.Reset(wait)
}

// stop ends the signs of life: when it returns none is under way, none comes, and the
// caller is alone with the exchange again. A nil checker sends none.
func (c *checker) stop() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over = true; c.timer != nil {
		c.timer.Stop()
	}
}

// holds reports whether d must wait for the check.
func (c *checker) holds(d llm.Delta) bool {
	if d.Finish != "" {
		return true
	}
	if c.late {
		return false
	}
	return len(d.ToolCalls) > 0 || d.Text != "" && (c.want.Text || c.want.Must)
}

// close checks the answer, which is complete, and passes on what was held back.
func (c *checker) close(ctx context.Context) error {
	if c.none || len(c.choices) == 0 {
		c.stop()
		return c.release()
	}
	all := llm.FormatCheck{Verdict: llm.FormatValid}
	for i, b := range c.choices {
		if b == nil || unfinished(b.Finish) {
			continue
		}
		ch := b.whole()
		how := c.how
		if c.late {
			how = llm.RepairNone
		}
		was := *ch
		was.Calls = append([]llm.ToolDelta(nil), ch.Calls...)
		check := c.x.r.cfg.Formats.Check(ctx, c.req, ch, how)
		if check.Verdict == llm.FormatRepaired {
			c.rewrite(i, &was, ch)
		}
		all.Add(check)
	}
	c.verdict = &all
	if c.stop(); c.err != nil {
		return c.err
	}
	span := trace.SpanFromContext(ctx)
	if all.Verdict != llm.FormatValid {
		kinds := make([]string, 0, len(all.Fixes))
		for _, f := range all.Fixes {
			kinds = append(kinds, f.Kind)
		}
		span.AddEvent("sluice.format", trace.WithAttributes(
			attribute.String("sluice.format.verdict", all.Verdict), attribute.String("sluice.format.broken", all.Broken),
			attribute.String("sluice.format.by", all.By), attribute.StringSlice("sluice.format.fixes", kinds),
		))
	}
	if all.Verdict == llm.FormatInvalid && c.cfg.Invalid != InvalidPass {
		return errInvalid(all)
	}
	return c.release()
}

// unfinished reports whether an answer says of itself that it is not whole. Its
// client can see that, and it is passed on as it is.
func unfinished(f llm.Finish) bool { return f == llm.Length || f == llm.ContentFilter }

func (c *checker) release() error {
	held := c.held
	c.held = nil
	for _, ev := range held {
		if err := c.next(ev); err != nil {
			return err
		}
	}
	return nil
}

// rewrite changes the held events of one choice, from was to now. The first event
// with something of it takes all, so that what surrounds it stays the upstream's own;
// calls that were found in the text come with its finish, or without one with its last event.
func (c *checker) rewrite(index int, was, now *llm.Choice) {
	text, calls := now.Text, now.Calls
	if was.Text == now.Text {
		text = ""
	}
	var last *llm.Delta
	for i := range c.held {
		ev := &c.held[i]
		for j := range ev.Choices {
			d := &ev.Choices[j]
			if d.Index != index {
				continue
			}
			ev.Edited = true
			last = d
			if was.Text != now.Text && d.Text != "" {
				d.Text, text = text, ""
			}
			for k := range d.ToolCalls {
				t := &d.ToolCalls[k]
				t.Arguments, calls = takeCall(calls, t)
			}
			if d.Finish != "" {
				d.Finish = now.Finish
				d.ToolCalls = append(d.ToolCalls, calls...) // found in the text
				calls = nil
			}
		}
	}
	if len(calls) > 0 && last != nil {
		last.ToolCalls, last.Finish = append(last.ToolCalls, calls...), now.Finish
	}
}

// takeCall returns the arguments that the piece t takes on of calls, and what is
// left of them: all with the first piece of a call, and nothing with the others.
func takeCall(calls []llm.ToolDelta, t *llm.ToolDelta) (string, []llm.ToolDelta) {
	for i, c := range calls {
		if c.Index == t.Index {
			if t.Name != "" {
				t.Name = c.Name
			}
			return c.Arguments, append(calls[:i:i], calls[i+1:]...)
		}
	}
	return "", calls
}

// checked notes the verdict beside the attempt that made the answer.
func (c *checker) checked(ctx context.Context, t llm.Target, attempt int) {
	if c == nil || c.verdict == nil {
		return
	}
	v := c.verdict
	c.x.r.meters.checked(ctx, t, *v)
	if attempt < 0 || attempt >= len(c.x.Attempts) {
		return
	}
	a := &c.x.Attempts[attempt]
	a.Format = v
	if v.Verdict == llm.FormatInvalid {
		a.Code = "format"
		if a.Outcome == llm.OK && c.cfg.Invalid != InvalidPass {
			a.Outcome = llm.Broken
			if t.Local() {
				a.Outcome = llm.Insufficient
			}
		}
	}
}
