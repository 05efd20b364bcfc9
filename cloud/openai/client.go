package openai

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	goopenai "github.com/sashabaranov/go-openai"
	"github.com/tidwall/sjson"

	"github.com/sluice-ai/sluice/cloud"
	"github.com/sluice-ai/sluice/internal/llm"
	wire "github.com/sluice-ai/sluice/internal/openai"
	"github.com/sluice-ai/sluice/internal/secret"
)

// Config configures a [Client]. A zero field takes the default it documents.
type Config struct {
	BaseURL string        // default https://api.openai.com/v1
	Key     secret.String // empty: no Authorization header
	Headers []Header      // sent with every call
	// ConnectTimeout bounds the connection and the TLS handshake. Default 5s.
	ConnectTimeout time.Duration
	// FirstByteTimeout bounds the wait for the first event of a stream: headers and
	// comments are no answer yet. Default 60s.
	FirstByteTimeout time.Duration
	// AnswerTimeout bounds the wait for an unstreamed answer, of which nothing comes
	// before it is complete. Default FirstByteTimeout when that is set, otherwise 5m.
	AnswerTimeout time.Duration
	// IdleTimeout bounds the silence inside a stream. Default 30s.
	IdleTimeout time.Duration
	// MaxAnswer bounds an unstreamed answer and one line of a stream, in bytes. Default 16 MiB.
	MaxAnswer int64
}

// A Header is one HTTP header.
type Header struct {
	Name  string
	Value secret.String
}

// A Client speaks to one upstream. It is safe for concurrent use.
type Client struct {
	cfg Config
	api *goopenai.Client
}

var _ cloud.Provider = (*Client)(nil)

// New returns a client. It makes no connection.
func New(cfg Config) *Client {
	cfg.BaseURL = cmp.Or(cfg.BaseURL, "https://api.openai.com/v1")
	cfg.ConnectTimeout = cmp.Or(cfg.ConnectTimeout, 5*time.Second)
	cfg.AnswerTimeout = cmp.Or(cfg.AnswerTimeout, cfg.FirstByteTimeout, 5*time.Minute)
	cfg.FirstByteTimeout = cmp.Or(cfg.FirstByteTimeout, 60*time.Second)
	cfg.IdleTimeout = cmp.Or(cfg.IdleTimeout, 30*time.Second)
	cfg.MaxAnswer = cmp.Or(cfg.MaxAnswer, 16<<20)
	api := goopenai.DefaultConfig(cfg.Key.Reveal())
	api.BaseURL = cfg.BaseURL
	api.EmptyMessagesLimit = 1 << 20 // keep-alive comments are no error
	api.HTTPClient = &doer{cfg: cfg, client: &http.Client{
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: cfg.ConnectTimeout, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout:   cfg.ConnectTimeout,
			MaxIdleConnsPerHost:   64,
			IdleConnTimeout:       90 * time.Second,
			ForceAttemptHTTP2:     true,
			ExpectContinueTimeout: time.Second,
		},
		// An upstream that redirects would take the prompt to a place that policy did not permit.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	return &Client{cfg: cfg, api: goopenai.NewClientWithConfig(api)}
}

// Complete makes one call. See [cloud.Provider].
func (c *Client) Complete(ctx context.Context, req *llm.Request, emit func(llm.Event) error) error {
	body, err := outgoing(req)
	if err != nil {
		return &cloud.CallError{Outcome: llm.Failed, Code: "encode", Err: err}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	x := &exchange{body: body, watch: newWatchdog(cancel)}
	defer x.watch.stop()
	ctx = context.WithValue(ctx, exchangeKey{}, x)
	if req.Stream {
		x.watch.reset(c.cfg.FirstByteTimeout, errFirstByte)
		return c.stream(ctx, x, emit)
	}
	x.watch.reset(c.cfg.AnswerTimeout, errFirstByte)
	// The stub is what go-openai serialises; the doer sends body in its place.
	_, err = c.api.CreateChatCompletion(ctx, goopenai.ChatCompletionRequest{Model: "stub"})
	if err != nil {
		return callError(ctx, x, err)
	}
	ev, err := wire.ParseResponse(x.answer)
	if err != nil {
		return answerError(x, err)
	}
	return emit(ev)
}

func (c *Client) stream(ctx context.Context, x *exchange, emit func(llm.Event) error) error {
	s, err := c.api.CreateChatCompletionStream(ctx, goopenai.ChatCompletionRequest{Model: "stub"})
	if err != nil {
		return callError(ctx, x, err)
	}
	defer s.Close()
	open := map[int]bool{} // choices that have begun and not finished
	events, finished := 0, false
	for {
		raw, err := s.RecvRaw()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return callError(ctx, x, err)
		}
		x.watch.stop() // a client that reads slowly is no fault of the upstream's
		ev, err := wire.ParseChunk(bytes.Clone(raw))
		if err != nil {
			return answerError(x, err)
		}
		for _, d := range ev.Choices {
			open[d.Index] = true
			if d.Finish != "" {
				delete(open, d.Index)
				finished = true
			}
		}
		if len(ev.Choices) == 0 && ev.Usage == nil && !bytes.Contains(raw, []byte(`"choices"`)) {
			return answerError(x, wire.ErrMalformed)
		}
		events++
		if err := emit(ev); err != nil {
			return err
		}
		x.watch.reset(c.cfg.IdleTimeout, errIdle)
	}
	switch {
	case events == 0:
		return &cloud.CallError{Outcome: llm.Broken, Status: x.status, Code: "malformed", Err: errors.New("the stream held no event")}
	case !finished || len(open) > 0:
		return &cloud.CallError{Outcome: llm.Broken, Status: x.status, Code: "cut", Err: errors.New("the stream ended before the answer did")}
	}
	return nil
}

// outgoing returns the client's own body with the fields that are the gateway's to set.
func outgoing(req *llm.Request) ([]byte, error) {
	body, err := sjson.SetBytes(req.Body, "model", req.Target.Model)
	if err != nil {
		return nil, fmt.Errorf("setting the model: %w", err)
	}
	if !req.Stream {
		return body, nil
	}
	// The usage is needed for the ledger, whether or not the client asked for it.
	if body, err = sjson.SetBytes(body, "stream_options.include_usage", true); err != nil {
		return nil, fmt.Errorf("asking for the usage: %w", err)
	}
	return body, nil
}

// answerError is a call that answered with status 200 and then with something that is no answer.
func answerError(x *exchange, err error) error {
	code := "malformed"
	if _, ok := errors.AsType[*wire.UpstreamError](err); ok {
		code = "upstream_error"
	}
	return &cloud.CallError{Outcome: llm.Broken, Status: x.status, Code: code, Err: err}
}

// callError classifies what go-openai returned. Its messages may repeat the
// upstream's body, and so are left out.
func callError(ctx context.Context, x *exchange, err error) error {
	e := &cloud.CallError{Outcome: llm.Failed, Status: x.status, RetryAfter: x.retryAfter}
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errFirstByte):
		e.Code, e.Err = "timeout", errFirstByte
	case errors.Is(cause, errIdle):
		e.Outcome, e.Code, e.Err = llm.Broken, "stalled", errIdle
	case cause != nil:
		e.Code, e.Err = "canceled", cause
	case errors.Is(err, errTooLong):
		e.Outcome, e.Code, e.Err = llm.Broken, "malformed", errTooLong
	case x.status == 0:
		e.Code, e.Err = "connect", plainNetError(err)
	case x.status == http.StatusTooManyRequests:
		e.Outcome, e.Code = llm.Throttled, "status"
	case x.status == http.StatusUnauthorized || x.status == http.StatusForbidden || x.status == http.StatusPaymentRequired:
		e.Outcome, e.Code = llm.Rejected, "auth"
	case x.status == http.StatusRequestTimeout || x.status >= 500:
		e.Code = "status"
	case x.status >= 400:
		e.Outcome, e.Code = llm.Rejected, "status"
	case x.status >= 300:
		e.Code, e.Err = "redirect", errors.New("the upstream redirects elsewhere, and is not followed")
	default: // 200, and then something went wrong
		e.Outcome, e.Code = llm.Broken, "cut"
		if apiErr, ok := errors.AsType[*goopenai.APIError](err); ok {
			e.Code, e.Err = "upstream_error", fmt.Errorf("error event of type %q", wire.Word(apiErr.Type))
		}
	}
	return e
}

// plainNetError keeps the operation and the reason of a network error, and
// leaves out the URL, which may carry credentials.
func plainNetError(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns
	}
	return errors.New("the connection failed")
}
