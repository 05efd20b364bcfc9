package sse

import (
	"net/http/httptest"
	"testing"
)

func TestWriter(t *testing.T) {
	rec := httptest.NewRecorder()
	w := NewWriter(rec)
	if w.Sent() || rec.Flushed {
		t.Error("something was sent before the first event")
	}
	for _, err := range []error{w.Data([]byte(`{"a":1}`)), w.Comment("still here"), w.Done()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if got, want := rec.Body.String(), "data: {\"a\":1}\n\n: still here\n\ndata: [DONE]\n\n"; got != want {
		t.Errorf("body = %q, want %q", got, want)
	}
	if !w.Sent() || !rec.Flushed || rec.Header().Get("Content-Type") != "text/event-stream; charset=utf-8" {
		t.Errorf("headers = %v", rec.Header())
	}
}
