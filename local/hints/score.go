// Package hints reads the cheap signals of a request: keywords, lengths and a few
// marks of form. They cost microseconds and need no model. The judge adds them to
// what its model says, and evaluation shows what they are worth alone.
//
// The hints were written by hand; the numbers in them were fitted on train/data,
// by TestFitRules. The evaluation set played no part.
package hints

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/internal/llm"
)

// A Part is one hint that applies, and what it adds to the log-odds.
type Part struct {
	Name string // "words.extraction", "form.short": the words are not repeated
	Odds float64
}

// Of returns the likeliest kind of task of req, and the log-odds that a small
// local model will do, with the hints that make them; they sum up to odds.
func Of(req *llm.Request) (kind string, odds float64, parts []Part) {
	text := ""
	for _, m := range req.Messages {
		if m.Role == llm.User || m.Role == llm.ToolRole {
			text = m.Text // the last one is what has to be answered
		}
	}
	return score(look(text, len(req.Tools), len(req.Messages) > 1))
}

// Digest names the hints, "sha256:…": another digest is another judge.
func Digest() string {
	h := sha256.New()
	fmt.Fprintln(h, base)
	for _, x := range hints {
		fmt.Fprintf(h, "%s %g %g %q\n", x.kind, x.odds, x.says, x.words)
	}
	for _, f := range forms {
		fmt.Fprintf(h, "%s %s %g %g\n", f.name, f.kind, f.odds, f.says)
	}
	h.Write(ngramsFile)
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// A view is what the rules see of a request.
type view struct {
	text    string // the last turn of the user or of a tool
	ask     string // its first and last 200 code points, flattened: where the ask is
	n       int    // code points of text
	tools   int
	earlier bool // there were turns before, or a system prompt
}

func look(text string, tools int, earlier bool) view {
	v := view{text: text, ask: flatten(text), n: utf8.RuneCountInString(text), tools: tools, earlier: earlier}
	if n := utf8.RuneCountInString(v.ask); n > 400 {
		v.ask = v.ask[:at(v.ask, 200)] + " " + v.ask[at(v.ask, n-200):]
	}
	return v
}

// hits is the square root of how many of h's words are there, at most 4.
func (h *hint) hits(v view) float64 {
	n := 0
	for _, w := range h.words {
		if strings.Contains(v.ask, w) {
			n++
		}
	}
	return math.Sqrt(float64(min(n, 4)))
}

// score returns the likeliest kind of task, and the log-odds that it may stay.
func score(v view) (kind string, odds float64, parts []Part) {
	add := func(name string, o float64) {
		odds += o
		parts = append(parts, Part{name, o})
	}
	add("base", base)
	votes := map[string]float64{}
	for i := range hints {
		if hits := hints[i].hits(v); hits > 0 {
			add("words."+hints[i].kind, hints[i].odds*hits)
			votes[hints[i].kind] += hints[i].says * hits
		}
	}
	for _, f := range forms {
		if f.holds(v) {
			add("form."+f.name, f.odds)
			votes[f.kind] += f.says
		}
	}
	best := 0.0
	for _, k := range slices.Sorted(maps.Keys(votes)) { // in order, so that ties fall the same way each time
		if votes[k] > best {
			kind, best = k, votes[k]
		}
	}
	return cmp.Or(kind, "reasoning"), odds, parts
}

// flatten returns text in lower case, with one space for each run of what is
// neither letter, digit nor one of '-%, and one more at each end.
func flatten(text string) string {
	var b strings.Builder
	b.WriteByte(' ')
	space := true
	for _, r := range strings.ToLower(text) {
		keep := unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || strings.ContainsRune("-%'’", r)
		switch {
		case keep && r == '’':
			b.WriteByte('\'')
			space = false
		case keep:
			b.WriteRune(r)
			space = false
		case !space:
			b.WriteByte(' ')
			space = true
		}
	}
	b.WriteByte(' ')
	return strings.ReplaceAll(b.String(), " '", " ") // a quotation begins
}

// at returns the byte offset of the nth code point of s.
func at(s string, n int) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

func digits(s string) (n int) {
	for _, r := range s {
		if r >= '0' && r <= '9' {
			n++
		}
	}
	return n
}
