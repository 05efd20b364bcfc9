package sched

import (
	"cmp"
	"errors"
	"slices"
	"time"
)

// A Class orders work by how much somebody waits for it.
type Class uint8

const (
	Normal Class = iota // answers
	Urgent              // judgements, and what else is short
)

// ErrBusy says that too many wait already.
var ErrBusy = errors.New("too many requests are waiting")

// Config configures a [Scheduler]. A zero field takes the default it documents.
type Config struct {
	Slots int // answers at once. Default 1
	Queue int // that may wait for a slot; further ones are refused. Default none

	Tokens int           // most tokens in a step. Default 256
	Shared time.Duration // how long a step should take while answers are written. Default 50ms
	Alone  time.Duration // and otherwise: new work waits that long. Default 250ms
}

func (c Config) withDefaults() Config {
	c.Slots = cmp.Or(c.Slots, 1)
	c.Tokens = cmp.Or(c.Tokens, 256)
	c.Shared = cmp.Or(c.Shared, 50*time.Millisecond)
	c.Alone = cmp.Or(c.Alone, 250*time.Millisecond)
	return c
}

const (
	// patience is how many steps in a row urgent work may keep normal work out.
	patience = 4
	// least is the fewest tokens of prompts in a step that has any: fewer cost
	// nearly as much.
	least = 16
	// unknown is how many are tried before the pace is known.
	unknown = 64
	// answerWeight is what a token of an answer counts, against one of a prompt: it
	// takes a core for several times as long.
	answerWeight = 4
	// keptGroups bounds the groups that are remembered while they are away.
	keptGroups = 1024
)

// A Task is one party: an answer, or a session. Its fields are set before it is
// first handed to the scheduler, and not changed.
type Task struct {
	Class Class
	Group string
	Owner any // whose task it is; the scheduler does not look at it

	place   place
	group   *group // nil of one that never arrived
	owed    int    // tokens of its prompt that its group was not given yet
	pending int    // tokens ready for the model
	whole   bool   // they go in one step
	answers bool   // its prompt is read
}

type place uint8

const (
	outside place = iota
	waiting
	inside
)

// A group is what the tasks of one tenant share.
type group struct {
	name   string
	tasks  int   // waiting or inside
	served int64 // tokens it was given, those of answers weighted
	owed   int64 // tokens of prompts let in and not yet read
}

// A Piece is a task's part of a step.
type Piece struct {
	Task   *Task
	Tokens int
}

// A Scheduler plans the steps of one model. It is not safe for concurrent use.
type Scheduler struct {
	cfg     Config
	groups  map[string]*group
	waits   []*Task // for a slot, in order of arrival
	ready   []*Task // with tokens for the model; longest without a part first
	inside  int
	answers int     // of those inside, the ones whose prompt is read
	hurried int     // steps in a row in which urgent work kept normal work out
	pace    float64 // nanoseconds per token of a prompt; 0 is unknown
}

// New returns a scheduler without tasks.
func New(c Config) *Scheduler {
	return &Scheduler{cfg: c.withDefaults(), groups: map[string]*group{}}
}

// Waiting returns how many tasks wait for a slot, Inside how many have one.
func (s *Scheduler) Waiting() int { return len(s.waits) }

// Inside returns how many tasks have a slot.
func (s *Scheduler) Inside() int { return s.inside }

// Answers returns how many of those inside have had their prompt read.
func (s *Scheduler) Answers() int { return s.answers }

// Pending reports whether a step could be planned.
func (s *Scheduler) Pending() bool { return len(s.ready) > 0 }

// Pace returns the time that a token of a prompt takes, as far as it is known.
func (s *Scheduler) Pace() time.Duration { return time.Duration(s.pace) }

// Arrive lets t wait for a slot, to read a prompt of so many tokens and answer
// it. It fails with [ErrBusy] when too many wait.
func (s *Scheduler) Arrive(t *Task, prompt int) error {
	if len(s.waits) >= s.cfg.Queue+max(0, s.cfg.Slots-s.inside) {
		return ErrBusy
	}
	t.place, t.owed, t.group = waiting, prompt, s.enter(t.Group)
	s.waits = append(s.waits, t)
	return nil
}

// enter counts one more task of a group.
func (s *Scheduler) enter(name string) *group {
	g := s.groups[name]
	if g == nil {
		g = &group{name: name}
		s.groups[name] = g
	}
	if g.tasks++; g.tasks == 1 {
		if lowest, ok := s.lowest(g); ok {
			g.served = max(g.served, lowest)
		}
	}
	return g
}

// lowest returns what the least served of the groups present, but for one, was given.
func (s *Scheduler) lowest(but *group) (served int64, ok bool) {
	for _, g := range s.groups {
		if g != but && g.tasks > 0 && (!ok || g.served < served) {
			served, ok = g.served, true
		}
	}
	return served, ok
}

// exit counts one task of a group less, and forgets groups that are away where
// that makes no difference to anybody, or there are too many.
func (s *Scheduler) exit(g *group) {
	if g.tasks--; g.tasks > 0 {
		return
	}
	lowest, present := s.lowest(g)
	for name, away := range s.groups {
		if away.tasks == 0 && (!present || away.served <= lowest || len(s.groups) > keptGroups) {
			delete(s.groups, name)
		}
	}
}

// Admit asks the next of those who wait to begin, which is to take its memory. It
// returns the task that was let in; or, with begin's error, one that was refused
// for good because nobody runs whose end could help it; or nil when nobody can be
// let in now.
func (s *Scheduler) Admit(begin func(*Task) error) (*Task, error) {
	if len(s.waits) == 0 || s.inside >= s.cfg.Slots {
		return nil, nil
	}
	at := 0
	for i, t := range s.waits {
		if g, best := t.group, s.waits[at].group; g.served+g.owed < best.served+best.owed {
			at = i
		}
	}
	t := s.waits[at]
	if err := begin(t); err != nil {
		if s.inside > 0 {
			return nil, nil
		}
		s.Leave(t)
		return t, err
	}
	s.waits = slices.Delete(s.waits, at, at+1)
	t.place = inside
	s.inside++
	t.group.owed += int64(t.owed)
	return t, nil
}

// Ready says that t has so many more tokens for the model: a prompt, or, if whole,
// what goes in one step, which is at most Config.Tokens. A task that did not
// arrive may have work too. It must have none pending.
func (s *Scheduler) Ready(t *Task, tokens int, whole bool) {
	t.pending, t.whole = tokens, whole
	s.ready = append(s.ready, t)
}

// Withdraw takes back what t has pending.
func (s *Scheduler) Withdraw(t *Task) {
	if t.pending == 0 {
		return
	}
	t.pending = 0
	i := slices.Index(s.ready, t)
	s.ready = slices.Delete(s.ready, i, i+1)
}

// Leave ends t, wherever it is. It may be part of a step that is not done.
func (s *Scheduler) Leave(t *Task) {
	s.Withdraw(t)
	switch t.place {
	case outside:
		return
	case waiting:
		i := slices.Index(s.waits, t)
		s.waits = slices.Delete(s.waits, i, i+1)
	case inside:
		s.inside--
		t.group.owed -= int64(t.owed)
		if t.answers {
			s.answers--
		}
	}
	t.place = outside
	s.exit(t.group)
}
