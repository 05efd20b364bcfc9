package pii

import "bytes"

// notTLD lists the endings that follow "@" in file names: logo@2x.png.
var notTLD = map[string]bool{"png": true, "jpg": true, "jpeg": true, "gif": true, "svg": true, "webp": true, "css": true, "js": true, "html": true}

// email looks at the "@" (or its URL form, %40) at t[i:j]. It returns where to go on.
func (s *scanner) email(i, j int) int {
	t := s.t
	if s.userinfo(i) {
		return j
	}
	start := i
	for start > 0 && i-start < 64 && mailByte(t[start-1]) {
		start--
	}
	for start < i && (t[start] == '.' || t[start] == '\'' || t[start] == '-' || t[start] == '%' || t[start]&0xc0 == 0x80) {
		start++ // an opening quote, a bullet, or half a character
	}
	if start == i || t[i-1] == '.' {
		return j
	}
	end, label, dots := j, j, 0 // label: where the last label begins
	for end < len(t) && end-j < 253 {
		c := t[end]
		if c == '.' {
			if end == label || end+1 >= len(t) || !(isAlnum(t[end+1]) || latin(t[end+1])) {
				break
			}
			label = end + 1
			dots++
		} else if !(isAlnum(c) || c == '-' || latin(c) || latin(t[end-1]) && c&0xc0 == 0x80) {
			break
		}
		end++
	}
	for end > label && (t[end-1] == '-') {
		end--
	}
	tld := t[label:end]
	if dots == 0 || !isTLD(tld) {
		return j
	}
	if at(t, end) == ':' && string(t[start:i]) == "git" {
		return end // git@host:path is an address of a repository
	}
	s.add(kEmail, start, end, 1, byPattern)
	return end
}

// mailByte reports whether b may stand in a local part. Bytes of two-byte characters (Latin, Greek, Cyrillic) may.
func mailByte(b byte) bool {
	return class[b]&(cUpper|cLower|cDigit|cAtom|cUnder) != 0 || latin(b) || b&0xc0 == 0x80
}

// latin reports whether b begins a two-byte letter: U+00C0 to U+052F.
func latin(b byte) bool { return b >= 0xc3 && b <= 0xd4 }

func isTLD(l []byte) bool {
	if len(l) < 2 || len(l) > 24 {
		return false
	}
	if len(l) > 4 && bytes.EqualFold(l[:4], []byte("xn--")) {
		return true
	}
	var low [24]byte
	for i, b := range l {
		if !isLetter(b) {
			return false
		}
		low[i] = lower(b)
	}
	return !notTLD[string(low[:len(l)])]
}

// userinfo looks for scheme://user:password@ before the "@" at i.
func (s *scanner) userinfo(i int) bool {
	t := s.t
	p := i
	for p > 0 && i-p < 256 {
		if c := t[p-1]; c <= ' ' || c == '"' || c == '<' || c == '>' || c == '/' {
			break
		}
		p--
	}
	if p < 3 || string(t[p-3:p]) != "://" && !(p >= 5 && string(t[p-5:p]) == `:\/\/`) {
		return false
	}
	_, password, ok := bytes.Cut(t[p:i], []byte(":")) // the user may be empty: redis://:secret@host
	if !ok || len(password) == 0 || standIn(password) {
		return false
	}
	s.add(kURL, p, i, 0.95, byPattern)
	return true
}
