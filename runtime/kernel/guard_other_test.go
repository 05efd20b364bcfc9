//go:build !unix

package kernel

import (
	"slices"
	"testing"
)

// There is no guard page here: the unix run of the tests has them.
func guardedBytes(_ testing.TB, b []byte) []byte        { return slices.Clone(b) }
func guardedFloats(_ testing.TB, x []float32) []float32 { return slices.Clone(x) }
