//go:build unix

package kernel

import (
	"os"

	"golang.org/x/sys/unix"
)

func allocate(size int) (mem []byte, unmap func() error, err error) {
	mem, err = unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, nil, os.NewSyscallError("mmap", err)
	}
	hugePages(mem)
	return mem, func() error { return os.NewSyscallError("munmap", unix.Munmap(mem)) }, nil
}
