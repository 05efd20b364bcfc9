package engine

import (
	"errors"

	"github.com/sluice-ai/sluice/runtime/state"
)

var (
	// ErrBusy says that nothing was done because too many requests wait already.
	ErrBusy = errors.New("the local model is busy: too many requests are waiting; try again later")
	// ErrClosed says that the model was closed.
	ErrClosed = errors.New("the model is closed")
	// ErrGrammar is what every [*GrammarError] is, for errors.Is.
	ErrGrammar = errors.New("no grammar can be made of the schema or the tools")
	// ErrMemory says that a budget of memory is too small, or used up: then the
	// error is [ErrBusy] as well.
	ErrMemory = state.ErrMemory
	// ErrContext is what every [*ContextError] is, for errors.Is.
	ErrContext = state.ErrContext
)

// A ContextError reports a sequence longer than the model's context; it has
// fields Needed and Limit, in tokens.
type ContextError = state.ContextError
