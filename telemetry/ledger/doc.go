// Package ledger keeps the audit ledger: one record for each request, in
// append-only segment files whose frames are chained by SHA-256, so that a
// change to what was written shows. The format is docs/formats/ledger.md.
//
// A [Ledger] writes. One goroutine takes whatever records are waiting, writes
// them with one system call and makes them durable with one fsync, then wakes
// everybody who waited for them.
//
// [Verify], [Scan] and [Tail] read, also while another process writes.
//
// # Invariants
//
// Record returns nil to a caller that waits only when the record and all
// before it are on disk. Sequence numbers begin at 1 and have no gaps. After
// the first error of the disk a Ledger accepts nothing more: what is on disk
// behind a failed fsync is unknown, and only [Open] finds it out.
//
// Nothing here reads the text of a request: [llm.Record] holds none, and
// errors name places, never contents.
package ledger
