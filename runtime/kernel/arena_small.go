//go:build unix && !linux

package kernel

func hugePages([]byte) {}
