package engine

import (
	"errors"
	"slices"

	"github.com/sluice-ai/sluice/runtime/prefix"
	"github.com/sluice-ai/sluice/runtime/state"
)

const (
	// leastKept is the shortest prefix worth keeping: reading less costs little.
	leastKept = 64
	// keepEvery is the distance of snapshots in a long prompt: a whole number of
	// pages, so that none of them is copied for it.
	keepEvery = 4 * state.PageLen
	// mostCache bounds the default of Options.Cache.
	mostCache = 1 << 30
)

// A cache keeps snapshots of sequences at places of their prompts, for prompts of
// the same tenant that begin with the same tokens. The model's lock guards it.
type cache = prefix.Tree[*state.Seq]

// newCache returns nil if the options ask for none.
func newCache(shape state.Shape, limit int64) *cache {
	if limit <= 0 {
		return nil
	}
	page := int64(state.PageLen) * int64(shape.TokenBytes())
	return prefix.New(prefix.Config[*state.Seq]{
		Limit: limit,
		Size: func(from, to int) int64 { // a page that is partly filled is not shared for long
			pages := (to+state.PageLen-1)/state.PageLen - from/state.PageLen
			return int64(shape.SnapshotBytes()) + int64(pages)*page
		},
		Release: (*state.Seq).Release,
	})
}

// places returns where snapshots of a prompt are taken, that are likely to be where
// another one leaves it: before the list of tools, after the first turn (the
// system's), before the answer (the end of the history), and every keepEvery
// tokens. A hit ends at one of them, for a convolution state cannot be cropped.
func (m *Model) places(prompt []int32) []int {
	if m.cache == nil {
		return nil
	}
	var all []int
	first, last := 0, 0
	for i, id := range prompt {
		switch {
		case i < leastKept:
		case id == m.turnStart:
			if first == 0 {
				first = i
			}
			last = i
		case id == m.toolsStart:
			all = append(all, i)
		}
	}
	all = append(all, first, last)
	if last == 0 { // no turns: the prompt itself may come again
		all = append(all, len(prompt)-1)
	}
	for i := keepEvery; i < len(prompt); i += keepEvery {
		all = append(all, i)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return slices.DeleteFunc(all, func(i int) bool { return i < leastKept })
}

// resume returns a sequence that has read as much of a prompt as the cache has,
// but not all of it: the last token's logits are not kept. The lock is held.
func (m *Model) resume(group string, prompt []int32) *state.Seq {
	if m.cache != nil {
		if snap, _, ok := m.cache.Find(group, prompt[:len(prompt)-1]); ok {
			return snap.Clone()
		}
	}
	return state.NewWithin(m.budget, m.shape, m.opts.Context)
}

// found counts what the cache had of a prompt. The lock is held.
func (m *Model) found(cached, prompt int) {
	m.stats.PromptTokens += int64(prompt)
	m.stats.CachedTokens += int64(cached)
	if m.cache == nil {
		return
	}
	if cached > 0 {
		m.stats.CacheHits++
	} else {
		m.stats.CacheMisses++
	}
}

// snapshots keeps the places of t's prompt that its last step passed. The lock is held.
func (m *Model) snapshots(t *task) {
	for _, pos := range t.keep {
		if len(t.marks) > 0 && pos <= t.seq.Pos() && slices.Contains(t.marks, pos) {
			m.keep(t.Group, t.prompt[:pos], t.seq)
		}
	}
}

// keep takes a snapshot of seq after tokens, where it ends or has a mark. Failing
// does no harm. The lock is held.
func (m *Model) keep(group string, tokens []int32, seq *state.Seq) {
	if m.cache == nil || len(tokens) < leastKept || m.cache.Has(group, tokens) {
		return
	}
	if snap, err := seq.Snapshot(len(tokens)); err == nil {
		m.cache.Insert(group, tokens, snap)
	}
}

// makeRoom drops something from the cache, if err says that memory is short and
// that can help. It reports whether it did. The lock is held.
func (m *Model) makeRoom(err error) bool {
	short, ok := errors.AsType[*state.MemoryError](err)
	if !ok || m.cache == nil || short.Needed > short.Limit-short.Used+m.cache.Bytes() {
		return false
	}
	return m.cache.Evict()
}
