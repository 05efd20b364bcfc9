// Package sched decides what a model does in each step: which sequences advance,
// by how many tokens. It has no goroutines and no clock; it is told what arrives,
// leaves and how long steps took, and says what comes next.
//
//	Arrive ──► waiting ──Admit──► inside ──Ready──► Plan ──► Done ─┐
//	                                ▲                              │
//	                                └──────────────────────────────┘ … Leave
//
// A step holds, in this order:
//
//   - every piece that cannot be cut: the next token of each answer, with the
//     tokens drafted after it, and labels that are scored. So a prompt, however
//     long, never makes an answer wait for more than one step;
//   - parts of prompts, as many tokens as fit the time a step should take at the
//     pace measured so far: [Config.Shared] while answers are being written,
//     [Config.Alone] otherwise.
//
// # Order
//
// Urgent work goes before normal work, but after four steps in which it kept
// normal work out, that goes first once. Among normal work the group (a tenant)
// that was given the fewest tokens goes first, and within a group whoever waits
// longest: both for a slot and for a share of a step. A group that was away comes
// back level with the least served of those present: it neither saves up nor pays
// for its absence. Sheng et al. 2024, "Fairness in Serving Large Language Models",
// call this a virtual token counter.
//
// # Memory
//
// Whoever is next for a slot is asked to take its memory. When there is none now,
// it keeps its place while others run, and nobody overtakes it; when nobody runs
// who could give memory back, it is refused.
package sched
