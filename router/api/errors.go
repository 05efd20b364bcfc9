package api

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/internal/openai"
)

// status maps a kind to its HTTP status, OpenAI's error type, and the code of an error that has none.
var statuses = map[llm.Kind]struct {
	status int
	kind   string
	code   llm.Code
}{
	llm.Internal:        {http.StatusInternalServerError, "server_error", llm.CodeInternal},
	llm.Invalid:         {http.StatusBadRequest, "invalid_request_error", llm.CodeInvalidRequest},
	llm.Unauthenticated: {http.StatusUnauthorized, "authentication_error", llm.CodeInvalidKey},
	llm.Denied:          {http.StatusForbidden, "permission_error", llm.CodePolicyDenied},
	llm.NotFound:        {http.StatusNotFound, "invalid_request_error", llm.CodeNotFound},
	llm.Busy:            {http.StatusTooManyRequests, "rate_limit_error", llm.CodeBusy},
	llm.Unavailable:     {http.StatusServiceUnavailable, "server_error", llm.CodeUpstream},
	llm.Canceled:        {http.StatusGatewayTimeout, "server_error", llm.CodeTimeout},
}

// A failure is an error as the client sees it.
type failure struct {
	status     int
	kind       string
	code       llm.Code
	msg, param string
	retryAfter time.Duration
}

// failureOf returns what a client may know of err.
func failureOf(err error) failure {
	e, ok := errors.AsType[*llm.Error](err)
	if !ok {
		e = &llm.Error{Kind: llm.Internal, Msg: "something went wrong inside the gateway: the operator's log has the cause under this decision id"}
	}
	s := statuses[e.Kind]
	f := failure{s.status, s.kind, s.code, e.Msg, e.Param, e.RetryAfter}
	if e.Code != "" {
		f.code = e.Code
	}
	if f.code == llm.CodeBodyTooLarge {
		f.status = http.StatusRequestEntityTooLarge
	}
	if f.code == llm.CodeAnswerInvalid {
		f.status = http.StatusBadGateway
	}
	return f
}

func (f failure) json(decision string) []byte {
	return openai.ErrorJSON(f.kind, f.code, f.msg, f.param, decision)
}

// writeError sends err as the body of a response that has not begun.
func writeError(w http.ResponseWriter, err error, decision string) {
	f := failureOf(err)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if f.status == http.StatusTooManyRequests || f.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(max(f.retryAfter, time.Second).Seconds()))))
	}
	if f.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="sluice"`)
	}
	w.WriteHeader(f.status)
	_, _ = w.Write(f.json(decision)) // the client is gone: nobody to tell
}
