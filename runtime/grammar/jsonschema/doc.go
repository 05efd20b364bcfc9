// Package jsonschema turns JSON Schemas (2020-12, and the forms of draft-07 that
// differ) into grammars whose texts satisfy them, and checks instances.
//
//	schema text ─ parse ─→ schemas ─ norm ─→ shapes ─ build ─→ grammar.Grammar
//	                          └─ Validate (what the grammar cannot hold)
//
// A goal is a set of schemas that a value must satisfy together. Its shapes are
// the alternatives of that conjunction, each with the conditions of every type
// merged: allOf is a bigger goal, anyOf more shapes, not the shapes of the
// negation. Each goal becomes one rule, so recursion in a schema is recursion in
// the grammar.
//
// # What a grammar writes
//
// Properties come in the order of the schema, then those it does not name.
// Integers are written without fraction and exponent; numbers with bounds
// without exponent. Texts with a pattern or format, and names of properties,
// use no \u escapes. Apart from these spellings, and from the keywords listed in
// [Compiled.PostChecks], the grammar allows what the schema allows.
package jsonschema
