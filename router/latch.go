package router

import (
	"cmp"
	"container/list"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluice-ai/sluice/internal/llm"
)

// Latch says when an agent's run stays with the cloud. Steps of a run are tied by
// Sluice-Session, or else by how their conversation begins.
type Latch struct {
	// After is how many local answers may come to nothing in one turn of the user
	// before the turn's other steps go to the cloud. 0: never.
	After int
	// Sticky is how long the latch holds: "turn", until the user speaks again;
	// "session", until the session has been idle; "off", not at all: each step is
	// judged alone.
	Sticky string
	// Idle forgets a session. Default 30 minutes.
	Idle time.Duration
}

// Bounds of what is remembered; what was unused longest goes first.
const (
	mostRuns  = 10_000
	mostTurns = 4  // of a run: a session may be shared by agents that work at the same time
	mostCalls = 32 // of a turn, without a result so far
)

// latches applies what is remembered of the runs of agents. It is safe for concurrent use.
type latches struct {
	cfg  Latch
	now  func() time.Time
	runs *runs
}

// runs remembers how the runs of agents go. Steps of one run may be in flight at the
// same time: what each of them adds is added, whatever the others did meanwhile.
type runs struct {
	seed maphash.Seed

	mu   sync.Mutex
	by   map[string]*list.Element
	used *list.List // of *run, the latest used first
}

type run struct {
	key     string
	latched bool // until the run has been idle
	seen    time.Time
	turns   []*turn // the latest used first
}

// A turn is what happens between two words of the user.
type turn struct {
	id     uint64
	failed int      // local answers that came to nothing
	calls  []uint64 // made by local answers, by hash of their ids, whose results nobody has sent yet
}

// A step is one request of a run, and how its turn stands.
type step struct {
	key     string
	turn    uint64
	results []uint64 // the calls whose results it brings, by hash of their ids
	bad     bool     // the results hold an error
	failed  int
	latched bool
}

func newLatches(cfg Latch) *latches {
	cfg.Idle = cmp.Or(cfg.Idle, 30*time.Minute)
	cfg.Sticky = cmp.Or(cfg.Sticky, "turn")
	return &latches{cfg: cfg, now: time.Now, runs: &runs{seed: maphash.MakeSeed(), by: map[string]*list.Element{}, used: list.New()}}
}

// off reports whether nothing is to be remembered.
func (l *latches) off() bool { return l.cfg.After <= 0 || l.cfg.Sticky == "off" }

// keyOf returns what ties req to its run, and a number for the user's turn that
// it belongs to; "" when it is no step of a run.
func (l *latches) keyOf(req *llm.Request) (key string, turn uint64) {
	users, first, last, steps := 0, "", "", false
	for _, m := range req.Messages {
		switch m.Role {
		case llm.User:
			if users++; first == "" {
				first = m.Text
			}
			last = m.Text
		case llm.ToolRole:
			steps = true
		}
	}
	turn = maphash.String(l.runs.seed, fmt.Sprintf("%d\x00%s", users, last))
	p := req.Principal
	switch {
	case req.Session != "":
		key = "s\x00" + p.Tenant + "\x00" + p.Key + "\x00" + req.Session
	case steps || len(req.Tools) > 0:
		key = fmt.Sprintf("c\x00%s\x00%s\x00%s\x00%x", p.Tenant, p.Key, p.User, maphash.String(l.runs.seed, first))
	}
	return key, turn
}

// look returns how req's turn stands with req. It changes nothing.
func (l *latches) look(req *llm.Request, agent llm.AgentRun) (step, bool) {
	if l.off() {
		return step{}, false
	}
	s := step{bad: agent.Failed}
	if s.key, s.turn = l.keyOf(req); s.key == "" {
		return step{}, false
	}
	for _, m := range slices.Backward(req.Messages) {
		if len(m.ToolCalls) > 0 || m.Role == llm.User {
			break
		}
		if m.Role == llm.ToolRole {
			s.results = append(s.results, l.call(m.ToolCallID))
		}
	}
	l.runs.mu.Lock()
	defer l.runs.mu.Unlock()
	if e := l.runs.by[s.key]; e != nil {
		if r := e.Value.(*run); l.now().Sub(r.seen) < l.cfg.Idle {
			s.latched = r.latched && l.cfg.Sticky == "session"
			if i := slices.IndexFunc(r.turns, func(t *turn) bool { return t.id == s.turn }); i >= 0 {
				s.failed = r.turns[i].failed
				if s.bad && slices.ContainsFunc(s.results, func(c uint64) bool { return slices.Contains(r.turns[i].calls, c) }) {
					s.failed++ // what the local tier called went wrong
				}
			}
		}
	}
	s.latched = s.latched || s.failed >= l.cfg.After
	return s, true
}

func (l *latches) call(id string) uint64 { return maphash.String(l.runs.seed, id) }

// keep remembers s after its end: the ids of the calls that a local answer made, and
// how many local answers came to nothing. A result that two steps bring counts once.
func (l *latches) keep(s step, calls []string, failures int) {
	l.runs.mu.Lock()
	defer l.runs.mu.Unlock()
	r := l.runs.get(s.key)
	if now := l.now(); now.Sub(r.seen) < l.cfg.Idle {
		r.seen = now
	} else {
		*r = run{key: s.key, seen: now}
	}
	t := r.turn(s.turn)
	open := len(t.calls)
	t.calls = slices.DeleteFunc(t.calls, func(c uint64) bool { return slices.Contains(s.results, c) })
	if s.bad && len(t.calls) < open {
		failures++
	}
	t.failed += failures
	r.latched = r.latched || t.failed >= l.cfg.After
	for _, id := range calls {
		t.calls = append(t.calls, l.call(id))
	}
	t.calls = t.calls[max(0, len(t.calls)-mostCalls):]
}

// get returns the run of key, a new one where there is none.
func (m *runs) get(key string) *run {
	if e := m.by[key]; e != nil {
		m.used.MoveToFront(e)
		return e.Value.(*run)
	}
	r := &run{key: key}
	m.by[key] = m.used.PushFront(r)
	for m.used.Len() > mostRuns {
		delete(m.by, m.used.Remove(m.used.Back()).(*run).key)
	}
	return r
}

// turn returns the turn with the id, a new one where there is none.
func (r *run) turn(id uint64) *turn {
	i := slices.IndexFunc(r.turns, func(t *turn) bool { return t.id == id })
	t := &turn{id: id}
	if i >= 0 {
		t = r.turns[i]
		r.turns = slices.Delete(r.turns, i, i+1)
	}
	r.turns = slices.Insert(r.turns, 0, t)
	r.turns = r.turns[:min(len(r.turns), mostTurns)]
	return t
}

// inherit shares what old remembers: a new configuration forgets no run, nor what the
// steps add that old has begun.
func (l *latches) inherit(old *latches) { l.runs = old.runs }

// latch applies what is remembered of the run to the assessment.
func (x *Exchange) latch() {
	s, ok := x.r.latches.look(x.Req, x.Assessment.Run)
	if !ok {
		return
	}
	x.step = &s
	if !s.latched {
		return
	}
	x.Latched = true
	until := "the user speaks again"
	if x.r.latches.cfg.Sticky == "session" {
		until = "the session has been idle"
	}
	a := &x.Assessment
	a.Boundary = llm.Unsupported
	a.Why = strings.TrimPrefix(fmt.Sprintf("%s; latched: %d local answers came to nothing, until %s", a.Why, s.failed, until), "; ")
	a.By = "rule:latch"
	a.Signals = append([]llm.Signal{{Name: "latch", Value: s.failed}}, a.Signals...)
}

// remember ends the step of a run.
func (x *Exchange) remember() {
	if x.step == nil {
		return
	}
	failures := 0
	for _, a := range x.Attempts {
		if a.Hop != llm.Mend && strings.HasPrefix(a.Target, "local/") && (a.Outcome == llm.Insufficient || a.Outcome == llm.Failed) {
			failures++
		}
	}
	var calls []string
	if x.err == nil && x.Target.Local() && x.answer != nil {
		for _, c := range x.answer.Calls {
			calls = append(calls, c.ID)
		}
	}
	x.r.latches.keep(*x.step, calls, failures)
}
