package gguf

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"github.com/sluice-ai/sluice/runtime/quant"
)

// A Writer collects a file's metadata and tensor table, then streams it out with
// [Writer.WriteTo]. The zero value is an empty file. Alignment is 32.
type Writer struct {
	fields  []Field
	tensors []pending
	err     error
}

type pending struct {
	name  string
	typ   quant.Type
	dims  []int
	bytes int64
	write func(io.Writer) error
}

// Set adds a metadata entry. Value is one of uint8 … float64, bool, string, or a
// slice of one of them. A wrong type or a repeated key is reported by WriteTo.
func (w *Writer) Set(key string, value any) {
	t, elem, ok := typeOf(value)
	if !ok {
		w.fail(fmt.Errorf("gguf: metadata %q: cannot store a %T", key, value))
	}
	if slices.ContainsFunc(w.fields, func(f Field) bool { return f.Key == key }) {
		w.fail(fmt.Errorf("gguf: metadata %q: set twice", key))
	}
	w.fields = append(w.fields, Field{Key: key, Type: t, Elem: elem, Value: value})
}

// Add adds a tensor with the given sizes, fastest-varying first. When its turn
// comes WriteTo calls write, which must write exactly the tensor's bytes.
func (w *Writer) Add(name string, t quant.Type, dims []int, write func(io.Writer) error) {
	if t.BlockSize() <= 0 || len(dims) == 0 || dims[0]%t.BlockSize() != 0 {
		w.fail(fmt.Errorf("gguf: tensor %q: sizes %v do not fit type %v", name, dims, t))
		return
	}
	size := int64(quant.RowBytes(t, dims[0]))
	for _, d := range dims[1:] {
		size *= int64(d)
	}
	w.tensors = append(w.tensors, pending{name, t, slices.Clone(dims), size, write})
}

// AddBytes is Add for data already in memory.
func (w *Writer) AddBytes(name string, t quant.Type, dims []int, data []byte) {
	w.Add(name, t, dims, func(out io.Writer) error {
		_, err := out.Write(data)
		return err
	})
}

func (w *Writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// Size returns the number of bytes of tensor data, without padding.
func (w *Writer) Size() int64 {
	var n int64
	for _, t := range w.tensors {
		n += t.bytes
	}
	return n
}

// WriteTo writes the file to out. It implements [io.WriterTo].
func (w *Writer) WriteTo(out io.Writer) (int64, error) {
	if w.err != nil {
		return 0, w.err
	}
	buf := bufio.NewWriterSize(out, 1<<20)
	c := &counter{w: buf}
	e := &encoder{w: c}
	e.bytes([]byte(magic))
	e.u32(3)
	e.u64(uint64(len(w.tensors)))
	e.u64(uint64(len(w.fields)))
	for _, f := range w.fields {
		e.str(f.Key)
		e.u32(uint32(f.Type))
		e.value(f)
	}
	var offset int64
	for _, t := range w.tensors {
		e.str(t.name)
		e.u32(uint32(len(t.dims)))
		for _, d := range t.dims {
			e.u64(uint64(d))
		}
		e.u32(uint32(t.typ))
		e.u64(uint64(offset))
		offset += align64(t.bytes)
	}
	e.bytes(make([]byte, align64(c.n)-c.n))
	if e.err != nil {
		return c.n, e.err
	}
	for _, t := range w.tensors {
		start := c.n
		if err := t.write(c); err != nil {
			return c.n, fmt.Errorf("gguf: writing tensor %q: %w", t.name, err)
		}
		if n := c.n - start; n != t.bytes {
			return c.n, fmt.Errorf("gguf: tensor %q: %d bytes were written instead of %d", t.name, n, t.bytes)
		}
		e.bytes(make([]byte, align64(t.bytes)-t.bytes))
	}
	if e.err != nil {
		return c.n, e.err
	}
	return c.n, buf.Flush()
}

func align64(n int64) int64 { return (n + defaultAlignment - 1) / defaultAlignment * defaultAlignment }

// A counter counts what is written through it.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// An encoder writes little-endian values and keeps the first error.
type encoder struct {
	w   io.Writer
	err error
}

func (e *encoder) bytes(b []byte) {
	if e.err == nil {
		_, e.err = e.w.Write(b)
	}
}

func (e *encoder) u32(v uint32) { e.bytes(binary.LittleEndian.AppendUint32(nil, v)) }
func (e *encoder) u64(v uint64) { e.bytes(binary.LittleEndian.AppendUint64(nil, v)) }

func (e *encoder) str(s string) {
	e.u64(uint64(len(s)))
	e.bytes([]byte(s))
}

func (e *encoder) value(f Field) {
	if f.Type == Array {
		e.u32(uint32(f.Elem))
		e.u64(uint64(binaryLen(f.Value)))
	}
	switch v := f.Value.(type) {
	case string:
		e.str(v)
	case []string:
		for _, s := range v {
			e.str(s)
		}
	default: // fixed-size values and slices of them
		if e.err == nil {
			e.err = binary.Write(e.w, binary.LittleEndian, v)
		}
	}
}

// binaryLen returns the number of elements of a slice that typeOf accepts.
func binaryLen(v any) int {
	if s, ok := v.([]string); ok {
		return len(s)
	}
	_, elem, _ := typeOf(v)
	return binary.Size(v) / valueTypes[elem].size
}

func typeOf(v any) (t, elem ValueType, ok bool) {
	switch v.(type) {
	case uint8:
		return Uint8, 0, true
	case int8:
		return Int8, 0, true
	case uint16:
		return Uint16, 0, true
	case int16:
		return Int16, 0, true
	case uint32:
		return Uint32, 0, true
	case int32:
		return Int32, 0, true
	case float32:
		return Float32, 0, true
	case bool:
		return Bool, 0, true
	case string:
		return String, 0, true
	case uint64:
		return Uint64, 0, true
	case int64:
		return Int64, 0, true
	case float64:
		return Float64, 0, true
	case []uint8:
		return Array, Uint8, true
	case []int8:
		return Array, Int8, true
	case []uint16:
		return Array, Uint16, true
	case []int16:
		return Array, Int16, true
	case []uint32:
		return Array, Uint32, true
	case []int32:
		return Array, Int32, true
	case []float32:
		return Array, Float32, true
	case []bool:
		return Array, Bool, true
	case []string:
		return Array, String, true
	case []uint64:
		return Array, Uint64, true
	case []int64:
		return Array, Int64, true
	case []float64:
		return Array, Float64, true
	}
	return 0, 0, false
}
