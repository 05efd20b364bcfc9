// Package nano carries Sluice's embedded models: two small networks of the LFM2
// architecture, trained from scratch by train/, in GGUF form (Q8_0). They need
// no download and run on any CPU.
//
// "nano" has one ability, "judge": given the prompt that local/judge renders, it
// scores the answers "local" and "cloud", and after the route the task kind.
// "nano-forms" answers the prompts of local/entities, of tools and of JSON
// schemas, held by a grammar: it copies, and cannot chat. README.md is their
// model card, and says how well they do.
package nano

import _ "embed"

// The models' general.name.
const (
	Name      = "Sluice nano v1"
	FormsName = "Sluice nano-forms v2"
)

// What a configuration writes for a file of this package.
const (
	Embedded      = "embedded"
	EmbeddedForms = "embedded/forms"
)

//go:embed nano.gguf
var judge []byte

//go:embed forms.gguf
var forms []byte

// Bytes returns nano's GGUF file. The caller must not write to it.
func Bytes() []byte { return judge }

// File returns the GGUF file that a configuration calls file, if it is one of
// this package. The caller must not write to it.
func File(file string) ([]byte, bool) {
	switch file {
	case Embedded:
		return judge, true
	case EmbeddedForms:
		return forms, true
	}
	return nil, false
}
