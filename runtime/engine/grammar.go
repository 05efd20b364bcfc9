package engine

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/sluice-ai/sluice/runtime/grammar"
	"github.com/sluice-ai/sluice/runtime/grammar/jsonschema"
	"github.com/sluice-ai/sluice/runtime/grammar/toolcall"
)

// Calls say how an answer calls the tools of its request.
type Calls struct {
	Required bool   // it calls tools and says nothing else
	Name     string // the only tool that it calls, and must; implies Required
	Single   bool   // it makes one call at most
}

// A Form is a set of texts, given in one of three ways.
type Form struct {
	Regex  string   // the text matches it as a whole: RE2's syntax
	Choice []string // the text is one of these
	GBNF   string   // a grammar in llama.cpp's notation, whose first rule is root
}

// maxForm bounds the texts of a Form together, in bytes, maxChoices those of a choice.
const maxForm, maxChoices = 64 << 10, 2000

// grammar makes a Form's grammar.
func (f *Form) grammar() (*grammar.Grammar, error) {
	size, ways := len(f.Regex)+len(f.GBNF), 0
	for _, c := range f.Choice {
		size += len(c)
	}
	for _, given := range []bool{f.Regex != "", len(f.Choice) > 0, f.GBNF != ""} {
		if given {
			ways++
		}
	}
	switch {
	case ways != 1:
		return nil, errors.New("exactly one of a regular expression, a choice and a grammar must be given")
	case size > maxForm || len(f.Choice) > maxChoices:
		return nil, fmt.Errorf("more than %d bytes, or %d texts to choose from", maxForm, maxChoices)
	case f.Regex != "":
		return grammar.Regex(f.Regex)
	case len(f.Choice) > 0:
		return grammar.Choice(f.Choice)
	}
	return grammar.GBNF(f.GBNF)
}

// A GrammarError says why no grammar can be made of a request's schema or
// tools. It holds names of tools and JSON pointers into schemas, and can be
// shown to whoever sent them.
type GrammarError struct{ reason string }

func (e *GrammarError) Error() string { return e.reason }

// Unwrap makes every GrammarError an [ErrGrammar].
func (e *GrammarError) Unwrap() error { return ErrGrammar }

const (
	shownErrors = 3   // of a schema's mistakes
	shownBytes  = 600 // of the message: names of members can be long
)

// grammarError turns an error of a compiler into one that is short.
func grammarError(err error) error {
	lines := strings.Split(err.Error(), "\n") // joined errors
	reason := strings.Join(lines[:min(len(lines), shownErrors)], "; ")
	if n := len(lines) - shownErrors; n > 0 {
		reason += fmt.Sprintf("; and %d more", n)
	}
	if len(reason) > shownBytes {
		reason = strings.ToValidUTF8(reason[:shownBytes], "") + "…"
	}
	return &GrammarError{reason}
}

// A program is a grammar for this model, with what it cannot hold an answer to.
type program struct {
	*grammar.Program
	check func(answer string) error
	extra int64 // about how many bytes check takes
}

// compiled is what a program is made of.
type compiled struct {
	grammar *grammar.Grammar
	check   func(answer string) error
	bytes   int64 // of check
}

// grammars makes programs and keeps the last few. It is safe for concurrent use.
type grammars struct {
	vocab func() *grammar.Vocab // prepared at the first use
	limit int64                 // bytes of what is kept; the latest is kept in any case
	turn  chan struct{}         // one compilation at a time

	mu   sync.Mutex
	used list.List // of *kept, latest first
	by   map[[sha256.Size]byte]*list.Element
}

// kept is a program, or why there is none.
type kept struct {
	key [sha256.Size]byte
	p   *program
	err error
}

// bytes returns about how many bytes k takes, which grow while it is used.
func (k *kept) bytes() int64 {
	if k.p == nil {
		return 0
	}
	return k.p.extra + k.p.Bytes()
}

const (
	keepPrograms = 16        // of a model
	keepGrammars = 128 << 20 // bytes that these take, by default
)

func newGrammars(vocab func() *grammar.Vocab, limit int64) *grammars {
	return &grammars{limit: limit, vocab: sync.OnceValue(vocab), turn: make(chan struct{}, 1), by: map[[sha256.Size]byte]*list.Element{}}
}

// get returns what make makes of the texts in key, which say everything that
// make looks at. It fails with a [*GrammarError], or with ctx's error while it
// waits for its turn to compile.
func (g *grammars) get(ctx context.Context, key []string, make func() (compiled, error)) (*program, error) {
	h := sha256.New()
	for _, k := range key {
		fmt.Fprintf(h, "%d:%s", len(k), k)
	}
	sum := [sha256.Size]byte(h.Sum(nil))
	if k := g.lookup(sum); k != nil {
		return k.p, k.err
	}
	select {
	case g.turn <- struct{}{}:
		defer func() { <-g.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if k := g.lookup(sum); k != nil { // made while this one waited
		return k.p, k.err
	}
	k := &kept{key: sum}
	if c, err := make(); err != nil {
		k.err = grammarError(err)
	} else if p, err := g.vocab().Bind(c.grammar); err != nil {
		k.err = grammarError(err)
	} else {
		k.p = &program{p, c.check, c.bytes}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.by[sum] = g.used.PushFront(k)
	g.trim()
	return k.p, k.err
}

// trim lets go of what was used longest ago, until the rest is within bounds. Answers
// that use it go on. Its caller holds the lock.
func (g *grammars) trim() {
	for total := g.bytes(); g.used.Len() > 1 && (total > g.limit || g.used.Len() > keepPrograms); {
		k := g.used.Remove(g.used.Back()).(*kept)
		delete(g.by, k.key)
		total -= k.bytes()
	}
}

// bytes returns about how many bytes all takes that is kept. Its caller holds the lock.
func (g *grammars) bytes() (total int64) {
	for e := g.used.Front(); e != nil; e = e.Next() {
		total += e.Value.(*kept).bytes()
	}
	return total
}

func (g *grammars) lookup(sum [sha256.Size]byte) *kept {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.by[sum]
	if e == nil {
		return nil
	}
	g.used.MoveToFront(e)
	g.trim() // they have grown
	return e.Value.(*kept)
}

// Check reports whether r can be held to its Schema and Calls: it fails with a
// [*GrammarError] if not. What it compiles is kept for Generate.
func (m *Model) Check(ctx context.Context, r *Request) error {
	_, err := m.programs(ctx, r)
	return err
}

// Prepare does what would slow the first request that is held to a grammar: it
// takes some tenths of a second and some megabytes. It is safe for concurrent use.
func (m *Model) Prepare() { m.grammars.vocab().Prepare() }

// programs returns the grammars that r's answer may follow, by its first token.
func (m *Model) programs(ctx context.Context, r *Request) ([]*program, error) {
	calls := r.Calls
	if len(r.Tools) == 0 && calls != nil {
		if calls.Required || calls.Name != "" {
			return nil, &GrammarError{"a call is required, but no tool is given"}
		}
		calls = nil
	}
	wanted := calls != nil && (calls.Required || calls.Name != "")
	var all []*program
	if len(r.Schema) > 0 && !wanted {
		p, err := m.schemaProgram(ctx, r.Schema)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	if f := r.Form; f != nil && !wanted {
		if len(r.Schema) > 0 {
			return nil, &GrammarError{"a schema and another form of the answer cannot both be given"}
		}
		p, err := m.grammars.get(ctx, append([]string{"form", f.Regex, f.GBNF}, f.Choice...), func() (compiled, error) {
			g, err := f.grammar()
			return compiled{grammar: g, check: func(string) error { return nil }}, err
		})
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	if calls != nil {
		o := toolcall.Options{Name: calls.Name, Single: calls.Single}
		if wanted || len(all) > 0 {
			o.Choice = toolcall.Required
		}
		p, err := m.callsProgram(ctx, r.Tools, o)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

func (m *Model) schemaProgram(ctx context.Context, schema json.RawMessage) (*program, error) {
	return m.grammars.get(ctx, []string{"schema", string(schema)}, func() (compiled, error) {
		c, err := jsonschema.Compile(schema, jsonschema.Options{Whitespace: jsonschema.Spaced, Closed: true})
		if err != nil {
			return compiled{}, err
		}
		return compiled{c.Grammar, func(answer string) error { return c.Validate([]byte(answer)) }, c.Bytes()}, nil
	})
}

func (m *Model) callsProgram(ctx context.Context, tools []json.RawMessage, o toolcall.Options) (*program, error) {
	for _, t := range []string{"<think>", "</think>"} {
		if _, ok := m.tok.ID(t); ok {
			o.Thoughts = append(o.Thoughts, t)
		}
	}
	key := []string{"calls", fmt.Sprintf("%d %t", o.Choice, o.Single), o.Name}
	for _, t := range tools {
		key = append(key, string(t))
	}
	return m.grammars.get(ctx, key, func() (compiled, error) {
		c, err := toolcall.Compile(tools, o)
		if err != nil {
			return compiled{}, err
		}
		return compiled{c.Grammar, func(answer string) error { return checkCalls(c, answer) }, c.Bytes()}, nil
	})
}

var errMalformed = errors.New("a tool call is malformed")
