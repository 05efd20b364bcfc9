package pii

// Classes of bytes. One table serves all detectors.
const (
	cDigit = 1 << iota
	cUpper
	cLower
	cHex    // 0-9 a-f A-F
	cUnder  // _
	cSep    // what may stand between the groups of a number
	cAtom   // what may stand in an email's local part, beside letters and digits
	cBase64 // + / = - _ beside letters and digits
)

var class = func() (t [256]uint8) {
	for c := range 256 {
		b := byte(c)
		switch {
		case b >= '0' && b <= '9':
			t[c] |= cDigit | cHex
		case b >= 'A' && b <= 'Z':
			t[c] |= cUpper
		case b >= 'a' && b <= 'z':
			t[c] |= cLower
		}
		if (b|0x20) >= 'a' && (b|0x20) <= 'f' {
			t[c] |= cHex
		}
	}
	t['_'] |= cUnder
	for _, b := range []byte(" -./()\n\r\t") {
		t[b] |= cSep
	}
	for _, b := range []byte("._%+'-") {
		t[b] |= cAtom
	}
	for _, b := range []byte("+/=-_") {
		t[b] |= cBase64
	}
	return t
}()

func isDigit(b byte) bool  { return b-'0' <= 9 }
func isHex(b byte) bool    { return class[b]&cHex != 0 }
func isLetter(b byte) bool { return class[b]&(cUpper|cLower) != 0 }
func isAlnum(b byte) bool  { return class[b]&(cUpper|cLower|cDigit) != 0 }
func isWord(b byte) bool   { return class[b]&(cUpper|cLower|cDigit|cUnder) != 0 }

// lower returns b in lower case when it is an ASCII letter.
func lower(b byte) byte {
	if class[b]&cUpper != 0 {
		return b | 0x20
	}
	return b
}

// at returns t[i], or 0 outside of t.
func at(t []byte, i int) byte {
	if uint(i) < uint(len(t)) {
		return t[i]
	}
	return 0
}

// runOf returns the end of the run of bytes of the classes that begins at i, at most limit bytes on.
func runOf(t []byte, i, limit int, classes uint8) int {
	end := min(len(t), i+limit)
	for i < end && class[t[i]]&classes != 0 {
		i++
	}
	return i
}
