package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/internal/openai"
	"github.com/sluice-ai/sluice/internal/semconv"
	"github.com/sluice-ai/sluice/internal/sse"
	"github.com/sluice-ai/sluice/router"
)

// request reads the body of a chat call and says who sent it.
func (c *call) request(r *http.Request) (*llm.Request, error) {
	req, err := openai.ParseRequest(c.body)
	if err != nil {
		return nil, err
	}
	req.ID, req.Received = c.id, c.at
	user := req.Principal.User
	req.Principal = c.who
	if req.Principal.User == "" {
		req.Principal.User = user
	}
	req.Session = r.Header.Get("Sluice-Session")
	req.Origin = strings.ToUpper(r.Header.Get("Sluice-Origin"))
	for _, h := range []struct{ name, value string }{{"Sluice-Session", req.Session}, {"Sluice-Origin", req.Origin}} {
		if len(h.value) > longestHeader {
			return nil, &llm.Error{Kind: llm.Invalid, Code: llm.CodeInvalidRequest, Param: h.name,
				Msg: fmt.Sprintf("the header %s is longer than %d bytes", h.name, longestHeader)}
		}
	}
	return req, nil
}

// longestHeader bounds what a client's headers put into policy's input.
const longestHeader = 256

// chat serves POST /v1/chat/completions.
func (s *Server) chat(ctx context.Context, c *call, w http.ResponseWriter, r *http.Request) {
	req, err := c.request(r)
	if err != nil {
		s.turnAway(ctx, c, w, err)
		return
	}
	x, err := s.cfg.Router.Plan(ctx, req)
	if err != nil {
		s.refuse(ctx, c, w, x, err)
		return
	}
	defer func() {
		if v := recover(); v != nil { // what left must be in the ledger, whatever went wrong after it
			x.Fail(errors.New("panic"))
			_ = x.Record(ctx, http.StatusInternalServerError) // logged
			panic(v)
		}
	}()
	debug := c.who.Debug && r.Header.Get("Sluice-Debug") == "1"
	if req.Stream {
		s.stream(ctx, c, w, x, debug)
		return
	}
	answer := openai.Answer{Head: headOf(c, x)}
	err = x.Run(ctx, func(ev llm.Event) error { answer.Add(ev); return nil })
	if err != nil {
		s.refuse(ctx, c, w, x, err)
		return
	}
	answer.Head = headOf(c, x)
	body, err := answer.JSON()
	if err != nil {
		x.Fail(err)
		s.refuse(ctx, c, w, x, err)
		return
	}
	if err := x.Record(ctx, http.StatusOK); err != nil { // before the first byte, and so before the last
		setHeaders(w, x, debug)
		c.fail(err)
		writeError(w, err, c.id)
		return
	}
	setHeaders(w, x, debug)
	c.done(x)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the client is gone: nobody to tell
}

// stream answers with server-sent events. The headers go out with the first
// event: until then the router may still move to another target.
func (s *Server) stream(ctx context.Context, c *call, w http.ResponseWriter, x *router.Exchange, debug bool) {
	out := sse.NewWriter(w)
	chunks := openai.Stream{Usage: x.Req.StreamUse}
	err := x.Run(ctx, func(ev llm.Event) error {
		if !out.Sent() {
			chunks.Head = headOf(c, x)
			setHeaders(w, x, debug)
		}
		if ev.Alive {
			return gone(out.Comment("the answer is being checked"))
		}
		for _, part := range split(ev) {
			b, err := chunks.Chunk(&part)
			if err != nil {
				return err
			}
			if b == nil {
				continue
			}
			if err := gone(out.Data(b)); err != nil {
				return err
			}
		}
		return nil
	})
	switch {
	case err != nil && !out.Sent():
		s.refuse(ctx, c, w, x, err)
		return
	case err != nil:
		s.log(c, err)
		c.fail(err)
		_ = x.Record(ctx, failureOf(err).status) // logged; the stream fails either way
		_ = out.Data(failureOf(err).json(c.id))  // no [DONE]: the answer is not complete
		return
	}
	if err := x.Record(ctx, http.StatusOK); err != nil {
		c.fail(err)
		_ = out.Data(failureOf(err).json(c.id)) // a strict audit failed: the answer stays unfinished
		return
	}
	c.done(x)
	_ = out.Done() // the client is gone: nobody to tell
}

// gone turns a failure to write into the client's leaving.
func gone(err error) error {
	if err == nil {
		return nil
	}
	return &llm.Error{Kind: llm.Canceled, Msg: "the client went away", Err: err}
}

// split gives an event with both choices and usage the two chunks that OpenAI's clients expect.
func split(ev llm.Event) []llm.Event {
	if ev.Usage == nil || len(ev.Choices) == 0 || ev.Raw != nil && !ev.Whole {
		return []llm.Event{ev}
	}
	use := llm.Event{Usage: ev.Usage}
	ev.Usage = nil
	return []llm.Event{ev, use}
}

// refuse answers with an error and records it.
func (s *Server) refuse(ctx context.Context, c *call, w http.ResponseWriter, x *router.Exchange, err error) {
	s.log(c, err)
	c.fail(err)
	setHeaders(w, x, false)
	if rerr := x.Record(ctx, failureOf(err).status); rerr != nil {
		err = rerr
	}
	writeError(w, err, c.id)
}

// log tells the operator what the client may not know. Refusals and a client's own leaving are no news.
func (s *Server) log(c *call, err error) {
	e, ok := errors.AsType[*llm.Error](err)
	if ok && (e.Err == nil || e.Kind == llm.Canceled) {
		return
	}
	s.cfg.Log.Warn("request failed", "decision", c.id, "code", failureOf(err).code, "err", llm.Cause(err))
}

// done marks the span of an answered call.
func (c *call) done(x *router.Exchange) {
	c.span.SetAttributes(
		attribute.Int(semconv.HTTPStatus, http.StatusOK),
		attribute.String("sluice.route", string(x.Route)),
		attribute.String("sluice.target", x.Target.ID),
	)
}

func headOf(c *call, x *router.Exchange) openai.Head {
	return openai.Head{ID: "chatcmpl-" + strings.TrimPrefix(c.id, "dec_"), Model: x.Target.ID, Created: c.at.Unix()}
}

// setHeaders writes the headers that every answer carries, and those that a
// client with the right may ask for. Policy's internals are not among the first.
func setHeaders(w http.ResponseWriter, x *router.Exchange, debug bool) {
	h := w.Header()
	h.Set("Sluice-Route", string(x.Route))
	h.Set("Sluice-Target", cmp.Or(x.Target.ID, "none"))
	if !debug {
		return
	}
	h.Set("Sluice-P-Local", fmt.Sprintf("%.3f", x.Assessment.PLocal))
	h.Set("Sluice-Reason", oneLine(append([]string{x.Assessment.Why}, x.Decision.Reasons...)))
	if !x.Req.Stream { // a stream's headers go out before anybody knows the cost
		if nano, known := x.Cost(); known {
			h.Set("Sluice-Cost-Usd", fmt.Sprintf("%.9f", float64(nano)/1e9))
		}
	}
	h.Set("Server-Timing", fmt.Sprintf("inspect;dur=%.3f, assess;dur=%.3f, decide;dur=%.3f",
		ms(x.Timings.Inspect), ms(x.Timings.Assess), ms(x.Timings.Decide)))
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// oneLine joins what may stand in a header.
func oneLine(parts []string) string {
	var keep []string
	for _, p := range parts {
		if p = strings.Join(strings.Fields(p), " "); p != "" {
			keep = append(keep, p)
		}
	}
	return strings.Join(keep, "; ")
}
