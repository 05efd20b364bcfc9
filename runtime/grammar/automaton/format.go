package automaton

import (
	"slices"
	"strings"
	"sync"
)

// The parts of formats, as RE2 writes them. Where a format's definition bounds
// the whole length, Most says it.
const (
	octet = `(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])`
	ipv4  = octet + `(?:\.` + octet + `){3}`
	h16   = `[0-9A-Fa-f]{1,4}`
	ls32  = `(?:` + h16 + `:` + h16 + `|` + ipv4 + `)`
	label = `[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?`
	host  = label + `(?:\.` + label + `)*`
	// RFC 3339; leap days in leap years only.
	leapYear = `(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)`
	date     = `(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|` + leapYear + `-02-29)`
	zone     = `(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])`
	// A leap second can only be told from an error in UTC.
	clock = `(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?` + zone + `|23:59:60(?:\.[0-9]+)?(?:[Zz]|[+-]00:00))`
	// RFC 3339, appendix A.
	durTime  = `T(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S)`
	durDate  = `(?:[0-9]+D|[0-9]+M(?:[0-9]+D)?|[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?)`
	duration = `P(?:[0-9]+W|` + durDate + `(?:` + durTime + `)?|` + durTime + `)`
	// RFC 3986; pct is its pct-encoded.
	pct    = `%[0-9A-Fa-f]{2}`
	pchar  = `(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|` + pct + `)`
	authC  = `(?:[A-Za-z0-9._~!$&'()*+,;=-]|` + pct + `)`
	server = `(?:(?:` + authC + `|:)*@)?(?:` + authC + `*|\[(?:` + ipv6 + `)\])(?::[0-9]{0,5})?`
	uri    = `[A-Za-z][A-Za-z0-9+.-]*:(?://` + server + `(?:/` + pchar + `*)*|/(?:` + pchar + `+(?:/` + pchar + `*)*)?|` + pchar + `+(?:/` + pchar + `*)*|)` +
		`(?:\?(?:` + pchar + `|[/?])*)?(?:#(?:` + pchar + `|[/?])*)?`
	atom  = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
	email = atom + `(?:\.` + atom + `)*@` + host
	uuid  = `[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}`
	ipv6  = `(?:` + h16 + `:){6}` + ls32 +
		`|::(?:` + h16 + `:){5}` + ls32 +
		`|(?:` + h16 + `)?::(?:` + h16 + `:){4}` + ls32 +
		`|(?:(?:` + h16 + `:){0,1}` + h16 + `)?::(?:` + h16 + `:){3}` + ls32 +
		`|(?:(?:` + h16 + `:){0,2}` + h16 + `)?::(?:` + h16 + `:){2}` + ls32 +
		`|(?:(?:` + h16 + `:){0,3}` + h16 + `)?::` + h16 + `:` + ls32 +
		`|(?:(?:` + h16 + `:){0,4}` + h16 + `)?::` + ls32 +
		`|(?:(?:` + h16 + `:){0,5}` + h16 + `)?::` + h16 +
		`|(?:(?:` + h16 + `:){0,6}` + h16 + `)?::`
)

// A Format is a format of JSON Schema as a language. Of the wider definitions it
// is the common part: an e-mail address has no quoted or literal parts, a host
// name is ASCII.
type Format struct {
	Language *Language
	Most     int // code points, at most; 0 is no bound of its own
	JSON     *DFA
}

var formats = map[string]func() *Format{
	"date":      format(date, 0),
	"time":      format(clock, 0),
	"date-time": format(date+`[Tt]`+clock, 0),
	"duration":  format(duration, 0),
	"email":     format(email, 254, `[^@]{1,64}@[^@]*`),
	"hostname":  format(host, 253),
	"ipv4":      format(ipv4, 0),
	"ipv6":      format(ipv6, 0),
	"uri":       format(uri, 0),
	"uuid":      format(uuid, 0),
}

// format returns the format of texts that all patterns match.
func format(pattern string, most int, also ...string) func() *Format {
	return sync.OnceValue(func() *Format {
		l, err := Regex(pattern, nil)
		if err != nil {
			panic("automaton: a format: " + err.Error())
		}
		for _, p := range also {
			more, err := Regex(p, nil)
			if err == nil {
				l, err = l.Intersect(more)
			}
			if err != nil {
				panic("automaton: a format: " + err.Error())
			}
		}
		d, err := l.Quoted(0)
		if err != nil {
			panic("automaton: a format: " + err.Error())
		}
		d.Shared = true
		return &Format{l, most, d}
	})
}

// FormatOf returns the format of that name.
func FormatOf(name string) (*Format, bool) {
	f, ok := formats[name]
	if !ok {
		return nil, false
	}
	return f(), true
}

// Formats lists the names that FormatOf knows.
func Formats() string {
	var names []string
	for n := range formats {
		names = append(names, n)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// SharedDFAs returns the DFAs that live as long as the process and that schemas
// use most: free texts, numbers and the formats.
func SharedDFAs() []*DFA {
	out := []*DFA{Text(0), Text(Unicode), Text(Unicode | Slash), AllText(), freeNumbers[0](), freeNumbers[1]()}
	for _, f := range formats {
		out = append(out, f().JSON)
	}
	return out
}
