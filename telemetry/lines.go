package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// lines is the stdout exporter: one span is one line of JSON, in one write,
// so that lines of other writers never fall into the middle of it.
type lines struct {
	mu   sync.Mutex
	out  io.Writer
	done bool
}

// A line is a span as the stdout exporter writes it.
type line struct {
	Time       time.Time      `json:"time"` // of the span's start
	Trace      string         `json:"trace"`
	Span       string         `json:"span"`
	Parent     string         `json:"parent,omitempty"`
	Name       string         `json:"name"`
	Kind       string         `json:"kind"`
	Ms         float64        `json:"ms"`
	Error      string         `json:"error,omitempty"` // the status' description, or "error"
	Attributes map[string]any `json:"attributes,omitempty"`
	Events     []event        `json:"events,omitempty"`
}

type event struct {
	Name       string         `json:"name"`
	Ms         float64        `json:"ms"` // after the span's start
	Attributes map[string]any `json:"attributes,omitempty"`
}

func (l *lines) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var buf bytes.Buffer
	for _, s := range spans {
		if l.done || ctx.Err() != nil {
			return ctx.Err()
		}
		buf.Reset()
		e := json.NewEncoder(&buf)
		e.SetEscapeHTML(false)
		if err := e.Encode(lineOf(s)); err != nil {
			return err
		}
		if _, err := l.out.Write(buf.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

func (l *lines) Shutdown(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done = true
	return nil
}

func lineOf(s sdktrace.ReadOnlySpan) line {
	start := s.StartTime()
	out := line{
		Time: start.UTC(), Name: s.Name(), Kind: strings.ToLower(s.SpanKind().String()),
		Trace: s.SpanContext().TraceID().String(), Span: s.SpanContext().SpanID().String(),
		Ms: ms(s.EndTime().Sub(start)), Attributes: values(s.Attributes()),
	}
	if s.Parent().HasSpanID() {
		out.Parent = s.Parent().SpanID().String()
	}
	if st := s.Status(); st.Code == codes.Error {
		if out.Error = st.Description; out.Error == "" {
			out.Error = "error"
		}
	}
	for _, e := range s.Events() {
		out.Events = append(out.Events, event{Name: e.Name, Ms: ms(e.Time.Sub(start)), Attributes: values(e.Attributes)})
	}
	return out
}

func values(attrs []attribute.KeyValue) map[string]any {
	if len(attrs) == 0 {
		return nil
	}
	m := make(map[string]any, len(attrs))
	for _, a := range attrs {
		v := a.Value.AsInterface()
		if f, ok := v.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
			v = a.Value.String() // JSON has no such numbers
		}
		m[string(a.Key)] = v
	}
	return m
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
