package pii

import (
	"bytes"

	"github.com/nyaruka/phonenumbers"
)

// phone tries a phone number at the first of g. Digits alone are no phone
// number: a "+", a context word, a region of the operator's, or the North
// American way of writing must say so.
func (s *scanner) phone(g []group) int {
	t := s.t
	start := g[0].start
	plus := at(t, start-1) == '+'
	switch {
	case plus:
		start--
	case at(t, start-1) == '(' && at(t, start-2) == '+':
		plus, start = true, start-2
	case at(t, start-1) == '(':
		start--
	case string(t[start:min(start+2, len(t))]) == "00" && g[0].len() >= 3 && t[start+2] != '0':
		plus = true // 0049…
	case at(t, start-1) == '.' || at(t, start-1) == ',' || at(t, start-1) == '$' || at(t, start-1) == '-' && isWord(at(t, start-2)):
		return 0 // part of an amount or of an id
	}
	n, digits := s.phoneExtent(g)
	if digits < 7 {
		return 0
	}
	if plus {
		for ; n > 0 && digits >= 8; n-- {
			if s.validPhone(g[:n], "") {
				return s.phoneFound(start, g[:n], 1, byPattern)
			}
			digits -= g[n-1].len()
		}
		n, digits = s.phoneExtent(g)
		if digits >= 10 && digits <= 15 && t[g[0].start] != '0' { // shaped like one, in a range that no plan assigns
			return s.phoneFound(start, g[:n], 0.6, byPattern)
		}
		return 0
	}
	if dateLike(g[:n]) {
		return 0
	}
	if k := s.northAmerican(g[:n]); k > 0 {
		return s.phoneFound(start, g[:k], 0.75, byPattern)
	}
	if s.near(start, phoneWords) {
		return s.phoneFound(start, g[:n], 0.75, byContext)
	}
	for _, region := range s.cfg.regions {
		if s.validPhone(g[:n], region) {
			return s.phoneFound(start, g[:n], 0.6, byPattern)
		}
	}
	return 0
}

// phoneExtent returns how many groups, and digits, may belong to one number: 15 digits at most, on one line.
func (s *scanner) phoneExtent(g []group) (n, digits int) {
	for i, x := range g {
		if i > 0 {
			for _, c := range s.t[g[i-1].end:x.start] {
				if c == '\n' || c == '\r' || c == '\t' {
					return n, digits
				}
			}
			if x.start-g[i-1].end == 2 && s.t[x.start-1] == ' ' && s.t[x.start-2] != ')' && s.t[x.start-2] != '/' {
				return n, digits // ". " ends a sentence, two spaces a column
			}
		}
		if digits+x.len() > 15 {
			return n, digits
		}
		n++
		digits += x.len()
	}
	return n, digits
}

func (s *scanner) phoneFound(start int, g []group, score float64, by string) int {
	s.add(kPhone, start, g[len(g)-1].end, score, by)
	return len(g)
}

// validPhone asks the numbering plans; region "" means that the digits begin with a country code.
func (s *scanner) validPhone(g []group, region string) bool {
	b := s.digits[:0]
	if region == "" {
		b = append(b, '+')
		b = append(b, bytes.TrimPrefix(s.t[g[0].start:g[0].end], []byte("00"))...) // 00 is how one dials the +
		for _, x := range g[1:] {
			d := s.t[x.start:x.end]
			if s.t[x.start-1] == '(' && d[0] == '0' && at(s.t, x.end) == ')' {
				d = d[1:] // +44 (0)20 …
			}
			b = append(b, d...)
		}
	} else {
		for _, x := range g {
			b = append(b, s.t[x.start:x.end]...)
		}
	}
	n, err := phonenumbers.Parse(string(b), region)
	return err == nil && phonenumbers.IsValidNumber(n)
}

// northAmerican returns how many groups are a number written (415) 555-2671, 415-555-2671 or 415.555.2671, perhaps after a 1.
func (s *scanner) northAmerican(g []group) int {
	t, k := s.t, 0
	if g[0].len() == 1 && t[g[0].start] == '1' {
		k = 1
	}
	if len(g) < k+3 || g[k].len() != 3 || g[k+1].len() != 3 || g[k+2].len() != 4 {
		return 0
	}
	if t[g[k].start] < '2' || t[g[k+1].start] < '2' {
		return 0
	}
	a, b := s.only(g[k], g[k+1]), s.only(g[k+1], g[k+2])
	paren := at(t, g[k].start-1) == '(' && t[g[k].end] == ')'
	if paren && (b == '-' || b == '.' || b == ' ') || a == b && (a == '-' || a == '.') {
		return k + 3
	}
	return 0
}

// dateLike reports whether the groups begin like 2024-01-15, 15.01.2024 or 01/15/2024.
func dateLike(g []group) bool {
	if len(g) < 3 {
		return false
	}
	a, b, c := g[0].len(), g[1].len(), g[2].len()
	return a == 4 && b <= 2 && c <= 2 || a <= 2 && b <= 2 && c == 4
}
