//go:build !linux

package ledger

import "os"

// syncFile makes f durable; on Darwin this flushes the drive's cache too.
func syncFile(f *os.File) error { return f.Sync() }
