package gguf

import "fmt"

// A ValueType is the type of a metadata value, with the number it has in a file.
type ValueType uint32

// The value types of GGUF. An [Array] holds elements of one other type; arrays
// of arrays do not occur.
const (
	Uint8 ValueType = iota
	Int8
	Uint16
	Int16
	Uint32
	Int32
	Float32
	Bool
	String
	Array
	Uint64
	Int64
	Float64
)

var valueTypes = [...]struct {
	name string
	size int // bytes in a file; the least a string or an array can take
}{
	Uint8: {"u8", 1}, Int8: {"i8", 1}, Uint16: {"u16", 2}, Int16: {"i16", 2},
	Uint32: {"u32", 4}, Int32: {"i32", 4}, Float32: {"f32", 4}, Bool: {"bool", 1},
	String: {"str", 8}, Array: {"arr", 12}, Uint64: {"u64", 8}, Int64: {"i64", 8}, Float64: {"f64", 8},
}

func (t ValueType) valid() bool { return int(t) < len(valueTypes) }

// String returns a short name such as "u32".
func (t ValueType) String() string {
	if !t.valid() {
		return fmt.Sprintf("type %d", uint32(t))
	}
	return valueTypes[t].name
}

// A Field is one metadata entry, in the order of the file.
type Field struct {
	Key  string
	Type ValueType
	Elem ValueType // the element type when Type is Array
	// Value is the Go value: uint8 … float64, bool, string, or a slice of one of them.
	Value any
}

// Field returns the metadata entry named key.
func (f *File) Field(key string) (Field, bool) {
	i, ok := f.byKey[key]
	if !ok {
		return Field{}, false
	}
	return f.Fields[i], true
}

// value returns the value under key, nil when there is none.
func (f *File) value(key string) any {
	if i, ok := f.byKey[key]; ok {
		return f.Fields[i].Value
	}
	return nil
}

// Str returns the string under key; false if there is none or it is not a string.
func (f *File) Str(key string) (string, bool) {
	s, ok := f.value(key).(string)
	return s, ok
}

// Bool returns the boolean under key; false if there is none or it is not a boolean.
func (f *File) Bool(key string) (value, ok bool) {
	value, ok = f.value(key).(bool)
	return value, ok
}

// Int returns the integer under key, of whatever width; false if there is none,
// if it is not an integer, or if it does not fit an int64.
func (f *File) Int(key string) (int64, bool) { return toInt(f.value(key)) }

func toInt(v any) (int64, bool) {
	switch v := v.(type) {
	case uint8:
		return int64(v), true
	case int8:
		return int64(v), true
	case uint16:
		return int64(v), true
	case int16:
		return int64(v), true
	case uint32:
		return int64(v), true
	case int32:
		return int64(v), true
	case uint64:
		return int64(v), v < 1<<63
	case int64:
		return v, true
	}
	return 0, false
}

// Float returns the number under key, float or integer; false if there is none.
func (f *File) Float(key string) (float64, bool) {
	switch v := f.value(key).(type) {
	case float32:
		return float64(v), true
	case float64:
		return v, true
	default:
		n, ok := toInt(v)
		return float64(n), ok
	}
}

// Strs returns the array of strings under key; nil and false if there is none.
// The caller must not change it.
func (f *File) Strs(key string) ([]string, bool) {
	s, ok := f.value(key).([]string)
	return s, ok
}

// Ints returns the array of integers under key, widened; false if there is none
// or an element does not fit an int64.
func (f *File) Ints(key string) ([]int64, bool) {
	switch v := f.value(key).(type) {
	case []uint8:
		return widen(v), true
	case []int8:
		return widen(v), true
	case []uint16:
		return widen(v), true
	case []int16:
		return widen(v), true
	case []uint32:
		return widen(v), true
	case []int32:
		return widen(v), true
	case []int64:
		return widen(v), true
	case []uint64:
		for _, x := range v {
			if x >= 1<<63 {
				return nil, false
			}
		}
		return widen(v), true
	}
	return nil, false
}

func widen[T uint8 | int8 | uint16 | int16 | uint32 | int32 | uint64 | int64](v []T) []int64 {
	out := make([]int64, len(v))
	for i, x := range v {
		out[i] = int64(x)
	}
	return out
}
