package gguf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/sluice-ai/sluice/runtime/quant"
)

const (
	magic            = "GGUF"
	defaultAlignment = 32
	maxDims          = 4       // ggml's GGML_MAX_DIMS
	maxName          = 1 << 16 // bytes in a key or a tensor name: far above any real one
)

// ErrNotGGUF reports a file that does not begin with GGUF's magic bytes.
var ErrNotGGUF = errors.New("not a GGUF file: it does not begin with the bytes \"GGUF\"; use a model in GGUF format (file name *.gguf)")

// A FormatError reports a file that is not well-formed GGUF.
type FormatError struct {
	Part string // what was being read, such as `tensor "blk.0.attn_q.weight"`
	Msg  string // what is wrong with it
}

func (e *FormatError) Error() string { return "gguf: " + e.Part + ": " + e.Msg }

func fail(part, format string, args ...any) error {
	return &FormatError{Part: part, Msg: fmt.Sprintf(format, args...)}
}

// A Tensor is one named array in a file.
type Tensor struct {
	Name string
	Type quant.Type
	// Dims are the sizes, fastest-varying first (ggml's ne): a weight matrix
	// stored row by row as [out][in] has Dims {in, out}.
	Dims []int
	// Data is the tensor's bytes in the file, not to be written to.
	Data []byte
}

// Elements returns the number of elements.
func (t *Tensor) Elements() int {
	n := 1
	for _, d := range t.Dims {
		n *= d
	}
	return n
}

// A File is a parsed GGUF file. It is safe for concurrent reading until Close.
type File struct {
	Version   int
	Alignment int
	Fields    []Field  // metadata, in file order
	Tensors   []Tensor // in file order
	Size      int64    // bytes of the whole file

	byKey, byName map[string]int
	head          []byte // of the file, up to the tensors' data
	unmap         func() error
}

// Tensor returns the tensor named name, nil when there is none.
func (f *File) Tensor(name string) *Tensor {
	i, ok := f.byName[name]
	if !ok {
		return nil
	}
	return &f.Tensors[i]
}

// DropMetadata forgets Fields, which a vocabulary makes megabytes, and lets go of
// their pages of the file. Tensors stay.
func (f *File) DropMetadata() {
	f.Release(f.head)
	f.Fields, f.byKey, f.head = nil, nil, nil
}

// Close releases the mapping behind a file from [Open]. Tensor data must not be
// touched afterwards. Closing twice is harmless.
func (f *File) Close() error {
	if f.unmap == nil {
		return nil
	}
	unmap := f.unmap
	f.unmap = nil
	return unmap()
}

// Parse reads a whole GGUF file held in memory. The result's tensors alias data.
func Parse(data []byte) (*File, error) {
	r := &reader{data: data}
	f := &File{Size: int64(len(data)), Alignment: defaultAlignment, byKey: map[string]int{}, byName: map[string]int{}}
	if len(data) < len(magic) || string(data[:4]) != magic {
		return nil, ErrNotGGUF
	}
	r.pos = len(magic)
	version, err := r.u32("header")
	if err != nil {
		return nil, err
	}
	switch {
	case version == 2 || version == 3:
	case version == 1:
		return nil, fail("header", "version 1 is too old; convert the file with a current llama.cpp")
	case bits.ReverseBytes32(version) <= 3:
		return nil, fail("header", "the file is big-endian; only little-endian files can be read")
	default:
		return nil, fail("header", "version %d is unknown; versions 2 and 3 can be read", version)
	}
	f.Version = int(version)
	nTensors, err := r.u64("header")
	if err != nil {
		return nil, err
	}
	nFields, err := r.u64("header")
	if err != nil {
		return nil, err
	}
	// The smallest entries: an empty key, a type and one byte; an empty name, no dims, a type and an offset.
	if nFields > uint64(r.left()/13) {
		return nil, fail("header", "claims %d metadata entries, more than %d bytes can hold", nFields, len(data))
	}
	if nTensors > uint64(r.left()/24) {
		return nil, fail("header", "claims %d tensors, more than %d bytes can hold", nTensors, len(data))
	}
	for i := range nFields {
		if err := f.readField(r, i); err != nil {
			return nil, err
		}
	}
	if v, ok := f.Field("general.alignment"); ok {
		a, isInt := toInt(v.Value)
		if !isInt || a < 1 || a > 1<<20 || a&(a-1) != 0 {
			return nil, fail(`metadata "general.alignment"`, "%v is not a power of two between 1 and 1048576", v.Value)
		}
		f.Alignment = int(a)
	}
	offsets := make([]uint64, 0, nTensors)
	for i := range nTensors {
		offset, err := f.readTensor(r, i)
		if err != nil {
			return nil, err
		}
		offsets = append(offsets, offset)
	}
	f.head = data[:r.pos]
	return f, f.place(data, pad(r.pos, f.Alignment), offsets)
}

// pad rounds n up to a multiple of alignment.
func pad(n, alignment int) int { return (n + alignment - 1) / alignment * alignment }

// place points every tensor at its bytes in data, whose tensor section starts at base.
func (f *File) place(data []byte, base int, offsets []uint64) error {
	for i := range f.Tensors {
		t := &f.Tensors[i]
		part := fmt.Sprintf("tensor %q", t.Name)
		if offsets[i]%uint64(f.Alignment) != 0 {
			return fail(part, "offset %d is not a multiple of the alignment %d", offsets[i], f.Alignment)
		}
		size := uint64(quant.RowBytes(t.Type, t.Dims[0]))
		for _, d := range t.Dims[1:] {
			hi, lo := bits.Mul64(size, uint64(d))
			if hi != 0 || lo > math.MaxInt {
				return fail(part, "%v elements of %v overflow any file", t.Dims, t.Type)
			}
			size = lo
		}
		end, carry := bits.Add64(offsets[i], size, 0)
		if carry != 0 || end > math.MaxInt-uint64(base) {
			return fail(part, "offset %d plus %d bytes overflows any file", offsets[i], size)
		}
		if end += uint64(base); end > uint64(len(data)) {
			return fail(part, "data ends at %d, file has %d bytes", end, len(data))
		}
		start := base + int(offsets[i])
		t.Data = data[start:end:end]
	}
	return nil
}

func (f *File) readTensor(r *reader, i uint64) (offset uint64, err error) {
	part := fmt.Sprintf("tensor %d", i)
	name, err := r.name(part)
	if err != nil {
		return 0, err
	}
	part = fmt.Sprintf("tensor %q", name)
	if _, dup := f.byName[name]; dup {
		return 0, fail(part, "occurs twice")
	}
	nDims, err := r.u32(part)
	if err != nil {
		return 0, err
	}
	if nDims < 1 || nDims > maxDims {
		return 0, fail(part, "has %d dimensions; 1 to %d are possible", nDims, maxDims)
	}
	dims := make([]int, nDims)
	elements := uint64(1)
	for d := range dims {
		n, err := r.u64(part)
		if err != nil {
			return 0, err
		}
		hi, lo := bits.Mul64(elements, n)
		if n == 0 || hi != 0 || lo > math.MaxInt/32 {
			return 0, fail(part, "dimension %d of %d is impossible", d, n)
		}
		dims[d], elements = int(n), lo
	}
	id, err := r.u32(part)
	if err != nil {
		return 0, err
	}
	typ := quant.Type(id)
	block := typ.BlockSize()
	if block <= 0 || typ.BlockBytes() <= 0 {
		return 0, fail(part, "ggml type %d is not supported", id)
	}
	if dims[0]%block != 0 {
		return 0, fail(part, "rows of %d elements do not divide into %v blocks of %d", dims[0], typ, block)
	}
	if offset, err = r.u64(part); err != nil {
		return 0, err
	}
	f.byName[name] = len(f.Tensors)
	f.Tensors = append(f.Tensors, Tensor{Name: name, Type: typ, Dims: dims})
	return offset, nil
}

func (f *File) readField(r *reader, i uint64) error {
	part := fmt.Sprintf("metadata entry %d", i)
	key, err := r.name(part)
	if err != nil {
		return err
	}
	part = fmt.Sprintf("metadata %q", key)
	if _, dup := f.byKey[key]; dup {
		return fail(part, "occurs twice")
	}
	id, err := r.u32(part)
	if err != nil {
		return err
	}
	field := Field{Key: key, Type: ValueType(id)}
	if !field.Type.valid() {
		return fail(part, "value type %d is unknown", id)
	}
	if field.Type == Array {
		field.Elem, field.Value, err = r.array(part)
	} else {
		field.Value, err = r.scalar(part, field.Type)
	}
	if err != nil {
		return err
	}
	f.byKey[key] = len(f.Fields)
	f.Fields = append(f.Fields, field)
	return nil
}

// A reader walks through data; it never moves past its end.
type reader struct {
	data []byte
	pos  int
}

func (r *reader) left() int { return len(r.data) - r.pos }

func (r *reader) take(part string, n uint64) ([]byte, error) {
	if n > uint64(r.left()) {
		return nil, fail(part, "needs %d bytes at offset %d, file has %d bytes: it is cut short or damaged", n, r.pos, len(r.data))
	}
	b := r.data[r.pos : r.pos+int(n)]
	r.pos += int(n)
	return b, nil
}

func (r *reader) u32(part string) (uint32, error) {
	b, err := r.take(part, 4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (r *reader) u64(part string) (uint64, error) {
	b, err := r.take(part, 8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

func (r *reader) name(part string) (string, error) {
	n, err := r.u64(part)
	if err != nil {
		return "", err
	}
	if n > maxName {
		return "", fail(part, "its name claims %d bytes, more than %d", n, maxName)
	}
	b, err := r.take(part, n)
	return string(b), err
}

func (r *reader) scalar(part string, t ValueType) (any, error) {
	if t == String {
		n, err := r.u64(part)
		if err != nil {
			return nil, err
		}
		b, err := r.take(part, n)
		return string(b), err
	}
	b, err := r.take(part, uint64(valueTypes[t].size))
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	switch t {
	case Uint8:
		return b[0], nil
	case Int8:
		return int8(b[0]), nil
	case Uint16:
		return le.Uint16(b), nil
	case Int16:
		return int16(le.Uint16(b)), nil
	case Uint32:
		return le.Uint32(b), nil
	case Int32:
		return int32(le.Uint32(b)), nil
	case Float32:
		return math.Float32frombits(le.Uint32(b)), nil
	case Uint64:
		return le.Uint64(b), nil
	case Int64:
		return int64(le.Uint64(b)), nil
	case Float64:
		return math.Float64frombits(le.Uint64(b)), nil
	default: // Bool
		if b[0] > 1 {
			return nil, fail(part, "%d is not a boolean", b[0])
		}
		return b[0] == 1, nil
	}
}

func (r *reader) array(part string) (ValueType, any, error) {
	id, err := r.u32(part)
	if err != nil {
		return 0, nil, err
	}
	elem := ValueType(id)
	if !elem.valid() {
		return 0, nil, fail(part, "element type %d is unknown", id)
	}
	if elem == Array {
		return 0, nil, fail(part, "arrays of arrays are not supported")
	}
	n, err := r.u64(part)
	if err != nil {
		return 0, nil, err
	}
	size := uint64(valueTypes[elem].size)
	if n > uint64(r.left())/size {
		return 0, nil, fail(part, "claims %d elements of %v, file has %d bytes left: it is cut short or damaged", n, elem, r.left())
	}
	if elem == String {
		v, err := r.strings(part, int(n))
		return elem, v, err
	}
	b, err := r.take(part, n*size)
	if err != nil {
		return 0, nil, err
	}
	le := binary.LittleEndian
	switch elem {
	case Uint8:
		return elem, append([]uint8{}, b...), nil
	case Int8:
		return elem, decode(b, 1, func(b []byte) int8 { return int8(b[0]) }), nil
	case Uint16:
		return elem, decode(b, 2, le.Uint16), nil
	case Int16:
		return elem, decode(b, 2, func(b []byte) int16 { return int16(le.Uint16(b)) }), nil
	case Uint32:
		return elem, decode(b, 4, le.Uint32), nil
	case Int32:
		return elem, decode(b, 4, func(b []byte) int32 { return int32(le.Uint32(b)) }), nil
	case Float32:
		return elem, decode(b, 4, func(b []byte) float32 { return math.Float32frombits(le.Uint32(b)) }), nil
	case Uint64:
		return elem, decode(b, 8, le.Uint64), nil
	case Int64:
		return elem, decode(b, 8, func(b []byte) int64 { return int64(le.Uint64(b)) }), nil
	case Float64:
		return elem, decode(b, 8, func(b []byte) float64 { return math.Float64frombits(le.Uint64(b)) }), nil
	default: // Bool
		return elem, decode(b, 1, func(b []byte) bool { return b[0] != 0 }), nil
	}
}

func decode[T any](b []byte, size int, one func([]byte) T) []T {
	out := make([]T, len(b)/size)
	for i := range out {
		out[i] = one(b[i*size:])
	}
	return out
}

// strings reads n strings as substrings of one, so that a vocabulary costs two allocations.
func (r *reader) strings(part string, n int) ([]string, error) {
	start := r.pos
	ends := make([]int, n)
	for i := range ends {
		size, err := r.u64(part)
		if err != nil {
			return nil, err
		}
		if _, err := r.take(part, size); err != nil {
			return nil, err
		}
		ends[i] = r.pos - start
	}
	all := string(r.data[start:r.pos])
	out, from := make([]string, n), 0
	for i, end := range ends {
		out[i] = all[from+8 : end]
		from = end
	}
	return out, nil
}
