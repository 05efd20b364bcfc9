package entities

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/runtime/engine"
)

// An Entity is a piece of a text, as a model or the tagger found it.
type Entity struct {
	Type  string // one of Types
	Text  string // as it stands in the text
	Start int    // code points
	End   int    // exclusive
	// Score is the tagger's probability of exactly this entity; 0 when a model found it.
	Score float64
}

// Bounds of one question to the model. Longer texts are cut into windows at the
// ends of lines, sentences or words; an entity that a cut divides may be missed.
const (
	window    = 900 // code points
	perEntity = 40  // tokens that one entity may take
)

// Find asks m for the entities of text, in the order of the text. Whatever the
// model, what it names is a piece of its window, between borders ([engine.Request].Verbatim);
// what it names more often than the window holds it is dropped. It fails with the
// engine's errors; an answer that was cut off counts as far as it came.
func Find(ctx context.Context, m *engine.Model, text string) ([]Entity, error) {
	var found []Entity
	at := 0 // code points before the window
	for _, w := range windows(text, window) {
		var answer strings.Builder
		r := engine.Request{Messages: Messages(w), Schema: Schema, Verbatim: []string{w}, MaxTokens: perEntity * (2 + utf8.RuneCountInString(w)/20)}
		_, err := m.Generate(ctx, r, func(c engine.Chunk) error {
			answer.WriteString(c.Text)
			return nil
		})
		if err != nil {
			return nil, err
		}
		for _, e := range Parse(w, answer.String()) {
			e.Start, e.End = e.Start+at, e.End+at
			found = append(found, e)
		}
		at += utf8.RuneCountInString(w)
	}
	return found, nil
}

// Parse reads a model's answer about text, as far as it goes, and finds each
// entity's place: behind the one before it, or else anywhere that is not taken.
func Parse(text, answer string) []Entity {
	dec := json.NewDecoder(strings.NewReader(answer))
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return nil
	}
	var found []Entity
	var taken [][2]int // bytes
	last := 0
	free := func(from, to int) bool {
		return !slices.ContainsFunc(taken, func(t [2]int) bool { return from < t[1] && t[0] < to })
	}
	search := func(s string, from int) int {
		for from <= len(text) {
			i := strings.Index(text[from:], s)
			if i < 0 {
				return -1
			}
			if i += from; free(i, i+len(s)) {
				return i
			}
			from = i + 1
		}
		return -1
	}
	for dec.More() {
		var e struct{ Type, Text string }
		if err := dec.Decode(&e); err != nil {
			break
		}
		if !slices.Contains(Types, e.Type) || strings.TrimSpace(e.Text) == "" {
			continue
		}
		i := search(e.Text, last)
		if i < 0 {
			i = search(e.Text, 0)
		}
		if i < 0 {
			continue
		}
		last = i + len(e.Text)
		taken = append(taken, [2]int{i, last})
		start := utf8.RuneCountInString(text[:i])
		found = append(found, Entity{Type: e.Type, Text: e.Text, Start: start, End: start + utf8.RuneCountInString(e.Text)})
	}
	slices.SortStableFunc(found, func(a, b Entity) int { return a.Start - b.Start })
	return found
}

// longer reports whether text has more than n code points.
func longer(text string, n int) bool {
	return len(text) > n && (len(text) > utf8.UTFMax*n || utf8.RuneCountInString(text) > n)
}

// windows cuts text into pieces of at most most code points, which put together are text.
func windows(text string, most int) (out []string) {
	for longer(text, most) {
		end, n, cut := 0, 0, 0
		best := 0 // 1: after a space, 2: after a sentence, 3: after a line
		prev := ' '
		for i, r := range text {
			if n == most {
				end = i
				break
			}
			if n++; n > most/2 {
				kind := 0
				switch {
				case prev == '\n':
					kind = 3
				case unicode.IsSpace(prev) && i > 1 && strings.ContainsRune(".!?", rune(text[i-2])), strings.ContainsRune("。！？", prev):
					kind = 2
				case unicode.IsSpace(prev):
					kind = 1
				}
				if kind > 0 && kind >= best {
					best, cut = kind, i
				}
			}
			prev = r
		}
		if best == 0 {
			cut = end
		}
		out, text = append(out, text[:cut]), text[cut:]
	}
	return append(out, text)
}
