package opa

import (
	"container/list"
	"slices"
	"sync"

	"github.com/sluice-ai/sluice/internal/llm"
)

// Bounds of a cache: decisions, and bytes of keys and texts.
const (
	maxDecisions     = 4096
	maxDecisionBytes = 16 << 20
)

// A cache remembers decisions by what the policy can read of the input; see [reads.appendKey]. The one
// used longest ago goes first. A cache belongs to one bundle that was put in force: the next begins with an empty one.
// It is safe for concurrent use.
type cache struct {
	mu    sync.Mutex
	byKey map[string]*list.Element // of *remembered
	used  list.List                // the latest first
	bytes int
}

type remembered struct {
	key      string
	decision llm.Decision // its slices and its map are never handed out
	bytes    int
}

func newCache() *cache { return &cache{byKey: map[string]*list.Element{}} }

// get returns a copy of the decision at key.
func (c *cache) get(key []byte) (llm.Decision, bool) {
	c.mu.Lock()
	e := c.byKey[string(key)]
	if e == nil {
		c.mu.Unlock()
		return llm.Decision{}, false
	}
	c.used.MoveToFront(e)
	r := e.Value.(*remembered)
	c.mu.Unlock()
	return copyOf(&r.decision), true // nobody writes to r any more
}

// put remembers a copy of d.
func (c *cache) put(key []byte, d *llm.Decision) {
	r := &remembered{key: string(key), decision: copyOf(d)}
	r.bytes = sizeOf(&r.decision) + len(key)
	if r.bytes > maxDecisionBytes/16 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byKey[r.key] != nil { // another request asked the same at the same time
		return
	}
	c.byKey[r.key] = c.used.PushFront(r)
	for c.bytes += r.bytes; c.used.Len() > maxDecisions || c.bytes > maxDecisionBytes; {
		old := c.used.Remove(c.used.Back()).(*remembered)
		delete(c.byKey, old.key)
		c.bytes -= old.bytes
	}
}

// copyOf returns d with slices and a map of its own.
func copyOf(d *llm.Decision) llm.Decision {
	n := len(d.Targets) + len(d.Redact) + len(d.Reasons) + len(d.Obligations.ApproveTools)
	for _, why := range d.Excluded {
		n += len(why)
	}
	room := make([]string, 0, n) // one allocation for all lists
	own := func(ss []string) []string {
		if ss == nil {
			return nil
		}
		from := len(room)
		room = append(room, ss...)
		return room[from:len(room):len(room)]
	}
	out := *d
	out.Deny = slices.Clone(d.Deny)
	out.Targets, out.Redact, out.Reasons = own(d.Targets), own(d.Redact), own(d.Reasons)
	out.Obligations.ApproveTools = own(d.Obligations.ApproveTools)
	if d.Excluded != nil {
		out.Excluded = make(map[string][]string, len(d.Excluded))
		for id, why := range d.Excluded {
			out.Excluded[id] = own(why)
		}
	}
	return out
}

// sizeOf returns about how many bytes d holds.
func sizeOf(d *llm.Decision) int {
	n := 512
	add := func(ss []string) {
		for _, s := range ss {
			n += len(s) + 16
		}
	}
	add(d.Targets)
	add(d.Redact)
	add(d.Reasons)
	add(d.Obligations.ApproveTools)
	for _, x := range d.Deny {
		n += len(x.Rule) + len(x.Message) + 32
	}
	for id, why := range d.Excluded {
		n += len(id) + 64
		add(why)
	}
	return n
}
