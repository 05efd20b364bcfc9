package eval

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/local"
	"github.com/sluice-ai/sluice/local/entities"
)

// Model answers samples with a model of the local tier, the way the gateway
// does: the same prompts, the same grammars, greedily.
type Model struct {
	Tier   *local.Tier
	Target string // "local/nano"
	// Most bounds an answer's tokens. Default 512.
	Most int
}

// addCalls adds the pieces of one event to the calls. A piece goes on with the call of its index.
func addCalls(calls []Call, pieces []llm.ToolDelta) []Call {
	for _, p := range pieces {
		for len(calls) <= p.Index {
			calls = append(calls, Call{})
		}
		c := &calls[p.Index]
		c.Name += p.Name
		c.Arguments = append(c.Arguments, p.Arguments...)
	}
	return calls
}

// Reply answers one sample.
func (m *Model) Reply(ctx context.Context, suite string, s *Sample) (Reply, error) {
	if suite == "entities" {
		found, err := entities.Find(ctx, m.Tier.Model(m.Target), s.Text)
		if err != nil {
			return Reply{}, err
		}
		return Reply{Entities: pairs(found)}, nil
	}
	req, err := s.Request()
	if err != nil {
		return Reply{}, err
	}
	for _, t := range m.Tier.Targets() {
		if t.ID == m.Target {
			req.Target = t
		}
	}
	req.Sampling.MaxTokens = m.Most
	if req.Sampling.MaxTokens <= 0 {
		req.Sampling.MaxTokens = 512
	}
	one := 1.0
	req.Sampling.RepetitionPenalty = &one // copying repeats what was said
	var r Reply
	err = m.Tier.Generate(ctx, req, func(ev llm.Event) error {
		for _, d := range ev.Choices {
			r.Text += d.Text
			r.Calls = addCalls(r.Calls, d.ToolCalls)
			r.Failed = r.Failed || d.Broken
		}
		if ev.Usage != nil {
			r.Tokens = ev.Usage.Output
		}
		return nil
	})
	if err != nil {
		return Reply{}, fmt.Errorf("%s: %w", suite, err)
	}
	if suite == "extraction" && !json.Valid([]byte(r.Text)) {
		r.Failed = true // cut off
	}
	return r, nil
}

// Tagger answers samples of entities with [entities.Tag], without a model.
type Tagger struct{}

// Reply answers one sample.
func (Tagger) Reply(ctx context.Context, suite string, s *Sample) (Reply, error) {
	if suite != "entities" {
		return Reply{}, fmt.Errorf("%s: the tagger finds entities only", suite)
	}
	found, err := entities.Tag(ctx, s.Text)
	return Reply{Entities: pairs(found)}, err
}

// pairs returns type and text of each entity.
func pairs(found []entities.Entity) [][2]string {
	var out [][2]string
	for _, e := range found {
		out = append(out, [2]string{e.Type, e.Text})
	}
	return out
}
