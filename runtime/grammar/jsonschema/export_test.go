package jsonschema

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/runtime/grammar"
)

// RandomSchema makes a schema of the keywords that are held while decoding.
func RandomSchema(rng *rand.Rand) []byte { return schemas{Rand: rng}.document() }

// Peer returns the other validator's verdict on instances of a schema.
func Peer(t testing.TB, schema []byte) func(instance string) error {
	s := peerSchema(t, schema)
	return func(instance string) error {
		v, err := valueOf(t, instance)
		if err != nil {
			return err
		}
		return s.Validate(v)
	}
}

// Impossible reports whether err says that nothing satisfies a schema, or that it never ends.
func Impossible(err error) bool {
	return strings.Contains(err.Error(), grammar.ErrEmpty.Error()) || strings.Contains(err.Error(), errLoop.Error())
}
