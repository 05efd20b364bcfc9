package judge

import (
	"context"
	"strings"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/runtime/chat"
	"github.com/sluice-ai/sluice/runtime/engine"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

// The self-check asks the model that answered. It sees the last turn and the answer.
const (
	checkAsk    = "Question:\n"
	checkAnswer = "\n\nAnswer:\n"
	checkEnd    = "\n\nIs this answer right, complete and to the point? Say yes or no."
	checkRunes  = 2000 // of the question, and of the answer
)

// selfCheck returns the log-odds of "yes" against "no", and how many tokens it
// read. ok is false when the model cannot be asked, or was not done in time.
func (j *Judge) selfCheck(ctx context.Context, req *llm.Request, ans llm.Answer) (odds float64, tokens int, ok bool) {
	if j.cfg.Answering == nil || strings.TrimSpace(ans.Text) == "" {
		return 0, 0, false
	}
	m := j.cfg.Answering(req.Target.ID)
	if m == nil {
		return 0, 0, false
	}
	ctx, cancel := context.WithTimeout(ctx, j.cfg.SelfCheck)
	defer cancel()
	ids, err := m.Tokens(&engine.Request{Messages: []chat.Message{{Role: "user",
		Content: checkAsk + clip(req.LastText(), checkRunes) + checkAnswer + clip(ans.Text, checkRunes) + checkEnd}}})
	if err != nil || len(ids) > j.cfg.MaxTokens*2 {
		return 0, 0, false
	}
	s, err := m.NewSession()
	if err != nil {
		return 0, 0, false
	}
	defer s.Close()
	if s.Prefill(ctx, ids) != nil {
		return 0, 0, false
	}
	label := func(text string) []int32 { return m.Tokenizer().Encode(nil, text, tokenizer.Options{}) }
	scores, err := s.Score(ctx, [][]int32{label("Yes"), label("yes"), label("No"), label("no")})
	if err != nil {
		return 0, 0, false
	}
	return max(scores[0], scores[1]) - max(scores[2], scores[3]), len(ids), true
}
