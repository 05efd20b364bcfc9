package jsonschema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Values are nil, bool, *number, string, []any and *object.

// An object keeps the order of its members.
type object struct {
	keys   []string
	member map[string]any
}

type number struct {
	text string
	rat  *big.Rat
}

const (
	maxSchemaBytes = 1 << 20
	maxDepth       = 200
	maxDigits      = 400
)

var errDepth = fmt.Errorf("more than %d levels deep", maxDepth)

// decode reads one JSON value.
func decode(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := decodeValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more text follows the value")
	}
	return v, nil
}

func decodeValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	t, err := d.Token()
	if err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	switch t := t.(type) {
	case json.Number:
		return newNumber(string(t))
	case json.Delim:
		if t == '[' {
			list := []any{}
			for d.More() {
				v, err := decodeValue(d, depth+1)
				if err != nil {
					return nil, err
				}
				list = append(list, v)
			}
			_, err := d.Token()
			return list, err
		}
		o := &object{member: map[string]any{}}
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := decodeValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			key := k.(string)
			if _, again := o.member[key]; !again {
				o.keys = append(o.keys, key)
			}
			o.member[key] = v
		}
		_, err := d.Token()
		return o, err
	}
	return t, nil
}

// newNumber reads a number whose value takes at most maxDigits digits.
func newNumber(text string) (*number, error) {
	if _, exp, ok := strings.Cut(strings.ToLower(text), "e"); ok {
		if n, err := strconv.Atoi(exp); err != nil || n > maxDigits || n < -maxDigits {
			return nil, errors.New("a number is out of range")
		}
	}
	if len(text) > 2*maxDigits {
		return nil, errors.New("a number is out of range")
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return nil, errors.New("a number is malformed")
	}
	return &number{text, r}, nil
}

// equal compares as JSON Schema does: numbers by value, objects without order.
func equal(a, b any) bool {
	switch a := a.(type) {
	case *number:
		b, ok := b.(*number)
		return ok && a.rat.Cmp(b.rat) == 0
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equal)
	case *object:
		b, ok := b.(*object)
		if !ok || len(a.keys) != len(b.keys) {
			return false
		}
		for _, k := range a.keys {
			v, ok := b.member[k]
			if !ok || !equal(a.member[k], v) {
				return false
			}
		}
		return true
	}
	return a == b
}

// quote writes s as a JSON string in the spelling that grammars use.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	b.WriteString(quoted(s))
	b.WriteByte('"')
	return b.String()
}

func quoted(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch r {
		case '"', '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case '\b':
			b.WriteString(`\b`)
		case '\f':
			b.WriteString(`\f`)
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case '\t':
			b.WriteString(`\t`)
		default:
			if r < ' ' {
				fmt.Fprintf(&b, `\u%04x`, r)
				continue
			}
			b.WriteRune(r)
		}
	}
	return b.String()
}

func runes(s string) int { return utf8.RuneCountInString(s) }

// A typeset is a set of the types of JSON; true and false count apart.
type typeset uint8

const (
	tNull typeset = 1 << iota
	tTrue
	tFalse
	tNumber
	tString
	tArray
	tObject
	tAll  = 1<<iota - 1
	tBool = tTrue | tFalse
)

func typeOf(v any) typeset {
	switch v := v.(type) {
	case nil:
		return tNull
	case bool:
		if v {
			return tTrue
		}
		return tFalse
	case *number:
		return tNumber
	case string:
		return tString
	case []any:
		return tArray
	}
	return tObject
}
