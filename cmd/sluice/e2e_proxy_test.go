package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// A fault is what a lane of the proxy does with one request. Its zero value passes it on.
type fault struct {
	kind   string
	after  int           // cut, end, stall: bytes (unstreamed) or events (streamed) that still come through
	wait   time.Duration // throttle: Retry-After
	gate   chan struct{} // drip: the stream ends when it is closed
	status int           // status: what the upstream answers
}

// The kinds of fault.
const (
	faultNone     = ""         // the upstream's own answer
	faultCut      = "cut"      // the connection breaks after some of the answer
	faultEnd      = "end"      // the answer ends after some of it, as if that were all
	faultStall    = "stall"    // silence after some of the answer
	faultSilent   = "silent"   // no byte at all
	faultStatus   = "status"   // an error status, whose body repeats the request
	faultThrottle = "throttle" // 429 with Retry-After
	faultGarbage  = "garbage"  // 200, then what is not JSON
	faultError    = "sseError" // 200, then an error object that repeats the request
	faultHangUp   = "hangUp"   // the connection breaks before a byte
	faultEmpty    = "empty"    // 200, and no event
	faultEcho     = "echo"     // an answer that repeats the last message, in tiny pieces
	faultEchoTool = "echoTool" // the same, inside the arguments of a tool call
	faultDrip     = "drip"     // a stream of events until its gate is closed
)

// A lane is one upstream as the gateway sees it: a path of the proxy, with its
// own faults and its own memory.
type lane struct {
	p    *proxy
	name string

	mu     sync.Mutex
	script []fault // one for each request; the last one stays
	seen   []seen
	gone   int // clients that left before their answer ended
}

// seen is one request that reached the proxy.
type seen struct {
	header http.Header
	body   []byte
}

// A proxy stands between the gateway and its clouds, breaks what it is told to
// break, and keeps every byte that went up.
type proxy struct {
	*httptest.Server
	target string // base of the upstream process, "http://127.0.0.1:port"
	client *http.Client

	mu    sync.Mutex
	lanes map[string]*lane
	wire  bytes.Buffer // every byte that clients sent, headers and all
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	p := &proxy{target: target, lanes: map[string]*lane{}, client: &http.Client{Transport: &http.Transport{DisableCompression: true}}}
	p.Server = httptest.NewUnstartedServer(p)
	p.Listener = recording{p.Listener, p}
	p.Start()
	t.Cleanup(func() {
		p.CloseClientConnections()
		p.Close()
		p.client.CloseIdleConnections()
	})
	return p
}

// A recording listener's connections note what they read.
type recording struct {
	net.Listener
	p *proxy
}

func (r recording) Accept() (net.Conn, error) {
	c, err := r.Listener.Accept()
	return recorded{c, r.p}, err
}

type recorded struct {
	net.Conn
	p *proxy
}

func (c recorded) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.p.mu.Lock()
	c.p.wire.Write(b[:n])
	c.p.mu.Unlock()
	return n, err
}

// sent returns every byte that has come from the gateway.
func (p *proxy) sent() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Clone(p.wire.Bytes())
}

// lane returns the lane of the name, made on first use.
func (p *proxy) lane(name string) *lane {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lanes[name] == nil {
		p.lanes[name] = &lane{p: p, name: name, script: []fault{{}}}
	}
	return p.lanes[name]
}

// base is the base_url of a provider that uses the lane.
func (p *proxy) base(name string) string { return p.URL + "/" + name + "/v1" }

// set replaces the lane's script.
func (l *lane) set(script ...fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.script = script
}

// requests returns what has reached the lane.
func (l *lane) requests() []seen {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]seen(nil), l.seen...)
}

// last returns the newest request.
func (l *lane) last(t *testing.T) seen {
	t.Helper()
	all := l.requests()
	if len(all) == 0 {
		t.Fatalf("lane %s has seen no request", l.name)
	}
	return all[len(all)-1]
}

// left returns how many clients went away before their answer ended.
func (l *lane) left() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gone
}

// take notes a request and says what to do with it.
func (l *lane) take(s seen) fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = append(l.seen, s)
	f := l.script[0]
	if len(l.script) > 1 {
		l.script = l.script[1:]
	}
	return f
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	l := p.lane(name)
	f := l.take(seen{r.Header.Clone(), body})
	defer func() {
		if r.Context().Err() != nil {
			l.mu.Lock()
			l.gone++
			l.mu.Unlock()
		}
	}()
	stream := bytes.Contains(body, []byte(`"stream":true`)) || bytes.Contains(body, []byte(`"stream": true`))
	switch f.kind {
	case faultSilent:
		<-r.Context().Done()
	case faultHangUp:
		panic(http.ErrAbortHandler)
	case faultStatus:
		w.WriteHeader(f.status)
		fmt.Fprintf(w, `{"error":{"message":%q,"type":"server_error"}}`, body)
	case faultThrottle:
		w.Header().Set("Retry-After", fmt.Sprintf("%g", f.wait.Seconds()))
		w.WriteHeader(http.StatusTooManyRequests)
	case faultGarbage:
		writeAll(w, stream, []string{`{"choices":[{"index":0,"delta":{"content":"half`}, `{"choices":[{"index":0,"message":{"content":"half`)
	case faultError:
		e := fmt.Sprintf(`{"error":{"message":%q,"type":"overloaded_error","code":"overloaded"}}`, body)
		writeAll(w, stream, []string{e}, e)
	case faultEmpty:
		writeAll(w, stream, nil, "")
	case faultEcho, faultEchoTool:
		whole, chunks := echoed(body, f.kind == faultEchoTool)
		writeAll(w, stream, chunks, whole)
	case faultDrip:
		dripping(w, r, f)
	default:
		p.forward(w, r, path, body, stream, f)
	}
}

// writeAll answers 200 with the events of a stream, or with the whole.
func writeAll(w http.ResponseWriter, stream bool, events []string, whole string) {
	if !stream {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, whole)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for _, e := range append(events, "[DONE]") {
		fmt.Fprintf(w, "data: %s\n\n", e)
		w.(http.Flusher).Flush()
	}
}

// dripping streams words until the gate is closed, then ends well.
func dripping(w http.ResponseWriter, r *http.Request, f fault) {
	w.Header().Set("Content-Type", "text/event-stream")
	send := func(s string) {
		fmt.Fprintf(w, "data: %s\n\n", s)
		w.(http.Flusher).Flush()
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-f.gate:
			send(`{"choices":[{"index":0,"delta":{"content":"end"},"finish_reason":"stop"}]}`)
			send(`{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}`)
			send("[DONE]")
			return
		case <-tick.C:
			send(`{"choices":[{"index":0,"delta":{"content":"drip "},"finish_reason":null}]}`)
		}
	}
}

// forward passes the request to the upstream process, and breaks the answer where f says.
func (p *proxy) forward(w http.ResponseWriter, r *http.Request, path string, body []byte, stream bool, f fault) {
	up, err := http.NewRequestWithContext(r.Context(), r.Method, p.target+"/"+path, bytes.NewReader(body))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	up.Header = r.Header.Clone()
	resp, err := p.client.Do(up)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer resp.Body.Close()
	maps.Copy(w.Header(), resp.Header)
	if f.kind == faultEnd {
		w.Header().Del("Content-Length")
	}
	w.WriteHeader(resp.StatusCode)
	out := io.Writer(flushing{w})
	if f.kind == faultNone {
		_, _ = io.Copy(out, resp.Body)
		return
	}
	var part io.Reader = io.LimitReader(resp.Body, int64(f.after))
	if stream {
		part = &eventLimit{r: resp.Body, left: f.after}
	}
	_, _ = io.Copy(out, part)
	switch f.kind {
	case faultEnd:
		return
	case faultStall:
		<-r.Context().Done()
		return
	}
	panic(http.ErrAbortHandler)
}

// flushing flushes after each write.
type flushing struct{ w http.ResponseWriter }

func (f flushing) Write(b []byte) (int, error) {
	n, err := f.w.Write(b)
	f.w.(http.Flusher).Flush()
	return n, err
}

// An eventLimit ends after some server-sent events.
type eventLimit struct {
	r    io.Reader
	left int
}

func (e *eventLimit) Read(b []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(b[:1]) // slow, and exact
	if n == 1 && b[0] == '\n' {
		m, err := e.r.Read(b[1:2])
		if m == 1 && b[1] == '\n' {
			e.left--
		}
		return n + m, err
	}
	return n, err
}

// echoed is an answer that repeats the last message's text, whole and in
// pieces of three bytes, which split every placeholder; or the same inside the
// arguments of a tool call.
func echoed(body []byte, tool bool) (whole string, chunks []string) {
	var req struct {
		Messages []struct{ Content json.RawMessage }
	}
	_ = json.Unmarshal(body, &req)
	text := ""
	if n := len(req.Messages); n > 0 && json.Unmarshal(req.Messages[n-1].Content, &text) != nil {
		var parts []struct{ Text string }
		_ = json.Unmarshal(req.Messages[n-1].Content, &parts)
		for _, p := range parts {
			text += p.Text
		}
	}
	finish, said := "stop", text
	if tool {
		args, _ := json.Marshal(map[string]string{"text": text})
		finish, said = "tool_calls", string(args)
	}
	piece := func(s string, first bool) map[string]any {
		if !tool {
			return map[string]any{"content": s}
		}
		call := map[string]any{"index": 0, "function": map[string]any{"arguments": s}}
		if first {
			call = map[string]any{"index": 0, "id": "call_1", "type": "function", "function": map[string]any{"name": "note", "arguments": s}}
		}
		return map[string]any{"tool_calls": []any{call}}
	}
	for i := 0; i < len(said); {
		n := min(3, len(said)-i)
		for n < len(said)-i && said[i+n]&0xc0 == 0x80 { // whole code points: they must survive JSON
			n++
		}
		chunks = append(chunks, jsonOf(map[string]any{"choices": []any{map[string]any{"index": 0, "delta": piece(said[i:i+n], i == 0), "finish_reason": nil}}}))
		i += n
	}
	use := map[string]int{"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
	chunks = append(chunks,
		jsonOf(map[string]any{"choices": []any{map[string]any{"index": 0, "delta": map[string]any{}, "finish_reason": finish}}}),
		jsonOf(map[string]any{"choices": []any{}, "usage": use}))
	message := piece(said, true)
	message["role"] = "assistant"
	whole = jsonOf(map[string]any{"object": "chat.completion", "choices": []any{map[string]any{"index": 0, "message": message, "finish_reason": finish}}, "usage": use})
	return whole, chunks
}

func jsonOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of strings and numbers
	}
	return string(b)
}
