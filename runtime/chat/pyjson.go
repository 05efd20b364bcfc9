package chat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// appendJSON writes raw as Python's json.dumps(…, ensure_ascii=False) does
// after json.loads: ", " and ": " between items, key order kept, no HTML
// escapes. What is no JSON is written as it is.
func appendJSON(dst []byte, raw json.RawMessage) []byte {
	return appendPython(dst, raw, jsonText)
}

// appendArguments writes the members of the object raw as keyword arguments.
// Objects are written as JSON; numbers, True, False and None as Python's str;
// strings and lists as the style has it, or as JSON.
func appendArguments(dst []byte, style Style, raw json.RawMessage) []byte {
	if !json.Valid(raw) {
		return dst
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return dst
	}
	for i := 0; dec.More(); i++ {
		key, err := dec.Token()
		name, ok := key.(string)
		var value json.RawMessage
		if err != nil || !ok || dec.Decode(&value) != nil {
			return dst
		}
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = append(dst, name...)
		dst = append(dst, '=')
		dst = appendArgument(dst, style, value)
	}
	return dst
}

func appendArgument(dst []byte, style Style, value json.RawMessage) []byte {
	var s string
	switch {
	case value[0] == '"' && style.has(singleQuotes) && json.Unmarshal(value, &s) == nil:
		return append(append(append(dst, '\''), s...), '\'')
	case value[0] == '"' && style.has(doubleQuotes) && json.Unmarshal(value, &s) == nil:
		return append(append(append(dst, '"'), s...), '"')
	case value[0] == '"', value[0] == '{', value[0] == '[' && !style.has(callsLast):
		return appendJSON(dst, value)
	}
	return appendPython(dst, value, pythonText)
}

// A dialect is one of the two ways Python writes a value.
type dialect uint8

const (
	jsonText   dialect = iota // json.dumps
	pythonText                // str of a list, dict, number, True, False or None
)

// appendPython writes the JSON value raw in a dialect.
func appendPython(dst []byte, raw json.RawMessage, d dialect) []byte {
	if !json.Valid(raw) { // also bounds the depth
		return append(dst, raw...)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	start := len(dst)
	dst, err := appendNext(dst, dec, d)
	if err != nil {
		return append(dst[:start], raw...)
	}
	return dst
}

func appendNext(dst []byte, dec *json.Decoder, d dialect) ([]byte, error) {
	token, err := dec.Token()
	if err != nil {
		return dst, err
	}
	switch v := token.(type) {
	case json.Delim:
		dst = append(dst, byte(v))
		for i := 0; dec.More(); i++ {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			if v == '{' {
				if dst, err = appendNext(dst, dec, d); err != nil {
					return dst, err
				}
				dst = append(dst, ": "...)
			}
			if dst, err = appendNext(dst, dec, d); err != nil {
				return dst, err
			}
		}
		_, err = dec.Token() // the closing bracket
		return append(dst, byte(v)+2), err
	case string:
		if d == pythonText {
			return appendRepr(dst, v), nil
		}
		return appendString(dst, v), nil
	case json.Number:
		return append(dst, pyNumber(v.String())...), nil
	case bool:
		return append(dst, literals[d][strconv.FormatBool(v)]...), nil
	}
	return append(dst, literals[d]["null"]...), nil
}

var literals = [...]map[string]string{
	jsonText:   {"true": "true", "false": "false", "null": "null"},
	pythonText: {"true": "True", "false": "False", "null": "None"},
}

// pyNumber writes a JSON number as Python does after reading it: whole numbers
// as they are, floats as their shortest repr.
func pyNumber(s string) string {
	if !strings.ContainsAny(s, ".eE") {
		if s == "-0" {
			return "0"
		}
		return s
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return map[bool]string{false: "Infinity", true: "-Infinity"}[f < 0]
	}
	sci := strconv.FormatFloat(f, 'e', -1, 64)
	exp, _ := strconv.Atoi(sci[strings.IndexByte(sci, 'e')+1:])
	if f != 0 && (exp < -4 || exp >= 16) {
		return sci
	}
	out := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(out, ".") {
		out += ".0"
	}
	return out
}

// appendString writes s as a JSON string without escaping anything that need
// not be. Bytes that are not UTF-8 become U+FFFD.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r >= ' ':
			dst = utf8.AppendRune(dst, r)
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case r == '\b':
			dst = append(dst, `\b`...)
		case r == '\f':
			dst = append(dst, `\f`...)
		default:
			dst = append(dst, `\u00`...)
			dst = append(dst, hex[r>>4], hex[r&15])
		}
	}
	return append(dst, '"')
}

// appendRepr writes s as Python's repr does: single quotes unless s holds one
// and no double quote.
func appendRepr(dst []byte, s string) []byte {
	quote := '\''
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	dst = append(dst, byte(quote))
	for _, r := range s {
		switch {
		case r == quote || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case unicode.IsPrint(r):
			dst = utf8.AppendRune(dst, r)
		case r < 0x100:
			dst = fmt.Appendf(dst, `\x%02x`, r)
		case r < 0x10000:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		default:
			dst = fmt.Appendf(dst, `\U%08x`, r)
		}
	}
	return append(dst, byte(quote))
}

// decimal returns a whole number, as Python or a careless model writes it, in
// decimal: 07 is 7, 0x1f is 31, 1_000 is 1000.
func decimal(s string) (string, bool) {
	digits := strings.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 || len(s) > 4<<10 {
		return "", false // big.Int's parsing is quadratic
	}
	negative := strings.HasPrefix(s, "-")
	digits = strings.ReplaceAll(digits, "_", "")
	base := 10
	if len(digits) > 2 && digits[0] == '0' {
		switch digits[1] | 0x20 {
		case 'x':
			base, digits = 16, digits[2:]
		case 'o':
			base, digits = 8, digits[2:]
		case 'b':
			base, digits = 2, digits[2:]
		}
	}
	if digits == "" || digits[0] == '+' || digits[0] == '-' {
		return "", false
	}
	n, ok := new(big.Int).SetString(digits, base)
	if !ok {
		return "", false
	}
	if negative {
		n.Neg(n)
	}
	return n.String(), true
}
