package entities

import (
	"bytes"
	"hash/crc32"
	"unicode"
	"unicode/utf8"
)

// The tagger's tokens and features. train/sluice_train/tagger.py is the definition;
// testdata/entities/tagger.jsonl holds both to the same numbers.

// A token of a text: a word, a digit, a run of line feeds, or any other character that is no space.
type token struct {
	start, end int // bytes
	kind       charKind
	word       []byte // in lower case
	shape      string // its capitals, or what else it is
}

type charKind uint8

const (
	space charKind = iota
	letter
	ideograph // of a script that writes no spaces, kana included
	digit
	lineFeed
	other
)

func kindOf(r rune) charKind {
	switch {
	case r == '\n':
		return lineFeed
	case unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f:
		return space
	case r >= 0x3040 && r <= 0x30ff || r >= 0x3400 && r <= 0x9fff || r >= 0xac00 && r <= 0xd7af || r == '々':
		return ideograph
	case unicode.IsLetter(r) || unicode.IsMark(r):
		return letter
	case unicode.Is(unicode.Nd, r):
		return digit
	}
	return other
}

// tokens cuts text. The words share one buffer.
func tokens(text string) []token {
	out := make([]token, 0, len(text)/4)
	buf := make([]byte, 0, len(text)+16)
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		k, end := kindOf(r), i+size
		if k == letter || k == lineFeed {
			for end < len(text) {
				r, size := utf8.DecodeRuneInString(text[end:])
				if kindOf(r) != k {
					break
				}
				end += size
			}
		}
		if k != space {
			from := len(buf)
			if k == lineFeed {
				buf = append(buf, "<n>"...)
			} else {
				for _, r := range text[i:end] {
					buf = utf8.AppendRune(buf, unicode.ToLower(r))
				}
			}
			out = append(out, token{start: i, end: end, kind: k, word: buf[from:len(buf):len(buf)], shape: shapeOf(text[i:end], k)})
		}
		i = end
	}
	return out
}

func shapeOf(s string, k charKind) string {
	first, size := utf8.DecodeRuneInString(s)
	switch k {
	case digit:
		return "0"
	case lineFeed:
		return "n"
	case ideograph:
		switch {
		case first <= 0x309f:
			return "h"
		case first <= 0x30ff:
			return "k"
		}
		return "c"
	case letter:
	default:
		return s
	}
	if !isUpper(first) {
		if unicode.IsLower(first) {
			return "x"
		}
		return "o"
	}
	if size == len(s) {
		return "U"
	}
	for _, r := range s {
		if !isUpper(r) {
			return "Xx"
		}
	}
	return "X"
}

func isUpper(r rune) bool { return unicode.IsUpper(r) || unicode.IsTitle(r) }

// How far the bags of words of a token reach.
const (
	wordsBefore = 8
	wordsAfter  = 5
)

var outside = []byte("<>") // stands for the word and the shape beyond the text

// A reader computes features of the tokens of one text.
type reader struct {
	at  []token
	buf []byte
	add func(key uint32)
}

func (r *reader) word(i int) []byte {
	if i < 0 || i >= len(r.at) {
		return outside
	}
	return r.at[i].word
}

func (r *reader) shape(i int) string {
	if i < 0 || i >= len(r.at) {
		return "<>"
	}
	return r.at[i].shape
}

// feature adds what is made of a name, "=" and word.
func (r *reader) feature(name string, word []byte) {
	r.buf = append(append(append(r.buf[:0], name...), '='), word...)
	r.add(crc32.ChecksumIEEE(r.buf))
}

// words adds the words of tokens from to to, with spaces between them.
func (r *reader) words(name string, from, to int) {
	r.buf = append(append(append(r.buf[:0], name...), '='), r.word(from)...)
	for i := from + 1; i <= to; i++ {
		r.buf = append(append(r.buf, ' '), r.word(i)...)
	}
	r.add(crc32.ChecksumIEEE(r.buf))
}

// shapes adds the shapes of tokens from to to, with spaces between them.
func (r *reader) shapes(name string, from, to int) {
	r.buf = append(append(append(r.buf[:0], name...), '='), r.shape(from)...)
	for i := from + 1; i <= to; i++ {
		r.buf = append(append(r.buf, ' '), r.shape(i)...)
	}
	r.add(crc32.ChecksumIEEE(r.buf))
}

// Names of the features of each place.
var (
	wordNames  = [...]string{"w0", "w1", "w2", "w3", "w4", "w5", "w6", "w7"} // from four tokens before to three after
	shapeNames = [...]string{"", "s1", "s2", "s3", "s4", "s5", "s6", "s7"}
	headNames  = [...]string{"", "p1", "p2", "p3", "p4", "p5"}
	tailNames  = [...]string{"", "q1", "q2", "q3", "q4", "q5"}
	pairNames  = [...]string{"W0", "W1", "W2", "W3"}
	near       = [...]int{-2, -1, 1, 2}
	nearHeads  = [...]string{"P0", "P1", "P2", "P3"}
	nearTails  = [...]string{"Q0", "Q1", "Q2", "Q3"}
)

// features adds what is known of token i.
func (r *reader) features(i int) {
	r.buf = append(r.buf[:0], 'b')
	r.add(crc32.ChecksumIEEE(r.buf))
	for k, name := range wordNames {
		r.feature(name, r.word(i+k-4))
		if k > 0 {
			r.shapes(shapeNames[k], i+k-4, i+k-4)
		}
	}
	word := r.at[i].word
	for k := 1; k < len(headNames); k++ {
		head, whole := most(word, k, false)
		if !whole {
			break
		}
		tail, _ := most(word, k, true)
		r.feature(headNames[k], head)
		r.feature(tailNames[k], tail)
	}
	for k, d := range near {
		if i+d >= 0 && i+d < len(r.at) {
			head, _ := most(r.at[i+d].word, 4, false)
			tail, _ := most(r.at[i+d].word, 3, true)
			r.feature(nearHeads[k], head)
			r.feature(nearTails[k], tail)
		}
	}
	r.shapes("S", i-2, i+2)
	r.shapes("T", i-1, i+1)
	for k, name := range pairNames {
		r.words(name, i+k-2, i+k-1)
	}
	r.words("V", i-1, i+1)
	r.buf = append(r.buf[:0], "g="...)
	r.buf = append(r.buf, bit(i > 0 && r.at[i-1].end == r.at[i].start), bit(i+1 < len(r.at) && r.at[i].end == r.at[i+1].start))
	r.add(crc32.ChecksumIEEE(r.buf))
	r.bag("L", i, -1, wordsBefore)
	r.bag("R", i, 1, wordsAfter)
}

func bit(set bool) byte {
	if set {
		return '1'
	}
	return '0'
}

// bag adds each word among the n tokens before or after i once.
func (r *reader) bag(name string, i, step, n int) {
	for j := i + step; n > 0 && j >= 0 && j < len(r.at); j, n = j+step, n-1 {
		t := &r.at[j]
		if t.kind != letter && t.kind != ideograph {
			continue
		}
		seen := false
		for k := i + step; k != j && !seen; k += step {
			seen = (r.at[k].kind == letter || r.at[k].kind == ideograph) && bytes.Equal(r.at[k].word, t.word)
		}
		if !seen {
			r.feature(name, t.word)
		}
	}
}

// most returns the first or the last n code points of word, and whether it has as many.
func most(word []byte, n int, last bool) (_ []byte, whole bool) {
	i, size := 0, 0
	for k := 0; k < n; k++ {
		if i == len(word) {
			return word, false
		}
		if last {
			_, size = utf8.DecodeLastRune(word[:len(word)-i])
		} else {
			_, size = utf8.DecodeRune(word[i:])
		}
		i += size
	}
	if last {
		return word[len(word)-i:], true
	}
	return word[:i], true
}
