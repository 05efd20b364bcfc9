package pii

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"

	"github.com/sluice-ai/sluice/internal/llm"
)

// Config configures an [Inspector]. A zero field takes the default it documents.
type Config struct {
	// Types to look for. Default: all of them.
	Types []string `yaml:"types"`
	// MinScore drops findings that are less sure. Default 0: keeps all.
	MinScore float64 `yaml:"min_score"`
	// Regions are the countries (ISO 3166, "DE") whose national numbers count as
	// phone numbers without a "+" and without a word that says so. Default none.
	Regions []string `yaml:"regions"`
	// MaxDepth bounds how deep a body may nest. Default 64.
	MaxDepth int `yaml:"max_depth"`
	// Recognize is asked for names and the like in what people and models wrote and tools returned: the texts below
	// the body's messages, system, input, instructions, prompt and prediction, and its text. Optional.
	Recognize Recognizer `yaml:"-"`
	// Key makes placeholders. Gateways that share it give one session the same
	// placeholders. Default: 32 random bytes, so that placeholders end with the process.
	Key []byte `yaml:"-"`
}

// Validate reports every mistake in c.
func (c Config) Validate() error {
	var bad []string
	for _, t := range c.Types {
		if slices.Contains(Shapeless, t) {
			bad = append(bad, fmt.Sprintf("types: %q has no shape: list it under inspect.entities", t))
		} else if !slices.Contains(names[:], t) {
			bad = append(bad, fmt.Sprintf("types: %q is none of %s", t, strings.Join(names[:], ", ")))
		}
	}
	for _, r := range c.Regions {
		if !phonenumbers.GetSupportedRegions()[r] {
			bad = append(bad, fmt.Sprintf("regions: %q is no country with a numbering plan; write two capitals, like \"DE\"", r))
		}
	}
	if c.MinScore < 0 || c.MinScore > 1 {
		bad = append(bad, "min_score: must lie between 0 and 1")
	}
	if c.MaxDepth < 0 || c.MaxDepth > 1024 {
		bad = append(bad, "max_depth: must lie between 1 and 1024")
	}
	if n := len(c.Key); n > 0 && n < 16 {
		bad = append(bad, "key: shorter than 16 bytes")
	}
	if bad != nil {
		return fmt.Errorf("inspect: %s", strings.Join(bad, "; "))
	}
	return nil
}

// An Inspector finds personal data and secrets. It is safe for concurrent use.
type Inspector struct {
	enabled  [kinds]bool
	minScore float64
	regions  []string
	maxDepth int
	key      []byte
	pool     sync.Pool // of *scanner

	recognizer Recognizer
}

// New returns an Inspector, or every mistake in c.
func New(c Config) (*Inspector, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	in := &Inspector{
		minScore: c.MinScore,
		regions:  slices.Clone(c.Regions),
		maxDepth: cmp.Or(c.MaxDepth, 64),
		key:      slices.Clone(c.Key),

		recognizer: c.Recognize,
	}
	if len(in.key) == 0 {
		in.key = make([]byte, 32)
		rand.Read(in.key)
	}
	for k, name := range names {
		in.enabled[k] = len(c.Types) == 0 || slices.Contains(c.Types, name)
	}
	in.pool.New = func() any { return &scanner{cfg: in} }
	return in, nil
}

// Inspect scans every text of req.Body: the strings, the keys, and the long
// numbers below its first level. The findings are ordered by path and start, and
// do not overlap within a path.
//
// A path is a JSON pointer. The path of a finding in a key is the pointer to the
// member, then "#". A key that holds a finding is not written into paths: "~3"
// stands for the key of the fourth member.
//
// The error is an [llm.Error] of kind Invalid (the body is malformed) or
// Canceled. The request was then not fully scanned.
func (in *Inspector) Inspect(ctx context.Context, req *llm.Request) ([]llm.Finding, error) {
	s := in.pool.Get().(*scanner)
	defer in.pool.Put(s)
	var found []llm.Finding
	var scratch []byte
	w := walker{max: in.maxDepth, secretive: s.secretive}
	n := 0
	w.visit = func(l *leaf) error {
		if n++; n&63 == 0 && ctx.Err() != nil {
			return &llm.Error{Kind: llm.Canceled, Code: llm.CodeTimeout, Msg: "the request ended before it was inspected", Err: ctx.Err()}
		}
		if l.opaque || len(l.raw) < minText {
			return nil
		}
		text := l.raw
		if !l.plain {
			scratch = unescape(scratch[:0], l.raw)
			text = scratch
		}
		before := len(found)
		if spans := s.scan(text, l.member); len(spans) > 0 {
			found = appendFindings(found, string(w.path), text, spans)
		}
		if in.recognizer == nil || l.key || l.number || !written(w.path, l.member) {
			return nil
		}
		var err error
		found, err = in.recognize(ctx, found, before, string(w.path), text)
		return err
	}
	if err := w.walk(req.Body); err != nil {
		return nil, err
	}
	slices.SortStableFunc(found, func(a, b llm.Finding) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), a.Start-b.Start)
	})
	return found, nil
}

// minText is the length of the shortest text that can hold a finding: a password.
const minText = 4

// secretive reports whether key holds a finding.
func (s *scanner) secretive(key []byte) bool {
	return len(key) >= minText && len(s.scan(key, nil)) > 0
}

// InspectText scans one bare text for what has a shape. The findings have no path; they are ordered and disjoint.
func (in *Inspector) InspectText(text string) []llm.Finding {
	s := in.pool.Get().(*scanner)
	defer in.pool.Put(s)
	b := []byte(text)
	return appendFindings(nil, "", b, s.scan(b, nil))
}

// appendFindings turns spans, which are bytes of text, to findings, which count code points.
func appendFindings(fs []llm.Finding, path string, text []byte, spans []span) []llm.Finding {
	pos, points := 0, 0
	for _, sp := range spans {
		points += utf8.RuneCount(text[pos:sp.start])
		n := utf8.RuneCount(text[sp.start:sp.end])
		fs = append(fs, llm.Finding{Type: names[sp.kind], Path: path, Start: points, End: points + n, Score: sp.score, By: sp.by})
		points += n
		pos = sp.end
	}
	return fs
}
