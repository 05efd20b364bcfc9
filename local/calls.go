package local

import (
	"github.com/oklog/ulid/v2"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/runtime/chat"
	"github.com/sluice-ai/sluice/runtime/repair"
)

// A callWriter turns the calls of one answer into deltas: id and name once, then
// the arguments. A call that a grammar wrote comes in pieces while it is written. One
// that was written freely comes whole, and is held against the tool's schema.
type callWriter struct {
	tools  *repair.Tools // nil: the request has none
	calls  int
	broken bool // a call breaks its tool's schema, and could not be mended
}

func newCallWriter(req *llm.Request) *callWriter {
	w := &callWriter{}
	if len(req.Tools) == 0 {
		return w
	}
	var tools []repair.Tool
	for _, t := range req.Tools {
		tools = append(tools, repair.Tool{Name: t.Name, Parameters: t.Parameters})
	}
	w.tools = repair.ReadTools(tools)
	return w
}

// add adds c to the deltas of one event, of which each index has one.
func (w *callWriter) add(dst []llm.ToolDelta, c *chat.CallDelta) []llm.ToolDelta {
	if c.Name == "" {
		if n := len(dst); n > 0 && dst[n-1].Index == c.Index {
			dst[n-1].Arguments += c.Arguments
			return dst
		}
		return append(dst, llm.ToolDelta{Index: c.Index, Arguments: c.Arguments})
	}
	w.calls++
	name, args := c.Name, c.Arguments
	if args != "" && w.tools != nil && w.tools.Check(name, args) != nil {
		if n, a, _, err := w.tools.Mend(name, args); err == nil {
			name, args = n, a
		} else {
			w.broken = true
		}
	}
	return append(dst, llm.ToolDelta{Index: c.Index, ID: "call_" + ulid.Make().String(), Name: name, Arguments: args})
}
