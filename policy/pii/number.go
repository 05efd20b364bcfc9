package pii

// maxGroups bounds how many groups of digits are looked at together.
const maxGroups = 40

// A group is a run of digits.
type group struct{ start, end int }

func (g group) len() int { return g.end - g.start }

// digit looks at the digit at i, the first of its run.
func (s *scanner) digit(i int) int {
	t := s.t
	before := at(t, i-1)
	if isWord(before) {
		return s.token(i)
	}
	if before == '%' && t[i] == '4' && at(t, i+1) == '0' {
		return s.email(i-1, i+2)
	}
	if at(t, i+2) == '-' {
		if end := s.mac(i, '-'); end > 0 {
			return end
		}
	}
	j := i + 1
	for j < len(t) && isDigit(t[j]) {
		j++
	}
	if j-i <= 6 && !(class[at(t, j)]&cSep != 0 && j < len(t) && (isDigit(at(t, j+1)) || class[at(t, j+1)]&cSep != 0)) {
		return j // a year, a price, a count
	}
	return s.number(i, j)
}

// token looks at a digit inside of a word: an IBAN or the first digit of a
// token without a tell-tale "_" or "-". It returns the end of the word.
func (s *scanner) token(i int) int {
	t := s.t
	if i >= 2 && isLetter(t[i-1]) && isLetter(t[i-2]) && !isWord(at(t, i-3)) && isDigit(at(t, i+1)) {
		if end := s.iban(i - 2); end > 0 {
			return end
		}
	}
	start := i
	for start > 0 && i-start < 512 && isAlnum(t[start-1]) {
		start--
	}
	if end := s.dotted(start); end > 0 {
		return end
	}
	for i < len(t) && isAlnum(t[i]) {
		i++
	}
	return i
}

// number splits what begins with the digits t[i:j] into groups, and asks each detector at each group.
func (s *scanner) number(i, j int) int {
	t := s.t
	g := s.groups[:0]
	g = append(g, group{i, j})
	total := j - i
	for len(g) < maxGroups {
		k := j
		for k < len(t) && k-j < 3 && class[t[k]]&cSep != 0 {
			k++
		}
		if k == j || k >= len(t) || !isDigit(t[k]) {
			break
		}
		e := k + 1
		for e < len(t) && isDigit(t[e]) {
			e++
		}
		g = append(g, group{k, e})
		total += e - k
		j = e
	}
	next := j
	if isAlnum(at(t, j)) { // the last digits belong to a word: 12ab
		g = g[:len(g)-1]
		if len(g) == 0 {
			return j
		}
	}
	first := len(g) // groups from here on are left for the next call
	if len(g) == maxGroups {
		first = maxGroups / 2
		next = g[first].start
	}
	for a := 0; a < first; {
		if n := s.numberAt(g[a:], total); n > 0 {
			a += n
			next = max(next, g[a-1].end)
		} else {
			a++
		}
	}
	return next
}

// numberAt tries the detectors at the first of g and returns how many groups the finding took; 0 for none.
func (s *scanner) numberAt(g []group, total int) int {
	if total >= 12 {
		if n := s.card(g); n > 0 {
			return n
		}
	}
	if len(g) >= 4 && s.ipv4(g) {
		return 4
	}
	if total < 7 {
		return 0
	}
	if n := s.ssn(g); n > 0 {
		return n
	}
	return s.phone(g)
}

// only returns the one separator byte between two groups, or 0 when it is longer than a byte (or CR LF).
func (s *scanner) only(a, b group) byte {
	switch b.start - a.end {
	case 1:
		return s.t[a.end]
	case 2:
		if s.t[a.end] == '\r' {
			return '\n'
		}
	}
	return 0
}
