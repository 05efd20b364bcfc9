package pii

import "bytes"

// card tries a card number at the first of g: 13 to 19 digits that pass Luhn's
// check, begin like an issuer's, and are grouped as people group them.
func (s *scanner) card(g []group) int {
	t := s.t
	if before := at(t, g[0].start-1); before == '.' && isDigit(at(t, g[0].start-2)) || before == '-' && isHex(at(t, g[0].start-2)) && isHex(at(t, g[0].start-3)) {
		return 0 // a fraction, a UUID
	}
	d := s.digits[:0]
	best := 0
	var sep byte
	for n, x := range g {
		if n > 0 {
			c := s.only(g[n-1], x)
			if c == '\n' && x.len() == 4 { // a line break may stand for any separator
				c = ' '
				if sep != 0 {
					c = sep
				}
			}
			if c != ' ' && c != '-' && c != '.' || sep != 0 && c != sep {
				break
			}
			sep = c
		}
		if len(d)+x.len() > 19 {
			break
		}
		d = append(d, t[x.start:x.end]...)
		if at(t, x.end) == '-' && isDigit(at(t, x.end+1)) && sep != '-' {
			continue // the digits go on as something else
		}
		if len(d) >= 13 && grouped(g[:n+1], len(d)) && luhn(d) && issuer(d) {
			best = n + 1
		}
	}
	if best == 0 {
		return 0
	}
	s.add(kCard, g[0].start, g[best-1].end, 1, byChecksum)
	return best
}

// grouped reports whether n digits are in one piece, in fours, like American
// Express (4-6-5) or Diners Club (4-6-4), or one by one.
func grouped(g []group, n int) bool {
	switch len(g) {
	case 1:
		return true
	case 3:
		return g[0].len() == 4 && g[1].len() == 6 && (g[2].len() == 5 || g[2].len() == 4)
	case n:
		return true
	}
	for _, x := range g[:len(g)-1] {
		if x.len() != 4 {
			return false
		}
	}
	return g[len(g)-1].len() <= 4
}

// luhn reports whether the ASCII digits d pass Luhn's check.
func luhn(d []byte) bool {
	sum := 0
	for i := len(d) - 1; i >= 0; i -= 2 {
		sum += int(d[i] - '0')
		if i > 0 {
			v := 2 * int(d[i-1]-'0')
			sum += v/10 + v%10
		}
	}
	return sum%10 == 0
}

// issuer reports whether the digits d have the beginning and the length of a payment network's cards (ISO/IEC 7812).
func issuer(d []byte) bool {
	num := func(n int) (v int) {
		for _, c := range d[:n] {
			v = v*10 + int(c-'0')
		}
		return v
	}
	two, three, four, six, n := num(2), num(3), num(4), num(6), len(d)
	if len(bytes.TrimRight(d, "0")) <= 4 {
		return false // a round number
	}
	switch {
	case d[0] == '4': // Visa
		return n == 13 || n == 16 || n == 19
	case two >= 51 && two <= 55, four >= 2221 && four <= 2720: // Mastercard
		return n == 16
	case two == 34 || two == 37: // American Express
		return n == 15
	case three >= 300 && three <= 305, two == 36, two == 38 || two == 39: // Diners Club
		return n == 14 || n >= 16
	case four == 6011, two == 65, three >= 644 && three <= 649, six >= 622126 && six <= 622925: // Discover
		return n >= 16
	case four >= 3528 && four <= 3589: // JCB
		return n >= 16
	case two == 62 || two == 81: // UnionPay
		return n >= 16
	case four == 5018 || four == 5020 || four == 5038 || four == 5893 || four == 6304 || four == 6759 || four >= 6761 && four <= 6763: // Maestro
		return true
	case four >= 2200 && four <= 2204: // Mir
		return n >= 16
	case two == 60 || two == 50: // RuPay, Elo, Hipercard
		return n == 16
	}
	return false
}
