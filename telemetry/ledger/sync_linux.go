package ledger

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncFile makes f's bytes and size durable, but not its times.
func syncFile(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("fdatasync", err)
		}
		return nil
	}
}
