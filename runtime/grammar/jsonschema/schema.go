package jsonschema

import (
	"math/big"

	"github.com/sluice-ai/sluice/runtime/grammar/automaton"
)

// A schema is one parsed schema object or boolean.
type schema struct {
	id  int    // unique in its document
	ptr string // JSON pointer from the root of the document
	// always is what a boolean schema says; nil for objects.
	always *bool

	types   typeset // tAll when there is no keyword type
	integer bool    // of numbers, integers only

	ref           *schema
	all, any, one []*schema
	not           *schema
	cond          *schema // if
	then, other   *schema // else

	enum []any // also const; nil when there is none
	hasE bool

	def    any // the default, which says nothing about what is valid
	hasDef bool

	min, max         *big.Rat
	openMin, openMax bool
	multipleOf       *big.Rat

	minLen, maxLen int // maxLen < 0 is no bound; so for the others
	pattern        *automaton.Language
	format         string

	minItems, maxItems int
	prefix             []*schema
	items              *schema
	contains           *schema
	minContains        int
	maxContains        int
	unique             bool

	minProps, maxProps int
	props              []property
	patterns           []patternProperty
	additional         *schema
	names              *schema
	required           []string
	needs              []dependency

	restProps, restItems *schema // unevaluatedProperties, unevaluatedItems
}

type property struct {
	name   string
	schema *schema
}

type patternProperty struct {
	lang   *automaton.Language
	schema *schema
}

// A dependency is an entry of dependentRequired or dependentSchemas.
type dependency struct {
	name     string
	required []string
	schema   *schema // nil for dependentRequired
}

// property returns the schema of a property that s names.
func (s *schema) property(name string) *schema {
	for _, p := range s.props {
		if p.name == name {
			return p.schema
		}
	}
	return nil
}

// isTrue reports whether s allows everything because it says nothing.
func (s *schema) isTrue() bool { return s.always != nil && *s.always }

// aboutObjects reports whether s says something about members of objects.
func (s *schema) aboutObjects() bool {
	return len(s.props) > 0 || len(s.patterns) > 0 || s.additional != nil
}

func (s *schema) aboutArrays() bool { return len(s.prefix) > 0 || s.items != nil }
