package hints

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The n-grams are a linear model over hashed n-grams of characters and words: what
// can be known of a request from its wording alone. train/sluice_train/ngrams.py is
// the definition, train/hints.py fits it; testdata/judge/ngrams.jsonl holds both to
// the same numbers.

//go:embed ngrams.bin
var ngramsFile []byte

// A linear model: bias, and a weight for each bucket.
type linear struct {
	scale, bias float64
	weights     []byte // int8
}

var ngrams = readLinear(ngramsFile)

// readLinear reads "SLNG", the number of buckets (a power of two), scale and bias
// as float32, and a byte for each bucket; little-endian.
func readLinear(file []byte) linear {
	const head = 16
	if len(file) < head || string(file[:4]) != "SLNG" || len(file) != head+int(binary.LittleEndian.Uint32(file[4:])) {
		panic(fmt.Sprintf("hints: the embedded n-grams are damaged: %d bytes", len(file)))
	}
	number := func(at int) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(file[at:]))) }
	return linear{scale: number(8), bias: number(12), weights: file[head:]}
}

// Bounds of what the n-grams see, in code points.
const (
	gramHead, gramTail = 800, 400
	gramView           = 60
	gramLine           = 160
	longestGram        = 5
)

// NGrams returns the log-odds that a small local model will do, by the wording of text.
func NGrams(text string) float64 {
	runes := []rune(normal(text))
	first, last := []rune(normal(firstLine(text))), []rune(normal(lastLine(text)))
	odds := ngrams.bias
	for _, v := range []struct {
		letter string
		part   []rune
	}{
		{"a", runes}, {"h", runes[:min(gramView, len(runes))]}, {"t", runes[max(0, len(runes)-gramView):]},
		{"f", first[:min(gramLine, len(first))]}, {"l", last[max(0, len(last)-gramLine):]},
	} {
		odds += ngrams.view(v.letter, v.part)
	}
	return odds
}

// firstLine and lastLine return those lines of text that hold more than white space: what is
// asked often stands there, and the text it is asked of on the others.
func firstLine(text string) string {
	for line := range strings.SplitSeq(text, "\n") {
		if strings.TrimSpace(line) != "" {
			return line
		}
	}
	return ""
}

func lastLine(text string) string {
	line, rest := "", text
	for rest != "" && strings.TrimSpace(line) == "" {
		i := strings.LastIndexByte(rest, '\n')
		line, rest = rest[i+1:], rest[:max(0, i)]
	}
	return line
}

// normal lowers text, makes every digit 0 and every run of white space one space, and
// puts one at each end.
func normal(text string) string {
	if n := utf8.RuneCountInString(text); n > gramHead+gramTail {
		text = text[:at(text, gramHead)] + " " + text[at(text, n-gramTail):]
	}
	text = strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return '0'
		}
		return r
	}, strings.ToLower(text))
	return " " + strings.Join(strings.FieldsFunc(text, unicode.IsSpace), " ") + " "
}

// view returns what the n-grams of one view add.
func (l *linear) view(letter string, part []rune) float64 {
	grams := make([]uint32, 0, 6*len(part)+8)
	mask := uint32(len(l.weights) - 1)
	start := crc32.ChecksumIEEE([]byte(letter + "c"))
	text := string(part)
	offsets := make([]int, 0, len(part)+1) // bytes
	for i := range text {
		offsets = append(offsets, i)
	}
	offsets = append(offsets, len(text))
	bytes := []byte(text)
	for n := 2; n <= longestGram; n++ {
		for i := range len(part) - n + 1 {
			grams = append(grams, crc32.Update(start, crc32.IEEETable, bytes[offsets[i]:offsets[i+n]])&mask)
		}
	}
	words := tokens(text)
	start = crc32.ChecksumIEEE([]byte(letter + "w"))
	for i, w := range words {
		one := crc32.Update(start, crc32.IEEETable, []byte(w))
		grams = append(grams, one&mask)
		if i+1 < len(words) {
			grams = append(grams, crc32.Update(one, crc32.IEEETable, []byte(" "+words[i+1]))&mask)
		}
	}
	var sum, length float64
	slices.Sort(grams)
	for i := 0; i < len(grams); {
		first := i
		for i < len(grams) && grams[i] == grams[first] {
			i++
		}
		v := 1.0
		if i > first+1 {
			v += math.Log(float64(i - first))
		}
		length += v * v
		sum += v * float64(int8(l.weights[grams[first]]))
	}
	if length == 0 {
		return 0
	}
	return sum * l.scale / math.Sqrt(length)
}

// tokens splits text into runs of letters, numbers and marks, and other characters
// that are no white space.
func tokens(text string) (out []string) {
	start := -1
	for i, r := range text {
		if unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r) {
			if start < 0 {
				start = i
			}
			continue
		}
		if start >= 0 {
			out = append(out, text[start:i])
			start = -1
		}
		if !unicode.IsSpace(r) {
			out = append(out, string(r))
		}
	}
	if start >= 0 {
		out = append(out, text[start:])
	}
	return out
}
