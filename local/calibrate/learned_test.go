package calibrate

import (
	"slices"
	"testing"

	"github.com/sluice-ai/sluice/internal/llm"
)

func TestLearned(t *testing.T) {
	request := func(id, target string, status int) *llm.Record {
		return &llm.Record{ID: id, Target: target, Status: status}
	}
	about := func(kind, of string, good bool, score, p float64, judge string) *llm.Record {
		return &llm.Record{ID: "x", Kind: kind, Of: of, Verdict: &llm.Verdict{Good: good, Score: &score}, Judge: judge,
			Assessment: llm.PolicyAssessment{PLocal: p, Boundary: llm.Supported}}
	}
	l := Learned{Version: "v1", Good: 0.6, Feedback: true, Shadow: true}
	for _, r := range []*llm.Record{
		request("a", "local/x", 200), request("b", "cloud/y", 200), request("c", "local/x", 503), request("d", "local/x", 200), request("e", "local/x", 200),
		about(llm.KindShadow, "a", false, 0.7, 0.9, "v1"),   // good by the score
		about(llm.KindFeedback, "b", true, 1, 0.9, "v1"),    // of a cloud answer
		about(llm.KindFeedback, "c", true, 1, 0.9, "v1"),    // of no answer
		about(llm.KindFeedback, "zz", true, 1, 0.9, "v1"),   // of nothing known
		about(llm.KindFeedback, "d", true, 1, 0.8, "v0"),    // of another judge
		about(llm.KindFeedback, "e", true, 1, 0.7, "v1"),    // … then somebody thinks better of it
		about(llm.KindFeedback, "e", false, 0, 0.7, "v1"),   //
		about(llm.KindShadow, "e", true, 1, 0.7, "v1"),      // a comparison does not overrule a person
		about(llm.KindFeedback, "a", false, 0.7, 0.9, "v1"), // but a person a comparison
	} {
		l.Add(r)
	}
	if want := []Outcome{{0.9, false}, {0.7, false}}; !slices.Equal(l.Outcomes(), want) || l.Others != 1 || l.ByKind[llm.KindFeedback] != 2 || l.ByKind[llm.KindShadow] != 0 {
		t.Errorf("learned %v, others %d, by kind %v; want %v", l.Outcomes(), l.Others, l.ByKind, want)
	}
}
