// Package router decides where one request runs, and makes it run there:
//
//	admit     who is asking, and may they?                        (router/api)
//	inspect   what personal data and secrets does it carry?
//	assess    can the local model do it, and how surely?
//	decide    the targets policy permits, best first; a pure function
//	dispatch  the first target whose answer stands wins
//	record    what was decided, why, and what it cost
//
// A [Router] makes an [Exchange] of each request. [Router.Plan] takes it
// through inspect, assess and decide without calling any model but the
// judge's; [Exchange.Run] dispatches it, and [Exchange.Record] writes the
// ledger.
//
// # Invariants
//
// Once the client has received one event, its request never moves to another
// target. Policy is asked for every hop: a target that was permitted first is
// asked about again before it is used as a fallback. A request that policy
// marks local-only never reaches a cloud backend. A cloud backend never sees a
// body that still holds a finding which policy said to redact.
//
// A [Router] is safe for concurrent use. [Choose] takes no locks and does no
// I/O; it works on a [Snapshot] taken once per request.
package router
