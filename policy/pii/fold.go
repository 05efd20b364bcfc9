package pii

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// A seam ties an offset of the folded text to one of the original. Between
// two seams both run in step.
type seam struct{ folded, orig int }

// foldable reports whether fold would change t. Most text stays as it is.
func foldable(t []byte) bool {
	if bytes.Contains(t, []byte(`\u`)) {
		return true
	}
	for i := 0; i < len(t); {
		if t[i] < utf8.RuneSelf {
			if n := asciiRun(t[i:]); n > 0 {
				i += n
				continue
			}
		}
		// Whole blocks of letters need no decoding.
		switch c := t[i]; {
		case c >= 0xc3 && c <= 0xd7 && c != 0xcd && at(t, i+1)&0xc0 == 0x80: // U+00C0 to U+05FF but U+034F
			i += 2
		case (c >= 0xe4 && c <= 0xe9 || c == 0xe3 && at(t, i+1) != 0x80 || c >= 0xeb && c <= 0xed) && at(t, i+1)&at(t, i+2)&0xc0 == 0x80: // Han, kana, hangul
			i += 3
		default:
			r, size := utf8.DecodeRune(t[i:])
			if foldRune(r) != keep {
				return true
			}
			i += size
		}
	}
	return false
}

// fold appends to dst the form of t that the detectors read, and to seams how offsets map back.
// It also undoes \uXXXX, which is how JSON inside a string hides a character.
func fold(dst []byte, seams []seam, t []byte) ([]byte, []seam) {
	seams = append(seams, seam{})
	for i := 0; i < len(t); {
		r, size := rune(t[i]), 1
		if r == '\\' {
			if e, ok := escaped(t[i:]); ok {
				r, size = e, 6
			}
		} else if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(t[i:])
		}
		f := foldRune(r)
		if f == keep {
			if size == 6 && r < utf8.RuneSelf {
				f = r
			} else {
				dst = append(dst, t[i:i+size]...)
				i += size
				continue
			}
		}
		seams = append(seams, seam{len(dst), i})
		if f != drop {
			dst = append(dst, byte(f))
		}
		i += size
		seams = append(seams, seam{len(dst), i})
	}
	return dst, seams
}

// escaped reads the \uXXXX at the start of t.
func escaped(t []byte) (rune, bool) {
	if len(t) < 6 || t[1] != 'u' {
		return 0, false
	}
	return hex4(t[2:6])
}

// unfold maps the folded span [start, end) to the original. Dropped characters at its edges stay outside.
func unfold(seams []seam, start, end int) (int, int) {
	lo, hi := 0, len(seams) // the last seam at or before start
	for lo+1 < hi {
		if m := int(uint(lo+hi) >> 1); seams[m].folded <= start {
			lo = m
		} else {
			hi = m
		}
	}
	from := seams[lo].orig + start - seams[lo].folded
	for lo+1 < len(seams) && seams[lo+1].folded < end {
		lo++
	}
	// seams[lo] is the last before end. A seam exactly at end, where one is, says where the last character stopped.
	to := seams[lo].orig + end - seams[lo].folded
	if lo+1 < len(seams) && seams[lo+1].folded == end {
		to = seams[lo+1].orig
	}
	return from, to
}

const (
	keep rune = -1
	drop rune = -2
)

// foldRune returns the ASCII character that r stands for, keep or drop.
func foldRune(r rune) rune {
	switch {
	case r < 0xa0:
		return keep
	case r == 0xa0, r >= 0x2000 && r <= 0x200a, r == 0x202f, r == 0x205f, r == 0x3000:
		return ' '
	case r == 0xad, r == 0x34f, r == 0x61c, r == 0x180e, r >= 0x200b && r <= 0x200f, r >= 0x202a && r <= 0x202e,
		r >= 0x2060 && r <= 0x206f, r == 0x20e3, r >= 0xfe00 && r <= 0xfe0f, r == 0xfeff, r >= 0xe0000 && r <= 0xe0fff:
		return drop
	case r < 0x660: // Latin, Greek, Cyrillic, Hebrew
		return keep
	case r >= 0x2010 && r <= 0x2015, r == 0x2212, r == 0xfe58, r == 0xfe63:
		return '-'
	case r == 0x2024, r == 0xfe52:
		return '.'
	case r == 0xfe6b:
		return '@'
	case r >= 0xff01 && r <= 0xff5e:
		return r - 0xfee0
	case r >= 0x2e80 && r <= 0xa4cf: // the large scripts without digits of their own
		return keep
	case unicode.Is(unicode.Nd, r):
		return '0' + digitValue(r)
	}
	return keep
}

// digitValue returns the value of a decimal digit of any script: every range of Nd begins with a zero.
func digitValue(r rune) rune {
	for _, e := range unicode.Nd.R16 {
		if r >= rune(e.Lo) && r <= rune(e.Hi) {
			return (r - rune(e.Lo)) % 10
		}
	}
	for _, e := range unicode.Nd.R32 {
		if r >= rune(e.Lo) && r <= rune(e.Hi) {
			return (r - rune(e.Lo)) % 10
		}
	}
	return 0
}
