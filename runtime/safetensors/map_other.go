//go:build !unix

package safetensors

import (
	"io"
	"os"
)

// mapFile reads size bytes of file into memory: this platform gets no mapping.
func mapFile(file *os.File, size int) ([]byte, func() error, error) {
	data := make([]byte, size)
	if _, err := io.ReadFull(file, data); err != nil {
		return nil, nil, err
	}
	return data, func() error { return nil }, nil
}
