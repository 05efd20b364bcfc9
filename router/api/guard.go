package api

import (
	"io"
	"net/http"
	"time"
)

// The pace that a client must keep. None of it bounds how long an answer may
// take: only how long one side may make the other wait for bytes.
const (
	bodyGrace = 30 * time.Second // for any body
	bodyRate  = 8 << 10          // bytes a second that a longer body must keep up on average
	readStall = 30 * time.Second // for a client to take one piece of an answer
	piece     = 64 << 10         // bytes of an answer that have this time together
)

// A guard is a response whose client must keep reading: one that stops would
// hold a model, an upstream and their memory for as long as it likes. It also
// knows whether the response has begun.
type guard struct {
	http.ResponseWriter
	ctl   *http.ResponseController
	stall time.Duration
	begun bool
}

func newGuard(w http.ResponseWriter, stall time.Duration) *guard {
	g := &guard{ResponseWriter: w, ctl: http.NewResponseController(w), stall: stall}
	g.extend() // what an earlier request left on the connection is over
	return g
}

// extend gives the client time for one more piece. A server without deadlines has none to give.
func (g *guard) extend() { _ = g.ctl.SetWriteDeadline(time.Now().Add(g.stall)) }

// WriteHeader begins the response.
func (g *guard) WriteHeader(status int) {
	g.begun = g.begun || status >= 200
	g.ResponseWriter.WriteHeader(status)
}

// Write sends p, or fails when the client does not take it.
func (g *guard) Write(p []byte) (n int, err error) {
	g.begun = true
	for {
		g.extend()
		k, err := g.ResponseWriter.Write(p[n:min(n+piece, len(p))])
		if n += k; err != nil || n >= len(p) {
			return n, err
		}
	}
}

// FlushError sends what is buffered.
func (g *guard) FlushError() error {
	g.extend()
	return g.ctl.Flush()
}

// Unwrap is for [http.ResponseController].
func (g *guard) Unwrap() http.ResponseWriter { return g.ResponseWriter }

// A paced reader gives up on a body that comes too slowly.
type paced struct {
	r     io.Reader
	ctl   *http.ResponseController
	grace time.Duration
	start time.Time
	n     int64 // bytes read
	next  int64 // bytes from which on there is more time
}

// newPaced returns a reader of body, whose time begins now.
func newPaced(w http.ResponseWriter, body io.Reader, grace time.Duration) *paced {
	p := &paced{r: body, ctl: http.NewResponseController(w), grace: grace, start: time.Now()}
	p.extend()
	return p
}

func (p *paced) extend() {
	p.next = p.n + piece
	_ = p.ctl.SetReadDeadline(p.start.Add(p.grace + time.Duration(p.n)*time.Second/bodyRate)) // a server without deadlines has none
}

// Read reads the body.
func (p *paced) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if p.n += int64(n); p.n >= p.next {
		p.extend()
	}
	return n, err
}

// done ends the limit: an answer may take as long as it likes. net/http does the
// same when it meets the body's end, but before the last read's own extension.
func (p *paced) done() { _ = p.ctl.SetReadDeadline(time.Time{}) }
