// Package outline writes down for a model what a JSON Schema asks for, in the
// few words of a type notation:
//
//	{"invoice": string (its number), "total"?: number | null, "items": [{"name": string}]}
//
// The grammar holds an answer to the schema whether or not the model has seen
// it. Seeing it makes the answer a better one, and the notation takes a third of
// the tokens of the schema itself. Models are trained on exactly this text:
// train/sluice_train/tasks.py writes the same, and testdata/prompts holds both to it.
package outline

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// Lead stands before a schema's outline in the prompt.
const Lead = "Answer in JSON: "

// Bounds of an outline.
const (
	maxDepth = 6    // objects within objects; deeper ones are "any"
	maxRunes = 4000 // with its descriptions, or else without them, or else there is none
	maxSteps = 8000 // schemas looked at: more would not fit anyway
)

// Of returns the outline of schema, or "" when it says nothing that would help
// (any object, any value), is no JSON, or is too long to be shown.
func Of(schema json.RawMessage) string {
	if !json.Valid(schema) {
		return ""
	}
	root := gjson.ParseBytes(schema)
	for _, described := range []bool{true, false} {
		w := writer{root: root, described: described}
		out := w.write(root, 0)
		if out == "any" || out == "object" {
			return ""
		}
		if w.steps > maxSteps {
			return ""
		}
		if utf8.RuneCountInString(out) <= maxRunes {
			return out
		}
	}
	return ""
}

type writer struct {
	root      gjson.Result
	described bool
	steps     int
}

// write returns the notation of one schema.
func (w *writer) write(s gjson.Result, depth int) string {
	if w.steps++; w.steps > maxSteps {
		return "any"
	}
	if ref := s.Get("$ref"); ref.Exists() && depth < maxDepth {
		if target, ok := w.resolve(ref.String()); ok {
			return w.write(target, depth+1)
		}
	}
	if depth >= maxDepth || !s.IsObject() {
		return "any"
	}
	if c := s.Get("const"); c.Exists() {
		return value(c)
	}
	if e := s.Get("enum"); e.IsArray() {
		return alternatives(e, value)
	}
	for _, k := range []string{"anyOf", "oneOf"} {
		if alt := s.Get(k); alt.IsArray() {
			return alternatives(alt, func(r gjson.Result) string { return w.write(r, depth+1) })
		}
	}
	t := s.Get("type")
	if t.IsArray() {
		return alternatives(t, func(r gjson.Result) string { return w.typed(s, r.String(), depth) })
	}
	return w.typed(s, t.String(), depth)
}

// typed returns the notation of s as a value of type t, "" for none given.
func (w *writer) typed(s gjson.Result, t string, depth int) string {
	switch {
	case t == "array" || t == "" && s.Get("items").Exists():
		return "[" + w.write(s.Get("items"), depth+1) + "]"
	case t == "object" || t == "" && s.Get("properties").Exists():
		return w.object(s, depth)
	case t == "string":
		if f := s.Get("format"); f.Exists() {
			return "string (" + f.String() + ")"
		}
		return t
	case t == "":
		return "any"
	}
	return t
}

func (w *writer) object(s gjson.Result, depth int) string {
	if !s.Get("properties").IsObject() {
		return "object"
	}
	var required []string
	for _, r := range s.Get("required").Array() {
		required = append(required, r.String())
	}
	var members []string
	s.Get("properties").ForEach(func(name, p gjson.Result) bool {
		m := quote(name.String())
		if !slices.Contains(required, name.String()) {
			m += "?"
		}
		m += ": " + w.write(p, depth+1)
		if d := strings.Join(strings.Fields(p.Get("description").String()), " "); d != "" && w.described {
			m += " (" + d + ")"
		}
		members = append(members, m)
		return true
	})
	return "{" + strings.Join(members, ", ") + "}"
}

// resolve finds "#/$defs/name" and the like in the document.
func (w *writer) resolve(ref string) (gjson.Result, bool) {
	if ref == "#" {
		return w.root, true
	}
	rest, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return gjson.Result{}, false
	}
	at := w.root
	for _, step := range strings.Split(rest, "/") {
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		found := false
		at.ForEach(func(k, v gjson.Result) bool {
			if k.String() == step {
				at, found = v, true
			}
			return !found
		})
		if !found {
			return gjson.Result{}, false
		}
	}
	return at, true
}

// alternatives joins the items of a list, each once.
func alternatives(list gjson.Result, write func(gjson.Result) string) string {
	var out []string
	for _, r := range list.Array() {
		if s := write(r); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return strings.Join(out, " | ")
}

// value writes a JSON value: strings quoted, the rest as the schema has it.
func value(r gjson.Result) string {
	if r.Type == gjson.String {
		return quote(r.String())
	}
	return r.Raw
}

func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string cannot fail
	return strings.TrimSuffix(b.String(), "\n")
}
