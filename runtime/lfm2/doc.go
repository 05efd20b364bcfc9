// Package lfm2 is the dense LFM2 and LFM2.5 language model: its shape, how a
// GGUF file fills it, and its forward pass. The mathematics is section 2 of the
// LFM2 reference (transformers modeling_lfm2.py, llama.cpp src/models/lfm2.cpp).
//
// # Invariants
//
// [Load] checks every shape, so a [Model] that exists can run: [Model.Forward]
// reports bad input as an error and never panics on it.
//
// A Model is immutable and safe for concurrent use. A [Work] serves one Forward
// at a time, a [state.Seq] is in one Forward at a time.
//
// How a prompt is cut into calls does not matter beyond rounding, nor what else
// is in the batch.
package lfm2
