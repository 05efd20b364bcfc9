// Package gguf reads and writes GGUF files: typed metadata, then named tensors.
//
// It knows the container and no architecture. Versions 2 and 3, little-endian,
// are read; version 3 is written. The layout is section 7 of the LFM2 reference
// and ggml's docs/gguf.md.
//
// A file is not trusted. Every count and offset is checked against the number of
// bytes really there before anything is allocated for it, so a reader's memory
// is bounded by a small multiple of the file's size whatever the file claims. A
// file that breaks a rule yields a [*FormatError] that names the part at fault.
//
// Tensor data is never copied: it aliases the bytes given to [Parse], or the
// mapping made by [Open], until [File.Close].
package gguf
