package pii

// ssn tries a US social security number at the first of g: 123-45-6789, or
// with spaces, dots or nothing between when a context word is near.
func (s *scanner) ssn(g []group) int {
	t := s.t
	n := 0
	var d [9]byte
	switch {
	case g[0].len() == 9:
		n = 1
		copy(d[:], t[g[0].start:g[0].end])
	case len(g) >= 3 && g[0].len() == 3 && g[1].len() == 2 && g[2].len() == 4:
		n = 3
		for k, x := 0, 0; x < 3; x++ {
			k += copy(d[k:], t[g[x].start:g[x].end])
		}
	default:
		return 0
	}
	start, end := g[0].start, g[n-1].end
	if before := at(t, start-1); before == '-' || before == '+' || before == '.' && isDigit(at(t, start-2)) {
		return 0
	}
	if after := at(t, end); after == '-' && isDigit(at(t, end+1)) {
		return 0
	}
	// Never issued: SSA, POMS RM 10201.035; and two numbers that advertisements made famous.
	area := string(d[:3])
	if area == "000" || area == "666" || d[0] == '9' || string(d[3:5]) == "00" || string(d[5:]) == "0000" ||
		string(d[:]) == "078051120" || string(d[:]) == "219099999" {
		return 0
	}
	if n == 3 {
		a, b := s.only(g[0], g[1]), s.only(g[1], g[2])
		if a != b || a != '-' && a != ' ' && a != '.' {
			return 0
		}
		if a == '-' {
			s.add(kSSN, start, end, 0.85, byPattern)
			return n
		}
	}
	if !s.near(start, ssnWords) {
		return 0
	}
	s.add(kSSN, start, end, 0.85, byContext)
	return n
}
