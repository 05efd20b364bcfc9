package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// The personal data of these tests: valid, and nobody's.
const (
	email = "marta.quill@example.com"
	iban  = "DE89 3704 0044 0532 0130 00"
	card  = "5555 5555 5555 4444"
)

var jsonEscape = regexp.MustCompile(`\\u([0-9a-fA-F]{4})`)

// leak says in which form value stands in text, or "". It looks for the value
// itself, its letters and digits alone, hexadecimal, base64 at each alignment,
// reversed, and behind JSON and URL escapes.
func leak(text []byte, value string) string {
	plain := jsonEscape.ReplaceAllFunc(text, func(m []byte) []byte {
		n, _ := strconv.ParseUint(string(m[2:]), 16, 16) // four hexadecimal digits
		return []byte(string(rune(n)))
	})
	if u, err := url.QueryUnescape(string(plain)); err == nil {
		plain = append(append(plain, '\n'), u...)
	}
	plain = append(plain, unpercent(plain)...)
	if bytes.Contains(bytes.ToLower(plain), []byte(strings.ToLower(value))) {
		return "as it is"
	}
	if strings.Contains(squeeze(string(plain)), squeeze(value)) {
		return "its letters and digits"
	}
	for _, v := range []string{value, strings.ReplaceAll(value, " ", "")} {
		if bytes.Contains(bytes.ToLower(text), []byte(hex.EncodeToString([]byte(v)))) {
			return "hexadecimal"
		}
		back := []byte(v)
		slices.Reverse(back)
		if bytes.Contains(text, back) {
			return "reversed"
		}
		for skip := range 3 {
			for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
				// The characters that the value alone decides: not the first ones of a padded start, nor the last.
				s := strings.TrimRight(enc.EncodeToString([]byte(strings.Repeat("\x00", skip)+v)), "=")
				s = s[[]int{0, 2, 3}[skip] : len(s)-1]
				if bytes.Contains(text, []byte(s)) {
					return "base64"
				}
			}
		}
	}
	return ""
}

var percentEscape = regexp.MustCompile(`%([0-9a-fA-F]{2})`)

// unpercent undoes URL escapes where they are valid, and leaves the rest.
func unpercent(b []byte) []byte {
	return percentEscape.ReplaceAllFunc(b, func(m []byte) []byte {
		n, _ := strconv.ParseUint(string(m[1:]), 16, 8) // two hexadecimal digits
		return []byte{byte(n)}
	})
}

// squeeze keeps the letters and digits.
func squeeze(s string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, s))
}

// The detector finds what it is meant to find: without this test its silence would mean nothing.
func TestLeak(t *testing.T) {
	for _, value := range []string{email, iban, card} {
		bare := strings.ReplaceAll(value, " ", "")
		for form, text := range map[string]string{
			"as it is":               "x " + strings.ToUpper(value) + " y",
			"its letters and digits": "x " + strings.ReplaceAll(strings.ReplaceAll(value, " ", "-"), "@", "(@)") + " y",
			"hexadecimal":            hex.EncodeToString([]byte("x" + bare + "y")),
			"base64":                 base64.StdEncoding.EncodeToString([]byte("xx" + value + "yy")),
			"reversed": func() string {
				b := []byte(value)
				slices.Reverse(b)
				return string(b)
			}(),
		} {
			if got := leak([]byte(text), value); got == "" {
				t.Errorf("%s of %q was not found in %q", form, value, text)
			}
		}
		escaped := ""
		for _, r := range value {
			escaped += `\u00` + hex.EncodeToString([]byte{byte(r)})
		}
		for _, text := range []string{escaped, url.QueryEscape(value), "100% " + url.QueryEscape(value), url.PathEscape(value)} {
			if leak([]byte(text), value) == "" {
				t.Errorf("%q was not found in %q", value, text)
			}
		}
		if got := leak([]byte("write to EMAIL_7K3F9Q2M4T8X, IBAN_0123456789AB or CREDIT_CARD_AB3456789012"), value); got != "" {
			t.Errorf("%q was found in placeholders: %s", value, got)
		}
	}
}

// noLeaks reports every value that stands in text in any form.
func noLeaks(t *testing.T, where string, text []byte, values ...string) {
	t.Helper()
	for _, v := range values {
		if form := leak(text, v); form != "" {
			t.Errorf("%s holds %q (%s)", where, v, form)
		}
	}
}
