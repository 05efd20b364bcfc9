package cloud

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/sluice-ai/sluice/internal/llm"
)

// A Provider speaks one upstream's protocol. Providers are safe for concurrent use.
type Provider interface {
	// Complete makes one call for req on req.Target, and passes the answer to
	// emit. It neither retries nor counts. An error of the call is a
	// [*CallError]; an error of emit is returned as it is.
	Complete(ctx context.Context, req *llm.Request, emit func(llm.Event) error) error
}

// A CallError says how a call of an upstream failed.
type CallError struct {
	Outcome    llm.Outcome
	Status     int           // HTTP status, or 0
	Code       string        // short class: "connect", "timeout", "status", "cut", "stalled", "malformed", "upstream_error", "auth"
	RetryAfter time.Duration // what the upstream asked for; 0 when it did not say
	Err        error         // for the log: no header, no body, no URL with credentials
}

// Error names the outcome, the class and the status.
func (e *CallError) Error() string {
	s := string(e.Outcome) + ": " + e.Code
	if e.Status != 0 && e.Code != "status" {
		s += " after status"
	}
	if e.Status != 0 {
		s += fmt.Sprintf(" %d", e.Status)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *CallError) Unwrap() error { return e.Err }

// retryable reports whether the same call may do better soon.
func (e *CallError) retryable() bool {
	return e.Outcome == llm.Failed || e.Outcome == llm.Throttled
}

// clientError is what the client may know of a failed call.
func clientError(e *CallError) error {
	out := &llm.Error{Kind: llm.Unavailable, Code: llm.CodeUpstream, RetryAfter: e.RetryAfter, Err: e}
	switch e.Outcome {
	case llm.Rejected:
		if e.Code == "auth" || e.Status == 404 {
			out.Msg = "the cloud target refused the gateway's credentials or does not know the model: tell the operator"
			return out
		}
		out.Kind, out.Code = llm.Invalid, llm.CodeUpstreamRejected
		out.Msg = fmt.Sprintf("the cloud target rejected the request as invalid (status %d)", e.Status)
	case llm.Throttled:
		out.Msg = "the cloud target is throttling this gateway: try again later"
	case llm.Broken:
		out.Msg = "the cloud target's answer broke off: what came so far is incomplete"
	case llm.Skipped:
		if e.Code == "throttled" {
			out.Msg = fmt.Sprintf("the cloud target asked to be left alone for another %d s: try again then", int(math.Ceil(e.RetryAfter.Seconds())))
			break
		}
		out.Msg = "the cloud target has failed repeatedly and is not being called for a while: try again later"
	default:
		out.Msg = "the cloud target cannot be reached or failed: try again later"
	}
	return out
}

// asCall returns err as a CallError; anything else a provider returns is an unexplained failure.
func asCall(err error) *CallError {
	if e, ok := errors.AsType[*CallError](err); ok {
		return e
	}
	return &CallError{Outcome: llm.Failed, Code: "unknown", Err: err}
}
