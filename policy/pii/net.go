package pii

import (
	"bytes"
	"net/netip"
)

// colon looks at the ":" at i: a MAC address, an IPv6 address, or "password: …".
func (s *scanner) colon(i int) int {
	t := s.t
	next := at(t, i+1)
	if at(t, i+3) == ':' && i >= 2 {
		if end := s.mac(i-2, ':'); end > 0 {
			return end
		}
	}
	if next == ':' || isHex(next) {
		if end := s.ipv6(i); end > 0 {
			return end
		}
	}
	return s.assign(i)
}

// mac tries the 17 bytes of a MAC address at i; 0 when they are none.
func (s *scanner) mac(i int, sep byte) int {
	t := s.t
	end := i + 17
	if end > len(t) || !isHex(t[i]) {
		return 0
	}
	for k := range 17 {
		if k%3 == 2 {
			if t[i+k] != sep {
				return 0
			}
		} else if !isHex(t[i+k]) {
			return 0
		}
	}
	if before := at(t, i-1); isWord(before) || before == sep || isWord(at(t, end)) || at(t, end) == sep && isHex(at(t, end+1)) {
		return 0
	}
	s.add(kMAC, i, end, 0.9, byPattern)
	return end
}

// ipv6 tries the address around the ":" at i; 0 when there is none.
func (s *scanner) ipv6(i int) int {
	t := s.t
	start := i
	for start > 0 && i-start < 5 && isHex(t[start-1]) {
		start--
	}
	if i-start > 4 || isWord(at(t, start-1)) || start == i && t[i+1] != ':' {
		return 0
	}
	end, colons, digit := start, 0, false
	for end < len(t) && end-start < 45 && (isHex(t[end]) || t[end] == ':' || t[end] == '.') {
		if t[end] == ':' {
			colons++
		}
		digit = digit || isDigit(t[end])
		end++
	}
	for end > start && (t[end-1] == '.' || t[end-1] == ':' && at(t, end-2) != ':') {
		end--
	}
	if colons < 2 || !digit || isWord(at(t, end)) {
		return 0
	}
	text := t[start:end]
	if colons != 7 && !bytes.Contains(text, []byte("::")) {
		return 0
	}
	a, err := netip.ParseAddr(string(text))
	if err != nil || a.IsLoopback() || a.IsUnspecified() {
		return 0
	}
	// a::b1 is also C++ and Rust. An address in use begins with one of these.
	b := a.As16()
	if !(b[0]>>5 == 1 || b[0] == 0xfc || b[0] == 0xfd || b[0] == 0xfe || b[0] == 0xff || a.Is4In6() || b[1] == 0x64 && b[2] == 0xff) || colons < 7 && len(text) < 6 {
		return 0
	}
	s.add(kIP, start, end, score4(a), byPattern)
	return end
}

// ipv4 tries the four groups from a on.
func (s *scanner) ipv4(g []group) bool {
	t := s.t
	start, end := g[0].start, g[3].end
	for k := range 4 {
		if n := g[k].end - g[k].start; n > 3 || k > 0 && (g[k].start-g[k-1].end != 1 || t[g[k].start-1] != '.') {
			return false
		}
	}
	if before := at(t, start-1); isWord(before) || before == '.' || before == '-' && isWord(at(t, start-2)) {
		return false // also v1.2.3.4 and lib-1.2.3.4
	}
	if after := at(t, end); isWord(after) || (after == '.' || after == '-') && isWord(at(t, end+1)) {
		return false
	}
	a, err := netip.ParseAddr(string(t[start:end]))
	if err != nil || a.IsLoopback() || a.IsUnspecified() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) || s.near(start, versionWords) {
		return false
	}
	s.add(kIP, start, end, score4(a), byPattern)
	return true
}

// score4 trusts addresses of the public network more.
func score4(a netip.Addr) float64 {
	if a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsMulticast() {
		return 0.7
	}
	return 0.9
}
