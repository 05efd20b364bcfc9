//go:build !purego

package kernel

import "unsafe"

// Each reads n bytes, a multiple of 2048, asking for those ahead bytes further on.
//
//go:noescape
func read1AVX2(p *byte, n, ahead int)

//go:noescape
func read4AVX2(p *byte, n, ahead int)

func read1(p *byte, n, ahead int) {
	if useAVX2 {
		read1AVX2(p, n, ahead)
		return
	}
	readGeneric(unsafe.Slice(p, n))
}

func read4(p *byte, n, ahead int) {
	if useAVX2 {
		read4AVX2(p, n, ahead)
		return
	}
	readGeneric(unsafe.Slice(p, n))
}

// Each does n multiplications, a multiple of 1024.
//
//go:noescape
func dotPeakVNNI(n int)

//go:noescape
func dotPeakAVX2(n int)

func dotPeak(n int) {
	switch {
	case useVNNI:
		dotPeakVNNI(n)
	case useAVX2:
		dotPeakAVX2(n)
	default:
		dotPeakGeneric(n)
	}
}

func dotUnit() string {
	switch {
	case useVNNI:
		return "VPDPBUSD, 512 bits"
	case useAVX2:
		return "VPMADDUBSW, 256 bits"
	}
	return "Go"
}
