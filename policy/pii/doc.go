// Package pii finds personal data and secrets in requests, replaces them by
// placeholders, and puts the values back into answers.
//
// The path of one text:
//
//	fold      zero-width characters out, full-width and other digits to ASCII, exotic spaces to spaces; offsets are kept
//	trigger   eight bytes at a time: digits, '@', ':', '=', '_', '-', 'A'. Most text stops here
//	window    the detector of that trigger looks left and right, no further than it must
//	validate  checksums, numbering plans, exclusion rules, context words
//	resolve   spans that overlap become one, of the more certain type
//
// There is one table of types (types.go) and one small file per family. The
// same detectors, written as regular expressions, are the tests' oracle.
//
// # Invariants
//
// Findings count code points and never carry the value they found. A body
// that is not one valid JSON object, that names a key twice or nests too deep is
// refused, never scanned in part. Redact changes the bytes of the found
// values and nothing else. Placeholders are one-to-one within a request.
package pii
