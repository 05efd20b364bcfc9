// Package opa answers "may this leave?" with the operator's Rego rules. It is
// the only importer of Open Policy Agent.
//
// A bundle is a folder: *.rego, data.yaml or data.json (below the path of their
// folder, as OPA reads them), schema/input.json, schema/data.json. It is compiled once, strictly, against the
// input's schema and with the built-ins that give the same answer twice: a rule that
// misspells a field, or asks the network or the clock, does not load.
//
// # Invariants
//
// Whatever goes wrong is an error, and an error means deny: no answer, an answer of
// another shape, an unknown obligation, an unknown target, a built-in that failed, a
// deadline. A bundle that does not load never replaces the one in force.
//
// A remembered decision is the one that the rules would give: its key is all that they can
// read of the input, and no rule can ask for anything else that changes.
package opa
