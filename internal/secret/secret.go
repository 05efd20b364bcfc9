// Package secret holds values that must never be printed.
package secret

import (
	"crypto/subtle"
	"fmt"
	"os"
	"strings"
)

// A String is a secret. Every way of printing it gives "<redacted>"; [String.Reveal] gives the value.
type String struct{ v string }

// New returns v as a secret.
func New(v string) String { return String{v} }

// Reveal returns the value. Its callers are the places where a secret leaves: keep them few.
func (s String) Reveal() string { return s.v }

// Empty reports whether there is no secret.
func (s String) Empty() bool { return s.v == "" }

// Equal compares in constant time.
func (s String) Equal(v string) bool { return subtle.ConstantTimeCompare([]byte(s.v), []byte(v)) == 1 }

const hidden = "<redacted>"

// String hides the value, and says when there is none.
func (s String) String() string {
	if s.v == "" {
		return ""
	}
	return hidden
}

// GoString hides the value from %#v.
func (s String) GoString() string { return s.String() }

// Format hides the value from every verb.
func (s String) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// MarshalText hides the value from JSON and YAML.
func (s String) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Resolve reads a reference: "${NAME}" is the environment variable NAME,
// "file:PATH" the trimmed content of a file, anything else the value itself.
func Resolve(ref string) (String, error) {
	if name, ok := strings.CutPrefix(ref, "${"); ok {
		name, ok = strings.CutSuffix(name, "}")
		if !ok {
			return String{}, fmt.Errorf("a secret reference that begins with ${ must end with }")
		}
		v, set := os.LookupEnv(name)
		if !set || v == "" {
			return String{}, fmt.Errorf("the environment variable %s is not set", name)
		}
		return New(v), nil
	}
	if path, ok := strings.CutPrefix(ref, "file:"); ok {
		b, err := os.ReadFile(path)
		if err != nil {
			return String{}, fmt.Errorf("reading a secret: %w", err)
		}
		return New(strings.TrimSpace(string(b))), nil
	}
	return New(ref), nil
}
