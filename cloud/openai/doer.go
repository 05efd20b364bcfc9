package openai

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
)

var (
	errFirstByte = errors.New("no answer in time")
	errIdle      = errors.New("the stream fell silent")
	errTooLong   = errors.New("the answer is longer than the limit")
)

type exchangeKey struct{}

// An exchange is what one call needs to share with the transport below go-openai.
type exchange struct {
	body       []byte
	watch      *watchdog
	status     int
	retryAfter time.Duration
	answer     []byte // of an unstreamed call
}

// A doer sends the exchange's own bytes in place of those that go-openai made.
type doer struct {
	cfg    Config
	client *http.Client
}

// Do sends one request.
func (d *doer) Do(r *http.Request) (*http.Response, error) {
	x, ok := r.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		return nil, errors.New("cloud/openai: a request without an exchange")
	}
	r.Body = io.NopCloser(bytes.NewReader(x.body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(x.body)), nil }
	r.ContentLength = int64(len(x.body))
	r.Header.Del("Connection")
	for _, h := range d.cfg.Headers {
		r.Header.Set(h.Name, h.Value.Reveal())
	}
	otel.GetTextMapPropagator().Inject(r.Context(), propagation.HeaderCarrier(r.Header))
	r.Header.Del("Tracestate") // the client's own words, which nobody inspected
	stream := r.Header.Get("Accept") == "text/event-stream"
	resp, err := d.client.Do(r)
	if err != nil {
		return nil, err
	}
	x.status = resp.StatusCode
	x.retryAfter = retryAfter(resp.Header, time.Now())
	if resp.StatusCode != http.StatusOK {
		return d.withoutBody(resp), nil
	}
	if stream {
		resp.Body = &lineLimit{r: resp.Body, max: d.cfg.MaxAnswer}
		return resp, nil
	}
	defer resp.Body.Close()
	x.answer, err = io.ReadAll(io.LimitReader(resp.Body, d.cfg.MaxAnswer+1))
	if err != nil {
		return nil, err
	}
	if int64(len(x.answer)) > d.cfg.MaxAnswer {
		return nil, errTooLong
	}
	resp.Body = io.NopCloser(bytes.NewReader([]byte("{}"))) // go-openai need not read it
	return resp, nil
}

// withoutBody drops the body of a failure: it may repeat the prompt.
func (d *doer) withoutBody(resp *http.Response) *http.Response {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(fmt.Appendf(nil, `{"error":{"message":"status %d"}}`, resp.StatusCode)))
	if resp.StatusCode < 400 {
		resp.StatusCode = http.StatusBadGateway // go-openai takes 3xx for success
	}
	return resp
}

// longest is the longest Retry-After that is believed.
const longest = 24 * time.Hour

// retryAfter reads how long an upstream wants to be left alone, at most [longest].
func retryAfter(h http.Header, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil && ms > 0 {
		return time.Duration(min(ms, float64(longest/time.Millisecond)) * float64(time.Millisecond))
	}
	v := h.Get("Retry-After")
	if s, err := strconv.ParseFloat(v, 64); err == nil && s > 0 {
		return time.Duration(min(s, longest.Seconds()) * float64(time.Second))
	}
	if at, err := http.ParseTime(v); err == nil && at.After(now) {
		return min(at.Sub(now), longest)
	}
	return 0
}

// A lineLimit fails when one line is longer than max, so that a stream without
// line breaks cannot fill the memory.
type lineLimit struct {
	r   io.ReadCloser
	max int64
	n   int64
}

// Read reads at most what the limit still allows.
func (l *lineLimit) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if i := bytes.LastIndexByte(p[:n], '\n'); i >= 0 {
		l.n = int64(n - i - 1)
	} else {
		l.n += int64(n)
	}
	if l.n > l.max {
		return 0, errTooLong
	}
	return n, err
}

// Close closes the body.
func (l *lineLimit) Close() error { return l.r.Close() }

// A watchdog cancels a call that stays silent for too long.
type watchdog struct {
	cancel context.CancelCauseFunc
	mu     sync.Mutex
	timer  *time.Timer
	cause  error
}

func newWatchdog(cancel context.CancelCauseFunc) *watchdog {
	w := &watchdog{cancel: cancel}
	w.timer = time.AfterFunc(time.Hour, func() {
		w.mu.Lock()
		cause := w.cause
		w.mu.Unlock()
		w.cancel(cause)
	})
	return w
}

// reset starts the wait anew.
func (w *watchdog) reset(d time.Duration, cause error) {
	w.mu.Lock()
	w.cause = cause
	w.mu.Unlock()
	w.timer.Reset(d)
}

func (w *watchdog) stop() { w.timer.Stop() }
