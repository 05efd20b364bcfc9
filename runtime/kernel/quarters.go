//go:build !purego && (amd64 || arm64)

package kernel

import "unsafe"

// quarters is tile by eight rows and four columns at a time.
func quarters(a *tileArgs, cols, size int) {
	quarter := *a
	for col := 0; col < cols; col += 4 {
		for row := 0; row < panelRows; row += 8 {
			quarter.v = offsetBy(a.v, 4*row)
			quarter.scale, quarter.min = offsetBy(a.scale, row), offsetBy(a.min, row)
			quarter.q = offsetBy(a.q, 4*col)
			quarter.d, quarter.dsum = offsetBy(a.d, col), offsetBy(a.dsum, col)
			quarter.dst = offsetBy(a.dst, panelRows*col+row)
			tileQuarter(&quarter, size)
		}
	}
}

// offsetBy returns a pointer n elements on, or nil for nil.
func offsetBy[T any](p *T, n int) *T {
	if p == nil {
		return nil
	}
	return (*T)(unsafe.Add(unsafe.Pointer(p), n*int(unsafe.Sizeof(*p))))
}
