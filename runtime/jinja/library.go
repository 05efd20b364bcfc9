package jinja

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// globalTable, filterTable and testTable are all that templates can call,
// besides methods. They are set in init, for some of them call what calls them.
var (
	globalTable map[string]function
	filterTable map[string]func(r *renderer, x any, a argValues) (any, error)
	testTable   map[string]func(r *renderer, x any, a argValues) (any, error)
)

func init() {
	globalTable = map[string]function{
		"namespace": func(_ *renderer, a argValues) (any, error) {
			ns := &namespace{map[string]any{}}
			for k, v := range a.named {
				ns.vars[k] = v
			}
			return ns, nil
		},
		"dict": func(_ *renderer, a argValues) (any, error) {
			d := &Dict{}
			for _, k := range sorted(a.named) {
				d.Set(Plain(k), a.named[k])
			}
			return d, nil
		},
		"range": callRange,
		"raise_exception": func(r *renderer, a argValues) (any, error) {
			if t, ok := a.get(0, "message").(Text); ok && len(t.lit) == 0 && t.s != "" {
				return nil, r.wrap(fmt.Errorf("%w: %s", ErrRaised, t.s))
			}
			return nil, r.wrap(ErrRaised)
		},
		"strftime_now": func(r *renderer, a argValues) (any, error) {
			t, ok := a.get(0, "format").(Text)
			if !ok {
				return nil, r.fail("strftime_now wants a format")
			}
			return Plain(strftime(r.now, t.s)), nil
		},
	}
	initFilters()
	initTests()
}

func sorted(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// get returns an argument by place or name, or undefined.
func (a argValues) get(i int, name string) any {
	if i >= 0 && i < len(a.pos) {
		return a.pos[i]
	}
	if v, ok := a.named[name]; ok {
		return v
	}
	return undefined(name)
}

func (a argValues) int(i int, name string, otherwise int) int {
	if _, n, whole, ok := number(a.get(i, name)); ok && whole {
		return int(n)
	}
	return otherwise
}

func callRange(r *renderer, a argValues) (any, error) {
	bounds := [3]int64{0, 0, 1}
	for i, v := range a.pos {
		_, n, whole, ok := number(v)
		if !ok || !whole || i > 2 {
			return nil, r.fail("range wants one to three numbers")
		}
		if len(a.pos) == 1 {
			bounds[1] = n
		} else {
			bounds[i] = n
		}
	}
	from, to, step := bounds[0], bounds[1], bounds[2]
	if step == 0 || len(a.pos) == 0 {
		return nil, r.fail("range wants one to three numbers, the third not 0")
	}
	l := &List{}
	for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
		if len(l.Items) == maxRange {
			return nil, r.fail("range has more than %d items", maxRange)
		}
		l.Items = append(l.Items, i)
	}
	return l, r.spend(16 * len(l.Items))
}

func (l *loop) attribute(name string) any {
	n, i := int64(len(l.items)), int64(l.i)
	switch name {
	case "index":
		return i + 1
	case "index0":
		return i
	case "revindex":
		return n - i
	case "revindex0":
		return n - i - 1
	case "first":
		return i == 0
	case "last":
		return i == n-1
	case "length":
		return n
	case "previtem":
		if i > 0 {
			return l.items[i-1]
		}
	case "nextitem":
		if i < n-1 {
			return l.items[i+1]
		}
	}
	return undefined(name)
}

// method returns a method of a value, nil when it has none of that name.
func method(x any, name string) any {
	switch v := x.(type) {
	case Text:
		if m, ok := textMethods[name]; ok {
			return function(func(r *renderer, a argValues) (any, error) { return m(r, v, a) })
		}
	case *Dict:
		switch name {
		case "items":
			return function(func(r *renderer, _ argValues) (any, error) { return pairs(v), r.spend(64 * len(v.keys)) })
		case "keys":
			return function(func(r *renderer, _ argValues) (any, error) {
				keys, err := r.items(v)
				return &List{Items: keys}, err
			})
		case "values":
			return function(func(r *renderer, _ argValues) (any, error) {
				return &List{Items: slices.Clone(v.values)}, r.spend(16 * len(v.values))
			})
		case "get":
			return function(func(_ *renderer, a argValues) (any, error) {
				if k, ok := a.get(0, "").(Text); ok {
					if got, ok := v.get(k.s); ok {
						return got, nil
					}
				}
				if d := a.get(1, ""); d != undefined("") {
					return d, nil
				}
				return nil, nil
			})
		}
	}
	return nil
}

func pairs(d *Dict) *List {
	l := &List{}
	for i, k := range d.keys {
		l.Items = append(l.Items, &List{[]any{k, d.values[i]}, true})
	}
	return l
}

// A textMethod is a method of strings.
type textMethod func(r *renderer, t Text, a argValues) (any, error)

var textMethods = map[string]textMethod{
	"strip": func(r *renderer, t Text, a argValues) (any, error) {
		return t.trim(true, true, a.chars()), r.spend(len(t.s))
	},
	"lstrip": func(r *renderer, t Text, a argValues) (any, error) {
		return t.trim(true, false, a.chars()), r.spend(len(t.s))
	},
	"rstrip": func(r *renderer, t Text, a argValues) (any, error) {
		return t.trim(false, true, a.chars()), r.spend(len(t.s))
	},
	"split": split,
	"startswith": func(r *renderer, t Text, a argValues) (any, error) {
		return affix(r, t.s, a, strings.HasPrefix)
	},
	"endswith": func(r *renderer, t Text, a argValues) (any, error) {
		return affix(r, t.s, a, strings.HasSuffix)
	},
	"replace": func(r *renderer, t Text, a argValues) (any, error) { return replace(r, t, a) },
	"join": func(r *renderer, t Text, a argValues) (any, error) {
		return join(r, a.get(0, ""), t)
	},
	"find": func(r *renderer, t Text, a argValues) (any, error) {
		sub, ok := a.get(0, "").(Text)
		if !ok {
			return nil, r.fail("find wants a string")
		}
		i := strings.Index(t.s, sub.s)
		if i > 0 {
			i = utf8.RuneCountInString(t.s[:i])
		}
		return int64(i), r.spend(len(t.s))
	},
	"count": func(r *renderer, t Text, a argValues) (any, error) {
		sub, ok := a.get(0, "").(Text)
		if !ok {
			return nil, r.fail("count wants a string")
		}
		return int64(strings.Count(t.s, sub.s)), r.spend(len(t.s))
	},
	"splitlines": func(r *renderer, t Text, _ argValues) (any, error) {
		if err := r.spend(64 * (1 + len(t.s))); err != nil {
			return nil, err
		}
		l := &List{}
		for _, line := range t.split("\n", -1) {
			l.Items = append(l.Items, line)
		}
		if n := len(l.Items); l.Items[n-1].(Text).s == "" {
			l.Items = l.Items[:n-1]
		}
		return l, nil
	},
	"removeprefix": func(_ *renderer, t Text, a argValues) (any, error) {
		if p, ok := a.get(0, "").(Text); ok && strings.HasPrefix(t.s, p.s) {
			return t.slice(len(p.s), len(t.s)), nil
		}
		return t, nil
	},
	"removesuffix": func(_ *renderer, t Text, a argValues) (any, error) {
		if p, ok := a.get(0, "").(Text); ok && strings.HasSuffix(t.s, p.s) {
			return t.slice(0, len(t.s)-len(p.s)), nil
		}
		return t, nil
	},
	"upper":      changed(strings.ToUpper),
	"lower":      changed(strings.ToLower),
	"title":      changed(title),
	"capitalize": changed(capitalize),
	"isdigit":    all(unicode.IsDigit),
	"isalpha":    all(unicode.IsLetter),
	"isspace":    all(isPySpace),
	"isupper":    func(_ *renderer, t Text, _ argValues) (any, error) { return isUpper(t.s), nil },
	"islower":    func(_ *renderer, t Text, _ argValues) (any, error) { return isLower(t.s), nil },
}

func isUpper(s string) bool { return s == strings.ToUpper(s) && s != strings.ToLower(s) }
func isLower(s string) bool { return s == strings.ToLower(s) && s != strings.ToUpper(s) }

func changed(f func(string) string) textMethod {
	return func(r *renderer, t Text, _ argValues) (any, error) {
		return t.with(f(t.s)), r.spend(2 * len(t.s))
	}
}

func all(f func(rune) bool) textMethod {
	return func(r *renderer, t Text, _ argValues) (any, error) {
		return t.s != "" && !strings.ContainsFunc(t.s, func(c rune) bool { return !f(c) }), r.spend(len(t.s))
	}
}

func capitalize(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return strings.ToUpper(s[:n]) + strings.ToLower(s[n:])
}

// title is str.title: a word is a run of letters.
func title(s string) string {
	return titled(s, func(c rune) bool { return !unicode.IsLetter(c) })
}

// titleWords is the filter title: a word ends at white space, a hyphen or an
// opening bracket.
func titleWords(s string) string {
	return titled(s, func(c rune) bool { return isPySpace(c) || strings.ContainsRune("-({[<", c) })
}

func titled(s string, ends func(rune) bool) string {
	var b strings.Builder
	word := false
	for _, c := range s {
		switch {
		case ends(c):
			word = false
			b.WriteRune(c)
		case word:
			b.WriteRune(unicode.ToLower(c))
		default:
			word = true
			b.WriteRune(unicode.ToUpper(c))
		}
	}
	return b.String()
}

// chars is the argument of strip, nil for white space.
func (a argValues) chars() *string {
	if t, ok := a.get(0, "chars").(Text); ok {
		return &t.s
	}
	return nil
}

func affix(r *renderer, s string, a argValues, has func(string, string) bool) (any, error) {
	switch v := a.get(0, "").(type) {
	case Text:
		return has(s, v.s), nil
	case *List:
		return slices.ContainsFunc(v.Items, func(x any) bool { t, ok := x.(Text); return ok && has(s, t.s) }), nil
	}
	return nil, r.fail("startswith and endswith want a string")
}

func split(r *renderer, t Text, a argValues) (any, error) {
	if err := r.spend(64 * (1 + len(t.s))); err != nil {
		return nil, err
	}
	var texts []Text
	switch sep := a.get(0, "sep").(type) {
	case Text:
		if sep.s == "" {
			return nil, r.fail("split wants a separator that is not empty")
		}
		texts = t.split(sep.s, a.int(1, "maxsplit", -1))
	default: // at runs of white space
		most := a.int(1, "maxsplit", -1)
		for rest := t.trim(true, false, nil); rest.s != ""; rest = rest.trim(true, false, nil) {
			i := strings.IndexFunc(rest.s, isPySpace)
			if i < 0 || most >= 0 && len(texts) == most {
				texts = append(texts, rest)
				break
			}
			texts, rest = append(texts, rest.slice(0, i)), rest.slice(i, len(rest.s))
		}
	}
	l := &List{}
	for _, x := range texts {
		l.Items = append(l.Items, x)
	}
	return l, nil
}

func replace(r *renderer, t Text, a argValues) (any, error) {
	old, ok := a.get(0, "old").(Text)
	with, ok2 := a.get(1, "new").(Text)
	if !ok || !ok2 {
		return nil, r.fail("replace wants two strings")
	}
	n := strings.Count(t.s, old.s)
	if most := a.int(2, "count", -1); most >= 0 {
		n = min(n, most)
	}
	if n > 0 && len(with.s) > maxBytes/n {
		return nil, r.wrap(ErrBudget)
	}
	if err := r.spend(len(t.s) + n*(64+len(with.s))); err != nil {
		return nil, err
	}
	if old.s == "" {
		return t.with(strings.Replace(t.s, "", with.s, n)), nil
	}
	return joinTexts(t.split(old.s, n), with), nil
}

func join(r *renderer, x any, sep Text) (any, error) {
	items, err := r.items(x)
	if err != nil {
		return nil, err
	}
	texts := make([]Text, len(items))
	for i, v := range items {
		if texts[i], err = r.str(v); err != nil {
			return nil, err
		}
		if err := r.spend(len(sep.s)); err != nil {
			return nil, err
		}
	}
	return joinTexts(texts, sep), nil
}

// writeJSON writes v as json.dumps(v, ensure_ascii=False) does; with indent >= 0
// over several lines.
func writeJSON(b *builder, v any, indent, depth int, seps [2]string) error {
	line := func(depth int) {
		if indent >= 0 {
			b.plain("\n" + strings.Repeat(" ", indent*depth))
		}
	}
	switch v := v.(type) {
	case nil:
		b.plain("null")
	case bool:
		b.plain(strconv.FormatBool(v))
	case int64, bigInt:
		repr(b, v)
	case float64:
		s := pyFloat(v)
		if name, ok := map[string]string{"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}[s]; ok {
			s = name
		}
		b.plain(s)
	case Text:
		b.add(v.with(jsonString(v.s)))
	case *List:
		b.plain("[")
		for i, x := range v.Items {
			if i > 0 {
				b.plain(seps[0])
			}
			line(depth + 1)
			if err := writeJSON(b, x, indent, depth+1, seps); err != nil {
				return err
			}
		}
		if len(v.Items) > 0 {
			line(depth)
		}
		b.plain("]")
	case *Dict:
		b.plain("{")
		for i, k := range v.keys {
			if i > 0 {
				b.plain(seps[0])
			}
			line(depth + 1)
			b.add(k.with(jsonString(k.s)))
			b.plain(seps[1])
			if err := writeJSON(b, v.values[i], indent, depth+1, seps); err != nil {
				return err
			}
		}
		if len(v.keys) > 0 {
			line(depth)
		}
		b.plain("}")
	default:
		return fmt.Errorf("%s has no JSON", kindOf(v))
	}
	return nil
}

func jsonString(s string) string {
	const hex = "0123456789abcdef"
	out := make([]byte, 0, len(s)+2)
	out = append(out, '"')
	for _, r := range s {
		i := strings.IndexRune("\"\\\n\r\t\b\f", r)
		switch {
		case i >= 0:
			out = append(out, '\\', `"\nrtbf`[i])
		case r < ' ':
			out = append(out, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			out = utf8.AppendRune(out, r)
		}
	}
	return string(append(out, '"'))
}
