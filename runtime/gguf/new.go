package gguf

import (
	"fmt"

	"github.com/sluice-ai/sluice/runtime/quant"
)

// New returns a file made of parts that come from elsewhere, such as another
// container: it checks what [Parse] would, and keeps the slices. A field's Type
// and Elem follow from its Value. Unmap, if not nil, is what [File.Close] calls.
func New(fields []Field, tensors []Tensor, unmap func() error) (*File, error) {
	f := &File{Version: 3, Alignment: defaultAlignment, byKey: map[string]int{}, byName: map[string]int{}}
	for _, field := range fields {
		var ok bool
		if field.Type, field.Elem, ok = typeOf(field.Value); !ok {
			return nil, fail(fmt.Sprintf("metadata %q", field.Key), "cannot store a %T", field.Value)
		}
		if err := f.addField(field); err != nil {
			return nil, err
		}
	}
	for _, t := range tensors {
		if err := f.addTensor(t); err != nil {
			return nil, err
		}
		f.Size += int64(len(t.Data))
	}
	f.unmap = unmap
	return f, nil
}

func (f *File) addField(field Field) error {
	if _, dup := f.byKey[field.Key]; dup {
		return fail(fmt.Sprintf("metadata %q", field.Key), "occurs twice")
	}
	f.byKey[field.Key] = len(f.Fields)
	f.Fields = append(f.Fields, field)
	return nil
}

// addTensor adds a tensor that has its data.
func (f *File) addTensor(t Tensor) error {
	part := fmt.Sprintf("tensor %q", t.Name)
	if _, dup := f.byName[t.Name]; dup {
		return fail(part, "occurs twice")
	}
	if len(t.Dims) < 1 || len(t.Dims) > maxDims {
		return fail(part, "has %d dimensions; 1 to %d are possible", len(t.Dims), maxDims)
	}
	size := quant.RowBytes(t.Type, t.Dims[0])
	if size <= 0 {
		return fail(part, "rows of %d elements do not divide into %v blocks", t.Dims[0], t.Type)
	}
	for _, d := range t.Dims[1:] {
		if d <= 0 || size > len(t.Data)/d {
			return fail(part, "%d bytes are no %v of sizes %v", len(t.Data), t.Type, t.Dims)
		}
		size *= d
	}
	if size != len(t.Data) {
		return fail(part, "%d bytes are no %v of sizes %v", len(t.Data), t.Type, t.Dims)
	}
	f.byName[t.Name] = len(f.Tensors)
	f.Tensors = append(f.Tensors, t)
	return nil
}
