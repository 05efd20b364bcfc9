package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
)

// A body is a chat completions request.
type body map[string]any

// ask is a short request: eight tokens, always the same ones.
func ask(model, prompt string, more ...body) body {
	b := body{
		"model": model, "messages": []any{body{"role": "user", "content": prompt}},
		"max_tokens": 8, "temperature": 0,
	}
	for _, m := range more {
		maps.Copy(b, m)
	}
	return b
}

// bothWays runs f unstreamed and streamed.
func bothWays(t *testing.T, f func(t *testing.T, stream bool)) {
	t.Helper()
	for _, stream := range []bool{false, true} {
		name := "whole"
		if stream {
			name = "stream"
		}
		t.Run(name, func(t *testing.T) { f(t, stream) })
	}
}

// An answer is what the client of one chat call saw.
type answer struct {
	status        int
	header        http.Header
	raw           []byte
	text          string // of the first choice
	call          string // name of its tool call
	arguments     string // of that call
	finish        string
	input, output int    // tokens, as reported
	events        int    // of a stream
	done          bool   // a whole body, or a stream that ended with [DONE]
	code          string // of an error, in the body or in the stream
	message       string
	decision      string // in the error's body
}

// A choice is one answer, in a body or a chunk.
type choice struct {
	Message, Delta struct {
		Content   string
		ToolCalls []struct {
			Index    int
			Function struct{ Name, Arguments string }
		} `json:"tool_calls"`
	}
	Finish string `json:"finish_reason"`
}

// A reply is a body or a chunk.
type reply struct {
	Choices []choice
	Usage   *struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
	}
	Error *struct{ Message, Code, Decision, Type string }
}

func (a *answer) add(t *testing.T, raw []byte) {
	t.Helper()
	var r reply
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Errorf("the client got what is not JSON: %v\n%s", err, raw)
		return
	}
	if r.Error != nil {
		a.code, a.message, a.decision = r.Error.Code, r.Error.Message, r.Error.Decision
	}
	if r.Usage != nil {
		a.input, a.output = r.Usage.Prompt, r.Usage.Completion
	}
	for _, c := range r.Choices {
		a.text += c.Message.Content + c.Delta.Content
		for _, call := range append(c.Message.ToolCalls, c.Delta.ToolCalls...) {
			a.call += call.Function.Name
			a.arguments += call.Function.Arguments
		}
		if c.Finish != "" {
			a.finish = c.Finish
		}
	}
}

// A header is one line of a request.
type header struct{ name, value string }

// open sends a chat call and returns when the headers are there. The caller closes the body.
func (p *process) open(ctx context.Context, t *testing.T, b body, hs ...header) *http.Response {
	t.Helper()
	resp, err := p.post(ctx, "/v1/chat/completions", []byte(jsonOf(b)), hs...)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func (p *process) post(ctx context.Context, path string, body []byte, hs ...header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if p.key != "" {
		req.Header.Set("Authorization", "Bearer "+p.key)
	}
	for _, h := range hs {
		req.Header.Set(h.name, h.value)
	}
	return p.client.Do(req)
}

// chat makes one call and reads its answer to the end. What it saw must stand in the ledger.
func (p *process) chat(t *testing.T, stream bool, b body, hs ...header) *answer {
	t.Helper()
	b = maps.Clone(b)
	if stream {
		b["stream"] = true
		b["stream_options"] = body{"include_usage": true}
	}
	p.remember(b)
	resp := p.open(t.Context(), t, b, hs...)
	defer resp.Body.Close()
	a := &answer{status: resp.StatusCode, header: resp.Header}
	a.read(t, resp)
	id, route := a.header.Get("Sluice-Decision"), a.header.Get("Sluice-Route")
	if !strings.HasPrefix(id, "dec_") || route == "" {
		t.Errorf("an answer without a decision or a route: %q, %q", id, route)
	}
	if a.code != "" && a.decision != id {
		t.Errorf("the error names decision %q, the header %q", a.decision, id)
	}
	want := expected{route, a.status}
	if a.status == http.StatusOK && a.code != "" {
		want.status = -1 // the client saw 200, and then an error: the ledger has the error's status
	}
	p.mu.Lock()
	p.want[id] = want
	p.mu.Unlock()
	return a
}

// remember notes the texts of a request, which may stand in no log.
func (p *process) remember(b body) {
	p.mu.Lock()
	defer p.mu.Unlock()
	messages, _ := b["messages"].([]any)
	for _, m := range messages {
		if text, ok := m.(body)["content"].(string); ok {
			p.prompts = append(p.prompts, text)
		}
	}
}

// read takes a response apart.
func (a *answer) read(t *testing.T, resp *http.Response) {
	t.Helper()
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		raw, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Errorf("reading the answer: %v", err)
		}
		a.raw, a.done = raw, err == nil
		a.add(t, raw)
		return
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		a.raw = append(append(a.raw, lines.Bytes()...), '\n')
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		switch {
		case !ok && lines.Text() != "":
			t.Errorf("a line of the stream is no event: %q", lines.Text())
		case !ok:
		case a.done:
			t.Errorf("an event after [DONE]: %s", data)
		case data == "[DONE]":
			a.done = true
		default:
			a.events++
			a.add(t, []byte(data))
		}
	}
	if err := lines.Err(); err != nil {
		t.Errorf("reading the stream: %v", err)
	}
}

// expect checks the parts of an answer that every scenario names: the status,
// the route and the target; "" and 0 are not checked.
func (a *answer) expect(t *testing.T, status int, route, target string) {
	t.Helper()
	if a.status != status {
		t.Errorf("status %d, want %d: %s", a.status, status, a.raw)
	}
	if got := a.header.Get("Sluice-Route"); got != route {
		t.Errorf("Sluice-Route: %s, want %s", got, route)
	}
	if got := a.header.Get("Sluice-Target"); got != target {
		t.Errorf("Sluice-Target: %q, want %q", got, target)
	}
	if status == http.StatusOK && (!a.done || a.finish == "" || a.code != "") {
		t.Errorf("the answer is not whole: done %v, finish %q, error %q", a.done, a.finish, a.code)
	}
}
