package pii

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
)

// A placeholder is a type, "_" and tokenLen characters of Crockford's base 32:
// "EMAIL_7K3F9Q2M4T8X". It means nothing in JSON or markdown and is legal in the name of a tool.
const (
	tokenLen = 12 // 60 bits
	base32   = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
)

// A mint makes the placeholders of one request.
type mint struct {
	mac    []byte // key of the scope: tenant and session, or this request alone
	body   []byte // what a placeholder must not occur in
	issued map[string]string
	taken  map[string]bool
	list   []secret
}

// A secret is a value and its placeholder.
type secret struct {
	token string
	value []byte // as text
	prose bool   // found by its wording: it may be any word
}

// newMint returns a mint whose placeholders are the same for every request of
// the same key and scope. body is the text that they go into.
func newMint(key []byte, scope, body []byte) *mint {
	h := hmac.New(sha256.New, key)
	h.Write(scope)
	return &mint{mac: h.Sum(nil), body: body, issued: map[string]string{}, taken: map[string]bool{}}
}

// token returns the placeholder of the value.
func (m *mint) token(typ string, value []byte) string {
	id := typ + "\x00" + string(value)
	if t, ok := m.issued[id]; ok {
		return t
	}
	h := hmac.New(sha256.New, m.mac)
	for n := byte(0); ; n++ {
		h.Reset()
		h.Write([]byte{n})
		h.Write([]byte(id))
		sum := binary.BigEndian.Uint64(h.Sum(nil))
		t := []byte(typ + "_")
		for range tokenLen {
			t = append(t, base32[sum>>59])
			sum <<= 5
		}
		if m.taken[canonical(string(t))] || bytes.Contains(m.body, t) {
			continue // it stands for another value, or the client wrote it
		}
		token := string(t)
		m.issued[id] = token
		m.taken[canonical(token)] = true
		m.list = append(m.list, secret{token, bytes.Clone(value), !slices.Contains(names[:], typ)})
		return token
	}
}

// canonical returns what is left of a placeholder under the damage that models do to it: letters and digits, in capitals.
func canonical(token string) string {
	return strings.ToUpper(strings.ReplaceAll(token, "_", ""))
}

// isPlaceholder reports whether v has the form of a placeholder.
func isPlaceholder(v []byte) bool {
	k := len(v) - tokenLen - 1
	if k < 2 || v[k] != '_' {
		return false
	}
	for _, c := range v[:k] {
		if class[c]&(cUpper|cUnder) == 0 {
			return false
		}
	}
	for _, c := range v[k+1:] {
		if strings.IndexByte(base32, c) < 0 {
			return false
		}
	}
	return true
}
