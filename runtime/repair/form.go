package repair

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"

	"github.com/sluice-ai/sluice/runtime/grammar"
	"github.com/sluice-ai/sluice/runtime/grammar/automaton"
	"github.com/sluice-ai/sluice/runtime/grammar/jsonschema"
	"github.com/sluice-ai/sluice/runtime/tokenizer"
)

// A Form is a set of texts. It is safe for concurrent use.
type Form struct {
	keyword string // what is broken
	has     func(text string) bool
	choices *Schema // of the text as a JSON string; nil where the texts are not listed
	size    int64
}

// Bytes returns about how many bytes f takes.
func (f *Form) Bytes() int64 { return f.size }

const (
	maxForm  = 64 << 10 // of an expression or a grammar that is read, in bytes, and of an expression's instructions
	maxMatch = 1 << 26  // of a match: the bytes of the text times the expression's instructions; a second or so
)

// Regex returns the texts that a regular expression, in RE2's syntax, matches as a whole;
// texts that would take it too long are among them. What breaks it breaks "regex".
func Regex(expr string) (*Form, error) {
	if len(expr) > maxForm {
		return nil, errTooLong
	}
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, errUnread
	}
	size := automaton.Instructions(tree)
	if size > maxForm {
		return nil, errTooLong
	}
	re, err := regexp.Compile(`\A(?:` + expr + `)\z`)
	if err != nil {
		return nil, errUnread
	}
	return &Form{keyword: "regex", has: func(s string) bool { return len(s) > maxMatch/size || re.MatchString(s) }, size: int64(128 * size)}, nil
}

// Choice returns the given texts. What breaks it breaks "choice".
func Choice(texts []string) (*Form, error) {
	raw, err := json.Marshal(map[string]any{"type": "string", "enum": texts})
	if err != nil {
		return nil, fmt.Errorf("writing the texts: %w", err)
	}
	s, err := Read(raw)
	if err != nil {
		return nil, err
	}
	return &Form{keyword: "choice", has: func(s string) bool { return slices.Contains(texts, s) }, choices: s, size: int64(len(raw)) + s.Bytes()}, nil
}

// GBNF returns the texts of a grammar in llama.cpp's notation; those whose rules nest
// deeper than [grammar.MaxDepth] are not among them, those that take too long to read
// are. What breaks it breaks "grammar". The grammar is read for each text, since keeping
// it would take more memory than some requests are worth.
func GBNF(text string) (*Form, error) {
	if len(text) > maxForm {
		return nil, errTooLong
	}
	if _, err := grammar.GBNF(text); err != nil {
		return nil, err
	}
	return &Form{keyword: "grammar", has: func(s string) bool { return inGrammar(text, s) }, size: int64(len(text))}, nil
}

var (
	errTooLong = fmt.Errorf("more than %d bytes or instructions", maxForm)
	errUnread  = errors.New("the expression cannot be read") // the cause would repeat it
)

// inGrammar reports whether s is a text of a grammar, as far as that can be told: also
// when s can be read in too many ways at once, or takes too long ([grammar.ErrTooLarge]).
func inGrammar(text, s string) bool {
	g, err := grammar.GBNF(text)
	if err != nil {
		return true
	}
	p, err := plain().Bind(g)
	if err != nil {
		return true
	}
	m := p.NewMatcher()
	if err := m.AcceptText(s); err != nil {
		return !errors.Is(err, grammar.ErrNotAllowed)
	}
	return m.Done()
}

// plain is a vocabulary of single bytes: a Program wants one, though whole texts are
// read without it.
var plain = sync.OnceValue(func() *grammar.Vocab {
	v := tokenizer.Vocab{Types: slices.Repeat([]int32{1}, 256), Pre: "lfm2", BOS: -1, EOS: -1, PAD: -1}
	next := rune(256)
	for b := range rune(256) { // GPT-2's names of bytes
		if b >= '!' && b <= '~' || b >= '¡' && b <= '¬' || b >= '®' {
			v.Tokens = append(v.Tokens, string(b))
			continue
		}
		v.Tokens = append(v.Tokens, string(next))
		next++
	}
	tok, err := tokenizer.New(v)
	if err != nil {
		panic(err) // it is the same each time
	}
	return grammar.NewVocab(tok, tok.Size())
})

// Check fails with a [*BrokenError] if text is not one of f's.
func (f *Form) Check(text string) error {
	if f.has(text) {
		return nil
	}
	return &BrokenError{f.keyword, "", fmt.Errorf("it is none of the texts of the %s", f.keyword)}
}

// Mend returns the text of f that text plainly means, and the changes that made it so: space
// around it, and of listed texts the case and the separators. It fails with a
// [*BrokenError] where there is none.
func (f *Form) Mend(text string) (string, []Fix, error) {
	if f.choices == nil {
		fixed := strings.TrimSpace(text)
		return fixed, []Fix{{Op: "replace", Kind: jsonschema.KindSpace}}, f.Check(fixed)
	}
	raw, err := json.Marshal(text)
	if err != nil {
		return "", nil, f.Check(text)
	}
	fixed, fixes, err := f.choices.Mend(string(raw))
	if err == nil {
		err = json.Unmarshal([]byte(fixed), &text)
	}
	if err != nil {
		return "", nil, &BrokenError{f.keyword, "", err}
	}
	return text, fixes, f.Check(text)
}
