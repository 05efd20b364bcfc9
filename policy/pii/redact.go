package pii

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"slices"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/internal/llm"
)

// Redact returns a copy of req.Body in which the findings of the types are
// replaced by placeholders, and the [Restorer] that puts the values back.
//
// Only the bytes of the values change. A value of eight bytes or more is also
// replaced where it stands again without having been found, for example without
// its context word. A number becomes a string.
//
// Requests of one tenant and session get the same placeholder for the same
// value; without a session, placeholders are the request's own. It fails when a
// finding does not fit the body: then nothing may be sent.
func (in *Inspector) Redact(req *llm.Request, findings []llm.Finding, types []string) ([]byte, llm.Restorer, error) {
	wanted := map[string][]llm.Finding{}
	for _, f := range findings {
		if slices.Contains(types, f.Type) {
			wanted[f.Path] = append(wanted[f.Path], f)
		}
	}
	if len(wanted) == 0 {
		return bytes.Clone(req.Body), newRestorer(nil), nil
	}
	s := in.pool.Get().(*scanner)
	defer in.pool.Put(s)
	m := newMint(in.key, scope(req), req.Body)
	w := walker{max: in.maxDepth, secretive: s.secretive}

	edits := map[int][]edit{} // by the leaf's start in the body
	w.visit = func(l *leaf) error {
		fs := wanted[string(w.path)]
		if fs == nil {
			return nil
		}
		delete(wanted, string(w.path))
		text := l.text()
		es, err := toEdits(text, fs)
		if err != nil {
			return err
		}
		arguments := jsonText(text)
		for i := range es {
			e := &es[i]
			value := text[e.start:e.end]
			if arguments {
				value = unquote(value)
			}
			e.token = m.token(e.typ, value)
		}
		edits[l.start] = es
		return nil
	}
	if err := w.walk(req.Body); err != nil {
		return nil, nil, err
	}
	if len(wanted) > 0 {
		return nil, nil, errMisfit("a finding points at nothing in the request")
	}

	out := make([]byte, 0, len(req.Body)+64)
	done := 0
	w.visit = func(l *leaf) error {
		es := edits[l.start]
		if !l.opaque && len(l.raw) >= minAgain {
			es = m.again(l.text(), es, !l.key && written(w.path, l.member))
		}
		if len(es) == 0 {
			return nil
		}
		if l.number {
			out = append(append(append(append(out, req.Body[done:l.start]...), '"'), es[0].token...), '"')
			done = l.start + len(l.raw)
			return nil
		}
		out = append(out, req.Body[done:l.start]...)
		out = l.replace(out, es)
		done = l.start + len(l.raw)
		return nil
	}
	if err := w.walk(req.Body); err != nil {
		return nil, nil, err
	}
	return append(out, req.Body[done:]...), newRestorer(m.list), nil
}

// RedactText is Redact for one bare text and findings without a path.
func (in *Inspector) RedactText(text string, findings []llm.Finding, types []string) (string, llm.Restorer, error) {
	findings = slices.DeleteFunc(slices.Clone(findings), func(f llm.Finding) bool { return f.Path != "" || !slices.Contains(types, f.Type) })
	b := []byte(text)
	m := newMint(in.key, scope(&llm.Request{}), b)
	es, err := toEdits(b, findings)
	if err != nil {
		return "", nil, err
	}
	for i := range es {
		es[i].token = m.token(es[i].typ, b[es[i].start:es[i].end])
	}
	l := leaf{raw: b, plain: true, bare: true}
	return string(l.replace(nil, m.again(b, es, true))), newRestorer(m.list), nil
}

// scope returns what placeholders depend on beside type and value.
func scope(req *llm.Request) []byte {
	b := append([]byte(req.Principal.Tenant), 0)
	if req.Session != "" {
		return append(append(b, 's'), req.Session...)
	}
	b = append(append(b, 'r'), req.ID...)
	if req.ID == "" {
		var r [16]byte
		rand.Read(r[:])
		b = append(b, r[:]...)
	}
	return b
}

// An edit replaces bytes of a text by a placeholder.
type edit struct {
	start, end int
	typ        string
	score      float64
	token      string
}

func errMisfit(msg string) error {
	return &llm.Error{Kind: llm.Internal, Code: llm.CodeInternal, Msg: "redaction failed: " + msg}
}

// toEdits turns findings in code points to edits in bytes, ordered and disjoint. Overlaps become one.
func toEdits(text []byte, fs []llm.Finding) ([]edit, error) {
	fs = slices.Clone(fs)
	slices.SortStableFunc(fs, func(a, b llm.Finding) int { return cmp.Or(a.Start-b.Start, b.End-a.End) })
	var starts []int // byte offset of each code point, and of the end; nil when they are the same
	count := len(text)
	if asciiRun(text) < len(text) {
		for i := 0; i < len(text); {
			starts = append(starts, i)
			_, n := utf8.DecodeRune(text[i:])
			i += n
		}
		count = len(starts)
		starts = append(starts, len(text))
	}
	var es []edit
	for _, f := range fs {
		if f.Start < 0 || f.Start >= f.End || f.End > count {
			return nil, errMisfit("a finding lies outside of its text")
		}
		e := edit{start: f.Start, end: f.End, typ: f.Type, score: f.Score}
		if starts != nil {
			e.start, e.end = starts[f.Start], starts[f.End]
		}
		if n := len(es); n > 0 && e.start < es[n-1].end {
			last := &es[n-1]
			if e.score > last.score {
				last.typ, last.score = e.typ, e.score
			}
			last.end = max(last.end, e.end)
			continue
		}
		es = append(es, e)
	}
	return es, nil
}

// minAgain is the length from which a value is replaced wherever it stands.
const minAgain = 8

// again adds to es, which are in order, the other places of text where an issued value stands as a word of its own. Where text is none
// that somebody wrote, values found by their wording stay: "function" may have been somebody's password.
func (m *mint) again(text []byte, es []edit, prose bool) []edit {
	for _, v := range m.list {
		if len(v.value) < minAgain || v.prose && !prose {
			continue
		}
		var more []edit
		k0 := 0 // of es
		for from := 0; ; {
			k := bytes.Index(text[from:], v.value)
			if k < 0 {
				break
			}
			start := from + k
			end := start + len(v.value)
			from = start + 1
			if isAlnum(text[start]) && isAlnum(at(text, start-1)) || isAlnum(text[end-1]) && isAlnum(at(text, end)) {
				continue
			}
			for k0 < len(es) && es[k0].end <= start {
				k0++
			}
			if k0 == len(es) || end <= es[k0].start {
				more = append(more, edit{start: start, end: end, token: v.token})
				from = end
			}
		}
		if more != nil {
			es = slices.Concat(es, more)
			slices.SortFunc(es, func(a, b edit) int { return a.start - b.start })
		}
	}
	return es
}

// text returns the decoded text of l.
func (l *leaf) text() []byte {
	if l.plain {
		return l.raw
	}
	return unescape(make([]byte, 0, len(l.raw)), l.raw)
}

// replace appends l.raw to dst with the edits made, which count in bytes of the decoded text.
func (l *leaf) replace(dst []byte, es []edit) []byte {
	text := l.text()
	inside := func(int) bool { return true }
	if jsonText(text) {
		inside = insideString(text)
	}
	mark := `\"`
	if l.bare {
		mark = `"`
	}
	raw, pos, done := 0, 0, 0 // pos is the place in the text that raw has reached
	to := func(target int) int {
		if l.plain {
			return target
		}
		for pos < target {
			r, n := next(l.raw[raw:])
			raw += n
			pos += utf8.RuneLen(r)
		}
		return raw
	}
	for _, e := range es {
		bare := !inside(e.start)
		from := to(e.start)
		dst = append(dst, l.raw[done:from]...)
		if bare { // a number in the JSON of a tool call: keep that JSON valid
			dst = append(dst, mark...)
		}
		dst = append(dst, e.token...)
		if bare {
			dst = append(dst, mark...)
		}
		done = to(e.end)
	}
	return append(dst, l.raw[done:]...)
}

// jsonText reports whether text is itself a JSON object or list, as the arguments of a tool call are.
func jsonText(text []byte) bool {
	return len(text) > 1 && (text[0] == '{' || text[0] == '[') && json.Valid(text)
}

// insideString returns a function that tells, for growing offsets, whether it lies within a string of the JSON text.
func insideString(text []byte) func(int) bool {
	i, in := 0, false
	return func(at int) bool {
		for ; i < at; i++ {
			switch {
			case text[i] == '"':
				in = !in
			case text[i] == '\\' && in:
				i++
			}
		}
		return in
	}
}

// unquote undoes the escapes of a value that stands in JSON text; a value that is no whole piece of a string stays.
func unquote(value []byte) []byte {
	if bytes.IndexByte(value, '\\') < 0 {
		return value
	}
	var s string
	if json.Unmarshal(slices.Concat([]byte{'"'}, value, []byte{'"'}), &s) != nil {
		return value
	}
	return []byte(s)
}
