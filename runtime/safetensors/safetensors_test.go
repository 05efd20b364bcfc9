package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// file builds a safetensors file from a header and n bytes of data, which count up.
func file(header string, n int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	b = append(b, header...)
	for i := range n {
		b = append(b, byte(i))
	}
	return b
}

func TestParse(t *testing.T) {
	f, err := Parse(file(`{"__metadata__":{"format":"pt"},"b":{"dtype":"BF16","shape":[2,3],"data_offsets":[4,16]},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"e":{"dtype":"F16","shape":[0,7],"data_offsets":[4,4]}}   `, 16))
	if err != nil {
		t.Fatal(err)
	}
	b := f.Tensor("b")
	if b == nil || b.DType != "BF16" || !slices.Equal(b.Shape, []int{2, 3}) || len(b.Data) != 12 || b.Data[0] != 4 || b.Elements() != 6 {
		t.Errorf("b = %+v", b)
	}
	if a := f.Tensor("a"); a == nil || a.Elements() != 1 || len(a.Data) != 4 {
		t.Errorf("a = %+v", a)
	}
	if f.Tensor("c") != nil || f.Metadata["format"] != "pt" || len(f.Tensors) != 3 {
		t.Errorf("%+v", f)
	}
	got := make([]float32, 6)
	if err := b.Floats(got); err != nil || got[1] != math.Float32frombits(0x0706<<16) {
		t.Errorf("Floats = %v, %v", got, err)
	}
	if err := b.Floats(got[:5]); err == nil {
		t.Error("Floats into too short a slice")
	}
}

func TestParseHostile(t *testing.T) {
	one := func(entry string) string { return `{"t":` + entry + `}` }
	tests := []struct {
		name, header string
		n            int
		want         string
	}{
		{"no-object", `[]`, 0, "no JSON object"},
		{"not-json", `{"a"`, 0, "malformed"},
		{"trailing", `{} {}`, 0, "after its end"},
		{"no-dtype", one(`{"shape":[1],"data_offsets":[0,4]}`), 4, "needs dtype"},
		{"no-shape", one(`{"dtype":"F32","data_offsets":[0,4]}`), 4, "needs dtype"},
		{"null-entry", one(`null`), 0, "needs dtype"},
		{"one-offset", one(`{"dtype":"F32","shape":[1],"data_offsets":[0]}`), 4, "needs dtype"},
		{"three-offsets", one(`{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}`), 4, "needs dtype"},
		{"unknown-type", one(`{"dtype":"F31","shape":[1],"data_offsets":[0,4]}`), 4, "is unknown"},
		{"negative", one(`{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}`), 4, "malformed"},
		{"fraction", one(`{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}`), 4, "malformed"},
		{"beyond-end", one(`{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`), 4, "outside"},
		{"backwards", one(`{"dtype":"F32","shape":[1],"data_offsets":[4,0]}`), 4, "outside"},
		{"shape-and-offsets", one(`{"dtype":"F32","shape":[3],"data_offsets":[0,4]}`), 4, "by its shape"},
		{"overflow", one(`{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,0]}`), 0, "impossibly"},
		{"overflow-to-zero", one(`{"dtype":"F32","shape":[18446744073709551615,0],"data_offsets":[0,0]}`), 0, "impossibly"},
		{"many-dims", one(`{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}`), 4, "dimensions"},
		{"overlap", `{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[3],"data_offsets":[1,4]}}`, 4, "overlap"},
		{"hole", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}}`, 4, "hole"},
		{"rest", one(`{"dtype":"U8","shape":[1],"data_offsets":[0,1]}`), 4, "of which"},
		{"twice", `{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, 0, "twice"},
		{"two-metadata", `{"__metadata__":{},"__metadata__":{}}`, 0, "two"},
		{"metadata-no-strings", `{"__metadata__":{"a":1}}`, 0, "object of strings"},
		{"long-name", `{"` + strings.Repeat("a", 2000) + `":{}}`, 0, "2000 bytes"},
		{"deep", one(strings.Repeat("[", 20000) + strings.Repeat("]", 20000)), 0, "malformed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(file(tt.header, tt.n))
			if _, ok := errors.AsType[*FormatError](err); !ok || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Parse: %v, want %q", err, tt.want)
			}
		})
	}
	for _, raw := range [][]byte{nil, {1, 2, 3}, file("{}", 0)[:9], binary.LittleEndian.AppendUint64(nil, math.MaxUint64), binary.LittleEndian.AppendUint64(nil, 50<<20)} {
		if _, err := Parse(raw); err == nil {
			t.Errorf("Parse(%x) succeeds", raw)
		}
	}
}

func TestOpen(t *testing.T) {
	a := file(`{"__metadata__":{"format":"pt"},"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 2)
	b := file(`{"b":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}`, 3)
	const index = `{"metadata":{"total_size":5},"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors"}}`
	tests := []struct {
		name  string
		files map[string]string
		open  string
		want  string // tensors, or "" for an error
	}{
		{"file", map[string]string{"x.safetensors": string(a)}, "x.safetensors", "a"},
		{"folder", map[string]string{"model.safetensors": string(a), "other.safetensors": string(b)}, "", "a"},
		{"folder-with-one", map[string]string{"x.safetensors": string(b)}, "", "b"},
		{"shards", map[string]string{indexName: index, "m-1.safetensors": string(a), "m-2.safetensors": string(b)}, "", "a b"},
		{"shard-missing", map[string]string{indexName: index, "m-1.safetensors": string(a)}, "", ""},
		{"not-in-its-shard", map[string]string{indexName: index, "m-1.safetensors": string(b), "m-2.safetensors": string(a)}, "", ""},
		{"in-both", map[string]string{indexName: index, "m-1.safetensors": string(a), "m-2.safetensors": string(a)}, "", ""},
		{"outside", map[string]string{indexName: `{"weight_map":{"a":"../m.safetensors"}}`}, "", ""},
		{"no-map", map[string]string{indexName: `{}`}, "", ""},
		{"empty-folder", nil, "", ""},
		{"two-in-folder", map[string]string{"x.safetensors": string(a), "y.safetensors": string(b)}, "", ""},
		{"short", map[string]string{"x.safetensors": "abc"}, "x.safetensors", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "a[b]*")
			os.Mkdir(dir, 0o755)
			for name, data := range tt.files {
				os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644)
			}
			f, err := Open(filepath.Join(dir, tt.open))
			if err != nil {
				if tt.want != "" {
					t.Fatal(err)
				}
				return
			}
			var names []string
			size := int64(0)
			for _, tensor := range f.Tensors {
				names = append(names, tensor.Name)
				if len(tensor.Data) == 0 || tensor.Data[0] != 0 || tensor.Data[1] != 1 {
					t.Errorf("%s has the data %v", tensor.Name, tensor.Data)
				}
			}
			for _, data := range tt.files {
				if !strings.HasPrefix(data, "{") {
					size += int64(len(data))
				}
			}
			if strings.Join(names, " ") != tt.want || tt.name == "shards" && f.Size != size {
				t.Errorf("tensors %v of %d bytes, want %q", names, f.Size, tt.want)
			}
			if err := errors.Join(f.Close(), f.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// FuzzParse holds Parse to its contract: no panic, and what it accepts is in bounds.
func FuzzParse(f *testing.F) {
	f.Add(file(`{"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"__metadata__":{"x":"y"}}`, 8))
	f.Add(file(`{}`, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(bytes.Clone(data))
		if err != nil {
			return
		}
		total := 0
		for _, tensor := range file.Tensors {
			total += len(tensor.Data)
			if n := tensor.Elements(); n*int(sizes[tensor.DType]) != len(tensor.Data) {
				t.Fatalf("%+v", tensor)
			}
			if _, ok := tensor.DType.Quant(); ok {
				if err := tensor.Floats(make([]float32, tensor.Elements())); err != nil {
					t.Fatal(err)
				}
			}
		}
		if total > len(data) {
			t.Fatalf("%d bytes of tensors in a file of %d", total, len(data))
		}
	})
}
