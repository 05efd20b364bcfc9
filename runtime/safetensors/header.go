package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"

	"github.com/sluice-ai/sluice/runtime/quant"
)

const (
	maxHeader = 100 << 20 // as the reference implementation has it
	maxName   = 1 << 10   // bytes in a tensor name: far above any real one
	maxDims   = 8
)

// A FormatError reports bytes that are no well-formed checkpoint.
type FormatError struct {
	Part string // what was being read, such as `tensor "model.embed_tokens.weight"`
	Msg  string // what is wrong with it
}

func (e *FormatError) Error() string { return "safetensors: " + e.Part + ": " + e.Msg }

func fail(part, format string, args ...any) error {
	return &FormatError{Part: part, Msg: fmt.Sprintf(format, args...)}
}

// A DType is an element type, as files name it: "F32", "BF16".
type DType string

// sizes are the bytes of one element.
var sizes = map[DType]uint64{
	"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
	"U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8,
}

// Quant returns the runtime's name for d, if the runtime can compute with it.
func (d DType) Quant() (quant.Type, bool) {
	switch d {
	case "F32":
		return quant.F32, true
	case "F16":
		return quant.F16, true
	case "BF16":
		return quant.BF16, true
	}
	return 0, false
}

// A Tensor is one named array.
type Tensor struct {
	Name  string
	DType DType
	// Shape are the sizes as torch has them, slowest-varying first: a weight
	// matrix stored row by row as [out][in] has Shape {out, in}.
	Shape []int
	// Data are the elements, little endian, not to be written to.
	Data []byte
}

// Elements returns the number of elements.
func (t *Tensor) Elements() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Floats writes the elements of t to dst, which must be as long. It fails for
// types other than F32, F16 and BF16.
func (t *Tensor) Floats(dst []float32) error {
	q, ok := t.DType.Quant()
	if !ok {
		return fail(fmt.Sprintf("tensor %q", t.Name), "elements of type %s cannot be read as floats", t.DType)
	}
	if len(dst) != t.Elements() {
		return fail(fmt.Sprintf("tensor %q", t.Name), "has %d elements, not %d", t.Elements(), len(dst))
	}
	return quant.Dequantize(q, dst, t.Data)
}

// Parse reads a whole safetensors file held in memory. The result's tensors
// alias data.
//
// It is as strict as the format's definition: offsets in bounds that agree with
// type and shape, no overlaps, no holes, nothing after the last tensor.
func Parse(data []byte) (*File, error) {
	if len(data) < 8 {
		return nil, fail("header", "%d bytes are no safetensors file", len(data))
	}
	n := binary.LittleEndian.Uint64(data)
	if n > maxHeader || n > uint64(len(data)-8) {
		return nil, fail("header", "claims %d bytes in a file of %d; this is no safetensors file, or a part of one", n, len(data))
	}
	header, body := data[8:8+n], data[8+n:]
	if len(header) == 0 || header[0] != '{' {
		return nil, fail("header", "is no JSON object")
	}
	f := &File{Size: int64(len(data)), byName: map[string]int{}}
	var spans []span
	err := object(header, func(key string, dec *json.Decoder) error {
		if key == "__metadata__" {
			if f.Metadata != nil {
				return fail("header", "has two __metadata__")
			}
			if err := dec.Decode(&f.Metadata); err != nil {
				return fail("__metadata__", "is no object of strings")
			}
			if f.Metadata == nil {
				f.Metadata = map[string]string{}
			}
			return nil
		}
		if len(key) > maxName {
			return fail("header", "a tensor name has %d bytes", len(key))
		}
		part := fmt.Sprintf("tensor %q", key)
		if _, ok := f.byName[key]; ok {
			return fail(part, "occurs twice")
		}
		var e entry
		if err := dec.Decode(&e); err != nil {
			return fail(part, "its entry is malformed")
		}
		t, s, err := e.tensor(key, body)
		if err != nil {
			return fail(part, "%v", err)
		}
		f.byName[key] = len(f.Tensors)
		f.Tensors = append(f.Tensors, t)
		s.index = len(spans)
		spans = append(spans, s)
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	at := uint64(0)
	for _, s := range spans {
		if s.from != at {
			return nil, fail(fmt.Sprintf("tensor %q", f.Tensors[s.index].Name), "begins at byte %d where %d was due: overlap or hole", s.from, at)
		}
		at = s.to
	}
	if at != uint64(len(body)) {
		return nil, fail("file", "has %d bytes after the header, of which tensors take %d", len(body), at)
	}
	return f, nil
}

type span struct {
	from, to uint64
	index    int
}

type entry struct {
	DType   *DType   `json:"dtype"`
	Shape   []uint64 `json:"shape"`
	Offsets []uint64 `json:"data_offsets"`
}

func (e *entry) tensor(name string, body []byte) (Tensor, span, error) {
	if e.DType == nil || e.Shape == nil || len(e.Offsets) != 2 {
		return Tensor{}, span{}, errors.New("needs dtype, shape and two data_offsets")
	}
	size, ok := sizes[*e.DType]
	if !ok {
		return Tensor{}, span{}, fmt.Errorf("type %.20q is unknown", string(*e.DType))
	}
	if len(e.Shape) > maxDims {
		return Tensor{}, span{}, fmt.Errorf("has %d dimensions, more than %d", len(e.Shape), maxDims)
	}
	from, to := e.Offsets[0], e.Offsets[1]
	if from > to || to > uint64(len(body)) {
		return Tensor{}, span{}, fmt.Errorf("bytes %d to %d lie outside the %d of the file", from, to, len(body))
	}
	shape := make([]int, len(e.Shape))
	for i, d := range e.Shape {
		hi, lo := bits.Mul64(size, d)
		if hi != 0 || lo > 1<<62 || d > 1<<40 {
			return Tensor{}, span{}, errors.New("is impossibly large")
		}
		size, shape[i] = lo, int(d)
	}
	if size != to-from {
		return Tensor{}, span{}, fmt.Errorf("takes %d bytes by its shape and %d by its offsets", size, to-from)
	}
	return Tensor{Name: name, DType: *e.DType, Shape: shape, Data: body[from:to:to]}, span{from: from, to: to}, nil
}

// object calls member for each member of the JSON object in data, which may be
// followed by white space alone.
func object(data []byte, member func(key string, dec *json.Decoder) error) error {
	bad := func(err error) error {
		if f, ok := errors.AsType[*FormatError](err); ok {
			return f
		}
		return fail("header", "is no JSON: %v", err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return fail("header", "is no JSON object")
	}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return bad(err)
		}
		key, ok := t.(string)
		if !ok {
			return fail("header", "is no JSON object")
		}
		if err := member(key, dec); err != nil {
			return bad(err)
		}
	}
	if _, err := dec.Token(); err != nil {
		return bad(err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return fail("header", "has something after its end")
	}
	return nil
}
