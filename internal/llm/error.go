package llm

import (
	"cmp"
	"errors"
	"time"
)

// A Kind says what a caller may do about an error.
type Kind uint8

// The kinds of error.
const (
	Internal        Kind = iota // a bug, or a failure nobody has explained yet
	Invalid                     // the request can never succeed as written
	Unauthenticated             // no key, or one that nobody issued
	Denied                      // policy refused it
	NotFound                    // it names something that does not exist
	Busy                        // nothing was done; try again later
	Unavailable                 // this backend cannot serve now; another may
	Canceled                    // the client went away or the deadline passed
)

// A Code is a stable, machine-readable reason; docs/errors.md explains each.
type Code string

// The codes that clients may rely on.
const (
	CodeInternal          Code = "internal_error"
	CodeInvalidJSON       Code = "invalid_json"
	CodeInvalidRequest    Code = "invalid_request"
	CodeBodyTooLarge      Code = "request_too_large"
	CodeInvalidKey        Code = "invalid_api_key"
	CodeModelNotFound     Code = "model_not_found"
	CodeNotFound          Code = "not_found"
	CodePolicyDenied      Code = "policy_denied"
	CodeResidency         Code = "residency_no_target"
	CodePIIBlocked        Code = "pii_blocked"
	CodeBudgetExceeded    Code = "budget_exceeded"
	CodeRateLimited       Code = "rate_limited"
	CodeBusy              Code = "busy"
	CodeUpstream          Code = "upstream_unavailable"
	CodeUpstreamRejected  Code = "upstream_rejected"
	CodeLocalInsufficient Code = "local_model_insufficient"
	CodeContextLength     Code = "context_length_exceeded"
	CodeTimeout           Code = "timeout"
	CodeAudit             Code = "audit_unavailable"
	CodeAnswerInvalid     Code = "answer_invalid"     // an answer broke the schema of its request, and could not be repaired
	CodeUnsupportedSchema Code = "unsupported_schema" // this target cannot be held to the schema; another may
)

// An Error separates what the client may read from what only the log may hold.
type Error struct {
	Kind       Kind
	Code       Code          // "" takes the kind's usual code
	Msg        string        // for the client: no prompt text, no credentials, no host names
	Param      string        // the request field at fault, when there is one
	RetryAfter time.Duration // when trying again makes sense; 0 when nobody knows
	Err        error         // for the log, and what Unwrap returns; nil when Msg says everything
}

// Error returns the client's sentence and the cause, for the log.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Msg + ": " + e.Err.Error()
	}
	return e.Msg
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Cause returns what belongs in a log: the cause of the first [Error] in err's
// tree without the client's sentence, or err itself when it has none. The sentence
// of an invalid request may repeat what is wrong with it, names and patterns of the
// client's: of that only the code is returned.
func Cause(err error) error {
	e, ok := errors.AsType[*Error](err)
	for ok && e.Err != nil {
		inner, is := e.Err.(*Error) //nolint:errorlint // one that is wrapped says more than its cause
		if !is {
			return e.Err
		}
		e, err = inner, inner
	}
	if ok && e.Kind == Invalid {
		return errors.New("the request is invalid: " + cmp.Or(string(e.Code), "no code"))
	}
	return err
}

// KindOf returns the kind of the first [Error] in err's tree, or Internal.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}
