package jsonschema

import (
	"slices"
	"strconv"
	"strings"
)

// A Fix is one change that [Checks.Mend] made. It holds no values, and of names
// only those that the schema has.
type Fix struct {
	Op   string // "replace", "add", "remove" or "move"; of a member that is moved, Path is where it went
	Path string // JSON pointer into the mended value; members that the schema does not name are "*"
	Kind string // why, see the constants
}

// The kinds of fix.
const (
	KindType    = "type"    // a number in quotes, a boolean as text, an object as text, …: what it says did not change
	KindEnum    = "enum"    // a listed value in other case or with other spaces
	KindSpace   = "space"   // space around a text
	KindWrap    = "wrap"    // one value where a list of it is wanted, or the other way round
	KindName    = "name"    // a member whose name was nearly right
	KindNull    = "null"    // an optional member that is null where null is not allowed
	KindExtra   = "extra"   // a member that the schema forbids
	KindDefault = "default" // a required member that has a default, or only one possible value
)

// maxFixes bounds the changes of one value: a document that needs more is another one.
const maxFixes = 200

// maxTrials bounds the schemas that are tried on values while one is mended.
const maxTrials = 500_000

// Mend returns instance with what breaks the schema put right, where it is plain
// what it should be, and the changes. What satisfies the schema is returned as it
// is. It fails, as Validate does, where something is left that breaks the schema.
func (c *Checks) Mend(instance []byte) ([]byte, []Fix, error) {
	v, err := decode(instance)
	if err != nil {
		return nil, nil, c.Validate(instance)
	}
	broken := (&validator{}).check(c.root, v, "", &seen{})
	if broken == nil {
		return instance, nil, nil
	}
	m := &mender{trial: &validator{work: maxWork - maxTrials}}
	v = m.value(c.root, v, "", true, 0)
	if err := (&validator{}).check(c.root, v, "", &seen{}); err != nil {
		return nil, nil, err
	}
	return []byte((&compiler{build: &build{style: styleOf(Options{})}}).spell(v)), m.fixes, nil
}

// A mender changes values towards their schemas. It never changes a value in
// place, so that what is tried for one alternative does not show in another.
type mender struct {
	fixes []Fix
	trial *validator // of all trials, whose work is bounded together
}

func (m *mender) fix(op, path, kind string) { m.fixes = append(m.fixes, Fix{op, path, kind}) }

func (m *mender) ok(s *schema, v any) bool { return m.trial.check(s, v, "", &seen{}) == nil }

// value returns v as it should be under s. With strip, members that s forbids
// are taken out: not while another schema speaks of the same value.
func (m *mender) value(s *schema, v any, path string, strip bool, depth int) any {
	if s.always != nil || depth > maxDepth || len(m.fixes) > maxFixes || m.trial.work > maxWork || m.ok(s, v) {
		return v
	}
	if s.ref != nil {
		v = m.value(s.ref, v, path, strip && !s.aboutObjects(), depth+1)
	}
	for _, sub := range s.all {
		v = m.value(sub, v, path, false, depth+1)
	}
	for _, list := range [][]*schema{s.any, s.one} {
		v = m.oneOf(list, v, path, strip, depth)
	}
	v = m.typed(s, v, path)
	v = m.listed(s, v, path)
	switch w := v.(type) {
	case string:
		if t := strings.TrimSpace(w); t != w && checkString(s, w) != "" && checkString(s, t) == "" {
			m.fix("replace", path, KindSpace)
			return t
		}
	case []any:
		return m.items(s, w, path, depth)
	case *object:
		return m.members(s, w, path, strip, depth)
	}
	return v
}

// oneOf mends v for the alternative that needs the fewest fixes. Two that need
// the same number and do not agree leave it as it is.
func (m *mender) oneOf(list []*schema, v any, path string, strip bool, depth int) any {
	if len(list) == 0 || slices.ContainsFunc(list, func(s *schema) bool { return m.ok(s, v) }) {
		return v
	}
	best, found, tie := v, []Fix(nil), false
	for _, s := range list {
		try := &mender{trial: m.trial}
		w := try.value(s, v, path, strip, depth+1)
		switch {
		case !m.ok(s, w):
		case found == nil || len(try.fixes) < len(found):
			best, found, tie = w, try.fixes, false
		case len(try.fixes) == len(found) && !equal(best, w):
			tie = true
		}
	}
	if tie {
		return v
	}
	m.fixes = append(m.fixes, found...)
	return best
}

// typed returns v as a value of another type that says the same.
func (m *mender) typed(s *schema, v any, path string) any {
	n, isNumber := v.(*number)
	if typeOf(v)&s.types != 0 && !(s.integer && isNumber && !n.rat.IsInt()) {
		return v
	}
	var out any
	found := false
	set := func(w any) { out, found = w, true }
	kind := KindType
	switch v := v.(type) {
	case string:
		t := strings.TrimSpace(v)
		low := strings.ToLower(t)
		parsed, err := decode([]byte(t))
		switch {
		case s.types&tBool != 0 && (low == "true" || low == "false"):
			set(low == "true")
		case s.types&tNull != 0 && (low == "null" || low == "none"):
			set(nil)
		case err != nil:
		case s.types&tNumber != 0 && typeOf(parsed) == tNumber:
			if !s.integer || parsed.(*number).rat.IsInt() {
				set(parsed)
			}
		case s.types&typeOf(parsed)&(tObject|tArray) != 0:
			set(parsed)
		}
	case *number:
		switch {
		case s.types&tBool == tBool && v.rat.IsInt() && (v.rat.Sign() == 0 || v.rat.Num().IsInt64() && v.rat.Num().Int64() == 1):
			set(v.rat.Sign() != 0)
		case s.types&tString != 0:
			set(v.text)
		}
	case bool:
		if s.types&tString != 0 {
			set(strconv.FormatBool(v))
		}
	case []any:
		if len(v) == 1 && s.types&tArray == 0 && typeOf(v[0])&s.types != 0 {
			kind = KindWrap
			set(v[0])
		}
	}
	if !found && s.types&tArray != 0 && v != nil && typeOf(v)&tArray == 0 {
		kind = KindWrap
		set([]any{v})
	}
	if !found {
		return v
	}
	m.fix("replace", path, kind)
	return out
}

// listed returns the value of s.enum that v means.
func (m *mender) listed(s *schema, v any, path string) any {
	if !s.hasE || contains(s.enum, v) {
		return v
	}
	name, isText := v.(string)
	var found []any
	for _, e := range s.enum {
		text, ok := e.(string)
		switch {
		case isText && ok && plain(text) == plain(name):
			found = append(found, e)
		case !isText && ok && text != "" && spelled(v) == text, isText && !ok && name != "" && strings.TrimSpace(name) == spelled(e):
			found = append(found, e)
		}
	}
	if len(found) != 1 {
		return v
	}
	m.fix("replace", path, KindEnum)
	return found[0]
}

// spelled is how a scalar is written, or "".
func spelled(v any) string {
	switch v := v.(type) {
	case *number:
		return v.text
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

// plain is s without case, space, and what stands for space in names.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\n\r_-", r) {
			return -1
		}
		return r
	}, strings.ToLower(s))
}

func (m *mender) items(s *schema, list []any, path string, depth int) any {
	out := slices.Clone(list)
	for i, e := range list {
		sub := s.items
		if i < len(s.prefix) {
			sub = s.prefix[i]
		}
		if sub != nil {
			out[i] = m.value(sub, e, path+"/"+strconv.Itoa(i), true, depth+1)
		}
	}
	return out
}

func (m *mender) members(s *schema, o *object, path string, strip bool, depth int) any {
	out := &object{keys: slices.Clone(o.keys), member: make(map[string]any, len(o.member))}
	for k, v := range o.member {
		out.member[k] = v
	}
	m.rename(s, out, path)
	for _, k := range slices.Clone(out.keys) {
		at := path + "/*"
		if s.property(k) != nil {
			at = path + "/" + escapePointer(k)
		}
		for _, sub := range s.membersOf(k) {
			if out.member[k] == nil && !slices.Contains(s.required, k) && s.property(k) != nil && !m.ok(sub, nil) {
				m.fix("remove", at, KindNull)
				out.remove(k)
				break
			}
			out.member[k] = m.value(sub, out.member[k], at, true, depth+1)
		}
	}
	missing := false
	for _, name := range s.required {
		if _, ok := out.member[name]; ok {
			continue
		}
		v, ok := s.only(name)
		if !ok {
			missing = true
			continue
		}
		m.fix("add", path+"/"+escapePointer(name), KindDefault)
		out.keys = append(out.keys, name)
		out.member[name] = v
	}
	if strip && !missing && s.forbidsMore() {
		for _, k := range slices.Clone(out.keys) {
			if subs := s.membersOf(k); len(subs) == 1 && subs[0] == s.additional {
				m.fix("remove", path+"/*", KindExtra)
				out.remove(k)
			}
		}
	}
	return out
}

func (o *object) remove(k string) {
	delete(o.member, k)
	o.keys = slices.DeleteFunc(o.keys, func(x string) bool { return x == k })
}

// forbidsMore reports whether s has no place for members that it does not name.
func (s *schema) forbidsMore() bool {
	return s.additional != nil && s.additional.always != nil && !*s.additional.always
}

// only returns the value of a member that is missing: its default, or the one
// value that it may have.
func (s *schema) only(name string) (any, bool) {
	p := s.property(name)
	if p == nil {
		return nil, false
	}
	for range maxDepth {
		switch {
		case p.hasDef:
			return p.def, (&validator{}).check(p, p.def, "", &seen{}) == nil
		case p.hasE && len(p.enum) == 1:
			return p.enum[0], true
		case p.ref == nil:
			return nil, false
		}
		p = p.ref
	}
	return nil, false
}

// rename gives members that have nearly the name of one that is missing that
// name, where no other member and no other name could be meant.
func (m *mender) rename(s *schema, o *object, path string) {
	var strange, missing []string
	for _, k := range o.keys {
		if s.property(k) == nil && !slices.ContainsFunc(s.patterns, func(p patternProperty) bool { return p.lang.Match(k) }) {
			strange = append(strange, k)
		}
	}
	for _, p := range s.props {
		_, has := o.member[p.name]
		if !has && (s.forbidsMore() || slices.Contains(s.required, p.name)) {
			missing = append(missing, p.name)
		}
	}
	if len(strange)*len(missing) == 0 || len(strange)*len(missing) > 10_000 {
		return
	}
	for _, near := range []func(a, b string) bool{
		func(a, b string) bool { return plain(a) == plain(b) },
		func(a, b string) bool { return typo(plain(a), plain(b)) },
	} {
		pairs := map[string][]string{} // strange → missing
		back := map[string]int{}
		for _, k := range strange {
			for _, name := range missing {
				if near(k, name) {
					pairs[k] = append(pairs[k], name)
					back[name]++
				}
			}
		}
		for _, k := range strange {
			if len(pairs[k]) != 1 || back[pairs[k][0]] != 1 {
				continue
			}
			name := pairs[k][0]
			m.fix("move", path+"/"+escapePointer(name), KindName)
			o.member[name] = o.member[k]
			delete(o.member, k)
			o.keys[slices.Index(o.keys, k)] = name
			missing = slices.DeleteFunc(missing, func(x string) bool { return x == name })
		}
		strange = slices.DeleteFunc(strange, func(k string) bool { _, has := o.member[k]; return !has })
	}
}

// typo reports whether a and b, of at least five letters, differ by one letter
// left out, put in, changed, or swapped with its neighbour.
func typo(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(a) < 4 || len(b) < 5 || len(b)-len(a) > 1 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) < len(b) {
		return a[i:] == b[i+1:]
	}
	if i == len(a) {
		return true
	}
	return a[i+1:] == b[i+1:] || i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}
