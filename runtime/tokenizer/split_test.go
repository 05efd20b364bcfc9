package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// The oracle: a backtracking matcher of the pattern as it is written, on runes,
// without regard to speed. A byte that is not UTF-8 is the rune -1.

// A matcher calls then with every end of a match of it at s[i:], in the order
// in which a backtracking engine tries them, until then returns true.
type matcher func(s []rune, i int, then func(int) bool) bool

func set(in func(rune) bool) matcher {
	return func(s []rune, i int, then func(int) bool) bool {
		return i < len(s) && in(s[i]) && then(i+1)
	}
}

func repeat(m matcher, least, most int) matcher {
	var at func(n int) matcher
	at = func(n int) matcher {
		return func(s []rune, i int, then func(int) bool) bool {
			if n < most && m(s, i, func(j int) bool { return at(n+1)(s, j, then) }) {
				return true
			}
			return n >= least && then(i)
		}
	}
	return at(0)
}

func sequence(ms ...matcher) matcher {
	if len(ms) == 1 {
		return ms[0]
	}
	return func(s []rune, i int, then func(int) bool) bool {
		return ms[0](s, i, func(j int) bool { return sequence(ms[1:]...)(s, j, then) })
	}
}

func either(ms ...matcher) matcher {
	return func(s []rune, i int, then func(int) bool) bool {
		for _, m := range ms {
			if m(s, i, then) {
				return true
			}
		}
		return false
	}
}

func literal(text string) matcher {
	var ms []matcher
	for _, r := range text {
		ms = append(ms, set(func(c rune) bool { return c == r || c < 128 && unicode.ToLower(c) == r }))
	}
	return sequence(ms...)
}

// notBefore is the look-ahead (?!m).
func notBefore(m matcher) matcher {
	return func(s []rune, i int, then func(int) bool) bool {
		return !m(s, i, func(int) bool { return true }) && then(i)
	}
}

const many = 1 << 30

var (
	isL     = func(r rune) bool { return r >= 0 && unicode.Is(unicode.L, r) }
	isN     = func(r rune) bool { return r >= 0 && unicode.Is(unicode.N, r) }
	isS     = func(r rune) bool { return r >= 0 && unicode.Is(unicode.White_Space, r) }
	isCRLF  = func(r rune) bool { return r == '\r' || r == '\n' }
	isBlank = func(r rune) bool { return r == ' ' }
	llama3  = either(
		either(literal("'s"), literal("'t"), literal("'re"), literal("'ve"), literal("'m"), literal("'ll"), literal("'d")),
		sequence(repeat(set(func(r rune) bool { return !isCRLF(r) && !isL(r) && !isN(r) }), 0, 1), repeat(set(isL), 1, many)),
		repeat(set(isN), 1, 3),
		sequence(repeat(set(isBlank), 0, 1), repeat(set(func(r rune) bool { return !isS(r) && !isL(r) && !isN(r) }), 1, many), repeat(set(isCRLF), 0, many)),
		sequence(repeat(set(isS), 0, many), repeat(set(isCRLF), 1, many)),
		sequence(repeat(set(isS), 1, many), notBefore(set(func(r rune) bool { return !isS(r) }))),
		repeat(set(isS), 1, many),
	)
)

func splitOracle(text string) []string {
	var runes []rune
	var offsets []int
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && n == 1 {
			r = -1
		}
		runes, offsets = append(runes, r), append(offsets, i)
		i += n
	}
	offsets = append(offsets, len(text))
	var pieces []string
	for i := 0; i < len(runes); {
		end := -1
		if !llama3(runes, i, func(j int) bool { end = j; return true }) || end == i {
			return append(pieces, "STUCK")
		}
		pieces = append(pieces, text[offsets[i]:offsets[end]])
		i = end
	}
	return pieces
}

func split(text string) []string {
	var pieces []string
	for text != "" {
		n := next(text)
		pieces = append(pieces, text[:n])
		text = text[n:]
	}
	return pieces
}

func TestSplit(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"words", "Hello, world!", "Hello|,| world|!"},
		{"contractions", "I'm we'LL they've 'twas o's", "I|'m| we|'LL| they|'ve| '|twas| o|'s"},
		{"contraction-wins-over-word", "'same", "'s|ame"},
		{"long-s-is-no-contraction", "'\u017f", "'\u017f"},
		{"digits-in-threes", "1234567 12", "123|456|7| |12"},
		{"last-space-leaves", "a   b", "a|  | b"},
		{"spaces-before-digit", "a   1", "a|  | |1"},
		{"spaces-before-other", "a   !", "a|  | !"},
		{"spaces-at-end", "a   ", "a|   "},
		{"up-to-last-break", "a \n \n  b", "a| \n \n| | b"},
		{"other-takes-breaks", "a!\r\n\n b", "a|!\r\n\n| b"},
		{"tab-leads-a-word", "\tif", "\tif"},
		{"tab-before-other", "\t!", "\t|!"},
		{"no-break-space", "a\u00a0\u00a0b", "a|\u00a0|\u00a0b"},
		{"mark-is-other", "e\u0301a", "e|\u0301a"},
		{"other-numbers", "½²Ⅷ४", "½²Ⅷ|४"},
		{"invalid-bytes", "a\xff\xfeb\xe2\x82 c", "a|\xff\xfe|b|\xe2\x82| c"},
		{"replacement-character", "\uFFFDa", "\uFFFDa"},
		{"emoji", " 🦙.cpp", " 🦙.|cpp"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.Join(split(tt.text), "|"); got != tt.want {
				t.Errorf("split(%q) = %q, want %q", tt.text, got, tt.want)
			}
			if got := strings.Join(splitOracle(tt.text), "|"); got != tt.want {
				t.Errorf("oracle(%q) = %q, want %q", tt.text, got, tt.want)
			}
		})
	}
}

// alphabet has members of every class, with those that look like another.
var alphabet = []string{
	" ", " ", " ", "\t", "\n", "\r", "\v", "\f", "\u0085", "\u00a0", "\u2003", "\u2028", "\u3000", "\u200b", "\u180e", "\ufeff", "\x00", "\x1c",
	"a", "s", "t", "m", "d", "l", "r", "e", "v", "S", "L", "E", "é", "ſ", "ж", "中", "ا", "𝒳", "ªª", "ˆ", "々",
	"0", "1", "9", "½", "Ⅷ", "٣", "𝟘", "〇",
	"'", "'", "’", ".", "!", "-", "_", "🦙", "\u0301", "\u0941", "€", "\uFFFD", "\xff", "\xc3", "\xe2\x82", "\xed\xa0\x80",
}

func TestSplitDifferential(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 60_000 {
		var b strings.Builder
		for range rng.IntN(12) {
			b.WriteString(alphabet[rng.IntN(len(alphabet))])
		}
		if got, want := split(b.String()), splitOracle(b.String()); !slices.Equal(got, want) {
			t.Fatalf("split(%q) = %q, want %q", b.String(), got, want)
		}
	}
	for r := range rune(unicode.MaxRune + 1) { // every rune in every role
		if !utf8.ValidRune(r) || r > 0x20000 && r&0xff != 0 {
			continue
		}
		text := "a" + string(r) + "b " + string(r) + string(r) + "1\n" + string(r)
		if got, want := split(text), splitOracle(text); !slices.Equal(got, want) {
			t.Fatalf("split(%q) = %q, want %q", text, got, want)
		}
	}
}

func FuzzSplit(f *testing.F) {
	for _, seed := range []string{"I'll be  there\r\n at 12345.", "\xff 'S\u00a0x", " \n \t!"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 200 {
			return
		}
		if got, want := split(text), splitOracle(text); !slices.Equal(got, want) {
			t.Errorf("split(%q) = %q, want %q", text, got, want)
		}
	})
}
