//go:build unix

package gguf

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Release says that data, a part of a tensor's, will not be read again soon: the
// pages of a mapped file leave this process's memory. They stay readable, at the
// cost of reading the file again. It does nothing to a file from [Parse].
func (f *File) Release(data []byte) {
	if f.unmap == nil || len(data) == 0 {
		return
	}
	// From the page that data begins in, which is done with up to there, to the page
	// it ends in, which is not.
	page := os.Getpagesize()
	before := int(uintptr(unsafe.Pointer(&data[0])) % uintptr(page))
	if n := (before + len(data)) / page * page; n > 0 {
		start := unsafe.Add(unsafe.Pointer(&data[0]), -before)                // a mapping begins with a page
		_ = unix.Madvise(unsafe.Slice((*byte)(start), n), unix.MADV_DONTNEED) // advice: no harm if it is not taken
	}
}
