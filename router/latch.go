package router

import (
	"cmp"
	"container/list"
	"fmt"
	"hash/maphash"
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

// mostSessions bounds what is remembered; the one unused longest goes first.
const mostSessions = 10_000

// latches remembers how the runs of agents go. It is safe for concurrent use.
type latches struct {
	cfg  Latch
	seed maphash.Seed
	now  func() time.Time

	mu   sync.Mutex
	by   map[string]*list.Element
	used *list.List // of *session, the latest used first
}

type session struct {
	key     string
	turn    uint64 // what the user last said, and when
	failed  int    // local answers of the turn that came to nothing
	local   bool   // the last step was answered by the local tier
	latched bool
	seen    time.Time
}

func newLatches(cfg Latch) *latches {
	cfg.Idle = cmp.Or(cfg.Idle, 30*time.Minute)
	cfg.Sticky = cmp.Or(cfg.Sticky, "turn")
	return &latches{cfg: cfg, seed: maphash.MakeSeed(), now: time.Now, by: map[string]*list.Element{}, used: list.New()}
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
	turn = maphash.String(l.seed, fmt.Sprintf("%d\x00%s", users, last))
	p := req.Principal
	switch {
	case req.Session != "":
		key = "s\x00" + p.Tenant + "\x00" + p.Key + "\x00" + req.Session
	case steps || len(req.Tools) > 0:
		key = fmt.Sprintf("c\x00%s\x00%s\x00%s\x00%x", p.Tenant, p.Key, p.User, maphash.String(l.seed, first))
	}
	return key, turn
}

// look returns what is remembered of req's run, as it is for this step: in a
// new turn of the user, what failed before is forgiven. It changes nothing.
func (l *latches) look(req *llm.Request, run llm.AgentRun) (session, bool) {
	if l.off() {
		return session{}, false
	}
	key, turn := l.keyOf(req)
	if key == "" {
		return session{}, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := session{key: key, turn: turn}
	if e := l.by[key]; e != nil {
		if old := e.Value.(*session); l.now().Sub(old.seen) < l.cfg.Idle {
			s = *old
		}
	}
	if s.turn != turn {
		s.turn, s.failed, s.local = turn, 0, false
		s.latched = s.latched && l.cfg.Sticky == "session"
	}
	if s.local && run.Failed { // what the local tier called went wrong
		s.failed, s.local = s.failed+1, false
	}
	s.latched = s.latched || s.failed >= l.cfg.After
	return s, true
}

// keep remembers s after its step: whether the local tier answered it, and how
// many local answers came to nothing.
func (l *latches) keep(s session, local bool, failures int) {
	s.failed += failures
	s.local, s.latched, s.seen = local, s.latched || s.failed >= l.cfg.After, l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.by[s.key]; e != nil {
		*e.Value.(*session) = s
		l.used.MoveToFront(e)
		return
	}
	l.by[s.key] = l.used.PushFront(&s)
	for l.used.Len() > mostSessions {
		e := l.used.Back()
		delete(l.by, e.Value.(*session).key)
		l.used.Remove(e)
	}
}

// inherit takes over what old remembers: a new configuration forgets no run.
func (l *latches) inherit(old *latches) {
	old.mu.Lock()
	defer old.mu.Unlock()
	l.seed, l.by, l.used = old.seed, old.by, old.used
	old.by, old.used = map[string]*list.Element{}, list.New()
}

// latch applies what is remembered of the run to the assessment.
func (x *Exchange) latch() {
	s, ok := x.r.latches.look(x.Req, x.Assessment.Run)
	if !ok {
		return
	}
	x.session = &s
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
	if x.session == nil {
		return
	}
	failures := 0
	for _, a := range x.Attempts {
		if a.Hop != llm.Mend && strings.HasPrefix(a.Target, "local/") && (a.Outcome == llm.Insufficient || a.Outcome == llm.Failed) {
			failures++
		}
	}
	x.r.latches.keep(*x.session, x.err == nil && x.Target.Local(), failures)
}
