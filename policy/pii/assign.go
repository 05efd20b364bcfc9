package pii

import "bytes"

// passwordNames and keyNames are the ends of the names to which secrets are assigned, in lower case without "_", "-", ".".
var (
	passwordNames = []string{"password", "passwd", "passwort", "kennwort", "pwd", "passphrase", "motdepasse", "contraseña", "senha", "wachtwoord"}
	keyNames      = []string{"apikey", "secretkey", "accesskey", "privatekey", "authkey", "encryptionkey", "accountkey", "sharedkey", "signingkey", "secretaccesskey",
		"clientsecret", "secret", "token", "authorization", "credential", "credentials", "connectionstring", "xapikey"}
)

type naming uint8

const (
	notSecret naming = iota
	passwordName
	keyName
)

// naming returns what a variable with the name would hold.
func namingOf(name []byte) naming {
	var buf [40]byte
	low := buf[:0]
	for _, c := range name[max(0, len(name)-len(buf)):] {
		if c != '_' && c != '-' && c != '.' {
			low = append(low, lower(c))
		}
	}
	for _, n := range passwordNames {
		if bytes.HasSuffix(low, []byte(n)) {
			return passwordName
		}
	}
	for _, n := range keyNames {
		if bytes.HasSuffix(low, []byte(n)) {
			return keyName
		}
	}
	return notSecret
}

// assign looks at the "=" or ":" at i: password=…, "api_key": "…", Authorization: Bearer ….
func (s *scanner) assign(i int) int {
	t := s.t
	if next := at(t, i+1); next == '/' || next == ':' {
		return i + 1 // a URL, C++
	}
	end := i
	for end > 0 && i-end < 4 {
		c := t[end-1]
		if c != ' ' && c != '"' && c != '\'' && c != '`' && c != '\\' && c != ':' && c != ')' && c != ']' {
			break
		}
		end--
	}
	switch at(t, end-1) | 0x20 { // the last letters of the names above
	case 'd', 't', 'n', 'y', 'e', 'a', 'l', 's', 'g':
	default:
		return i + 1
	}
	start := end
	for start > 0 && end-start < 40 && (isWord(t[start-1]) || t[start-1] == '-' || t[start-1] == '.' || t[start-1] >= 0x80) {
		start--
	}
	name := namingOf(t[start:end])
	if name == notSecret {
		return i + 1
	}
	from, to, quoted := s.assigned(i)
	if to <= from || !secretValue(t[from:to], name, quoted || t[i] == '=') {
		return i + 1
	}
	s.add(kSecret, from, to, 0.8, byContext)
	return i + 1
}

// assigned returns the value after the "=" or ":" at i, without its quotes.
func (s *scanner) assigned(i int) (from, to int, quoted bool) {
	t := s.t
	from = i + 1
	for from < len(t) && from-i < 6 && (t[from] == ' ' || t[from] == '=' || t[from] == '>' || t[from] == '\t') {
		from++
	}
	for at(t, from) == '\\' && from-i < 10 { // a quote within a string within a string
		from++
	}
	var quote byte
	if c := at(t, from); c == '"' || c == '\'' || c == '`' {
		quote = c
		from++
	}
	for _, scheme := range [...]string{"Bearer ", "bearer ", "Basic ", "basic ", "token ", "Token "} {
		if bytes.HasPrefix(t[from:], []byte(scheme)) {
			from += len(scheme)
			break
		}
	}
	to = from
	for to < len(t) && to-from < 512 {
		c := t[to]
		if c == '\n' || c == '\r' || quote != 0 && c == quote {
			break
		}
		if quote == 0 && (c <= ' ' || c == '"' || c == '\'' || c == '`' || c == ',' || c == ';' || c == '&' || c == '<' || c == '>' || c == '}' || c == ']' || c == ')') {
			break
		}
		to++
	}
	for to > from && (t[to-1] == '\\' || quote == 0 && (t[to-1] == '.' || t[to-1] == ':' || t[to-1] == '?' || t[to-1] == '*')) {
		to--
	}
	return from, to, quote != 0
}

// standIns are values that stand for a secret instead of being one.
var standIns = words("password", "passwd", "secret", "token", "string", "null", "none", "true", "false", "undefined", "required", "optional", "redacted", "changeme", "example",
	"your_password", "your-password", "yourpassword", "your_api_key", "your-api-key", "your_token", "your-token", "placeholder", "hidden", "masked", "os.environ", "bearer", "basic", "text", "input", "varchar", "invalid", "expired", "incorrect", "wrong", "missing")

// standIn reports whether v is no secret: a variable, a mask, a word of a manual, a placeholder of ours.
func standIn(v []byte) bool {
	switch v[0] {
	case '$', '<', '{', '%', '[', '(':
		return true
	}
	same := true
	for _, c := range v {
		same = same && c == v[0]
	}
	if same || isPlaceholder(v) {
		return true
	}
	var buf [16]byte
	if len(v) > len(buf) {
		return false
	}
	low := buf[:0]
	for _, c := range v {
		low = append(low, lower(c))
	}
	return standIns[string(low)]
}

// secretValue reports whether v, assigned to such a name, is a secret. Loose text after a colon must look less like a word than what is quoted or follows "=".
func secretValue(v []byte, name naming, assigned bool) bool {
	if len(v) < 4 || standIn(v) {
		return false
	}
	var seen uint8
	other, call := false, false
	for _, c := range v {
		seen |= class[c] & (cUpper | cLower | cDigit)
		other = other || !isAlnum(c)
		call = call || c == '('
	}
	if call { // code: password = getpass()
		return false
	}
	classes := 0
	for _, b := range []uint8{cUpper, cLower, cDigit} {
		if seen&b != 0 {
			classes++
		}
	}
	if other {
		classes++
	}
	if name == passwordName {
		if assigned {
			return len(v) >= 6 && (classes >= 2 || len(v) >= 8)
		}
		return classes >= 2 && seen&cDigit != 0 || classes >= 3
	}
	return len(v) >= 16 && seen&cDigit != 0 && classes >= 2 && entropy(v) >= 3
}

// whole looks at a text that is the value of a JSON member with a telling name: {"password": "…"}.
func (s *scanner) whole() {
	if len(s.key) == 0 || len(s.t) < 4 || len(s.t) > 4096 || bytes.ContainsAny(s.t, " \n\t{") {
		return
	}
	if name := namingOf(s.key); name != notSecret && secretValue(s.t, name, true) {
		s.add(kSecret, 0, len(s.t), 0.8, byContext)
	}
}
