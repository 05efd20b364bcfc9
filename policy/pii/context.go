package pii

import (
	"bytes"
	"unicode/utf8"
)

// Words that make a weak shape a finding (or, for versions, prevent one). They are looked up in lower case.
var (
	phoneWords = words("phone", "phones", "tel", "telephone", "mobile", "cell", "cellphone", "fax", "call", "dial", "sms", "whatsapp",
		"telefon", "telefonnummer", "handy", "handynummer", "mobil", "mobilnummer", "rufnummer", "anrufen", "tél", "téléphone",
		"portable", "appelez", "teléfono", "móvil", "llame", "telefono", "cellulare", "telefoon", "mobiel", "telefone", "celular", "ligue", "тел", "Тел", "телефон", "Телефон", "телефону", "phone_number", "phonenumber",
		"电话", "手机", "電話", "携帯", "전화", "टेलीफोन", "फ़ोन")
	ssnWords     = words("ssn", "ssns", "social", "socialsecurity", "socialsecuritynumber", "ss#", "ssnumber", "social_security_number", "tin", "itin")
	versionWords = words("version", "versions", "v", "ver", "release", "build", "firmware", "upgrade", "oid", "section", "chapter", "clause", "revision", "rev", "kapitel", "abschnitt")
)

func words(list ...string) map[string]bool {
	m := make(map[string]bool, len(list))
	for _, w := range list {
		m[w] = true
	}
	return m
}

// near reports whether one of the last five words before i in the same
// paragraph, or the name of the JSON member that holds the text, is in set.
func (s *scanner) near(i int, set map[string]bool) bool {
	const reach, most = 64, 5
	if len(s.key) > 0 && len(s.key) <= 32 && hasWord(s.key, len(s.key), set) {
		return true
	}
	from := max(0, i-reach)
	for from > 0 && from < i && !utf8.RuneStart(s.t[from]) {
		from++
	}
	window := s.t[from:i]
	if k := bytes.LastIndex(window, []byte("\n\n")); k >= 0 {
		window = window[k+2:]
	}
	return hasWord(window, most, set)
}

// hasWord reports whether one of the last n words of window is in set. Words
// of scripts that write no spaces are looked for anywhere.
func hasWord(window []byte, n int, set map[string]bool) bool {
	var buf [32]byte
	for end := len(window); end > 0 && n > 0; {
		for end > 0 && !wordByte(window[end-1]) {
			end--
		}
		start := end
		for start > 0 && wordByte(window[start-1]) {
			start--
		}
		if start == end {
			return false
		}
		if w := window[start:end]; len(w) <= len(buf) {
			low := append(buf[:0], w...)
			wide := false
			for i, b := range low {
				low[i] = lower(b)
				wide = wide || b >= 0xe3
			}
			if set[string(low)] {
				return true
			}
			// camelCase and snake_case: the last part counts too
			if k := bytes.LastIndexByte(low, '_'); k >= 0 && set[string(low[k+1:])] {
				return true
			}
			if wide {
				for word := range set {
					if word[0] >= 0xe3 && bytes.Contains(low, []byte(word)) {
						return true
					}
				}
			}
		}
		end = start
		n--
	}
	return false
}

func wordByte(b byte) bool { return isWord(b) || b >= 0x80 || b == '#' }
