package hub

import (
	"context"
	"errors"
	"os"
	"time"
)

// lock takes the lock file at path, waiting for whoever has it; waiting is
// called once if that is needed. The system frees the lock of a process that dies.
func lock(ctx context.Context, path string, waiting func()) (unlock func(), err error) {
	const pause = 200 * time.Millisecond
	for first := true; ; {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, err
		}
		taken, err := lockFile(f)
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if taken && isAt(f, path) {
			return func() {
				os.Remove(path) // while it is ours; where that cannot be, it stays and is harmless
				f.Close()
			}, nil
		}
		f.Close()
		if taken {
			continue // whoever had it has removed the file since
		}
		if first {
			waiting()
			first = false
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
}

// isAt reports whether f is the file now at path.
func isAt(f *os.File, path string) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(mine, there)
}
