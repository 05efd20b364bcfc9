package pii

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/sluice-ai/sluice/internal/llm"
)

// A leaf is a text of the body: a string, a number, or the key of a member.
type leaf struct {
	raw    []byte // the bytes of the body, without the quotes
	start  int    // of raw, in the body
	plain  bool   // raw is its own text: no escapes
	key    bool
	number bool
	member []byte // the name of the member that holds it; nil in a list
	opaque bool   // a payload that is no text: a picture, a recording
	bare   bool   // not from a JSON body at all
}

// A walker visits every text of one JSON object, in order, and checks the syntax on its way.
type walker struct {
	b     []byte
	i     int
	depth int
	max   int
	path  []byte // JSON pointer of the value at hand
	keys  [][]byte
	visit func(l *leaf) error
	// secretive tells whether a key may not appear in a pointer, because it holds a value itself.
	secretive func(key []byte) bool
}

// walk visits the texts of body, which must be one JSON object. See [walker].
func (w *walker) walk(body []byte) error {
	w.b, w.i, w.depth, w.path, w.keys = body, 0, 0, w.path[:0], w.keys[:0]
	w.space()
	if at(w.b, w.i) != '{' {
		return w.bad("expected an object")
	}
	if err := w.value(nil); err != nil {
		return err
	}
	w.space()
	if w.i != len(w.b) {
		return w.bad("text after the object")
	}
	return nil
}

// bad describes what is wrong where, without a byte of the body.
func (w *walker) bad(what string) error {
	return &llm.Error{Kind: llm.Invalid, Code: llm.CodeInvalidJSON, Msg: fmt.Sprintf("the request's body is not valid JSON: %s at byte %d", what, w.i)}
}

func (w *walker) space() {
	for w.i < len(w.b) {
		switch w.b[w.i] {
		case ' ', '\n', '\t', '\r':
			w.i++
		default:
			return
		}
	}
}

// value reads the value at hand. member is the name of the member that holds it.
func (w *walker) value(member []byte) error {
	switch c := at(w.b, w.i); c {
	case '{', '[':
		if w.depth++; w.depth > w.max {
			return w.bad(fmt.Sprintf("more than %d levels", w.max))
		}
		var err error
		if c == '{' {
			err = w.object()
		} else {
			err = w.list(member)
		}
		w.depth--
		return err
	case '"':
		l := leaf{member: member}
		if err := w.text(&l); err != nil {
			return err
		}
		l.opaque = w.payload(&l)
		return w.visit(&l)
	case 't':
		return w.word("true")
	case 'f':
		return w.word("false")
	case 'n':
		return w.word("null")
	default:
		return w.num(member)
	}
}

func (w *walker) object() error {
	w.i++
	base, mark := len(w.path), len(w.keys)
	defer func() { w.path, w.keys = w.path[:base], w.keys[:mark] }()
	var seen map[string]bool // when the object is large
	for n := 0; ; n++ {
		w.space()
		if n == 0 && at(w.b, w.i) == '}' {
			w.i++
			return nil
		}
		if at(w.b, w.i) != '"' {
			return w.bad("expected a key")
		}
		l := leaf{key: true}
		if err := w.text(&l); err != nil {
			return err
		}
		key := l.raw
		if !l.plain {
			key = unescape(nil, l.raw)
		}
		if n == 32 {
			seen = make(map[string]bool, 64)
			for _, k := range w.keys[mark:] {
				seen[string(k)] = true
			}
		}
		if seen != nil {
			if seen[string(key)] {
				return w.bad("a key is there twice")
			}
			seen[string(key)] = true
		} else {
			for _, k := range w.keys[mark:] {
				if bytes.Equal(k, key) {
					return w.bad("a key is there twice")
				}
			}
			w.keys = append(w.keys, key)
		}
		w.path = append(w.path[:base], '/')
		if len(key) > 64 || w.secretive != nil && w.secretive(key) {
			w.path = append(w.path, '~')
			w.path = strconv.AppendInt(w.path, int64(n), 10)
		} else {
			w.path = appendPointer(w.path, key)
		}
		end := len(w.path)
		w.path = append(w.path, '#')
		if err := w.visit(&l); err != nil {
			return err
		}
		w.path = w.path[:end]
		w.space()
		if at(w.b, w.i) != ':' {
			return w.bad("expected a colon")
		}
		w.i++
		w.space()
		if err := w.value(key); err != nil {
			return err
		}
		w.space()
		switch at(w.b, w.i) {
		case ',':
			w.i++
		case '}':
			w.i++
			return nil
		default:
			return w.bad("expected a comma or the object's end")
		}
	}
}

// list reads a list. Its items count as held by the list's member.
func (w *walker) list(member []byte) error {
	w.i++
	base := len(w.path)
	defer func() { w.path = w.path[:base] }()
	for n := 0; ; n++ {
		w.space()
		if n == 0 && at(w.b, w.i) == ']' {
			w.i++
			return nil
		}
		w.path = strconv.AppendInt(append(w.path[:base], '/'), int64(n), 10)
		if err := w.value(member); err != nil {
			return err
		}
		w.space()
		switch at(w.b, w.i) {
		case ',':
			w.i++
		case ']':
			w.i++
			return nil
		default:
			return w.bad("expected a comma or the list's end")
		}
	}
}

func (w *walker) word(s string) error {
	if !bytes.HasPrefix(w.b[w.i:], []byte(s)) {
		return w.bad("unexpected text")
	}
	w.i += len(s)
	return nil
}

// num reads a number. Numbers of more than eight digits below the first level are texts: a card number needs no quotes.
func (w *walker) num(member []byte) error {
	start := w.i
	if at(w.b, w.i) == '-' {
		w.i++
	}
	first := w.i
	w.i = digitsEnd(w.b, w.i)
	if w.i == first || w.b[first] == '0' && w.i > first+1 {
		w.i = start
		return w.bad("unexpected text")
	}
	integer := w.i
	if at(w.b, w.i) == '.' {
		w.i++
		if f := w.i; digitsEnd(w.b, f) == f {
			return w.bad("expected a digit")
		}
		w.i = digitsEnd(w.b, w.i)
	}
	if at(w.b, w.i)|0x20 == 'e' {
		w.i++
		if c := at(w.b, w.i); c == '+' || c == '-' {
			w.i++
		}
		if f := w.i; digitsEnd(w.b, f) == f {
			return w.bad("expected a digit")
		}
		w.i = digitsEnd(w.b, w.i)
	}
	if w.i != integer || first != start || integer-first <= 8 || w.depth <= 1 {
		return nil
	}
	return w.visit(&leaf{raw: w.b[start:w.i], start: start, plain: true, number: true, member: member})
}

func digitsEnd(b []byte, i int) int {
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	return i
}

// text reads the string at hand into l.
func (w *walker) text(l *leaf) error {
	b := w.b
	i := w.i + 1
	l.start, l.plain = i, true
	wide := false
	for {
		for i+8 <= len(b) { // eight bytes without a quote, an escape, a control character
			x := binary.LittleEndian.Uint64(b[i:])
			low := x &^ highs
			quote := (low ^ '"'*ones) + 0x7f*ones
			slash := (low ^ '\\'*ones) + 0x7f*ones
			ctrl := low + (0x80-0x20)*ones
			m := ^(quote & slash & ctrl) &^ x & highs
			hi := x & highs
			if m != 0 {
				n := bits.TrailingZeros64(m)
				wide = wide || hi<<(63-n) != 0
				i += n >> 3
				break
			}
			wide = wide || hi != 0
			i += 8
		}
		if i >= len(b) {
			w.i = len(b)
			return w.bad("a string has no end")
		}
		switch c := b[i]; {
		case c == '"':
			l.raw = b[l.start:i]
			w.i = i + 1
			if wide && !utf8.Valid(l.raw) {
				return w.bad("a string that is not UTF-8 ends")
			}
			return nil
		case c == '\\':
			l.plain = false
			switch at(b, i+1) {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
				i += 2
			case 'u':
				if _, ok := hex4(b[min(i+2, len(b)):]); !ok {
					w.i = i
					return w.bad("a broken escape")
				}
				i += 6
			default:
				w.i = i
				return w.bad("a broken escape")
			}
		case c < 0x20:
			w.i = i
			return w.bad("a control character")
		default:
			wide = wide || c >= 0x80
			i++
		}
	}
}

// payload reports whether l is the base64 of a picture or a recording, in the two places where the dialects put them.
func (w *walker) payload(l *leaf) bool {
	data := l.raw
	switch {
	case bytes.HasSuffix(w.path, []byte("/image_url/url")):
		head, _, ok := bytes.Cut(data[:min(len(data), 64)], []byte(";base64,"))
		if !ok || !bytes.HasPrefix(head, []byte("data:image/")) {
			return false
		}
		data = data[len(head)+len(";base64,"):]
	case bytes.HasSuffix(w.path, []byte("/input_audio/data")):
		if len(data) < 256 {
			return false
		}
	default:
		return false
	}
	for _, c := range data { // anything else hidden there is text
		if !isAlnum(c) && c != '+' && c != '/' && c != '=' {
			return false
		}
	}
	return true
}

// appendPointer appends the reference token for key (RFC 6901).
func appendPointer(dst, key []byte) []byte {
	for _, c := range key {
		switch c {
		case '~':
			dst = append(dst, "~0"...)
		case '/':
			dst = append(dst, "~1"...)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case isDigit(c):
			r = r<<4 | rune(c-'0')
		case isHex(c):
			r = r<<4 | rune(lower(c)-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// next decodes the first character of raw, the inside of a JSON string that text accepted, and returns its size in raw.
func next(raw []byte) (rune, int) {
	if raw[0] != '\\' {
		if raw[0] < utf8.RuneSelf {
			return rune(raw[0]), 1
		}
		return utf8.DecodeRune(raw)
	}
	switch c := raw[1]; c {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		r, _ := hex4(raw[2:])
		if utf16.IsSurrogate(r) {
			if len(raw) >= 12 && raw[6] == '\\' && raw[7] == 'u' {
				if low, ok := hex4(raw[8:]); ok {
					if full := utf16.DecodeRune(r, low); full != utf8.RuneError {
						return full, 12
					}
				}
			}
			return utf8.RuneError, 6
		}
		return r, 6
	default:
		return rune(c), 2
	}
}

// unescape appends the text of raw to dst. Half a surrogate pair becomes U+FFFD, as in encoding/json.
func unescape(dst, raw []byte) []byte {
	for len(raw) > 0 {
		k := bytes.IndexByte(raw, '\\')
		if k < 0 {
			return append(dst, raw...)
		}
		dst = append(dst, raw[:k]...)
		r, n := next(raw[k:])
		dst = utf8.AppendRune(dst, r)
		raw = raw[k+n:]
	}
	return dst
}
