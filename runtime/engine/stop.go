package engine

import (
	"bytes"
	"strings"
)

// A stopper looks for stop strings in text that arrives in pieces, and holds
// back what could be the beginning of one.
type stopper struct {
	stops []string
	held  []byte // text not passed on: a proper prefix of a stop string
}

// push takes more text and returns what can be passed on. Once a stop string is
// found it returns the text before it and true; nothing may be pushed after that.
// Of several stop strings the one that begins first counts.
func (s *stopper) push(text []byte) (pass []byte, stopped bool) {
	if len(s.stops) == 0 {
		return text, false
	}
	s.held = append(s.held, text...)
	first := -1
	for _, stop := range s.stops {
		if i := bytes.Index(s.held, []byte(stop)); i >= 0 && (first < 0 || i < first) {
			first = i
		}
	}
	if first >= 0 {
		return s.held[:first], true
	}
	keep := 0
	for _, stop := range s.stops {
		for n := min(len(stop)-1, len(s.held)); n > keep; n-- {
			if strings.HasPrefix(stop, string(s.held[len(s.held)-n:])) {
				keep = n
			}
		}
	}
	pass = append([]byte(nil), s.held[:len(s.held)-keep]...)
	s.held = append(s.held[:0], s.held[len(s.held)-keep:]...)
	return pass, false
}

// flush returns what is held back, once no more text will come.
func (s *stopper) flush() []byte {
	held := s.held
	s.held = nil
	return held
}
