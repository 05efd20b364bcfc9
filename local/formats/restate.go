package formats

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/runtime/chat"
	"github.com/sluice-ai/sluice/runtime/engine"
)

const (
	restateSystem = "You put broken JSON right. Copy every value exactly. Answer with the JSON document only."
	// mostBroken bounds a document that a model is asked to write again, in bytes: it must read it and write it.
	mostBroken = 16 << 10
)

// restate has the local model write a broken document again, as JSON that
// satisfies schema. It reports false where there is no model, where policy does not let
// it see the document, where the schema cannot be held, or where the document says anything that the broken one did not.
func (c *Checker) restate(ctx context.Context, req *llm.Request, schema json.RawMessage, text string, how llm.Repair) (string, bool) {
	if c.cfg.Model == nil || how != llm.RepairModel || strings.TrimSpace(text) == "" || len(text) > mostBroken {
		return "", false
	}
	if req.May == nil || !req.May(c.cfg.Target) {
		return "", false
	}
	if len(schema) == 0 || string(schema) == "null" {
		schema = anyObject
	}
	r := engine.Request{
		Messages: []chat.Message{
			{Role: "system", Content: restateSystem},
			{Role: "user", Content: "JSON Schema:\n" + string(schema) + "\n\nBroken document:\n" + text},
		},
		Group: req.Principal.Tenant, MaxTokens: c.cfg.MaxTokens, Schema: schema,
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	if err := c.cfg.Model.Check(ctx, &r); err != nil {
		return "", false
	}
	a := llm.Attempt{Target: c.cfg.Target, Try: 1, Start: time.Now(), Outcome: llm.OK}
	var out strings.Builder
	res, err := c.cfg.Model.Generate(ctx, r, func(chunk engine.Chunk) error {
		if a.FirstByte == 0 {
			a.FirstByte = time.Since(a.Start)
		}
		out.WriteString(chunk.Text)
		return nil
	})
	a.Duration = time.Since(a.Start)
	a.Usage = llm.Usage{Input: res.PromptTokens, Output: res.CompletionTokens}
	_, document, thought := strings.Cut(out.String(), "</think>")
	if !thought {
		document = out.String()
	}
	ok := false
	switch {
	case err != nil:
		a.Outcome, a.Code = llm.Failed, "engine"
	case res.Invalid != nil:
		a.Outcome, a.Code = llm.Insufficient, "format"
	case !faithful(document, text+" "+string(schema)):
		a.Outcome, a.Code = llm.Insufficient, "unfaithful"
	default:
		ok = true
	}
	if req.OnAttempt != nil {
		req.OnAttempt(a)
	}
	return document, ok
}

// faithful reports whether every text and number of document, JSON, stands in
// source as a whole: not as a part of another word or number.
func faithful(document, source string) bool {
	source = plain(source)
	d := json.NewDecoder(strings.NewReader(document))
	d.UseNumber()
	for {
		t, err := d.Token()
		if err == io.EOF {
			return true
		}
		if err != nil {
			return false
		}
		switch t := t.(type) {
		case string:
			if !stands(source, plain(t)) {
				return false
			}
		case json.Number:
			if !stands(source, t.String()) {
				return false
			}
		}
	}
}

// plain returns s without what differs between two spellings of the same text:
// case, and how much white space, quotes and backslashes of escapes there are.
func plain(s string) string {
	s = strings.NewReplacer(`\n`, " ", `\t`, " ", `\r`, " ").Replace(strings.ToLower(s))
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("\"'\\`“”", r) }), " ")
}

// stands reports whether text is in source with a border on either side.
func stands(source, text string) bool {
	for at := 0; at <= len(source)-len(text); {
		n := strings.Index(source[at:], text)
		if n < 0 {
			return false
		}
		at += n
		before, _ := utf8.DecodeLastRuneInString(source[:at])
		first, size := utf8.DecodeRuneInString(text)
		last, _ := utf8.DecodeLastRuneInString(text)
		after, _ := utf8.DecodeRuneInString(source[at+len(text):])
		if text == "" || !joined(before, first) && !joined(last, after) {
			return true
		}
		at += size
	}
	return false
}

// joined reports whether a and b are two characters of one word or number. Scripts
// that write no spaces have no such words.
func joined(a, b rune) bool {
	word := func(r rune) bool {
		return unicode.IsDigit(r) || unicode.IsLetter(r) && !unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Hangul)
	}
	return word(a) && word(b)
}
