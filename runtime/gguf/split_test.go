package gguf

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/runtime/quant"
)

// writeParts writes a model of three tensors in three parts, as llama-gguf-split
// does, but for what change does to a part.
func writeParts(t *testing.T, change func(part int, w *Writer)) (folder string) {
	t.Helper()
	folder = t.TempDir()
	for i := range 3 {
		var w Writer
		if i == 0 {
			w.Set("general.architecture", "lfm2")
		}
		w.Set("split.no", uint16(i))
		w.Set("split.count", uint16(3))
		w.Set("split.tensors.count", int32(3))
		w.AddBytes(fmt.Sprint("t", i), quant.F32, []int{1}, []byte{byte(i), 0, 0, 0})
		if change != nil {
			change(i, &w)
		}
		f, err := os.Create(filepath.Join(folder, fmt.Sprintf("model-%05d-of-00003.gguf", i+1)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.WriteTo(f); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestSplit(t *testing.T) {
	folder := writeParts(t, nil)
	for part := range 3 {
		f, err := Open(filepath.Join(folder, fmt.Sprintf("model-%05d-of-00003.gguf", part+1)))
		if err != nil {
			t.Fatal(err)
		}
		if arch, _ := f.Str("general.architecture"); arch != "lfm2" {
			t.Errorf("opened by part %d: architecture %q", part+1, arch)
		}
		if _, ok := f.Field("split.count"); ok {
			t.Error("the whole still says it is split")
		}
		for i := range 3 {
			x := f.Tensor(fmt.Sprint("t", i))
			if x == nil || x.Data[0] != byte(i) {
				t.Errorf("opened by part %d: tensor %d is %v", part+1, i, x)
			}
		}
		if f.Size < 300 {
			t.Errorf("size %d", f.Size)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestSplitRefuses(t *testing.T) {
	set := func(part int, key string, v any) func(int, *Writer) {
		return func(i int, w *Writer) {
			if i != part {
				return
			}
			for j := range w.fields {
				if w.fields[j].Key == key {
					w.fields[j].Value = v
				}
			}
		}
	}
	for _, tt := range []struct {
		name   string
		change func(int, *Writer)
		files  func(folder string) error
		want   string
	}{
		{"missing", nil, func(d string) error { return os.Remove(filepath.Join(d, "model-00003-of-00003.gguf")) }, "opening part 3 of 3"},
		{"renamed", nil, func(d string) error {
			return os.Rename(filepath.Join(d, "model-00001-of-00003.gguf"), filepath.Join(d, "model.gguf"))
		}, "give all parts their names back"},
		{"swapped", nil, func(d string) error {
			return os.Rename(filepath.Join(d, "model-00003-of-00003.gguf"), filepath.Join(d, "model-00002-of-00003.gguf"))
		}, "it says it is part 3, not 2"},
		{"damaged", nil, func(d string) error { return os.Truncate(filepath.Join(d, "model-00002-of-00003.gguf"), 40) }, "opening part 2 of 3"},
		{"number", set(0, "split.no", uint16(3)), nil, "part 3 of 3, which cannot be"},
		{"count", set(1, "split.count", uint16(2)), nil, "in 2 parts, not 3"},
		{"many", set(0, "split.count", uint16(60000)), nil, "of 60000, which cannot be"},
		{"tensors", set(0, "split.tensors.count", int32(4)), nil, "has 4 tensors and its parts together have 3"},
		{"twice", func(i int, w *Writer) {
			if i == 2 {
				w.tensors[0].name = "t1"
			}
		}, nil, `tensor "t1": occurs twice`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			folder := writeParts(t, tt.change)
			if tt.files != nil {
				if err := tt.files(folder); err != nil {
					t.Fatal(err)
				}
			}
			path := filepath.Join(folder, "model-00001-of-00003.gguf")
			if tt.name == "renamed" {
				path = filepath.Join(folder, "model.gguf")
			}
			f, err := Open(path)
			if err == nil {
				t.Fatalf("opened %d tensors", len(f.Tensors))
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q does not contain %q", err, tt.want)
			}
		})
	}
}
