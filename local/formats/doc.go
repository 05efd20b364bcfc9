// Package formats holds finished answers to the format that their requests ask
// for: JSON that satisfies the schema of response_format, a text of a regular
// expression, a choice or a grammar, calls of the request's tools with arguments that
// satisfy theirs. What is almost right is repaired: by
// rules (runtime/repair), and where they do not do, by a local model that writes
// the document again, held to the schema while it does.
//
// A model may only put what was there into another form: every text and number of
// its document must stand in the broken one, or in the schema.
package formats
