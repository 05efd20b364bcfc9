// Package repair puts almost-right JSON right, without a model and without
// guessing what the writer meant to say:
//
//	text ─ JSON ─→ strict JSON ─ Schema.Mend ─→ JSON that satisfies the schema
//	      (fences, commas, quotes, …)  (types, case, names, defaults)
//
// A [Form] does the same for texts of a regular expression, a choice or a grammar.
//
// Every change is a [Fix]: what was done, where and why. Fixes hold no values, so
// they can be logged.
//
// What is right already comes back byte for byte. What can be read in two ways
// stays wrong, and is an error: a wrong repair is worse than a refusal.
package repair
