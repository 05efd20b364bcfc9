package jsonschema

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/runtime/grammar"
)

// TestSuite runs the official JSON-Schema-Test-Suite, which is not part of this
// repository: JSON_SCHEMA_SUITE names its folder of tests (the one that holds
// draft2020-12 and draft7). `make schema-suite` fetches it.
//
// Of every schema that is not refused, an instance that the suite calls valid
// must have a spelling that the automaton accepts byte by byte, and every
// spelling of an invalid one must be refused, by the automaton or, where a check
// afterwards is announced, by Validate.
func TestSuite(t *testing.T) {
	root := os.Getenv("JSON_SCHEMA_SUITE")
	if root == "" {
		t.Skip("JSON_SCHEMA_SUITE is not set")
	}
	for _, draft := range []string{"draft2020-12", "draft7"} {
		files, _ := filepath.Glob(filepath.Join(root, draft, "*.json"))
		formats, _ := filepath.Glob(filepath.Join(root, draft, "optional", "format", "*.json"))
		if len(files) == 0 {
			t.Fatalf("no tests of %s in %s", draft, root)
		}
		var total tally
		for _, file := range append(files, formats...) {
			one := suiteFile(t, draft, file)
			if one.groups == one.refused && one.groups > 0 {
				t.Logf("%s/%-28s refused", draft, filepath.Base(file))
			} else {
				t.Logf("%s/%-28s %v", draft, filepath.Base(file), one)
			}
			total.add(one)
		}
		t.Logf("%s in all: %v", draft, total)
	}
}

type tally struct{ groups, refused, valid, accepted, narrow, invalid, byGrammar, afterwards int }

func (a *tally) add(b tally) {
	a.groups += b.groups
	a.refused += b.refused
	a.valid += b.valid
	a.accepted += b.accepted
	a.narrow += b.narrow
	a.invalid += b.invalid
	a.byGrammar += b.byGrammar
	a.afterwards += b.afterwards
}

func (a tally) String() string {
	return fmt.Sprintf("%d of %d schemas; valid: %d of %d accepted (%d known narrower); invalid: %d of %d refused while decoding, %d afterwards",
		a.groups-a.refused, a.groups, a.accepted, a.valid, a.narrow, a.byGrammar, a.invalid, a.afterwards)
}

// narrower are groups where the grammar, by design, writes fewer texts than the
// schema allows; see docs/structured-output.md.
var narrower = []string{
	"email: ", "hostname: ", // subsets of the format
	"leap second", // but for UTC's
	// Members that only another alternative, or only the condition, looks at.
	"unevaluatedProperties: when two match and has no unevaluated properties", "unevaluatedProperties: with nested unevaluated properties",
	"unevaluatedProperties: all is valid", "unevaluatedProperties: all + foo is valid", "unevaluatedProperties: valid in case if is evaluated",
}

func suiteFile(t *testing.T, draft, file string) (sum tally) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var groups []struct {
		Description string
		Schema      json.RawMessage
		Tests       []struct {
			Description string
			Data        json.RawMessage
			Valid       bool
		}
	}
	if err := json.Unmarshal(data, &groups); err != nil {
		t.Fatal(err)
	}
	name := strings.TrimSuffix(filepath.Base(file), ".json")
	for _, g := range groups {
		sum.groups++
		schema := g.Schema
		if draft == "draft7" && schema[0] == '{' && !strings.Contains(string(schema), `"$schema"`) {
			schema = slices.Concat([]byte(`{"$schema":"http://json-schema.org/draft-07/schema#",`), schema[1:])
			if string(g.Schema) == "{}" {
				schema = g.Schema
			}
		}
		c, err := Compile(schema, Options{})
		empty := errors.Is(err, grammar.ErrEmpty)
		if err != nil && !empty {
			if _, ok := errors.AsType[*UnsupportedError](err); !ok {
				t.Errorf("%s: %s: %v", name, g.Description, err)
			}
			sum.refused++
			if os.Getenv("JSON_SCHEMA_SUITE_VERBOSE") != "" {
				t.Logf("%s: %s: refused: %v", name, g.Description, err)
			}
			continue
		}
		var p *grammar.Program
		if !empty {
			p = program(t, c)
		}
		for _, tt := range g.Tests {
			v, err := decode(tt.Data)
			if err != nil {
				continue // numbers out of range
			}
			if strings.Contains(tt.Description, "only an annotation") {
				continue // we assert formats
			}
			where := fmt.Sprintf("%s/%s: %s: %s: %.200s", draft, name, g.Description, tt.Description, oneSpelling(v))
			found := false
			if !empty {
				for s := range spellings(v) {
					m := p.NewMatcher()
					if m.AcceptText(s) == nil && m.Done() {
						found = true
						break
					}
				}
			}
			checked := empty || c.Validate(tt.Data) != nil
			if tt.Valid {
				sum.valid++
				switch {
				case found && !checked:
					sum.accepted++
				case slices.ContainsFunc(narrower, func(s string) bool { return strings.Contains(name+": "+tt.Description, s) }):
					sum.narrow++
				default:
					t.Errorf("%s: valid, but grammar says %v, Validate says %v", where, found, !checked)
				}
				continue
			}
			sum.invalid++
			switch {
			case !checked:
				t.Errorf("%s: invalid, but Validate says nothing", where)
			case !found:
				sum.byGrammar++
			case len(c.PostChecks) > 0:
				sum.afterwards++
			default:
				t.Errorf("%s: invalid, but the grammar accepts it", where)
			}
		}
	}
	return sum
}

func oneSpelling(v any) (out string) {
	for s := range spellings(v) {
		return s
	}
	return ""
}

// spellings yields texts of v with its members in every order, up to a bound.
func spellings(v any) func(func(string) bool) {
	return func(yield func(string) bool) {
		left := 5000
		spell(v, func(s string) bool {
			left--
			return left > 0 && yield(s)
		})
	}
}

// spell calls yield with each spelling of v until it returns false.
func spell(v any, yield func(string) bool) bool {
	switch v := v.(type) {
	case *number:
		if v.rat.IsInt() {
			return yield(v.rat.Num().String())
		}
		n, _ := v.rat.FloatPrec()
		return yield(v.rat.FloatString(n))
	case []any:
		return spellAll(len(v), func(i int) any { return v[i] }, func(parts []string) bool {
			return yield("[" + strings.Join(parts, ",") + "]")
		})
	case *object:
		return permute(slices.Clone(v.keys), 0, func(keys []string) bool {
			return spellAll(len(keys), func(i int) any { return v.member[keys[i]] }, func(parts []string) bool {
				members := make([]string, len(parts))
				for i, p := range parts {
					members[i] = quote(keys[i]) + ":" + p
				}
				return yield("{" + strings.Join(members, ",") + "}")
			})
		})
	}
	var c compiler
	c.build = &build{style: styleOf(Options{})}
	return yield(c.spell(v))
}

func spellAll(n int, at func(int) any, yield func([]string) bool) bool {
	parts := make([]string, n)
	var next func(i int) bool
	next = func(i int) bool {
		if i == n {
			return yield(parts)
		}
		return spell(at(i), func(s string) bool {
			parts[i] = s
			return next(i + 1)
		})
	}
	return next(0)
}

func permute(keys []string, i int, yield func([]string) bool) bool {
	if i >= len(keys)-1 {
		return yield(keys)
	}
	for j := i; j < len(keys); j++ {
		keys[i], keys[j] = keys[j], keys[i]
		if !permute(keys, i+1, yield) {
			return false
		}
		keys[i], keys[j] = keys[j], keys[i]
	}
	return true
}
