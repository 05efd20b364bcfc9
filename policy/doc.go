// Package policy holds what decides whether a request may leave: policy/pii
// finds personal data and secrets, takes them out and puts them back;
// policy/opa asks the operator's Rego rules for a decision.
//
// Both fail closed. A body that could not be scanned to its end, a rule that
// could not be evaluated and an answer that has an unknown shape are errors,
// and an error means that nothing is sent.
package policy
