// Package engine runs LFM2 models: it opens a GGUF file, or a checkpoint
// of transformers, and turns messages into
// text, or token sequences into probabilities. It is the only package of runtime
// that others import.
//
//	Open(file) → Model ─┬─ Generate(messages) → chunks of text
//	                    ├─ NewSession → Prefill, Score, Clone     (the judge)
//	                    └─ Logits(tokens)                         (models logits)
//
// # Concurrency
//
// A [Model] is safe for concurrent use; a [Session] is used by one goroutine at
// a time. All work of a model is cut into steps (a chunk of a prompt, or one
// token) that take turns: generations one after the other in a circle, so that
// they advance evenly, and steps of sessions before those of generations, so
// that a short judgement waits for one step of a long answer and not for all of
// it. A context that ends is noticed within one layer of a step.
//
// # Formats
//
// [Request.Schema] and [Request.Calls] hold an answer to a grammar: tokens that
// would leave it are not sampled, and those that it forces are read in one step.
// Grammars are compiled once and kept, the last few of them.
//
// # Memory
//
// Weights are used where the file is mapped. Buffers are allocated when a model
// is opened; a sequence takes memory as it grows, in pages. All sequences share a
// budget: a generation begins when the memory of its prompt and of the first part
// of its answer is there, and fails with [ErrBusy] otherwise.
package engine
