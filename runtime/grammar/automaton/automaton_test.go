package automaton

import (
	"encoding/json"
	"errors"
	"math/big"
	"math/rand/v2"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestRegex(t *testing.T) {
	texts := []string{"", "a", "b", "ab", "abc", "aab", "ba", "\n", "a\nb", "ä", "äb", "日本", "😀", "A", "7", "42", "x42y", "aXb", "-", "a-b", "\u2028", "K", "\u212a", "."}
	for _, p := range []string{
		``, `a`, `^a`, `a$`, `^a$`, `^$`, `a|b`, `^(a|b)*$`, `^a{2}b`, `^[^a]$`, `.`, `^.$`, `^(?s:.)$`, `\d+`, `^\d{2}$`, `\w`, `^\W$`, `\s`, `(?i)k`,
		`^[ä-ü]`, `\p{L}`, `^\p{Han}+$`, `[\x{1F600}-\x{1F64F}]`, `a.b`, `^(?:a|ab)(?:c|bcd)?$`, `(^a|b$)`, `(a|^b)(c|$)`, `x*`, `a??b`, `\.`, `[a-]$`, `\u0061`,
	} {
		search, err := Search(p, nil)
		if err != nil {
			t.Errorf("Search(%q): %v", p, err)
			continue
		}
		whole, _ := Regex(p, nil)
		want := regexp.MustCompile(fromECMA(p))
		exact := regexp.MustCompile(`\A(?:` + fromECMA(p) + `)\z`)
		raw, _ := whole.Raw()
		quoted, _ := search.Quoted(Unicode | Slash)
		outside := search.Complement()
		for _, s := range texts {
			if got := search.Match(s); got != want.MatchString(s) {
				t.Errorf("%q in %q: Search says %v", p, s, got)
			}
			if got := outside.Match(s); got == want.MatchString(s) {
				t.Errorf("%q in %q: Complement says %v", p, s, got)
			}
			if got := whole.Match(s); got != exact.MatchString(s) {
				t.Errorf("%q on %q: Regex says %v", p, s, got)
			}
			if got := raw.Match(s); got != exact.MatchString(s) {
				t.Errorf("%q on %q: Raw says %v", p, s, got)
			}
			for _, spelled := range []string{strconv.QuoteToASCII(s), quoteJSON(s)} {
				if strings.Contains(spelled, `\U`) || strings.Contains(spelled, `\x`) {
					continue
				}
				if got := quoted.Match(spelled); got != want.MatchString(s) {
					t.Errorf("%q in %s: Quoted says %v", p, spelled, got)
				}
			}
		}
	}
}

func quoteJSON(s string) string { b, _ := json.Marshal(s); return string(b) }

func TestRegexRefuses(t *testing.T) {
	for _, p := range []string{`\bword`, `(?=a)`, `(a)\1`, `(?m)^a`, `[`, `(?:a{900}){900}`, `a{1001}`} {
		if _, err := Search(p, nil); err == nil {
			t.Errorf("Search(%q) succeeded", p)
		}
	}
	if _, err := Regex(`(?:a|b)*a(?:a|b){20}`, nil); err == nil {
		t.Error("a pattern of a million states was made")
	}
}

// What a short pattern is blown up to costs neither time nor memory.
func TestRegexBounded(t *testing.T) {
	for name, p := range map[string]string{
		"instructions": strings.Repeat(`(?:a?|b){900}|`, 600) + "a",
		"nested":       strings.Repeat(`(?:(?:a?b?){30}){30}|`, 600) + "a",
		"classes":      strings.Repeat(`\pL{900}`, 40),
		"many-classes": func() (p string) {
			for r := rune(0x4e00); len(p) < 40_000; r++ {
				p += `[\pL` + string(r+1000) + "-" + string(r+0x5000) + "]"
			}
			return p
		}(),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		clock := time.Now()
		_, err := Search(p, nil)
		took := time.Since(clock)
		runtime.ReadMemStats(&after)
		if n := (after.TotalAlloc - before.TotalAlloc) >> 20; !errors.Is(err, ErrTooLarge) || n > 64 || took > 5*time.Second {
			t.Errorf("%s: %v, %v and %d MiB for %d bytes", name, err, took, n, len(p))
		}
	}
	work := MaxWork
	for _, p := range []string{`^.{1,1000}$`, `^[\p{L}\p{N} ]{0,200}$`, `^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.|$)){4}$`} {
		if _, err := Search(p, &work); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
	if used := MaxWork - work; used > MaxWork/20 {
		t.Errorf("usual patterns take %d of the work", used)
	}
}

func TestLanguageOps(t *testing.T) {
	a, _ := Search(`^[a-c]*$`, nil)
	b, _ := Search(`ab`, nil)
	n, _ := Lengths(3, 4)
	both, err := a.Intersect(b)
	if err != nil {
		t.Fatal(err)
	}
	if both, err = both.Intersect(n); err != nil {
		t.Fatal(err)
	}
	words, _ := Exactly("cab", "abc")
	both, _ = both.Intersect(words.Complement())
	for s, want := range map[string]bool{"ab": false, "abc": false, "cab": false, "abb": true, "aabb": true, "dab": false, "aaabb": false, "ccc": false} {
		if both.Match(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
	if none, _ := words.Intersect(words.Complement()); !none.Empty() {
		t.Error("a language meets its complement")
	}
	if n, _ := Lengths(4, 3); !n.Empty() {
		t.Error("there are texts of at least 4 and at most 3")
	}
}

// TestText holds Text against encoding/json on strings with every kind of
// escape, whole and broken.
func TestText(t *testing.T) {
	parts := []string{"a", "ä", "日", "😀", `\n`, `\"`, `\\`, `\/`, `\u0041`, `\u00e9`, `\uD83D\uDE00`, `\ud83d\ude00`, `\uFFFF`, `\u`, `\u12`, `\x41`, `"`, "\n", "\x01", "\x7f", "\xff", "\xed\xa0\x80", "\xc0\x80", `\uD83D`, `\uDE00`, `\uD83Dx`, `\uD7FF`, `\uE000`}
	full := Text(Unicode | Slash)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		s := `"`
		for range rng.IntN(4) {
			s += parts[rng.IntN(len(parts))]
		}
		s += `"`
		var v string
		want := json.Unmarshal([]byte(s), &v) == nil && !strings.Contains(v, "\ufffd")
		if got := full.Match(s); got != want {
			t.Fatalf("%q: %v", s, got)
		}
		if got, want := Text(0).Match(s), want && !strings.Contains(s, `\u`) && !strings.Contains(s, `\/`); got != want {
			t.Fatalf("%q without escapes: %v", s, got)
		}
	}
}

func TestCounting(t *testing.T) {
	for _, d := range []*DFA{Text(Unicode | Slash), Text(0)} {
		for s, want := range map[string]int{`""`: 0, `"abc"`: 3, `"日本"`: 2, `"😀\n"`: 2} {
			q, n := int32(0), 0
			for i := range len(s) {
				next := d.Step(q, s[i])
				if d.Completes(q, next) {
					n++
				}
				q = next
			}
			if n != want || !d.Accepts(q) || !d.Closed(q) {
				t.Errorf("%s: %d code points", s, n)
			}
		}
	}
	p, _ := Search(`^ab?c$`, nil)
	d, _ := p.Quoted(0)
	if got := d.Distance(0); got != 2 {
		t.Errorf("distance %d", got)
	}
}

// TestIntegers checks every pair of bounds in a range against every integer of a wider one.
func TestIntegers(t *testing.T) {
	values := []int64{-1000, -101, -100, -99, -11, -10, -9, -1, 0, 1, 5, 9, 10, 11, 99, 100, 105, 999}
	for _, lo := range values {
		for _, hi := range values {
			for _, open := range []bool{false, true} {
				r := Range{Integer: true, Min: big.NewRat(lo, 1), Max: big.NewRat(hi, 1), OpenMin: open, OpenMax: open}
				d, err := Numbers(r)
				if err != nil {
					t.Fatal(err)
				}
				for v := int64(-1105); v <= 1105; v++ {
					want := v >= lo && v <= hi
					if open {
						want = v > lo && v < hi
					}
					if got := d.Match(strconv.FormatInt(v, 10)); got != want {
						t.Fatalf("%d in %d..%d (open %v): %v", v, lo, hi, open, got)
					}
				}
			}
		}
	}
}

func TestNumbers(t *testing.T) {
	rat := func(s string) *big.Rat { r, _ := new(big.Rat).SetString(s); return r }
	bounds := []string{"", "-12.5", "-1", "-0.05", "0", "0.001", "0.25", "1", "9.99", "10", "123.456"}
	steps := []string{"", "0.01", "0.25", "1", "3", "2.5", "7"}
	rng := rand.New(rand.NewPCG(3, 4))
	for _, lo := range bounds {
		for _, hi := range bounds {
			for _, step := range steps {
				r := Range{OpenMin: rng.IntN(2) == 0, OpenMax: rng.IntN(2) == 0, Integer: rng.IntN(4) == 0}
				if lo != "" {
					r.Min = rat(lo)
				}
				if hi != "" {
					r.Max = rat(hi)
				}
				if step != "" {
					r.MultipleOf = rat(step)
				}
				d, err := Numbers(r)
				if err != nil {
					t.Fatal(err)
				}
				for range 300 {
					s := strconv.FormatInt(rng.Int64N(2000)-1000, 10)
					if rng.IntN(2) == 0 {
						s = bounds[1+rng.IntN(len(bounds)-1)]
					}
					if rng.IntN(3) > 0 && !strings.Contains(s, ".") {
						s += "." + strconv.Itoa(rng.IntN(1000))
					}
					if rng.IntN(3) == 0 && strings.Contains(s, ".") {
						s += strconv.Itoa(rng.IntN(10))
					}
					got := d.Match(s)
					if want := contains(r, rat(s)); got && !want {
						t.Fatalf("%s in %+v: accepted", s, r)
					} else if want && !got && spelled(r, s) {
						t.Fatalf("%s in [%s %s] step %s %+v: refused", s, lo, hi, step, r)
					}
				}
			}
		}
	}
}

// spelled reports whether s is how Numbers writes a number in r.
func spelled(r Range, s string) bool {
	_, frac, point := strings.Cut(s, ".")
	if r.Integer {
		return !point && s != "-0"
	}
	if r.MultipleOf == nil {
		return true
	}
	places, _ := decimals(r.MultipleOf)
	return len(frac) <= places && point == (frac != "")
}

func contains(r Range, x *big.Rat) bool {
	switch {
	case r.Integer && !x.IsInt():
		return false
	case r.Min != nil && (x.Cmp(r.Min) < 0 || r.OpenMin && x.Cmp(r.Min) == 0):
		return false
	case r.Max != nil && (x.Cmp(r.Max) > 0 || r.OpenMax && x.Cmp(r.Max) == 0):
		return false
	}
	return r.MultipleOf == nil || new(big.Rat).Quo(x, r.MultipleOf).IsInt()
}

func TestFreeNumbers(t *testing.T) {
	d, _ := Numbers(Range{})
	for s, want := range map[string]bool{"0": true, "-0": true, "1": true, "01": false, "1.": false, ".5": false, "1.5e10": true, "1E+5": true, "1e-05": true, "1e100": false, "+1": false, "-": false, "1e": false, "12345678901234567890": true} {
		if d.Match(s) != want {
			t.Errorf("%s: %v", s, !want)
		}
	}
	i, _ := Numbers(Range{Integer: true})
	for s, want := range map[string]bool{"0": true, "-0": false, "10": true, "1.0": false, "1e3": false, "-5": true} {
		if i.Match(s) != want {
			t.Errorf("integer %s: %v", s, !want)
		}
	}
	if _, err := Numbers(Range{MultipleOf: big.NewRat(123456789, 1)}); err == nil {
		t.Error("a large divisor was taken")
	}
}

func TestFormats(t *testing.T) {
	for _, tt := range []struct{ name, good, bad string }{
		{"date", "2024-02-29 2000-02-29 1999-12-31", "2023-02-29 1900-02-29 2024-13-01 2024-04-31 24-01-01 2024-00-10"},
		{"time", "12:00:00Z 23:59:60Z 00:00:00.123+05:30", "24:00:00Z 12:00 12:00:60Z 12:00:00 12:00:00+24:00"},
		{"date-time", "1985-04-12T23:20:50.52Z 1996-12-19t16:39:57-08:00", "1985-04-12 1985-04-12T23:20Z 1990-02-31T15:59:59Z"},
		{"duration", "P4DT12H30M5S P1Y P2W PT0S P1Y2M3D PT36H", "P PT P1 P1D2H P2S P1Y2W P1H T0S 4DT12H"},
		{"email", "joe@example.com te~st@example.com te.s.t@example.com", "joe .test@example.com te..st@example.com @a a@ a@-b"},
		{"hostname", "www.example.com xn--4gbwdl.xn--wgbh1c a host-1", "-a a- a..b a_b .a"},
		{"ipv4", "192.168.0.1 0.0.0.0 255.255.255.255", "256.0.0.1 1.2.3 1.2.3.4.5 01.2.3.4"},
		{"ipv6", "::1 :: 12:34:56:78:9a:bc:de:f0 ::ffff:192.168.0.1 1::8 d6::42 1:2::192.168.0.1", "12345:: 1:1 ::laptop 1:2:3:4:5:6:7:8:9 :2:3:4:5:6:7:8 1:::2 1:2:3:4:5:6:7:"},
		{"uri", "http://foo.bar/?baz=qux#quux ftp://ftp.is.co.za/rfc/rfc1808.txt mailto:a@b.c urn:oasis:names ldap://[2001:db8::7]/c=GB?objectClass?one tel:+1-816", "//foo /a \\\\WIN :// http://[a] bar,baz:// http://a/%gg"},
		{"uuid", "2EB8AA08-AA98-11EA-B4AA-73B441D16380 2eb8aa08-aa98-11ea-b4aa-73b441d16380", "2eb8aa08aa9811eab4aa73b441d16380 2eb8aa08-aa98-11ea-b4aa-73b441d1638 2eb8-aa08-aa98-11ea-b4aa73b44-1d16380"},
	} {
		f, ok := FormatOf(tt.name)
		if !ok {
			t.Fatal(tt.name)
		}
		t.Logf("%s: %d states of code points, %d of bytes", tt.name, f.Language.States(), f.JSON.States())
		for _, s := range strings.Fields(tt.good) {
			if !f.Language.Match(s) || !f.JSON.Match(`"`+strings.ReplaceAll(s, `\`, `\\`)+`"`) {
				t.Errorf("%s %s: refused", tt.name, s)
			}
		}
		for _, s := range strings.Fields(tt.bad) {
			if f.Language.Match(s) {
				t.Errorf("%s %s: accepted", tt.name, s)
			}
		}
	}
	if _, ok := FormatOf("nope"); ok {
		t.Error("an unknown format is known")
	}
}
