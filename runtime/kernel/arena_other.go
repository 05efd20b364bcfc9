//go:build !unix

package kernel

func allocate(size int) (mem []byte, unmap func() error, err error) {
	return make([]byte, size), nil, nil
}
