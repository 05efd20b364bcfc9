package eval

import (
	"context"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/tidwall/gjson"
)

// Keywords answers samples without a model: capitals, keywords and patterns, as
// somebody would write in an afternoon. It is the baseline that a model has to beat.
type Keywords struct{}

// Reply answers one sample.
func (Keywords) Reply(_ context.Context, suite string, s *Sample) (Reply, error) {
	switch suite {
	case "entities":
		return Reply{Entities: capitals(s.Text)}, nil
	case "tools":
		return Reply{Calls: overlapping(s), Text: "?"}, nil
	}
	return Reply{Text: filled(gjson.ParseBytes(s.Schema), s.Text)}, nil
}

var (
	addressPattern = regexp.MustCompile(`\d{1,4}[a-z]? (?:\p{Lu}[\p{L}'-]+ ?){1,3}(?:, [\p{Lu}\d][\p{L}\d ]+)?|\p{Lu}[\p{L}-]+(?:straße|strasse|str\.|weg|gasse|platz|laan|straat) \d{1,4}[a-z]?(?:, \d{4,5} \p{Lu}\p{L}+)?|(?:rue|via|calle|rua|avenue) [\p{L} ]+,? \d{1,4}`)
	bornPattern    = regexp.MustCompile(`(?i)(?:born|dob|date of birth|geb(?:oren)?\.?|né[e]? le|nacid[oa] el|nat[oa] il|nascid[oa] em|geboren)\W{0,4}(?:on |am |op )?(\d{1,4}[./ -]\p{L}*\d*[./ -]?\d{1,4}(?:[./ -]\d{2,4})?)`)
	orgPattern     = regexp.MustCompile(`(?:\p{Lu}[\p{L}&'-]+ ){1,3}(?:Ltd|Inc|GmbH|AG|S\.?A\.?|SARL|S\.?r\.?l\.?|B\.?V\.?|Group|Bank|University|Hospital|School|Club|Council)\b`)
	namePattern    = regexp.MustCompile(`\p{Lu}[\p{Ll}'’-]+(?: (?:de|van|von|der|da|di|el|al|O')? ?\p{Lu}[\p{L}'’-]+){1,2}`)
	placePattern   = regexp.MustCompile(`(?:\b(?:in|at|from|to|near|nach|aus|bei|à|en|de|a|em|te) )(\p{Lu}[\p{Ll}-]+)`)
)

// capitals finds entities by their form.
func capitals(text string) (out [][2]string) {
	taken := make([]bool, len(text)+1)
	type span struct {
		at       int
		typ, str string
	}
	var spans []span
	add := func(typ string, from, to int) {
		for i := from; i < to; i++ {
			if taken[i] {
				return
			}
		}
		for i := from; i < to; i++ {
			taken[i] = true
		}
		str := strings.TrimRight(text[from:to], " ,.")
		spans = append(spans, span{from, typ, str})
	}
	for _, p := range []struct {
		typ   string
		re    *regexp.Regexp
		group int
	}{{"DATE_OF_BIRTH", bornPattern, 1}, {"LOCATION_ADDRESS", addressPattern, 0}, {"ORGANIZATION", orgPattern, 0}, {"PERSON", namePattern, 0}, {"LOCATION", placePattern, 1}} {
		for _, m := range p.re.FindAllStringSubmatchIndex(text, -1) {
			if m[2*p.group] >= 0 {
				add(p.typ, m[2*p.group], m[2*p.group+1])
			}
		}
	}
	for at := range len(text) { // in order of appearance
		for _, s := range spans {
			if s.at == at && s.str != "" {
				out = append(out, [2]string{s.typ, s.str})
			}
		}
	}
	return out
}

// overlapping calls the tool that shares most words with the last turn, if it
// shares any, and fills in what has the right form.
func overlapping(s *Sample) []Call {
	text := s.Turns[len(s.Turns)-1][1]
	said := words(text)
	best, most := -1, 0
	for i, t := range s.Tools {
		n := 0
		for w := range words(gjson.GetBytes(t, "name").String() + " " + gjson.GetBytes(t, "description").String()) {
			if said[w] {
				n++
			}
		}
		if n > most {
			best, most = i, n
		}
	}
	if best < 0 {
		return nil
	}
	tool := gjson.ParseBytes(s.Tools[best])
	args := filled(requiredOnly(tool.Get("parameters")), text)
	return []Call{{tool.Get("name").String(), json.RawMessage(args)}}
}

// requiredOnly returns schema without its optional properties.
func requiredOnly(schema gjson.Result) gjson.Result {
	props := map[string]json.RawMessage{}
	for _, r := range schema.Get("required").Array() {
		schema.Get("properties").ForEach(func(k, v gjson.Result) bool {
			if k.String() == r.String() {
				props[k.String()] = json.RawMessage(v.Raw)
			}
			return true
		})
	}
	b, err := json.Marshal(map[string]any{"type": "object", "properties": props})
	if err != nil {
		return schema
	}
	return gjson.ParseBytes(b)
}

var splitCamel = regexp.MustCompile(`\p{Lu}?[\p{Ll}\d]+|\p{Lu}+|\p{Lo}+`)

func words(s string) map[string]bool {
	out := map[string]bool{}
	for _, w := range splitCamel.FindAllString(s, -1) {
		if w = strings.ToLower(w); len(w) > 2 {
			out[w] = true
		}
	}
	return out
}

var (
	numberPattern = regexp.MustCompile(`\d+(?:[.,]\d+)*`)
	quotedPattern = regexp.MustCompile(`["“„«']([^"”“»']{1,80})["”“»']`)
)

// filled writes a value for schema with what text has: what follows the
// property's name, else the first thing of the right form.
func filled(schema gjson.Result, text string) string {
	props := schema.Get("properties")
	if !props.IsObject() {
		return "{}"
	}
	out := []string{}
	props.ForEach(func(name, p gjson.Result) bool {
		key, err := json.Marshal(name.String())
		if err == nil {
			out = append(out, string(key)+": "+value(name.String(), p, text))
		}
		return true
	})
	return "{" + strings.Join(out, ", ") + "}"
}

func value(name string, p gjson.Result, text string) string {
	near := text
	for _, w := range slices.Sorted(maps.Keys(words(name))) {
		if i := strings.Index(strings.ToLower(text), w); i >= 0 && i+len(w) <= len(text) {
			near = text[i+len(w):]
			break
		}
	}
	str := func(s string) string {
		b, err := json.Marshal(s)
		if err != nil {
			return `""`
		}
		return string(b)
	}
	for _, e := range p.Get("enum").Array() {
		if strings.Contains(strings.ToLower(text), strings.ToLower(e.String())) {
			return e.Raw
		}
	}
	if e := p.Get("enum").Array(); len(e) > 0 {
		return e[0].Raw
	}
	t := p.Get("type")
	kind := t.String()
	if t.IsArray() {
		if near == text { // nothing is said of it
			return "null"
		}
		kind = t.Array()[0].String()
	}
	switch kind {
	case "integer", "number":
		n := numberPattern.FindString(near)
		if n == "" {
			return "0"
		}
		if kind == "integer" {
			n = strings.NewReplacer(".", "", ",", "").Replace(n)
		} else if i := strings.LastIndexAny(n, ".,"); i >= 0 && len(n)-i <= 3 {
			n = strings.NewReplacer(".", "", ",", "").Replace(n[:i]) + "." + n[i+1:]
		} else {
			n = strings.NewReplacer(".", "", ",", "").Replace(n)
		}
		if n = strings.TrimLeft(n, "0"); n == "" || n[0] == '.' {
			n = "0" + n
		}
		return n
	case "boolean":
		return "true"
	case "array":
		return "[]"
	case "object":
		return filled(p, text)
	}
	if m := quotedPattern.FindStringSubmatch(near); m != nil {
		return str(m[1])
	}
	line, _, _ := strings.Cut(strings.TrimLeftFunc(near, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsPunct(r) }), "\n")
	if i := strings.IndexAny(line, ",;."); i > 0 {
		line = line[:i]
	}
	return str(strings.TrimSpace(line))
}
