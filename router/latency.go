package router

import (
	"sync"
	"time"

	"github.com/sluice-ai/sluice/internal/llm"
)

// latencies keeps a moving average of how long each target takes to answer. It
// is safe for concurrent use.
type latencies struct {
	mu sync.Mutex
	of map[string]time.Duration
}

// add counts an attempt that succeeded.
func (l *latencies) add(a llm.Attempt) {
	if a.Outcome != llm.OK {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = map[string]time.Duration{}
	}
	old, ok := l.of[a.Target]
	if !ok {
		old = a.Duration
	}
	l.of[a.Target] = old + (a.Duration-old)/5 // the newest answer counts a fifth
}

// get returns the average of a target, or 0 when it has not answered yet.
func (l *latencies) get(id string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.of[id]
}
