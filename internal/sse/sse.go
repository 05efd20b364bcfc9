// Package sse writes server-sent events, each flushed to the client as it is
// written (the WHATWG HTML standard, section 9.2).
package sse

import (
	"bytes"
	"fmt"
	"net/http"
)

// A Writer sends events on one response. It is used by one goroutine.
type Writer struct {
	w    http.ResponseWriter
	ctl  *http.ResponseController
	buf  bytes.Buffer
	sent bool
}

// NewWriter returns a Writer on w. It writes nothing until the first event.
func NewWriter(w http.ResponseWriter) *Writer {
	return &Writer{w: w, ctl: http.NewResponseController(w)}
}

// Sent reports whether the client has been sent anything: the commit point.
func (w *Writer) Sent() bool { return w.sent }

// Data sends one event. data must hold no line break: JSON without indentation.
func (w *Writer) Data(data []byte) error {
	w.buf.Reset()
	w.buf.WriteString("data: ")
	w.buf.Write(data)
	w.buf.WriteString("\n\n")
	return w.flush()
}

// Done sends the "[DONE]" that ends a stream of OpenAI's API.
func (w *Writer) Done() error { return w.Data([]byte("[DONE]")) }

// Comment sends a line that clients skip; it keeps an idle connection open.
func (w *Writer) Comment(text string) error {
	w.buf.Reset()
	fmt.Fprintf(&w.buf, ": %s\n\n", text)
	return w.flush()
}

func (w *Writer) flush() error {
	if !w.sent {
		h := w.w.Header()
		h.Set("Content-Type", "text/event-stream; charset=utf-8")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Accel-Buffering", "no")
		h.Del("Content-Length")
		w.w.WriteHeader(http.StatusOK)
		w.sent = true
	}
	if _, err := w.w.Write(w.buf.Bytes()); err != nil {
		return err
	}
	return w.ctl.Flush()
}
