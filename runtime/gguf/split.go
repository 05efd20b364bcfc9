package gguf

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// maxParts bounds the parts of a split model: names have five digits, and each
// part is an open file.
const maxParts = 1000

var partName = regexp.MustCompile(`^(.*)-(\d{5})-of-(\d{5})\.gguf$`)

// isPart reports whether f is one of several parts of a model.
func (f *File) isPart() bool {
	n, _ := f.Int("split.count")
	return n > 1
}

// join opens the other parts of the model that f, from path, is a part of. Their
// names are those llama-gguf-split gives. The result has the first part's metadata
// without what is about the split, and all tensors; it owns f, also if join fails.
func join(f *File, path string) (_ *File, err error) {
	parts := []*File{f}
	unmap := func() error {
		var errs []error
		for _, p := range parts {
			errs = append(errs, p.Close())
		}
		return errors.Join(errs...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, unmap())
		}
	}()
	count, _ := f.Int("split.count")
	number, ok := f.Int("split.no")
	if !ok || number < 0 || number >= count || count > maxParts {
		return nil, fmt.Errorf("reading %s: it says it is part %d of %d, which cannot be", path, number, count)
	}
	m := partName.FindStringSubmatch(filepath.Base(path))
	if m == nil || !isNumber(m[2], number+1) || !isNumber(m[3], count) {
		return nil, fmt.Errorf("reading %s: it is part %d of a model in %d parts, which is found only under the name …-%05d-of-%05d.gguf; give all parts their names back", path, number+1, count, number+1, count)
	}
	all := make([]*File, count)
	all[number] = f
	for i := range all {
		if all[i] != nil {
			continue
		}
		name := filepath.Join(filepath.Dir(path), fmt.Sprintf("%s-%05d-of-%05d.gguf", m[1], i+1, count))
		p, err := openOne(name)
		if err != nil {
			return nil, fmt.Errorf("opening part %d of %d: %w", i+1, count, err)
		}
		parts = append(parts, p)
		all[i] = p
		if n, ok := p.Int("split.no"); !ok || n != int64(i) {
			return nil, fmt.Errorf("reading %s: it says it is part %d, not %d", name, n+1, i+1)
		}
		if n, _ := p.Int("split.count"); n != count {
			return nil, fmt.Errorf("reading %s: it belongs to a model in %d parts, not %d", name, n, count)
		}
	}
	var fields []Field
	var tensors []Tensor
	for _, field := range all[0].Fields {
		if !strings.HasPrefix(field.Key, "split.") {
			fields = append(fields, field)
		}
	}
	var size int64
	for _, p := range all {
		tensors = append(tensors, p.Tensors...)
		size += p.Size
	}
	if n, ok := all[0].Int("split.tensors.count"); ok && n != int64(len(tensors)) {
		return nil, fmt.Errorf("reading %s: the model has %d tensors and its parts together have %d", path, n, len(tensors))
	}
	whole, err := New(fields, tensors, unmap)
	if err != nil {
		return nil, fmt.Errorf("reading %s and its other parts: %w", path, err)
	}
	for _, p := range all {
		p.DropMetadata() // whole has it
	}
	whole.Version, whole.Alignment, whole.Size = all[0].Version, all[0].Alignment, size
	return whole, nil
}

func isNumber(s string, n int64) bool {
	v, err := strconv.ParseInt(s, 10, 64)
	return err == nil && v == n
}
