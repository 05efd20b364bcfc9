// Package cloud is the cloud tier: one backend made of many targets, each
// behind a circuit breaker, with retries in front of the breaker's verdict.
//
// The tier decides nothing about where a request may go. The router names the
// target; the tier calls it, counts what came of it, and says in the words of
// [llm.Outcome] how each attempt ended.
package cloud
