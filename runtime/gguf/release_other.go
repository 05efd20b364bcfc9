//go:build !unix

package gguf

// Release does nothing on this platform, where files are read whole.
func (f *File) Release([]byte) {}
