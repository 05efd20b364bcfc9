// Package kernel holds the inner loops of the engine: matrix products over
// weights in a GGUF file's own bytes, and the vector work between them.
//
// Every operation is defined by a Go function that is always compiled;
// assembly for amd64 and arm64 only makes it faster. Build with -tags purego to
// leave the assembly out.
//
// # Exactness
//
// Products with quantised weights are the same bits on every machine: integer
// sums are exact, and float32 operations happen one by one in a fixed order, of
// which packed matrices in blocks of 256 have their own (see [Weight.MatMul]). Products with float weights and the vector operations may
// sum in another order from machine to machine, but on one machine a column's
// result never depends on how many columns are computed with it.
//
// # Concurrency
//
// A [Weight] is immutable. A [Pool] serves any number of callers. A [Scratch]
// belongs to one caller at a time.
package kernel
