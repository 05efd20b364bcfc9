// Package quant defines the tensor types of a GGUF file in plain Go: how many
// bytes a block takes, what the bytes mean, and how to make them.
//
// It is the reference the kernels are tested against; it favours clarity over
// speed. Layouts follow ggml; every scale is an IEEE 754 half, little endian.
package quant

import (
	"fmt"
	"math"
	"strings"
)

// A Type is a tensor type, numbered as in ggml and so as in GGUF files.
type Type uint32

// The types of ggml that files of today use.
const (
	F32     Type = 0
	F16     Type = 1
	Q4_0    Type = 2
	Q4_1    Type = 3
	Q5_0    Type = 6
	Q5_1    Type = 7
	Q8_0    Type = 8
	Q8_1    Type = 9
	Q2_K    Type = 10
	Q3_K    Type = 11
	Q4_K    Type = 12
	Q5_K    Type = 13
	Q6_K    Type = 14
	Q8_K    Type = 15
	IQ4_NL  Type = 20
	I8      Type = 24
	I16     Type = 25
	I32     Type = 26
	I64     Type = 27
	F64     Type = 28
	BF16    Type = 30
	MXFP4   Type = 39
	typeEnd Type = 40
)

// superBlock is the number of elements in a block of the K types.
const superBlock = 256

// info describes a type: its block, and which way it can be converted.
type info struct {
	name       string
	elems      int // elements in a block
	bytes      int // bytes in a block
	dequantize func(dst []float32, src []byte)
	quantize   func(dst []byte, src []float32)
}

var types = [typeEnd]info{
	F32:    {name: "F32", elems: 1, bytes: 4, dequantize: dequantizeF32, quantize: quantizeF32},
	F16:    {name: "F16", elems: 1, bytes: 2, dequantize: dequantizeF16, quantize: quantizeF16},
	BF16:   {name: "BF16", elems: 1, bytes: 2, dequantize: dequantizeBF16, quantize: quantizeBF16},
	Q4_0:   {name: "Q4_0", elems: 32, bytes: 18, dequantize: dequantizeQ4_0, quantize: quantizeQ4_0},
	Q4_1:   {name: "Q4_1", elems: 32, bytes: 20, dequantize: dequantizeQ4_1, quantize: quantizeQ4_1},
	Q5_0:   {name: "Q5_0", elems: 32, bytes: 22, dequantize: dequantizeQ5_0, quantize: quantizeQ5_0},
	Q5_1:   {name: "Q5_1", elems: 32, bytes: 24, dequantize: dequantizeQ5_1, quantize: quantizeQ5_1},
	Q8_0:   {name: "Q8_0", elems: 32, bytes: 34, dequantize: dequantizeQ8_0, quantize: quantizeQ8_0},
	Q4_K:   {name: "Q4_K", elems: superBlock, bytes: 144, dequantize: dequantizeQ4_K, quantize: quantizeQ4_K},
	Q5_K:   {name: "Q5_K", elems: superBlock, bytes: 176, dequantize: dequantizeQ5_K, quantize: quantizeQ5_K},
	Q6_K:   {name: "Q6_K", elems: superBlock, bytes: 210, dequantize: dequantizeQ6_K, quantize: quantizeQ6_K},
	Q8_1:   {name: "Q8_1", elems: 32, bytes: 36},
	Q2_K:   {name: "Q2_K", elems: superBlock, bytes: 84, dequantize: dequantizeQ2_K},
	Q3_K:   {name: "Q3_K", elems: superBlock, bytes: 110, dequantize: dequantizeQ3_K},
	Q8_K:   {name: "Q8_K", elems: superBlock, bytes: 292},
	IQ4_NL: {name: "IQ4_NL", elems: 32, bytes: 18, dequantize: dequantizeIQ4_NL},
	MXFP4:  {name: "MXFP4", elems: 32, bytes: 17, dequantize: dequantizeMXFP4},
	I8:     {name: "I8", elems: 1, bytes: 1},
	I16:    {name: "I16", elems: 1, bytes: 2},
	I32:    {name: "I32", elems: 1, bytes: 4},
	I64:    {name: "I64", elems: 1, bytes: 8},
	F64:    {name: "F64", elems: 1, bytes: 8},
}

func (t Type) info() info {
	if t < typeEnd {
		return types[t]
	}
	return info{}
}

// String returns ggml's name of t, such as "Q4_0", or "Type(99)" for a type
// this package has never heard of.
func (t Type) String() string {
	if name := t.info().name; name != "" {
		return name
	}
	return fmt.Sprintf("Type(%d)", uint32(t))
}

// Parse returns the type called s, in either case.
func Parse(s string) (Type, error) {
	for t, in := range types {
		if in.name != "" && strings.EqualFold(in.name, s) {
			return Type(t), nil
		}
	}
	return 0, fmt.Errorf("quant: unknown type %q", s)
}

// BlockSize returns the number of elements in a block of t, 0 if t is unknown.
func (t Type) BlockSize() int { return t.info().elems }

// BlockBytes returns the number of bytes in a block of t, 0 if t is unknown.
func (t Type) BlockBytes() int { return t.info().bytes }

// Supported reports whether [Dequantize] reads t. Types that are known but not
// supported still have a size, so that a file holding them can be listed.
func (t Type) Supported() bool { return t.info().dequantize != nil }

// Writable reports whether [Quantize] writes t.
func (t Type) Writable() bool { return t.info().quantize != nil }

// RowBytes returns how many bytes n elements of t take, or -1 if t is unknown,
// n is negative or not a whole number of blocks, or the size overflows an int.
func RowBytes(t Type, n int) int {
	in := t.info()
	if in.elems == 0 || n < 0 || n%in.elems != 0 || n/in.elems > math.MaxInt/in.bytes {
		return -1
	}
	return n / in.elems * in.bytes
}

// Dequantize fills dst with the values src holds. It fails, leaving dst as it
// was, if t is not supported or src is not exactly len(dst) elements long.
func Dequantize(t Type, dst []float32, src []byte) error {
	in := t.info()
	if in.dequantize == nil {
		return fmt.Errorf("quant: cannot read %v", t)
	}
	if err := checkLen(t, len(dst), len(src)); err != nil {
		return err
	}
	in.dequantize(dst, src)
	return nil
}

// Quantize fills dst with src as blocks of t. Values must be finite. It fails,
// leaving dst as it was, if t is not writable or dst is not exactly len(src)
// elements long.
func Quantize(t Type, dst []byte, src []float32) error {
	in := t.info()
	if in.quantize == nil {
		return fmt.Errorf("quant: cannot write %v", t)
	}
	if err := checkLen(t, len(src), len(dst)); err != nil {
		return err
	}
	in.quantize(dst, src)
	return nil
}

func checkLen(t Type, elems, bytes int) error {
	want := RowBytes(t, elems)
	if want < 0 {
		return fmt.Errorf("quant: %d elements are no whole number of %v blocks of %d", elems, t, t.BlockSize())
	}
	if bytes != want {
		return fmt.Errorf("quant: %d elements of %v take %d bytes, not %d", elems, t, want, bytes)
	}
	return nil
}
