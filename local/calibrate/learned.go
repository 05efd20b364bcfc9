package calibrate

import (
	"strings"

	"github.com/sluice-ai/sluice/internal/llm"
)

// Learned gathers outcomes from the ledger's records, in their order: feedback, and
// shadow comparisons, of requests that a local target answered. Of several verdicts
// on one request feedback goes before comparisons, and the last before others.
type Learned struct {
	// Version is the judge's; records of another are counted in Others, and not used.
	Version string
	// Good is the score from which a comparison counts as good.
	Good float64
	// Feedback and Shadow say what to learn from.
	Feedback, Shadow bool

	Others int // verdicts about another judge's requests
	ByKind map[string]int

	local map[string]bool // decisions that a local target answered
	at    map[string]int  // in out
	kind  map[string]string
	out   []Outcome
}

// Add takes the next record.
func (l *Learned) Add(rec *llm.Record) {
	if l.local == nil {
		l.local, l.at, l.kind, l.ByKind = map[string]bool{}, map[string]int{}, map[string]string{}, map[string]int{}
	}
	if rec.Kind == "" {
		if strings.HasPrefix(rec.Target, "local/") && rec.Status < 400 {
			l.local[rec.ID] = true
		}
		return
	}
	wanted := rec.Kind == llm.KindFeedback && l.Feedback || rec.Kind == llm.KindShadow && l.Shadow
	if !wanted || rec.Verdict == nil || !l.local[rec.Of] || rec.Assessment.Boundary == llm.NoVerdict {
		return
	}
	if rec.Judge != l.Version {
		l.Others++
		return
	}
	o := Outcome{PLocal: rec.Assessment.PLocal, OK: rec.Verdict.Good}
	if rec.Kind == llm.KindShadow && rec.Verdict.Score != nil {
		o.OK = *rec.Verdict.Score >= l.Good
	}
	i, seen := l.at[rec.Of]
	if seen && l.kind[rec.Of] == llm.KindFeedback && rec.Kind == llm.KindShadow {
		return
	}
	if seen {
		l.ByKind[l.kind[rec.Of]]--
		l.out[i] = o
	} else {
		l.at[rec.Of] = len(l.out)
		l.out = append(l.out, o)
	}
	l.kind[rec.Of] = rec.Kind
	l.ByKind[rec.Kind]++
}

// Outcomes returns what was learned.
func (l *Learned) Outcomes() []Outcome { return l.out }
