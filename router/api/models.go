package api

import (
	"context"
	"net/http"

	"github.com/sluice-ai/sluice/internal/llm"
)

// A Model is an entry of GET /v1/models, with what OpenAI's clients expect and
// what Sluice knows beside it.
type Model struct {
	ID      string    `json:"id"`
	Object  string    `json:"object"` // "model"
	Created int64     `json:"created"`
	OwnedBy string    `json:"owned_by"`
	Can     []string  `json:"abilities,omitempty"`
	Context int       `json:"context,omitempty"` // tokens
	Zone    *llm.Zone `json:"zone,omitempty"`
	Means   []string  `json:"means,omitempty"` // of an alias
}

func (s *Server) list(ctx context.Context, who llm.Principal) ([]Model, error) {
	targets, err := s.cfg.Router.Permitted(ctx, who)
	if err != nil {
		return nil, err
	}
	models := []Model{}
	for _, name := range []string{"auto", "local", "cloud"} {
		models = append(models, Model{ID: name, Object: "model", OwnedBy: "sluice"})
	}
	for _, a := range s.cfg.Router.Aliases() {
		models = append(models, Model{ID: a.Name, Object: "model", OwnedBy: "sluice", Means: a.To})
	}
	for _, t := range targets {
		models = append(models, Model{ID: t.ID, Object: "model", OwnedBy: t.Provider, Can: t.Can, Context: t.Context, Zone: &t.Zone})
	}
	return models, nil
}

// models serves GET /v1/models: the targets that the key may use.
func (s *Server) models(ctx context.Context, c *call, w http.ResponseWriter, _ *http.Request) {
	models, err := s.list(ctx, c.who)
	if err != nil {
		s.log(c, err)
		c.fail(err)
		writeError(w, err, c.id)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"object": "list", "data": models})
}

// model serves GET /v1/models/{model}.
func (s *Server) model(ctx context.Context, c *call, w http.ResponseWriter, r *http.Request) {
	models, err := s.list(ctx, c.who)
	for _, m := range models {
		if m.ID == r.PathValue("model") {
			writeJSON(w, http.StatusOK, m)
			return
		}
	}
	if err == nil {
		err = &llm.Error{Kind: llm.NotFound, Code: llm.CodeModelNotFound, Param: "model",
			Msg: "the model does not exist or this key may not use it: GET /v1/models lists those it may"}
	}
	c.fail(err)
	writeError(w, err, c.id)
}
