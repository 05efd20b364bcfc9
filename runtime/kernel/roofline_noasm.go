//go:build purego || !(amd64 || arm64)

package kernel

import "unsafe"

func read1(p *byte, n, _ int) { readGeneric(unsafe.Slice(p, n)) }

func read4(p *byte, n, _ int) { readGeneric(unsafe.Slice(p, n)) }

func dotPeak(n int) { dotPeakGeneric(n) }

func dotUnit() string { return "Go" }
