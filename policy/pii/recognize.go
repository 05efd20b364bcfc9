package pii

import (
	"bytes"
	"context"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/internal/llm"
)

// A Recognizer finds in a text what has no shape, such as names: findings without a path, in
// the order of the text, disjoint. It fails when ctx ends.
type Recognizer func(ctx context.Context, text string) ([]llm.Finding, error)

// recognize adds what has no shape to the findings of one text, which begin at from and stand. Of
// what overlaps them, or a placeholder, or the syntax of a text that is JSON, the rest counts.
func (in *Inspector) recognize(ctx context.Context, found []llm.Finding, from int, path string, text []byte) ([]llm.Finding, error) {
	if blob(text) {
		return found, nil
	}
	r := newReading(text, found[from:])
	entities, err := in.recognizer(ctx, r.text)
	if err != nil {
		return nil, &llm.Error{Kind: llm.Canceled, Code: llm.CodeTimeout, Msg: "the request ended before it was inspected", Err: err}
	}
	for _, f := range entities {
		for _, p := range r.pieces(f.Start, f.End) {
			found = append(found, llm.Finding{Type: f.Type, Path: path, Start: p[0], End: p[1], Score: f.Score, By: f.By})
		}
	}
	return found, nil
}

// written reports whether the text at path is what a person or a model wrote, or a tool returned:
// none of the words, links and payloads that a dialect itself puts into a message.
func written(path, member []byte) bool {
	first, rest, _ := bytes.Cut(bytes.TrimPrefix(path, []byte{'/'}), []byte{'/'})
	switch string(first) {
	case "text":
		return len(rest) == 0 // of /v1/inspect; that of a response is a schema
	case "messages", "system", "input", "instructions", "prompt", "prediction":
	default:
		return false
	}
	if bytes.Contains(rest, []byte("/input/")) || bytes.HasPrefix(rest, []byte("variables/")) {
		return true // what a tool or a prompt is given: names there are the client's
	}
	switch string(member) {
	case "role", "type", "id", "tool_call_id", "tool_use_id", "call_id", "status", "format", "media_type", "detail",
		"url", "image_url", "file_url", "data", "file_data", "file_id", "signature", "encrypted_content":
		return false
	case "name": // of a tool; a message's own is somebody's
		return string(first) == "messages" && bytes.Count(rest, []byte{'/'}) == 1
	}
	return true
}

// blob reports whether text is a payload in base64 or hex, which holds no names and takes long to read.
func blob(text []byte) bool {
	const least = 128 // shorter ones cost little
	if head, data, ok := bytes.Cut(text[:min(len(text), 64)], []byte(";base64,")); ok && bytes.HasPrefix(head, []byte("data:")) {
		text = text[len(text[:min(len(text), 64)])-len(data):]
	}
	if len(text) < least {
		return false
	}
	for _, c := range text {
		if !isAlnum(c) && c != '+' && c != '/' && c != '=' && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// A reading is a text as a recognizer reads it: one that is JSON without the escapes of its strings.
type reading struct {
	text string
	// places are where the text's code points begin in the original, with the end; nil
	// when nothing was undone. Outside of JSON's strings they are negative: ^place.
	places []int
	taken  [][2]int // places of what is found already, and of placeholders; in order
	// How far pieces has come: in code points and in bytes of text, and in taken.
	point, pos, next int
}

func newReading(text []byte, shaped []llm.Finding) *reading {
	r := &reading{taken: placeholders(text)}
	for _, f := range shaped {
		r.taken = append(r.taken, [2]int{f.Start, f.End})
	}
	slices.SortFunc(r.taken, func(a, b [2]int) int { return a[0] - b[0] })
	if jsonText(text) {
		r.text, r.places = undo(text)
	} else {
		r.text = string(text)
	}
	return r
}

// place returns where code point i of the text begins and ends in the original, and whether it lies in what may be replaced.
func (r *reading) place(i int) (start, end int, free bool) {
	if r.places == nil {
		return i, i + 1, true
	}
	start, end = r.places[i], r.places[i+1]
	return start, max(end, ^end), start >= 0
}

// pieces returns the places of what is free in the code points from start to end of the text. Where something was cut
// off, a piece begins and ends with a letter or a digit. Callers go on in the text from call to call.
func (r *reading) pieces(start, end int) (out [][2]int) {
	var piece [2]int
	done := func() {
		if piece[1] > 0 {
			out = append(out, piece)
		}
		piece = [2]int{}
	}
	for ; r.point < end && r.pos < len(r.text); r.point++ {
		c, size := utf8.DecodeRuneInString(r.text[r.pos:])
		r.pos += size
		if r.point < start {
			continue
		}
		from, to, free := r.place(r.point)
		for r.next < len(r.taken) && free && r.taken[r.next][1] <= from {
			r.next++
		}
		if !free || r.next < len(r.taken) && r.taken[r.next][0] < to {
			done()
			continue
		}
		word := unicode.IsLetter(c) || unicode.IsDigit(c)
		if piece[1] == 0 {
			if !word && r.point > start {
				continue
			}
			piece = [2]int{from, to}
		}
		if word || r.point+1 == end {
			piece[1] = to
		}
	}
	done()
	return out
}

// undo returns a JSON text without the escapes of its strings, and the places of its code points.
func undo(text []byte) (string, []int) {
	out, places := make([]byte, 0, len(text)), make([]int, 0, len(text)+1)
	within, points := false, 0
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		place := points
		switch {
		case r == '"':
			within, place = !within, ^points
		case !within:
			place = ^points
		case r == '\\':
			r, n = next(text)
		}
		out, places = utf8.AppendRune(out, r), append(places, place)
		points += utf8.RuneCount(text[:n])
		text = text[n:]
	}
	return string(out), append(places, ^points)
}

// placeholders returns the places, in code points, of what has the form of a placeholder.
func placeholders(text []byte) (out [][2]int) {
	points, start := 0, -1 // of a run of capitals, digits and underscores, in bytes
	for i := 0; i <= len(text); i++ {
		if i < len(text) && class[text[i]]&(cUpper|cDigit|cUnder) != 0 {
			if start < 0 {
				start = i
			}
		} else if start >= 0 {
			if isPlaceholder(text[start:i]) {
				out = append(out, [2]int{points - (i - start), points})
			}
			start = -1
		}
		if i < len(text) && utf8.RuneStart(text[i]) {
			points++
		}
	}
	return out
}
