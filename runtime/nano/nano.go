// Package nano carries Sluice's embedded model: a small network of the LFM2
// architecture, trained from scratch by train/, in GGUF form (Q8_0). It needs
// no download and runs on any CPU.
//
// It has one ability, "judge": given the prompt that local/judge renders, it
// scores the answers "local" and "cloud", and after the route the task kind. It
// cannot chat. README.md is its model card.
package nano

import _ "embed"

// Name is the model's general.name.
const Name = "Sluice nano v1"

//go:embed nano.gguf
var gguf []byte

// Bytes returns the GGUF file. The caller must not write to it.
func Bytes() []byte { return gguf }
