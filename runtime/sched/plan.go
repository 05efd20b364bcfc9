package sched

import (
	"slices"
	"time"
)

// Plan appends the next step to dst: no task twice, at most Config.Tokens
// together. What is planned stays pending until [Scheduler.Done]; a step that
// failed is planned again.
func (s *Scheduler) Plan(dst []Piece) []Piece {
	base, left := len(dst), s.cfg.Tokens
	first, second := Urgent, Normal
	if s.hurried >= patience {
		first, second = Normal, Urgent
	}
	for _, class := range []Class{first, second} {
		for _, t := range s.ready {
			if t.whole && t.Class == class && t.pending <= left {
				dst = append(dst, Piece{t, t.pending})
				left -= t.pending
			}
		}
	}
	budget := min(left, s.budget(s.cfg.Tokens-left))
	for _, class := range []Class{first, second} {
		for budget > 0 {
			t := s.nextPrompt(class, dst[base:])
			if t == nil {
				break
			}
			n := min(t.pending, budget)
			dst = append(dst, Piece{t, n})
			budget -= n
		}
	}
	s.hurry(dst[base:])
	return dst
}

// budget returns how many tokens of prompts a step should hold beside others.
func (s *Scheduler) budget(others int) int {
	if s.pace == 0 {
		return unknown
	}
	goal := s.cfg.Alone
	if s.answers > 0 {
		goal = s.cfg.Shared
	}
	return max(least, int(float64(goal)/s.pace)-others)
}

// nextPrompt returns whose prompt is read next of those not planned yet: of the
// least served group, whoever waits longest.
func (s *Scheduler) nextPrompt(class Class, planned []Piece) *Task {
	var best *Task
	for _, t := range s.ready {
		if t.whole || t.Class != class || best != nil && t.given() >= best.given() {
			continue
		}
		if !slices.ContainsFunc(planned, func(p Piece) bool { return p.Task == t }) {
			best = t
		}
	}
	return best
}

// given returns what the task's group was given.
func (t *Task) given() int64 {
	if t.group == nil {
		return 0
	}
	return t.group.served
}

// hurry counts the steps in which urgent work keeps all of some normal work out.
func (s *Scheduler) hurry(plan []Piece) {
	urgent, out := false, false
	for _, p := range plan {
		urgent = urgent || p.Task.Class == Urgent
	}
	for _, t := range s.ready {
		if t.Class == Normal && !slices.ContainsFunc(plan, func(p Piece) bool { return p.Task == t }) {
			out = true
		}
	}
	if s.hurried++; !urgent || !out || s.hurried > patience {
		s.hurried = 0
	}
}

// Done says that a planned step was carried out, and how long it took. Tasks that
// left or withdrew meanwhile are passed over.
func (s *Scheduler) Done(plan []Piece, took time.Duration) {
	tokens, prompts := 0, 0
	for _, p := range plan {
		tokens += p.Tokens
		if !p.Task.whole {
			prompts += p.Tokens
		}
	}
	if prompts >= least { // a few tokens' time says little about a prompt's
		pace := float64(took) / float64(tokens)
		if s.pace == 0 {
			s.pace = pace
		}
		s.pace += (pace - s.pace) / 2
	}
	for _, p := range plan {
		t := p.Task
		if t.pending < p.Tokens {
			continue
		}
		t.pending -= p.Tokens
		s.charge(t, p.Tokens)
		i := slices.Index(s.ready, t)
		s.ready = slices.Delete(s.ready, i, i+1)
		if t.pending > 0 {
			s.ready = append(s.ready, t)
		} else if t.place == inside && !t.answers {
			t.answers = true
			s.answers++
			t.group.owed -= int64(t.owed) // of what needed no reading
			t.owed = 0
		}
	}
}

// charge counts tokens that a task's group was given.
func (s *Scheduler) charge(t *Task, n int) {
	if t.group == nil {
		return
	}
	if t.whole {
		t.group.served += int64(n) * answerWeight
		return
	}
	paid := min(n, t.owed)
	t.owed -= paid
	t.group.owed -= int64(paid)
	t.group.served += int64(n)
}
