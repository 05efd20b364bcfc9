package eval

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A Reply is what a system answered to a sample.
type Reply struct {
	Entities [][2]string // entities: type and text
	Calls    []Call      // tools
	Text     string      // tools: what was said; extraction: the JSON
	Tokens   int         // that the answer took
	Failed   bool        // nothing came that could be read
}

// A tally counts what adds up over samples: hits, what was said and what was
// wanted for each F1, and rights of so many for each share.
type tally struct {
	f1    map[string][3]float64
	share map[string][2]float64
}

func newTally() tally {
	return tally{map[string][3]float64{}, map[string][2]float64{}}
}

func (t tally) count(name string, hit, said, wanted int) {
	c := t.f1[name]
	t.f1[name] = [3]float64{c[0] + float64(hit), c[1] + float64(said), c[2] + float64(wanted)}
}

func (t tally) right(name string, is bool) {
	c := t.share[name]
	if c[1]++; is {
		c[0]++
	}
	t.share[name] = c
}

// The names of what is measured; the first of each suite is the one that counts.
const (
	spanF1    = "span F1"
	textF1    = "F1 of spans, whatever their type"
	cleanLeft = "texts without entities left clean"
	allRight  = "answers right as a whole"
	exact     = "calls exact"
	rightTool = "the right tools called"
	uncalled  = "irrelevant requests left uncalled"
	asked     = "asked for the missing argument"
	fieldF1   = "field F1"
	valid     = "answers that satisfy the schema"
)

// mainOf is the measure by which a suite's systems are compared.
var mainOf = map[string]string{"entities": spanF1, "tools": exact, "extraction": fieldF1}

// score compares a reply with what the sample wants.
func score(suite string, s *Sample, r *Reply) tally {
	t := newTally()
	switch suite {
	case "entities":
		scoreEntities(t, s, r)
	case "tools":
		scoreTools(t, s, r)
	case "extraction":
		scoreExtraction(t, s, r)
	}
	return t
}

func scoreEntities(t tally, s *Sample, r *Reply) {
	hit := common(s.Entities, r.Entities)
	t.count(spanF1, hit, len(r.Entities), len(s.Entities))
	texts := func(es [][2]string) (out [][2]string) {
		for _, e := range es {
			out = append(out, [2]string{"", e[1]})
		}
		return out
	}
	t.count(textF1, common(texts(s.Entities), texts(r.Entities)), len(r.Entities), len(s.Entities))
	types := map[string]bool{}
	only := func(es [][2]string, typ string) (out [][2]string) {
		for _, e := range es {
			if e[0] == typ {
				out = append(out, e)
			}
		}
		return out
	}
	for _, e := range slices.Concat(s.Entities, r.Entities) {
		types[e[0]] = true
	}
	for typ := range types {
		want, got := only(s.Entities, typ), only(r.Entities, typ)
		t.count("type "+typ, common(want, got), len(got), len(want))
	}
	if len(s.Entities) == 0 {
		t.right(cleanLeft, len(r.Entities) == 0)
	}
	t.right(allRight, hit == len(s.Entities) && hit == len(r.Entities))
}

// common returns how many of a and b are the same, each counted once.
func common[T comparable](a, b []T) (n int) {
	left := map[T]int{}
	for _, x := range a {
		left[x]++
	}
	for _, x := range b {
		if left[x] > 0 {
			left[x]--
			n++
		}
	}
	return n
}

func scoreTools(t tally, s *Sample, r *Reply) {
	names := func(cs []Call) (out []string) {
		for _, c := range cs {
			out = append(out, c.Name)
		}
		slices.Sort(out)
		return out
	}
	written := func(cs []Call) (out []string) {
		for _, c := range cs {
			out = append(out, c.Name+canonical(c.Arguments))
		}
		slices.Sort(out)
		return out
	}
	switch {
	case len(s.Calls) > 0:
		same := slices.Equal(written(s.Calls), written(r.Calls))
		t.right(exact, same)
		t.right(rightTool, slices.Equal(names(s.Calls), names(r.Calls)))
		t.right(allRight, same)
		if len(s.Calls) > 1 {
			t.right("calls exact, of several", same)
		}
	case s.Ask != nil:
		ok := len(r.Calls) == 0 && strings.ContainsAny(r.Text, "?？")
		t.right(asked, ok)
		t.right(allRight, ok)
	default:
		t.right(uncalled, len(r.Calls) == 0)
		t.right(allRight, len(r.Calls) == 0)
	}
}

func scoreExtraction(t tally, s *Sample, r *Reply) {
	want := leaves(s.Value)
	got := leaves(json.RawMessage(r.Text))
	hit := common(want, got)
	t.count(fieldF1, hit, len(got), len(want))
	t.right(allRight, hit == len(want) && hit == len(got) && !r.Failed)
	t.right(valid, !r.Failed)
}

// canonical writes a JSON value so that equal ones are written alike: keys
// sorted, numbers by value, white space in strings collapsed.
func canonical(raw json.RawMessage) string {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return "?" + string(raw)
	}
	b, err := json.Marshal(tidy(v))
	if err != nil {
		return "?" + string(raw)
	}
	return string(b)
}

func tidy(v any) any {
	switch x := v.(type) {
	case string:
		return strings.Join(strings.Fields(x), " ")
	case []any:
		for i := range x {
			x[i] = tidy(x[i])
		}
	case map[string]any:
		for k := range x {
			x[k] = tidy(x[k])
		}
	}
	return v
}

// leaves lists the values in a JSON document with their paths. Items of a list
// that are no objects have the list's path, in any order; objects in a list are numbered.
func leaves(raw json.RawMessage) (out []string) {
	var v any
	if json.Unmarshal(bytes.TrimSpace(raw), &v) != nil {
		return nil
	}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch x := v.(type) {
		case map[string]any:
			for k, m := range x {
				walk(path+"."+k, m)
			}
		case []any:
			for i, m := range x {
				if _, is := m.(map[string]any); is {
					walk(fmt.Sprintf("%s[%d]", path, i), m)
				} else {
					walk(path+"[]", m)
				}
			}
		default:
			b, err := json.Marshal(v)
			if err != nil {
				return // what was read can be written
			}
			out = append(out, path+"="+string(b))
		}
	}
	walk("", tidy(v))
	return out
}
