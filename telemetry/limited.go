package telemetry

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// limited is a slog.Handler that passes one record in a while, and says how
// many it left out since.
type limited struct {
	next  slog.Handler
	state *limit // shared by the handlers that With… makes
}

type limit struct {
	every time.Duration

	mu   sync.Mutex
	last time.Time
	left int
}

func (h *limited) Enabled(ctx context.Context, l slog.Level) bool { return h.next.Enabled(ctx, l) }

func (h *limited) Handle(ctx context.Context, r slog.Record) error {
	left, ok := h.state.take(time.Now())
	if !ok {
		return nil
	}
	if left > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("left_out", left))
	}
	return h.next.Handle(ctx, r)
}

// take reports whether a record may pass now, and how many did not before it.
func (l *limit) take(now time.Time) (left int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.last.IsZero() && now.Sub(l.last) < l.every {
		l.left++
		return 0, false
	}
	left, l.left, l.last = l.left, 0, now
	return left, true
}

func (h *limited) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &limited{h.next.WithAttrs(attrs), h.state}
}

func (h *limited) WithGroup(name string) slog.Handler {
	return &limited{h.next.WithGroup(name), h.state}
}
