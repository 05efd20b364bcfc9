package tokenizer

import "unicode/utf8"

// Piece returns the bytes that id stands for: the text of special tokens, part
// of a code point for some others, nothing for unused and unknown ids. The
// caller must not write to it.
func (t *Tokenizer) Piece(id int32) []byte {
	if id < 0 || int(id) >= len(t.types) {
		return nil
	}
	return t.piece(id)
}

// Decode returns the text of ids with the text of control tokens in it. It is
// not repaired: ids that spell no valid UTF-8 yield no valid UTF-8.
func (t *Tokenizer) Decode(ids []int32) string { return t.decode(ids, false) }

// DecodeText is Decode without the control tokens.
func (t *Tokenizer) DecodeText(ids []int32) string { return t.decode(ids, true) }

func (t *Tokenizer) decode(ids []int32, skipControl bool) string {
	var out []byte
	for _, id := range ids {
		if skipControl && t.IsControl(id) {
			continue
		}
		out = append(out, t.Piece(id)...)
	}
	return string(out)
}

// A Stream decodes tokens as they come, in whole code points. Bytes that are
// not UTF-8 become U+FFFD, one for each maximal ill-formed part, and only once
// no further token could complete them.
type Stream struct {
	t       *Tokenizer
	skip    bool
	pending []byte // of an unfinished code point, at most 3 bytes
	out     []byte
}

// NewStream returns a Stream. With skipControl, control tokens yield no text.
func (t *Tokenizer) NewStream(skipControl bool) *Stream {
	return &Stream{t: t, skip: skipControl}
}

// Push returns the text that id makes certain, perhaps none: always valid
// UTF-8, and valid until the next call. A control token ends what is pending.
func (s *Stream) Push(id int32) []byte {
	s.out = s.out[:0]
	if s.t.IsControl(id) {
		s.end()
		if s.skip {
			return s.out
		}
	}
	s.pending = append(s.pending, s.t.Piece(id)...)
	rest := s.pending
	for len(rest) > 0 && utf8.FullRune(rest) {
		n := valid(rest)
		s.out = append(s.out, rest[:n]...)
		if rest = rest[n:]; len(rest) > 0 && utf8.FullRune(rest) {
			s.out = append(s.out, "\uFFFD"...)
			rest = rest[illFormed(rest):]
		}
	}
	s.pending = append(s.pending[:0], rest...)
	return s.out
}

// Flush returns U+FFFD if the tokens ended inside a code point, else nothing,
// and makes s ready for another text.
func (s *Stream) Flush() []byte {
	s.out = s.out[:0]
	s.end()
	return s.out
}

func (s *Stream) end() {
	if len(s.pending) > 0 {
		s.out = append(s.out, "\uFFFD"...)
		s.pending = s.pending[:0]
	}
}

// valid returns the length of the longest prefix of p that is valid UTF-8.
func valid(p []byte) int {
	n := 0
	for n < len(p) {
		if p[n] < utf8.RuneSelf {
			n++
			continue
		}
		r, size := utf8.DecodeRune(p[n:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		n += size
	}
	return n
}

// illFormed returns the length of the maximal ill-formed part that p begins
// with: the longest that begins some code point, at least one byte.
func illFormed(p []byte) int {
	n := 1
	for n < len(p) && !utf8.FullRune(p[:n+1]) {
		n++
	}
	return n
}
