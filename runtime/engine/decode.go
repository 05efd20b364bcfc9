package engine

import (
	"context"

	"github.com/sluice-ai/sluice/runtime/draft"
)

const (
	// mostDrafts is how many tokens are guessed at most: with the one they follow
	// they fill one group of columns of the kernels.
	mostDrafts = 7
	// mostWhole is the longest run of an answer that goes in one step.
	mostWhole = 32
)

// A generation is one answer in the making. After each step it reads the logits of
// every token that was guessed, as if they had come one by one; so the answer, and
// every draw of the sampler, is what it would have been without guessing.
type generation struct {
	*task
	a       *answer
	history []int32 // the prompt and the answer

	feed    []int32 // tokens taken and not yet read by the model, then the draft
	draft   []int32 // guessed tokens of the last step, which follow those taken
	guesses [mostDrafts]int32
	next    [1]int32

	odds              draft.Odds
	drafted, accepted int
}

// prefill reads what is not cached of the prompt.
func (g *generation) prefill(ctx context.Context) error {
	m, t := g.m, g.task
	m.mu.Lock()
	t.rows = m.buffer(1)
	m.mu.Unlock()
	t.tokens = t.prompt[t.cached:]
	if err := m.submit(t, false); err != nil {
		return err
	}
	for _, id := range g.history {
		g.a.smp.Accept(id)
	}
	return m.wait(ctx, t)
}

// read takes what follows from the logits of the last step: tokens guessed rightly,
// and then those that the model has not read. What was guessed wrongly is taken
// back. It returns how the answer ended, or "".
func (g *generation) read() (finish string, err error) {
	vocab, right := g.m.net.Vocab, 0
	g.feed = g.feed[:0]
	for finish == "" && err == nil && len(g.feed) == 0 {
		var run []int32
		if run, err = g.a.next(g.rows[right*vocab:][:vocab], g.next[:0]); err != nil {
			break
		}
		for _, id := range run {
			if finish, err = g.a.take(id); finish != "" || err != nil {
				break
			}
			g.history = append(g.history, id)
			if len(g.feed) == 0 && right < len(g.draft) && g.draft[right] == id {
				right++
			} else {
				g.feed = append(g.feed, id)
			}
		}
	}
	if guessed := len(g.draft); guessed > 0 {
		g.odds.Verified(guessed, right)
		g.drafted += guessed
		g.accepted += right
		if right < guessed {
			if e := g.seq.Rewind(g.seq.Pos() - guessed + right); err == nil {
				err = e
			}
		}
	}
	g.m.mu.Lock()
	defer g.m.mu.Unlock()
	g.m.stats.Drafted += int64(len(g.draft))
	g.m.stats.Accepted += int64(right)
	if finish != "" {
		g.m.keep(g.Group, g.history[:g.seq.Pos()], g.seq)
	}
	return finish, err
}

// submit has the model read the tokens taken, and with them those that are guessed
// to follow, if that pays.
func (g *generation) submit() error {
	g.guess()
	m, t := g.m, g.task
	n := 1 + len(g.draft)
	if size := n * m.net.Vocab; cap(t.rows) >= size {
		t.rows = t.rows[:size]
	} else {
		m.mu.Lock()
		m.recycle(t.rows)
		t.rows = m.buffer(1 + mostDrafts)[:size]
		m.mu.Unlock()
	}
	g.feed = append(g.feed, g.draft...)
	t.tokens, t.back = g.feed, len(g.draft)
	return m.submit(t, len(g.feed) <= mostWhole)
}

// guess sets the draft that follows the tokens to be fed.
func (g *generation) guess() {
	g.draft = nil
	most := min(mostDrafts, g.a.left-1, mostWhole-len(g.feed))
	if most < 1 || g.m.opts.DisableDrafts {
		return
	}
	found := draft.Lookup(g.guesses[:0], g.history, most)
	if len(found) == 0 {
		return
	}
	g.m.mu.Lock()
	n := g.m.costs.Worth(max(1, g.m.sched.Answers()), len(found), g.odds.Right())
	g.m.mu.Unlock()
	if n == 0 {
		g.odds.Skipped()
		return
	}
	g.draft = found[:n]
}
