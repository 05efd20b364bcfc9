package eval

import (
	"context"
	"math"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/local/hints"
)

// Rules judges by [hints] alone: what a careful person would write in an
// afternoon instead of training a model. It is the baseline that a judge has to beat.
type Rules struct{}

// Words judges by the n-grams of the hints alone: a linear model of a request's
// wording, fitted on the same texts that nano learns from.
type Words struct{}

// Assess judges req. It always has a verdict, and tells no kinds of task apart.
func (Words) Assess(_ context.Context, req *llm.Request) llm.Assessment {
	odds := hints.NGrams(req.LastText())
	a := llm.Assessment{PLocal: 1 / (1 + math.Exp(-odds)), Boundary: llm.Unsupported, By: "rule:words"}
	if odds >= 0 {
		a.Boundary = llm.Supported
	}
	return a
}

// Assess judges req. It always has a verdict.
func (Rules) Assess(_ context.Context, req *llm.Request) llm.Assessment {
	kind, odds, _ := hints.Of(req)
	a := llm.Assessment{Task: kind, PLocal: 1 / (1 + math.Exp(-odds)), Boundary: llm.Uncertain, By: "rule:keywords"}
	if odds >= 0 {
		a.Boundary = llm.Supported
	} else {
		a.Boundary = llm.Unsupported
	}
	return a
}
