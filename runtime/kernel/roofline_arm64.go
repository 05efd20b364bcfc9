//go:build !purego

package kernel

import "unsafe"

// readNEON reads n bytes, a multiple of 64.
//
//go:noescape
func readNEON(p *byte, n int)

func read1(p *byte, n, _ int) {
	if useNEON {
		readNEON(p, n)
		return
	}
	readGeneric(unsafe.Slice(p, n))
}

func read4(p *byte, n, ahead int) { read1(p, n, ahead) }

// dotPeakDOT does n multiplications, a multiple of 1024.
//
//go:noescape
func dotPeakDOT(n int)

// dotPeakI8MM does n multiplications, a multiple of 1024.
//
//go:noescape
func dotPeakI8MM(n int)

func dotPeak(n int) {
	switch {
	case useI8MM:
		dotPeakI8MM(n)
	case useDOT:
		dotPeakDOT(n)
	default:
		dotPeakGeneric(n)
	}
}

func dotUnit() string {
	switch {
	case useI8MM:
		return "USMMLA, 128 bits"
	case useDOT:
		return "SDOT, 128 bits"
	}
	return "Go"
}
