package jinja

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Values are nil (None), bool, int64, float64, bigInt, Text, *List, *Dict, and
// what templates alone make: undefined, *namespace, function, *loop.
type (
	// A List is a list of values, or a tuple.
	List struct {
		Items []any
		tuple bool
	}

	// A Dict maps keys to values, in the order in which they were set.
	Dict struct {
		keys   []Text
		values []any
		index  map[string]int
	}

	bigInt    string // a whole number beyond int64, as written
	undefined string // its name
	namespace struct{ vars map[string]any }
	function  func(r *renderer, a argValues) (any, error)
	loop      struct {
		items []any
		i     int
	}

	argValues struct {
		pos   []any
		named map[string]any
	}
)

// Set maps key to v.
func (d *Dict) Set(key Text, v any) {
	if i, ok := d.index[key.s]; ok {
		d.values[i] = v
		return
	}
	if d.index == nil {
		d.index = map[string]int{}
	}
	d.index[key.s] = len(d.keys)
	d.keys = append(d.keys, key)
	d.values = append(d.values, v)
}

func (d *Dict) get(key string) (any, bool) {
	i, ok := d.index[key]
	if !ok {
		return nil, false
	}
	return d.values[i], true
}

// truth is bool(v).
func truth(v any) bool {
	switch v := v.(type) {
	case nil, undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case Text:
		return v.s != ""
	case *List:
		return len(v.Items) > 0
	case *Dict:
		return len(v.keys) > 0
	}
	return true
}

func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case undefined:
		return fmt.Sprintf("the undefined value %q", string(v))
	case bool:
		return "a bool"
	case int64, bigInt:
		return "an int"
	case float64:
		return "a float"
	case Text:
		return "a string"
	case *List:
		return "a list"
	case *Dict:
		return "a dict"
	}
	return "a function"
}

// number returns v as a float, or as an int too; a bool is one.
func number(v any) (f float64, i int64, isInt, ok bool) {
	switch v := v.(type) {
	case bool:
		if v {
			i = 1
		}
		return float64(i), i, true, true
	case int64:
		return float64(v), v, true, true
	case float64:
		return v, 0, false, true
	case bigInt:
		f, _ := strconv.ParseFloat(string(v), 64) //nolint:errcheck // infinity will do
		return f, 0, false, true
	}
	return 0, 0, false, false
}

const maxCompare = 64 // how deep two values are compared

func equal(a, b any, depth int) bool {
	if depth > maxCompare {
		return false
	}
	if fa, ia, wholeA, ok := number(a); ok {
		fb, ib, wholeB, ok := number(b)
		return ok && (wholeA && wholeB && ia == ib || (!wholeA || !wholeB) && fa == fb)
	}
	switch a := a.(type) {
	case nil:
		return b == nil
	case undefined:
		_, ok := b.(undefined)
		return ok
	case Text:
		b, ok := b.(Text)
		return ok && a.s == b.s
	case *List:
		b, ok := b.(*List)
		if !ok || a.tuple != b.tuple || len(a.Items) != len(b.Items) {
			return false
		}
		for i := range a.Items {
			if !equal(a.Items[i], b.Items[i], depth+1) {
				return false
			}
		}
		return true
	case *Dict:
		b, ok := b.(*Dict)
		if !ok || len(a.keys) != len(b.keys) {
			return false
		}
		for i, k := range a.keys {
			v, ok := b.get(k.s)
			if !ok || !equal(a.values[i], v, depth+1) {
				return false
			}
		}
		return true
	case *namespace:
		other, ok := b.(*namespace)
		return ok && a == other
	}
	return false
}

// str is str(v).
func str(v any) Text {
	if t, ok := v.(Text); ok {
		return t
	}
	var b builder
	repr(&b, v)
	return b.text()
}

// repr writes repr(v).
func repr(b *builder, v any) {
	switch v := v.(type) {
	case nil:
		b.plain("None")
	case undefined:
	case bool:
		b.plain(map[bool]string{true: "True", false: "False"}[v])
	case int64:
		b.plain(strconv.FormatInt(v, 10))
	case bigInt:
		b.plain(string(v))
	case float64:
		b.plain(pyFloat(v))
	case Text:
		b.add(v.with(quote(v.s)))
	case *List:
		open, end := "[", "]"
		if v.tuple {
			open, end = "(", ")"
		}
		b.plain(open)
		for i, x := range v.Items {
			if i > 0 {
				b.plain(", ")
			}
			repr(b, x)
		}
		if v.tuple && len(v.Items) == 1 {
			end = ",)"
		}
		b.plain(end)
	case *Dict:
		b.plain("{")
		for i, k := range v.keys {
			if i > 0 {
				b.plain(", ")
			}
			repr(b, k)
			b.plain(": ")
			repr(b, v.values[i])
		}
		b.plain("}")
	default:
		b.plain("<" + kindOf(v) + ">")
	}
}

// pyFloat is repr of a float.
func pyFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 0):
		return map[bool]string{true: "inf", false: "-inf"}[f > 0]
	}
	sci := strconv.FormatFloat(f, 'e', -1, 64)
	exp, _ := strconv.Atoi(sci[strings.IndexByte(sci, 'e')+1:]) //nolint:errcheck // it has one
	if f != 0 && (exp < -4 || exp >= 16) {
		return sci
	}
	out := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(out, ".") {
		out += ".0"
	}
	return out
}

// quote is repr of a string.
func quote(s string) string {
	q := '\''
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		q = '"'
	}
	out := []byte{byte(q)}
	for _, r := range s {
		switch {
		case r == q || r == '\\':
			out = append(out, '\\', byte(r))
		case r == '\n':
			out = append(out, `\n`...)
		case r == '\r':
			out = append(out, `\r`...)
		case r == '\t':
			out = append(out, `\t`...)
		case unicode.IsPrint(r):
			out = utf8.AppendRune(out, r)
		case r < 0x100:
			out = fmt.Appendf(out, `\x%02x`, r)
		case r < 0x10000:
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			out = fmt.Appendf(out, `\U%08x`, r)
		}
	}
	return string(append(out, byte(q)))
}
