package kernel

import "golang.org/x/sys/unix"

// hugePages asks for pages of 2 MiB: a matrix is read from one end to the other, and
// looking up its small pages costs a tenth of that.
func hugePages(mem []byte) {
	_ = unix.Madvise(mem, unix.MADV_HUGEPAGE) // advice: no harm if it is not taken
}
