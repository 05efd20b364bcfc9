//go:build unix

package kernel

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// guarded returns n bytes that end where an unmapped page begins, so that
// touching what is past them faults.
func guarded(t testing.TB, n int) []byte {
	page := unix.Getpagesize()
	size := (n + page - 1) / page * page
	m, err := unix.Mmap(-1, 0, size+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Mprotect(m[size:], unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Munmap(m); err != nil {
			t.Error(err)
		}
	})
	return m[size-n : size : size]
}

func guardedBytes(t testing.TB, b []byte) []byte {
	g := guarded(t, len(b))
	copy(g, b)
	return g
}

func guardedFloats(t testing.TB, x []float32) []float32 {
	if len(x) == 0 {
		return nil
	}
	g := guarded(t, 4*len(x))
	f := unsafe.Slice((*float32)(unsafe.Pointer(&g[0])), len(x))
	copy(f, x)
	return f
}
