package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sluice-ai/sluice/runtime/gguf"
	"github.com/sluice-ai/sluice/runtime/lfm2"
)

// Contents lists what is in a file, whatever kind of model it holds, or in all
// parts or shards of one.
type Contents struct {
	Format  string // "GGUF" or "safetensors"
	Bytes   int64
	Fields  []Field
	Tensors []Tensor
}

// A Field is one metadata entry. Of a checkpoint in safetensors it is what the
// converter to GGUF would write.
type Field struct {
	Key   string
	Type  string // "u32", "str", "arr[str]"
	Value any    // a number, string or bool, or a slice of one of them
}

// A Tensor is one named array.
type Tensor struct {
	Name  string
	Type  string // "Q4_K"
	Dims  []int  // fastest-varying first, as GGUF has them
	Bytes int64
}

// Inspect lists the contents of the model or adapter at path, without loading it.
func Inspect(path string) (_ *Contents, err error) {
	f, format, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return contents(f, format), nil
}

// InspectBytes is Inspect for a GGUF file held in data.
func InspectBytes(data []byte) (*Contents, error) {
	f, err := gguf.Parse(data)
	if err != nil {
		return nil, err
	}
	return contents(f, "GGUF"), nil
}

func contents(f *gguf.File, format string) *Contents {
	c := &Contents{Format: format, Bytes: f.Size}
	for _, field := range f.Fields {
		kind := field.Type.String()
		if field.Type == gguf.Array {
			kind = fmt.Sprintf("%s[%s]", kind, field.Elem)
		}
		c.Fields = append(c.Fields, Field{Key: field.Key, Type: kind, Value: field.Value})
	}
	for _, t := range f.Tensors {
		c.Tensors = append(c.Tensors, Tensor{Name: t.Name, Type: t.Type.String(), Dims: t.Dims, Bytes: int64(len(t.Data))})
	}
	return c
}

// openFile opens a GGUF file, all parts of one that was split, or a checkpoint in
// safetensors by its folder or a file in it.
func openFile(path string) (f *gguf.File, format string, err error) {
	folder := path
	if strings.HasSuffix(path, ".safetensors") || strings.HasSuffix(path, ".safetensors.index.json") {
		folder = filepath.Dir(path)
	} else if info, err := os.Stat(path); err != nil || !info.IsDir() {
		f, err := gguf.Open(path)
		return f, "GGUF", err
	}
	f, err = lfm2.OpenHub(folder)
	if errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("model folder %s is not complete: it needs config.json, tokenizer.json and *.safetensors, or give the path of a .gguf file: %w", folder, err)
	}
	return f, "safetensors", err
}
