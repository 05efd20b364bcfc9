package gguf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/sluice-ai/sluice/runtime/quant"
)

// sample returns a small valid file with one value of every type and three tensors.
func sample(tb testing.TB) []byte {
	tb.Helper()
	var w Writer
	for _, f := range sampleFields {
		w.Set(f.Key, f.Value)
	}
	w.AddBytes("a.weight", quant.F32, []int{2, 3}, bytes.Repeat([]byte{1}, 24))
	w.AddBytes("blk.3.ffn_up.weight", quant.Q8_0, []int{32, 2}, bytes.Repeat([]byte{2}, 68))
	w.AddBytes("c.weight", quant.F16, []int{5}, bytes.Repeat([]byte{3}, 10))
	var out bytes.Buffer
	n, err := w.WriteTo(&out)
	if err != nil || n != int64(out.Len()) {
		tb.Fatalf("WriteTo = %d, %v for %d bytes", n, err, out.Len())
	}
	return out.Bytes()
}

var sampleFields = []Field{
	{"general.architecture", String, 0, "lfm2"},
	{"u8", Uint8, 0, uint8(200)}, {"i8", Int8, 0, int8(-5)},
	{"u16", Uint16, 0, uint16(60000)}, {"i16", Int16, 0, int16(-600)},
	{"u32", Uint32, 0, uint32(4e9)}, {"i32", Int32, 0, int32(-7)},
	{"u64", Uint64, 0, uint64(1 << 63)}, {"i64", Int64, 0, int64(-1 << 62)},
	{"f32", Float32, 0, float32(0.25)}, {"f64", Float64, 0, 1e300}, {"yes", Bool, 0, true},
	{"tokens", Array, String, []string{"", "ab", "ü"}},
	{"heads", Array, Int32, []int32{0, 8, 0}},
	{"scores", Array, Float32, []float32{1, -2}},
	{"flags", Array, Bool, []bool{true, false}},
	{"bytes", Array, Uint8, []uint8{1, 2, 3}},
	{"none", Array, Uint64, []uint64{}},
}

func TestRoundTrip(t *testing.T) {
	f, err := Parse(sample(t))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(f.Fields, sampleFields) {
		t.Errorf("fields:\n got %v\nwant %v", f.Fields, sampleFields)
	}
	if got := f.Tensor("blk.3.ffn_up.weight"); got == nil || got.Type != quant.Q8_0 || !reflect.DeepEqual(got.Dims, []int{32, 2}) ||
		!bytes.Equal(got.Data, bytes.Repeat([]byte{2}, 68)) {
		t.Errorf("blk.3.ffn_up.weight = %+v", got)
	}
	if got := f.Tensor("c.weight"); len(got.Data) != 10 || got.Data[9] != 3 {
		t.Errorf("c.weight data = %v", got.Data)
	}
	if f.Tensor("absent") != nil {
		t.Error("a tensor that is not there was found")
	}
}

func TestAccessors(t *testing.T) {
	f, err := Parse(sample(t))
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]int64{"u8": 200, "i8": -5, "u16": 60000, "i16": -600, "u32": 4e9, "i32": -7, "i64": -1 << 62} {
		if got, ok := f.Int(key); !ok || got != want {
			t.Errorf("Int(%s) = %d, %v; want %d", key, got, ok, want)
		}
	}
	for _, key := range []string{"u64", "f32", "tokens", "absent", "yes"} {
		if got, ok := f.Int(key); ok {
			t.Errorf("Int(%s) = %d, true", key, got)
		}
	}
	if got, ok := f.Float("f32"); !ok || got != 0.25 {
		t.Errorf("Float(f32) = %v, %v", got, ok)
	}
	if got, ok := f.Float("i8"); !ok || got != -5 {
		t.Errorf("Float(i8) = %v, %v", got, ok)
	}
	if got, ok := f.Ints("heads"); !ok || !reflect.DeepEqual(got, []int64{0, 8, 0}) {
		t.Errorf("Ints(heads) = %v, %v", got, ok)
	}
	if _, ok := f.Ints("tokens"); ok {
		t.Error("Ints(tokens) worked")
	}
	if got, ok := f.Strs("tokens"); !ok || !reflect.DeepEqual(got, []string{"", "ab", "ü"}) {
		t.Errorf("Strs(tokens) = %q, %v", got, ok)
	}
	if got, ok := f.Bool("yes"); !ok || !got {
		t.Errorf("Bool(yes) = %v, %v", got, ok)
	}
}

// raw builds files by hand, so that they can be wrong.
type raw struct{ bytes.Buffer }

func (r *raw) put(vs ...any) *raw {
	for _, v := range vs {
		if s, ok := v.(string); ok {
			r.put(uint64(len(s)))
			r.WriteString(s)
		} else if err := binary.Write(r, binary.LittleEndian, v); err != nil {
			panic(err)
		}
	}
	return r
}

func header(tensors, fields uint64) *raw {
	r := &raw{}
	r.WriteString("GGUF")
	return r.put(uint32(3), tensors, fields)
}

func TestHostile(t *testing.T) {
	zeros := make([]byte, 200)
	tensor := func(dims []uint64, typ uint32, offset uint64) []byte {
		r := header(1, 0).put("t.weight", uint32(len(dims)), dims, typ, offset)
		return append(r.Bytes(), zeros...)
	}
	field := func(vs ...any) []byte { return append(header(0, 1).put(vs...).Bytes(), zeros...) }
	two := func(second string) []byte {
		r := header(2, 0)
		for _, name := range []string{"a.weight", second} {
			r.put(name, uint32(1), uint64(4), uint32(0), uint64(0))
		}
		return append(r.Bytes(), zeros...)
	}
	big := append([]byte("GGUF"), 0, 0, 0, 3)
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "not a GGUF file"},
		{"magic", []byte("GGML\x03\x00\x00\x00"), "not a GGUF file"},
		{"only-magic", []byte("GGUF"), "header: needs 4 bytes at offset 4"},
		{"version-1", append([]byte("GGUF\x01\x00\x00\x00"), zeros...), "version 1 is too old"},
		{"version-9", append([]byte("GGUF\x09\x00\x00\x00"), zeros...), "version 9 is unknown"},
		{"big-endian", append(big, zeros...), "big-endian"},
		{"tensor-count", append(header(1<<60, 0).Bytes(), zeros...), "header: claims 1152921504606846976 tensors"},
		{"field-count", append(header(0, 1<<40).Bytes(), zeros...), "header: claims 1099511627776 metadata entries"},
		{"key-length", field(uint64(1 << 62)), "metadata entry 0: its name claims"},
		{"key-cut", header(0, 1).put(uint64(60000), make([]byte, 20)).Bytes(), "needs 60000 bytes at offset 32, file has 52 bytes"},
		{"value-type", field("k", uint32(13)), `metadata "k": value type 13 is unknown`},
		{"bool", field("k", uint32(Bool), uint8(2)), `metadata "k": 2 is not a boolean`},
		{"string-length", field("k", uint32(String), uint64(1<<63)), `metadata "k": needs 9223372036854775808 bytes`},
		{"array-count", field("k", uint32(Array), uint32(Uint64), uint64(1<<61)), `metadata "k": claims 2305843009213693952 elements of u64`},
		{"array-strings", field("k", uint32(Array), uint32(String), uint64(26)), `metadata "k": claims 26 elements of str`},
		{"array-nested", field("k", uint32(Array), uint32(Array), uint64(1)), `metadata "k": arrays of arrays`},
		{"array-type", field("k", uint32(Array), uint32(77), uint64(1)), `metadata "k": element type 77`},
		{"alignment-0", field("general.alignment", uint32(Uint32), uint32(0)), `metadata "general.alignment": 0 is not a power of two`},
		{"alignment-48", field("general.alignment", uint32(Uint32), uint32(48)), "48 is not a power of two"},
		{"alignment-str", field("general.alignment", uint32(String), "32"), "32 is not a power of two"},
		{"twice-field", append(header(0, 2).put("k", uint32(Uint8), uint8(1), "k", uint32(Uint8), uint8(1)).Bytes(), zeros...), `metadata "k": occurs twice`},
		{"twice-tensor", two("a.weight"), `tensor "a.weight": occurs twice`},
		{"no-dims", tensor(nil, 0, 0), `tensor "t.weight": has 0 dimensions`},
		{"five-dims", tensor([]uint64{1, 1, 1, 1, 1}, 0, 0), "has 5 dimensions"},
		{"zero-dim", tensor([]uint64{4, 0}, 0, 0), "dimension 1 of 0 is impossible"},
		{"dim-overflow", tensor([]uint64{1 << 32, 1 << 32}, 0, 0), "dimension 1 of 4294967296 is impossible"},
		{"dim-negative", tensor([]uint64{1<<64 - 1}, 0, 0), "is impossible"},
		{"type", tensor([]uint64{4}, 999, 0), "ggml type 999 is not supported"},
		{"block", tensor([]uint64{33, 2}, uint32(quant.Q8_0), 0), "rows of 33 elements do not divide"},
		{"unaligned", tensor([]uint64{4}, 0, 8), "offset 8 is not a multiple of the alignment 32"},
		{"beyond", tensor([]uint64{4}, 0, 1<<20), `tensor "t.weight": data ends at 1048656, file has 264 bytes`},
		{"offset-wraps", tensor([]uint64{64}, 0, 1<<64-32), "overflows any file"},
		{"too-long", tensor([]uint64{1 << 20}, 0, 0), "data ends at 4194368, file has 264 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Parse(tt.data)
			if err == nil {
				t.Fatalf("parsed: %+v", f)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q does not contain %q", err, tt.want)
			}
			if _, ok := errors.AsType[*FormatError](err); !ok && !errors.Is(err, ErrNotGGUF) {
				t.Errorf("error %v has type %T", err, err)
			}
		})
	}
}

// Whatever prefix of a file is left, reading it fails cleanly.
func TestTruncated(t *testing.T) {
	data := sample(t)
	last := len(data) - (32 - 10) // the last tensor has 10 bytes, then padding
	for n := range last {
		if _, err := Parse(data[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes parsed", n, len(data))
		}
	}
	if _, err := Parse(data[:last]); err != nil {
		t.Errorf("without the final padding: %v", err)
	}
}

// A small file cannot make the reader allocate much.
func TestMemoryBounded(t *testing.T) {
	claims := append(header(0, 1).put("k", uint32(Array), uint32(String), uint64(1000)).Bytes(), make([]byte, 8000)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		_, _ = Parse(claims[:len(claims)-1])
		_, _ = Parse(append(header(3, 1<<33).Bytes(), make([]byte, 100)...))
	}
	runtime.ReadMemStats(&after)
	if per := (after.TotalAlloc - before.TotalAlloc) / 100; per > 64<<10 {
		t.Errorf("reading 8 KiB allocates %d bytes", per)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.gguf")
	if err := os.WriteFile(good, sample(t), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(good)
	if err != nil {
		t.Fatal(err)
	}
	if f.Tensor("a.weight").Data[0] != 1 {
		t.Error("wrong data")
	}
	if err := errors.Join(f.Close(), f.Close()); err != nil {
		t.Error(err)
	}
	empty := filepath.Join(dir, "empty.gguf")
	text := filepath.Join(dir, "notes.txt")
	if err := errors.Join(os.WriteFile(empty, nil, 0o600), os.WriteFile(text, []byte("hello world"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "absent"): "no model file at",
		dir:                          "is a folder",
		empty:                        "is empty",
		text:                         "not a GGUF file",
	} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%s) = %v, want %q", path, err, want)
		}
	}
	if _, err := Open(filepath.Join(dir, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
}

func TestWriterRefuses(t *testing.T) {
	for name, fill := range map[string]func(*Writer){
		"set twice":      func(w *Writer) { w.Set("k", "a"); w.Set("k", "b") },
		"cannot store":   func(w *Writer) { w.Set("k", 5) },
		"do not fit":     func(w *Writer) { w.AddBytes("t", quant.Q8_0, []int{31}, nil) },
		"instead of 128": func(w *Writer) { w.AddBytes("t", quant.F32, []int{32}, make([]byte, 127)) },
	} {
		var w Writer
		fill(&w)
		if _, err := w.WriteTo(io.Discard); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("WriteTo = %v, want %q", err, name)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sample(f))
	f.Add(header(1, 0).put("t", uint32(1), uint64(4), uint32(0), uint64(0), make([]byte, 64)).Bytes())
	f.Add(header(0, 1).put("general.alignment", uint32(Uint32), uint32(64)).Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err != nil {
			return
		}
		for _, tensor := range file.Tensors { // every byte a tensor claims is there
			rows := tensor.Elements() / tensor.Dims[0]
			if got, want := len(tensor.Data), quant.RowBytes(tensor.Type, tensor.Dims[0])*rows; got != want {
				t.Errorf("%s: %d bytes of data, want %d", tensor.Name, got, want)
			}
		}
	})
}
