package pii

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// oracle is the exhaustive scanner: a regular expression per type, over the whole
// text, and the same validators. It knows no triggers, no windows and no skipping, which is where bugs hide.
// It finds the shapes that need no context; group 1 is the span.
var oracle = []struct {
	typ   string
	re    *regexp.Regexp
	valid func(string) bool
}{
	{Email, regexp.MustCompile(`(?:^|[^\w.%+'-])(\w[\w.%+'-]{0,30}\w@(?:[a-zA-Z0-9-]{1,20}\.){1,3}[a-zA-Z]{3,10})(?:[^\w.-]|$)`), func(s string) bool {
		_, d, _ := strings.Cut(s, "@")
		return !strings.HasPrefix(s, "git@") && !strings.Contains(d, "..") && isTLD([]byte(d[strings.LastIndexByte(d, '.')+1:])) && !strings.Contains(d, "-.")
	}},
	{CreditCard, regexp.MustCompile(`(?:^|[^\w.+(/ -])[ ]?(\d{13,19}|\d{4}([ -])\d{4}[ -]\d{4}[ -]\d{4})(?:[^\w.( /-]|[ .](?:[^\d( /.-]|$)|$)`), func(s string) bool {
		if strings.Contains(s, " ") && strings.Contains(s, "-") {
			return false
		}
		d := []byte(strings.NewReplacer(" ", "", "-", "").Replace(s))
		return luhn(d) && issuer(d)
	}},
	{IBAN, regexp.MustCompile(`(?:^|\W)([A-Z]{2}\d{2}[A-Z0-9]{11,30}|[A-Z]{2}\d{2}(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,3})?)(?:\W|$)`), func(s string) bool {
		d := []byte(strings.ReplaceAll(s, " ", ""))
		return len(d) == int(ibanLengths[int(d[0]-'A')*26+int(d[1]-'A')]) && mod97(d) == 1
	}},
	{USSSN, regexp.MustCompile(`(?:^|[^\w.+( /-])[ ]?(\d{3}-\d{2}-\d{4})(?:[^\w( ./-]|[ .](?:[^\d( /.-]|$)|$)`), func(s string) bool {
		return s[:3] != "000" && s[:3] != "666" && s[0] != '9' && s[4:6] != "00" && s[7:] != "0000" && s != "078-05-1120" && s != "219-09-9999"
	}},
	{IPAddress, regexp.MustCompile(`(?:^|[^\w.( /+-])(\d{1,3}(?:\.\d{1,3}){3})(?:[^\w.( /-]|$)`), func(s string) bool {
		a, err := netip.ParseAddr(s)
		return err == nil && !a.IsLoopback() && !a.IsUnspecified() && s != "255.255.255.255"
	}},
	{MACAddress, regexp.MustCompile(`(?:^|[^\w:])((?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2})(?:[^\w:]|$)`), nil},
	{Secret, regexp.MustCompile(`(?:^|[^A-Za-z0-9])((?:AKIA|ASIA)[A-Z0-9]{16})(?:[^A-Za-z0-9]|$)`), nil},
	{Secret, regexp.MustCompile(`(?:^|\W)(gh[pousr]_[A-Za-z0-9]{36,60})(?:\W|$)`), nil},
	{Secret, regexp.MustCompile(`(?:^|\W)(sk_(?:live|test)_[A-Za-z0-9]{16,40})(?:\W|$)`), func(s string) bool { return mixed([]byte(s[8:])) }},
}

// generate writes a document of words, punctuation, near misses and values.
func generate(r *rand.Rand) string {
	digits := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte('0' + r.IntN(10))
		}
		return string(b)
	}
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	from := func(set string, n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = set[r.IntN(len(set))]
		}
		return string(b)
	}
	const alnumSet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	card := func() string {
		d := []byte(pick("4", "51", "55", "6011", "3530", "62") + digits(16))[:15]
		for c := byte('0'); c <= '9'; c++ {
			if x := append(d[:15:15], c); luhn(x) {
				d = x
				break
			}
		}
		s := string(d)
		if sep := pick("", " ", "-"); sep != "" {
			s = s[:4] + sep + s[4:8] + sep + s[8:12] + sep + s[12:]
		}
		return s
	}
	iban := func() string {
		bban := digits(18)
		check := 98 - mod97([]byte("DE00"+bban))
		s := fmt.Sprintf("DE%02d%s", check, bban)
		if r.IntN(2) == 0 {
			s = s[:4] + " " + s[4:8] + " " + s[8:12] + " " + s[12:16] + " " + s[16:20] + " " + s[20:]
		}
		return s
	}
	var b strings.Builder
	for range 5 + r.IntN(60) {
		switch r.IntN(24) {
		case 0:
			b.WriteString(pick("jane", "a.b+c", "x_1", "9to5") + "@" + pick("example.com", "mail.example.org", "a-b.example.net", "bad", "x..com", "1.2.3"))
		case 1:
			b.WriteString(card())
		case 2:
			b.WriteString(iban())
		case 3:
			b.WriteString(digits(3) + "-" + digits(2) + "-" + digits(4))
		case 4:
			b.WriteString(fmt.Sprintf("%d.%d.%d.%d", r.IntN(300), r.IntN(260), r.IntN(256), r.IntN(256)))
		case 5:
			m := from("0123456789abcdefABCDEF", 12)
			b.WriteString(m[:2] + ":" + m[2:4] + ":" + m[4:6] + ":" + m[6:8] + ":" + m[8:10] + ":" + m[10:])
		case 6:
			b.WriteString(pick("AKIA", "ASIA", "AKIX") + from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 15+r.IntN(3)))
		case 7:
			b.WriteString(pick("ghp_", "gho_", "ghx_") + from(alnumSet, 34+r.IntN(5)))
		case 8:
			b.WriteString(pick("sk_live_", "sk_test_", "sk_") + from(alnumSet, 14+r.IntN(20)))
		case 9:
			b.WriteString(digits(1 + r.IntN(20)))
		case 10:
			b.WriteString(from("0123456789abcdef", 8) + "-" + from("0123456789abcdef", 4) + "-" + digits(4))
		case 11:
			b.WriteString(pick("12:30:45", "2024-01-15", "v1.2.3", "a::b", "x=1", "e.g.", "#12", "(3)", "12/24"))
		default:
			b.WriteString(pick("the", "invoice", "Alle", "and", "für", "日本", "don't", "A", "-", "_", "re:", "😀", "ABC", "of", "value"))
		}
		b.WriteString(pick(" ", " ", " ", " ", ", ", ". ", "\n", "; ", ": ", "\t", "'", "\" ", ")", "(", "|"))
	}
	return b.String()
}

// compare checks that the scanner finds, covered by spans, whatever the oracle finds; and that what it finds
// of the types that need no context, the oracle would accept. It returns the number of the oracle's spans.
func compare(t *testing.T, in *Inspector, text string) int {
	s := in.pool.Get().(*scanner)
	defer in.pool.Put(s)
	spans := s.scan([]byte(text), nil)
	count := 0
	for _, o := range oracle {
		for at := 0; at < len(text); {
			m := o.re.FindStringSubmatchIndex(text[at:])
			if m == nil {
				break
			}
			start, end := at+m[2], at+m[3]
			at = end
			if o.valid != nil && !o.valid(text[start:end]) {
				continue
			}
			count++
			found := false
			for _, sp := range spans {
				found = found || sp.start <= start && end <= sp.end
			}
			if !found {
				t.Errorf("%s %q not found in %q", o.typ, text[start:end], text[max(0, start-30):min(len(text), end+20)])
			}
		}
	}
	for i, sp := range spans {
		if sp.start < 0 || sp.start >= sp.end || sp.end > len(text) || i > 0 && sp.start < spans[i-1].end {
			t.Fatalf("span %+v is out of order in %q", sp, text)
		}
		if utf8.ValidString(text) && !utf8.ValidString(text[sp.start:sp.end]) {
			t.Fatalf("span %+v cuts a character of %q", sp, text)
		}
	}
	return count
}

func TestOracle(t *testing.T) {
	in := newTest(t, Config{})
	n, docs := 0, 3000
	if testing.Short() {
		docs = 300
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range docs {
		n += compare(t, in, generate(r))
		if t.Failed() {
			break
		}
	}
	t.Logf("%d documents, %d spans of the oracle", docs, n)
}

func FuzzScan(f *testing.F) {
	for _, v := range vectors {
		f.Add(v.text)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		f.Add(generate(r))
	}
	in := newTest(f, Config{})
	f.Fuzz(func(t *testing.T, text string) {
		compare(t, in, text)
		n := len([]rune(text))
		end := 0
		for _, fd := range in.InspectText(text) {
			if fd.Start < end || fd.End <= fd.Start || fd.End > n {
				t.Fatalf("finding %+v of %d code points", fd, n)
			}
			end = fd.End
		}
	})
}
