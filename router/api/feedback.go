package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/sluice-ai/sluice/internal/llm"
)

// feedback serves POST /v1/feedback: {"id": "dec_…", "good": true, "score": 0.8}.
// The id is an answer's Sluice-Decision; one of good and score is enough. Nothing
// else is taken, so that no text gets into the ledger.
func (s *Server) feedback(ctx context.Context, c *call, w http.ResponseWriter, _ *http.Request) {
	of, v, err := readFeedback(c.body)
	id := ""
	if err == nil {
		id, err = s.cfg.Router.Feedback(ctx, c.who, of, v)
	}
	if err != nil {
		c.fail(err)
		writeError(w, err, c.id)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"object": "feedback", "id": id, "of": of, "good": v.Good})
}

// goodFrom is the score from which feedback without "good" counts as good.
const goodFrom = 0.5

func readFeedback(body []byte) (of string, v llm.Verdict, err error) {
	invalid := func(param, msg string) (string, llm.Verdict, error) {
		return "", llm.Verdict{}, &llm.Error{Kind: llm.Invalid, Code: llm.CodeInvalidRequest, Param: param, Msg: msg}
	}
	if !json.Valid(body) {
		return "", llm.Verdict{}, &llm.Error{Kind: llm.Invalid, Code: llm.CodeInvalidJSON, Msg: "the body is not JSON"}
	}
	var in struct {
		ID    string   `json:"id"`
		Good  *bool    `json:"good"`
		Score *float64 `json:"score"`
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if dec.Decode(&in) != nil {
		return invalid("", `feedback is {"id": "dec_…", "good": true or false, "score": a number from 0 to 1}, and nothing else: it holds no text`)
	}
	switch {
	case !strings.HasPrefix(in.ID, "dec_") || len(in.ID) > 64:
		return invalid("id", "id must be the Sluice-Decision of an answer, dec_…")
	case in.Good == nil && in.Score == nil:
		return invalid("good", "good (true or false) or score (from 0 to 1) must be given")
	case in.Score != nil && !(*in.Score >= 0 && *in.Score <= 1):
		return invalid("score", "score must be from 0 to 1")
	}
	v.Score = in.Score
	if in.Good != nil {
		v.Good = *in.Good
	} else {
		v.Good = *in.Score >= goodFrom
	}
	return in.ID, v, nil
}
