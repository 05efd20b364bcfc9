package tokenizer

import "unicode/utf8"

// The GPT-2 byte alphabet writes every byte as one printable rune: printable
// Latin-1 bytes as themselves, the other 68 as U+0100, U+0101, … in order.
var (
	byteRune [256]rune
	runeByte [0x144]int16 // -1: not in the alphabet
)

func init() {
	for i := range runeByte {
		runeByte[i] = -1
	}
	next := rune(0x100)
	for b := range 256 {
		r := rune(b)
		if b < '!' || b > '~' && b < 0xA1 || b == 0xAD {
			r, next = next, next+1
		}
		byteRune[b] = r
		runeByte[r] = int16(b)
	}
}

// ByteTokens returns the 256 tokens of single bytes, in byte order, as a
// vocabulary writes them. Every byte-level vocabulary should hold them.
func ByteTokens() []string {
	tokens := make([]string, 256)
	for b, r := range byteRune {
		tokens[b] = string(r)
	}
	return tokens
}

// EncodeBytes writes text in the GPT-2 byte alphabet, as vocabularies and
// merges are written.
func EncodeBytes(text string) string {
	out := make([]byte, 0, len(text)+len(text)/4)
	for i := range len(text) {
		out = utf8.AppendRune(out, byteRune[text[i]])
	}
	return string(out)
}

// appendDecoded appends the bytes that token stands for. A rune outside the
// alphabet stands for itself, and pure is false.
func appendDecoded(dst []byte, token string) (_ []byte, pure bool) {
	pure = true
	for i := 0; i < len(token); {
		r, n := utf8.DecodeRuneInString(token[i:])
		if int(r) < len(runeByte) && runeByte[r] >= 0 {
			dst = append(dst, byte(runeByte[r]))
		} else {
			dst = append(dst, token[i:i+n]...)
			pure = false
		}
		i += n
	}
	return dst, pure
}
