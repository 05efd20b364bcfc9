package kernel

import "unsafe"

// An Arena is memory for packed matrices, outside the garbage collector's heap,
// whose growth it would otherwise drive, and in huge pages where the system has them.
type Arena struct {
	free  []byte
	unmap func() error
}

// NewArena returns an arena of at least size bytes, which takes memory as it is
// written to.
func NewArena(size int) (*Arena, error) {
	mem, unmap, err := allocate(size + 64)
	if err != nil {
		return nil, err
	}
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(mem)))) & 63
	return &Arena{free: mem[skip:], unmap: unmap}, nil
}

// Alloc returns the next n bytes, aligned to 64; they are zero. It panics if the
// arena has no more.
func (a *Arena) Alloc(n int) []byte {
	whole := (n + 63) &^ 63
	if len(a.free) < whole {
		whole = n
	}
	mem := a.free[:n:n]
	a.free = a.free[whole:]
	return mem
}

// Close gives the memory back. Nothing may use it afterwards.
func (a *Arena) Close() error {
	unmap := a.unmap
	a.free, a.unmap = nil, nil
	if unmap == nil {
		return nil
	}
	return unmap()
}
