package gguf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Open reads the GGUF file at path, mapped into memory where the platform allows
// it and read whole elsewhere. The file must not be truncated while it is open:
// touching a page that is gone kills the process. The caller closes the result.
//
// A model split into parts is opened whole, by the path of any of them, and its
// metadata no longer says that it was split.
func Open(path string) (*File, error) {
	f, err := openOne(path)
	if err != nil || !f.isPart() {
		return f, err
	}
	return join(f, path)
}

func openOne(path string) (*File, error) {
	data, unmap, err := load(path)
	if err != nil {
		return nil, err
	}
	f, err := Parse(data)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reading %s: %w", path, err), unmap())
	}
	f.unmap = unmap
	return f, nil
}

// load returns the bytes of the file at path, and how to let go of them.
func load(path string) (data []byte, unmap func() error, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("no model file at %s: %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("opening model: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("opening model: %w", err)
	case info.IsDir():
		return nil, nil, fmt.Errorf("model path %s is a folder; give the .gguf file inside it", path)
	case !info.Mode().IsRegular():
		return nil, nil, fmt.Errorf("model path %s is not a regular file", path)
	case info.Size() == 0:
		return nil, nil, fmt.Errorf("model file %s is empty; download it again", path)
	case info.Size() != int64(int(info.Size())):
		return nil, nil, fmt.Errorf("model file %s is too big for this platform's address space", path)
	}
	data, unmap, err = mapFile(file, int(info.Size()))
	if err != nil {
		return nil, nil, fmt.Errorf("reading model %s: %w", path, err)
	}
	return data, unmap, nil
}
