package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/sluice-ai/sluice/internal/llm"
)

// An InspectAnswer is the body of POST /v1/inspect.
type InspectAnswer struct {
	Findings []llm.Finding   `json:"findings"`
	Redacted json.RawMessage `json:"redacted"` // the text, or the messages, with placeholders
}

// inspect serves POST /v1/inspect: {"text": "…"} or {"messages": […]}.
func (s *Server) inspect(ctx context.Context, c *call, w http.ResponseWriter, _ *http.Request) {
	var body map[string]json.RawMessage
	fail := func(err error) {
		c.fail(err)
		writeError(w, err, c.id)
	}
	if json.Unmarshal(c.body, &body) != nil {
		fail(&llm.Error{Kind: llm.Invalid, Code: llm.CodeInvalidJSON, Msg: `the body is not valid JSON: send {"text": "…"} or {"messages": […]}`})
		return
	}
	field := "text"
	if _, ok := body["messages"]; ok {
		field = "messages"
	}
	if _, ok := body[field]; !ok {
		fail(&llm.Error{Kind: llm.Invalid, Code: llm.CodeInvalidRequest, Param: "text", Msg: `nothing to inspect: send {"text": "…"} or {"messages": […]}`})
		return
	}
	answer, err := s.inspectBody(ctx, &llm.Request{ID: c.id, Body: c.body, Principal: c.who}, field)
	if err != nil {
		s.log(c, err)
		fail(err)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

func (s *Server) inspectBody(ctx context.Context, req *llm.Request, field string) (*InspectAnswer, error) {
	found, err := s.cfg.Inspector.Inspect(ctx, req)
	if err != nil {
		return nil, &llm.Error{Kind: llm.Invalid, Code: llm.CodeInvalidRequest, Err: err, Msg: "the body could not be inspected"}
	}
	var types []string
	for _, f := range found {
		if !slices.Contains(types, f.Type) {
			types = append(types, f.Type)
		}
	}
	clean, _, err := s.cfg.Inspector.Redact(req, found, types)
	if err != nil {
		return nil, err
	}
	var out map[string]json.RawMessage
	if err := json.Unmarshal(clean, &out); err != nil {
		return nil, err
	}
	if found == nil {
		found = []llm.Finding{}
	}
	return &InspectAnswer{Findings: found, Redacted: out[field]}, nil
}
