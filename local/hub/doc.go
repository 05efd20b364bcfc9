// Package hub gets model files from a Hugging Face hub, or a mirror of it, and
// finds them again on disk.
//
// A name says which: a short one for each official LFM2 checkpoint
// ("lfm2-350m", "lfm2.5-1.2b-instruct:q4_k_m"), or "org/repo", "org/repo:QUANT",
// "org/repo:file" and "org/repo/file" for everything else. See [Parse].
//
// # Invariants
//
// A file appears under its final name only once it is whole: its size and, as
// the hub states one, its SHA-256 (or git blob id) have been checked, and the
// bytes have reached the disk. Until then they are in NAME.part, which a later
// pull, of this process or another, continues. Two processes pulling the same
// file take turns; the second finds the work done.
//
// The token goes to the configured endpoint alone, never to the host that the
// endpoint redirects to, and not over plain HTTP except to this machine.
package hub
