package repair

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
)

// A Fix is one change of a document, in the words of JSON Patch but without
// values. Path is a JSON pointer; members that no schema names are "*" in it.
type Fix struct {
	Op   string // "replace", "add", "remove", "move"
	Path string
	Kind string // why: one of the kinds here and in runtime/grammar/jsonschema
}

// The kinds of fix of JSON that is not quite JSON. Their paths are empty.
const (
	KindFence   = "fence"   // ``` around it
	KindAround  = "around"  // other text around it
	KindComma   = "comma"   // one too many, or one missing
	KindQuotes  = "quotes"  // single or curly quotes
	KindKey     = "key"     // a name without quotes
	KindComment = "comment" // as in JavaScript or Python
	KindLiteral = "literal" // True, False, None, undefined
	KindNumber  = "number"  // +1, .5, 1., 0x1f, 1_000, 007
	KindEscape  = "escape"  // control characters and quotes inside strings, escapes that JSON does not know
	KindCut     = "cut"     // brackets that were never closed, with what was not finished before them
	KindBracket = "bracket" // one closed with the other's sign
)

// MaxBytes bounds a document.
const MaxBytes = 4 << 20

// ErrNoJSON says that a text holds nothing that can be read as one JSON value.
var ErrNoJSON = errors.New("the text holds no JSON value, or several")

// JSON returns the JSON value that text holds, and what had to be changed to
// read it. A text that is JSON already is returned as it is. It fails with
// [ErrNoJSON].
func JSON(text string) (string, []Fix, error) {
	found := candidates(text)
	if len(found) != 1 {
		return "", nil, ErrNoJSON
	}
	return found[0].json, found[0].fixes, nil
}

// A candidate is a value that a text may be meant to be.
type candidate struct {
	json  string
	fixes []Fix
}

// candidates returns the values that text may be meant to be; in most cases one.
func candidates(text string) []candidate {
	if len(text) > MaxBytes {
		return nil
	}
	if json.Valid([]byte(text)) {
		return []candidate{{json: text}}
	}
	text = strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
	if json.Valid([]byte(text)) {
		return []candidate{{text, []Fix{{Op: "replace", Kind: KindAround}}}}
	}
	if body, ok := fenced(text); ok {
		found := around(body, false)
		for i := range found {
			found[i].fixes = append([]Fix{{Op: "replace", Kind: KindFence}}, found[i].fixes...)
		}
		if len(found) > 0 {
			return found
		}
	}
	return around(text, true)
}

// fenced returns the body of the only block between ``` in text.
func fenced(text string) (string, bool) {
	if strings.Count(text, "```") > 2 {
		return "", false
	}
	_, body, ok := strings.Cut(text, "```")
	if !ok {
		return "", false
	}
	body, _, _ = strings.Cut(body, "```") // a missing end is the end of the text
	info, rest, ok := strings.Cut(body, "\n")
	if ok && !strings.ContainsAny(info, "{[\"") {
		body = rest
	}
	return strings.TrimSpace(body), true
}

// most bounds the values that are looked for in one text, and the attempts.
const most, maxAttempts = 8, 64

// around returns the lists and objects in text, or its only value. With
// shortened, the last one may break off.
func around(text string, shortened bool) []candidate {
	var out []candidate
	begin := 0
	for tries := 0; tries < maxAttempts && len(out) < most; tries++ {
		n := strings.IndexAny(text[begin:], "{[")
		if n < 0 {
			break
		}
		at := begin + n
		r := &reader{s: text, i: at}
		if !r.value(0) || r.i < len(text) && r.cut {
			begin = at + 1
			continue
		}
		c, ok := r.done()
		if !ok {
			begin = at + 1
			continue
		}
		if strings.TrimSpace(text[:at]) != "" || strings.TrimSpace(text[r.i:]) != "" {
			c.fixes = append(c.fixes, Fix{Op: "replace", Kind: KindAround})
		}
		out = append(out, c)
		begin = r.i
	}
	if len(out) > 0 {
		return out
	}
	r := &reader{s: text} // a scalar must be all there is
	if r.value(0) && !r.cut {
		if r.space(); r.i == len(text) {
			if c, ok := r.done(); ok {
				return []candidate{c}
			}
		}
	}
	return nil
}

// done returns what r has read.
func (r *reader) done() (candidate, bool) {
	if r.cut {
		r.fix(KindCut)
	}
	var out bytes.Buffer
	if json.Compact(&out, r.out) != nil {
		return candidate{}, false // what was read as JSON is none: a mistake here, or bytes that are no text
	}
	var fixes []Fix
	for _, kind := range r.kinds {
		fixes = append(fixes, Fix{Op: "replace", Kind: kind})
	}
	return candidate{out.String(), fixes}, true
}
