package pii

import (
	"bytes"
	"math"
)

// A mark is the beginning of a kind of key, and what must follow.
type mark struct {
	text  string
	class uint8 // bytes of the rest
	min   int   // of the rest
	exact bool  // the rest has min bytes, not more
	mixed bool  // the rest has a digit and a letter
}

const (
	alnum  = cUpper | cLower | cDigit
	urlset = alnum | cBase64
)

// underMarks are looked up at their first "_", hyphenMarks at their first "-", by what stands before it.
var underMarks = map[string][]mark{
	"ghp": {{"ghp_", alnum, 36, false, false}}, "gho": {{"gho_", alnum, 36, false, false}}, "ghu": {{"ghu_", alnum, 36, false, false}},
	"ghs": {{"ghs_", alnum, 36, false, false}}, "ghr": {{"ghr_", alnum, 36, false, false}},
	"github": {{"github_pat_", alnum | cUnder, 60, false, true}},
	"sk":     {{"sk_live_", alnum, 16, false, true}, {"sk_test_", alnum, 16, false, true}},
	"rk":     {{"rk_live_", alnum, 16, false, true}, {"rk_test_", alnum, 16, false, true}},
	"whsec":  {{"whsec_", urlset, 24, false, true}},
	"npm":    {{"npm_", alnum, 36, false, true}},
	"hf":     {{"hf_", alnum, 30, false, false}},
	"gsk":    {{"gsk_", alnum, 40, false, true}},
	"dop":    {{"dop_v1_", cHex, 64, true, false}},
	"shpat":  {{"shpat_", cHex, 32, true, false}},
	"r8":     {{"r8_", alnum, 36, false, true}},
	"pplx":   {{"pplx_", alnum, 40, false, true}},
}

var hyphenMarks = map[string][]mark{
	"sk":    {{"sk-ant-", urlset, 20, false, true}, {"sk-proj-", urlset, 20, false, true}, {"sk-or-", urlset, 20, false, true}, {"sk-svcacct-", urlset, 20, false, true}, {"sk-", alnum | cUnder, 20, false, true}},
	"xoxb":  {{"xoxb-", alnum | cBase64, 16, false, true}},
	"xoxp":  {{"xoxp-", alnum | cBase64, 16, false, true}},
	"xoxa":  {{"xoxa-", alnum | cBase64, 16, false, true}},
	"xoxr":  {{"xoxr-", alnum | cBase64, 16, false, true}},
	"xoxs":  {{"xoxs-", alnum | cBase64, 16, false, true}},
	"xoxe":  {{"xoxe-", alnum | cBase64, 16, false, true}},
	"xapp":  {{"xapp-", alnum | cBase64, 16, false, true}},
	"glpat": {{"glpat-", urlset, 20, false, false}},
	"pypi":  {{"pypi-AgEI", urlset, 40, false, false}},
	"xai":   {{"xai-", alnum, 60, false, true}},
	"pplx":  {{"pplx-", alnum, 40, false, true}},
}

// under looks at the "_" at i.
func (s *scanner) under(i int) int { return s.marked(i, underMarks) }

// hyphen looks at the "-" at i: a key, a MAC address, the fence of a PEM block.
func (s *scanner) hyphen(i int) int {
	t := s.t
	if at(t, i+1) == '-' {
		return s.pem(i)
	}
	if at(t, i+3) == '-' && i >= 2 {
		if end := s.mac(i-2, '-'); end > 0 {
			return end
		}
	}
	return s.marked(i, hyphenMarks)
}

// marked looks for one of the marks around i. It returns where to go on.
func (s *scanner) marked(i int, marks map[string][]mark) int {
	t := s.t
	start := i
	for start > 0 && i-start <= 6 && isAlnum(t[start-1]) {
		start--
	}
	if n := i - start; n < 2 || n > 6 {
		return i + 1
	}
	for _, m := range marks[string(t[start:i])] {
		if !bytes.HasPrefix(t[start:], []byte(m.text)) {
			continue
		}
		body := start + len(m.text)
		end := runOf(t, body, 512, m.class)
		if end-body < m.min || m.exact && end-body > m.min || m.mixed && !mixed(t[body:end]) {
			continue
		}
		for end > body && (t[end-1] == '-' || t[end-1] == '/') {
			end--
		}
		s.add(kSecret, start, end, 1, byPattern)
		return end
	}
	return i + 1
}

// mixed reports whether b has a digit and a letter.
func mixed(b []byte) bool {
	var seen uint8
	for _, c := range b {
		seen |= class[c]
	}
	return seen&cDigit != 0 && seen&(cUpper|cLower) != 0
}

// cloudKey looks at the "A" at i: an access key id of AWS, an API key of Google.
func (s *scanner) cloudKey(i int) int {
	t := s.t
	if len(t)-i < 20 || isAlnum(at(t, i-1)) {
		return i + 1
	}
	switch string(t[i : i+4]) {
	case "AKIA", "ASIA", "ABIA", "ACCA":
		if end := runOf(t, i+4, 17, cUpper|cDigit); end == i+20 && !isAlnum(at(t, end)) {
			s.add(kSecret, i, end, 1, byPattern)
			return end
		}
	case "AIza":
		if end := runOf(t, i+4, 36, alnum|cBase64); end == i+39 {
			s.add(kSecret, i, end, 1, byPattern)
			return end
		}
	}
	return i + 1
}

// dotted tries the token that begins at i: a JSON web token, an access token of Google, a key of SendGrid; 0 when it is none.
func (s *scanner) dotted(i int) int {
	t := s.t
	if before := at(t, i-1); len(t)-i < 20 || before == '-' || before == '_' {
		return 0 // the middle of a token: looking from each of its words would take the square of its length
	}
	const set = alnum | cUnder
	seg := func(i int) int { // the end of a run of base64url
		for i < len(t) && (class[t[i]]&set != 0 || t[i] == '-') {
			i++
		}
		return i
	}
	switch string(t[i : i+3]) {
	case "eyJ":
		a := seg(i)
		if at(t, a) != '.' {
			return 0
		}
		b := seg(a + 1)
		if at(t, b) != '.' || a-i < 10 || b-a < 3 {
			return 0
		}
		end := seg(b + 1)
		if at(t, end) == '.' && end > b+1 { // five parts: an encrypted one
			if e := seg(end + 1); at(t, e) == '.' {
				end = seg(e + 1)
			}
		}
		s.add(kSecret, i, end, 1, byPattern)
		return end
	case "ya2":
		if string(t[i:i+5]) == "ya29." {
			if end := seg(i + 5); end-i >= 25 {
				s.add(kSecret, i, end, 1, byPattern)
				return end
			}
		}
	case "SG.":
		if a := seg(i + 3); a-i == 25 && at(t, a) == '.' {
			if end := seg(a + 1); end-a == 44 {
				s.add(kSecret, i, end, 1, byPattern)
				return end
			}
		}
	}
	return 0
}

// pem looks at the "--" at i: the fence of a block that holds a private key.
func (s *scanner) pem(i int) int {
	t := s.t
	end := i
	for end < len(t) && t[end] == '-' {
		end++
	}
	const begin = "BEGIN "
	if end-i < 4 || !bytes.HasPrefix(t[end:], []byte(begin)) {
		return end
	}
	label := t[end+len(begin) : min(len(t), end+64)]
	k := bytes.Index(label, []byte("--"))
	if k < 0 || !bytes.Contains(label[:k], []byte("PRIVATE KEY")) {
		return end
	}
	body := end + len(begin) + k
	for body < len(t) && t[body] == '-' {
		body++
	}
	stop := len(t) // a block whose end is missing hides the rest
	if k := bytes.Index(t[body:], []byte("-END ")); k >= 0 {
		stop = body + k + len("-END ")
		for stop < len(t) && t[stop] != '-' && t[stop] != '\n' {
			stop++
		}
		for stop < len(t) && t[stop] == '-' {
			stop++
		}
	}
	s.add(kKey, i, stop, 1, byPattern)
	return stop
}

// entropy returns the bits per byte of b's own distribution.
func entropy(b []byte) float64 {
	var count [256]int
	for _, c := range b {
		count[c]++
	}
	h := 0.0
	for _, n := range count {
		if n > 0 {
			p := float64(n) / float64(len(b))
			h -= p * math.Log2(p)
		}
	}
	return h
}
