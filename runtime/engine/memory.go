package engine

import (
	"fmt"
	"math"
	"runtime/debug"
	"strings"

	"github.com/sluice-ai/sluice/runtime/lfm2"
	"github.com/sluice-ai/sluice/runtime/quant"
	"github.com/sluice-ai/sluice/runtime/state"
)

// headStart is how many tokens of an answer a generation is promised the memory
// of before it begins; further memory it takes as it goes.
const headStart = 1024

// kvTypes names the values of Options.KV.
var kvTypes = map[string]quant.Type{"": quant.F16, "f16": quant.F16, "q8_0": quant.Q8_0, "f32": quant.F32}

// plan decides what sequences of net may take: the type of keys and values, the
// context, and the budget that all share.
func plan(net *lfm2.Model, fileBytes int64, o *Options) (state.Shape, *state.Budget, error) {
	shape := net.Shape()
	typ, ok := kvTypes[strings.ToLower(o.KV)]
	if !ok {
		return shape, nil, fmt.Errorf("keys and values cannot be kept as %q; use f16, q8_0 or f32", o.KV)
	}
	shape.KV = typ
	if err := shape.Validate(); err != nil {
		return shape, nil, err
	}
	if o.Context > net.Context {
		return shape, nil, fmt.Errorf("a context of %d is more than the model's %d", o.Context, net.Context)
	}
	limit := o.Memory
	if limit == 0 {
		limit = max(freeMemory()-fileBytes, 0) / 2
		limit = max(limit, shape.Bytes(min(net.Context, leastContext))*9/8)
	}
	usable := limit - limit/9 // the rest is for the prefixes that others keep
	if asked := o.Context; asked > 0 && shape.Bytes(asked) > usable {
		return shape, nil, fmt.Errorf("a context of %d takes %s of keys and values in %v, and of a budget of %s one sequence can have %s; ask for less context or give more memory: %w",
			asked, mebibytes(shape.Bytes(asked)), typ, mebibytes(limit), mebibytes(usable), ErrMemory)
	}
	if o.Context == 0 {
		o.Context = min(net.Context, trainedContext, fitting(shape, usable))
		if o.Context == 0 {
			return shape, nil, fmt.Errorf("a budget of %s does not hold the least sequence, which takes %s: %w", mebibytes(limit), mebibytes(shape.Bytes(1)*9/8), ErrMemory)
		}
	}
	return shape, state.NewBudget(limit), nil
}

// leastContext is a context that the default budget always holds.
const leastContext = 4096

// fitting returns how many tokens a sequence of limit bytes can have, in whole pages.
func fitting(shape state.Shape, limit int64) int {
	page := int64(state.PageLen) * int64(shape.TokenBytes())
	limit -= int64(shape.FixedBytes())
	if limit < 0 {
		return 0
	}
	if page == 0 {
		return math.MaxInt32
	}
	return int(min(limit/page*state.PageLen, math.MaxInt32))
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// freeMemory returns how much memory this process may still take, as far as the
// platform tells.
func freeMemory() int64 {
	free := int64(unknownMemory)
	if n, ok := systemMemory(); ok {
		free = n
	}
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		free = min(free, limit)
	}
	return free
}

// unknownMemory is assumed where the platform does not tell.
const unknownMemory = 4 << 30

// busy makes a shortage that passes when others end what it is.
func busy(err error) error {
	if _, ok := err.(*state.MemoryError); ok {
		return fmt.Errorf("%w: %w", ErrBusy, err)
	}
	return err
}
