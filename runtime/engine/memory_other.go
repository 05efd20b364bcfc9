//go:build !linux

package engine

func systemMemory() (int64, bool) { return 0, false }
