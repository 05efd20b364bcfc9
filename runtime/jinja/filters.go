package jinja

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

func initFilters() {
	str := func(f func(r *renderer, t Text, a argValues) (any, error)) func(*renderer, any, argValues) (any, error) {
		return func(r *renderer, x any, a argValues) (any, error) {
			t, err := r.str(x)
			if err != nil {
				return nil, err
			}
			return f(r, t, a)
		}
	}
	same := func(_ *renderer, x any, _ argValues) (any, error) { return x, nil }
	end := func(last bool) func(*renderer, any, argValues) (any, error) {
		return func(r *renderer, x any, _ argValues) (any, error) {
			items, err := r.items(x)
			if err != nil || len(items) == 0 {
				return undefined("an item of an empty sequence"), err
			}
			if last {
				return items[len(items)-1], nil
			}
			return items[0], nil
		}
	}
	length := func(r *renderer, x any, _ argValues) (any, error) {
		switch v := x.(type) {
		case Text:
			return int64(utf8.RuneCountInString(v.s)), r.spend(len(v.s) / 16)
		case *List:
			return int64(len(v.Items)), nil
		case *Dict:
			return int64(len(v.keys)), nil
		case undefined:
			return int64(0), nil
		}
		return nil, r.fail("%s has no length", kindOf(x))
	}
	otherwise := func(_ *renderer, x any, a argValues) (any, error) {
		_, missing := x.(undefined)
		if missing || truth(a.get(1, "boolean")) && !truth(x) {
			if d := a.get(0, "default_value"); d != undefined("default_value") {
				return d, nil
			}
			return Text{}, nil
		}
		return x, nil
	}
	filterTable = map[string]func(r *renderer, x any, a argValues) (any, error){
		"trim":       str(textMethods["strip"]),
		"upper":      str(textMethods["upper"]),
		"lower":      str(textMethods["lower"]),
		"title":      str(changed(titleWords)),
		"capitalize": str(textMethods["capitalize"]),
		"replace":    str(replace),
		"string":     str(func(_ *renderer, t Text, _ argValues) (any, error) { return t, nil }),
		"safe":       same,
		"default":    otherwise, "d": otherwise,
		"length": length, "count": length,
		"first": end(false), "last": end(true),
		"list": func(r *renderer, x any, _ argValues) (any, error) {
			items, err := r.items(x)
			return &List{Items: slices.Clone(items)}, err
		},
		"items": func(r *renderer, x any, _ argValues) (any, error) {
			d, ok := x.(*Dict)
			if _, missing := x.(undefined); !ok && !missing {
				return nil, r.fail("%s has no items", kindOf(x))
			}
			if !ok {
				return &List{}, nil
			}
			return pairs(d), r.spend(64 * len(d.keys))
		},
		"dictsort": func(r *renderer, x any, _ argValues) (any, error) {
			d, ok := x.(*Dict)
			if !ok {
				return nil, r.fail("dictsort wants a dict")
			}
			l := pairs(d)
			slices.SortStableFunc(l.Items, func(a, b any) int {
				return strings.Compare(strings.ToLower(a.(*List).Items[0].(Text).s), strings.ToLower(b.(*List).Items[0].(Text).s))
			})
			return l, r.spend(64 * len(d.keys))
		},
		"reverse": func(r *renderer, x any, _ argValues) (any, error) {
			items, err := r.items(x)
			items = slices.Clone(items)
			slices.Reverse(items)
			if _, ok := x.(Text); ok && err == nil {
				return join(r, &List{Items: items}, Text{})
			}
			return &List{Items: items}, err
		},
		"join": func(r *renderer, x any, a argValues) (any, error) {
			sep, _ := a.get(0, "d").(Text)
			if by, ok := a.get(1, "attribute").(Text); ok {
				var err error
				if x, err = mapItems(r, x, argValues{named: map[string]any{"attribute": by}}); err != nil {
					return nil, err
				}
			}
			return join(r, x, sep)
		},
		"map":        mapItems,
		"select":     func(r *renderer, x any, a argValues) (any, error) { return sift(r, x, a, false, true) },
		"reject":     func(r *renderer, x any, a argValues) (any, error) { return sift(r, x, a, false, false) },
		"selectattr": func(r *renderer, x any, a argValues) (any, error) { return sift(r, x, a, true, true) },
		"rejectattr": func(r *renderer, x any, a argValues) (any, error) { return sift(r, x, a, true, false) },
		"indent":     str(indent),
		"tojson": func(r *renderer, x any, a argValues) (any, error) {
			n := a.int(-1, "indent", a.int(0, "indent", -1))
			if n > 16 {
				return nil, r.fail("tojson indents by at most 16")
			}
			seps := [2]string{", ", ": "}
			if n >= 0 {
				seps[0] = ","
			}
			if l, ok := a.get(-1, "separators").(*List); ok && len(l.Items) == 2 {
				seps[0], seps[1] = str2(l.Items[0]), str2(l.Items[1])
			}
			if err := r.spend(64 * weight(x)); err != nil {
				return nil, err
			}
			if n > 0 {
				if err := r.spend(n * 32 * weight(x)); err != nil {
					return nil, err
				}
			}
			var b builder
			if err := writeJSON(&b, x, n, 0, seps); err != nil {
				return nil, r.fail("%v", err)
			}
			return b.text(), nil
		},
		"int": func(_ *renderer, x any, a argValues) (any, error) {
			if t, ok := x.(Text); ok {
				if f, err := strconv.ParseFloat(strings.TrimSpace(t.s), 64); err == nil && math.Abs(f) < 1<<62 {
					return int64(f), nil
				}
			} else if f, i, whole, ok := number(x); ok && (whole || math.Abs(f) < 1<<62) {
				if whole {
					return i, nil
				}
				return int64(f), nil
			}
			return int64(a.int(0, "default", 0)), nil
		},
		"float": func(_ *renderer, x any, _ argValues) (any, error) {
			if t, ok := x.(Text); ok {
				f, err := strconv.ParseFloat(strings.TrimSpace(t.s), 64)
				if err != nil {
					f = 0
				}
				return f, nil
			}
			f, _, _, _ := number(x)
			return f, nil
		},
		"abs": func(r *renderer, x any, _ argValues) (any, error) {
			f, i, whole, ok := number(x)
			switch {
			case !ok:
				return nil, r.fail("abs wants a number")
			case whole:
				return max(i, -i), nil
			}
			return math.Abs(f), nil
		},
	}
}

func str2(v any) string { return str(v).s }

// mapItems is map(attribute=…) or map("filter", …).
func mapItems(r *renderer, x any, a argValues) (any, error) {
	items, err := r.items(x)
	if err != nil {
		return nil, err
	}
	by, byAttribute := a.get(-1, "attribute").(Text)
	var f func(*renderer, any, argValues) (any, error)
	if !byAttribute {
		n, _ := a.get(0, "").(Text)
		if f = filterTable[n.s]; f == nil || n.s == "map" {
			return nil, r.fail("map wants an attribute or a filter")
		}
		a.pos = a.pos[1:]
	}
	out := make([]any, len(items))
	for i, v := range items {
		if err := r.step(); err != nil {
			return nil, err
		}
		if byAttribute {
			out[i], err = r.item(v, by)
			if _, missing := out[i].(undefined); missing && a.named["default"] != nil {
				out[i] = a.named["default"]
			}
		} else {
			out[i], err = f(r, v, a)
		}
		if err != nil {
			return nil, err
		}
	}
	return &List{Items: out}, nil
}

// sift keeps the items, or with byAttribute those whose attribute, for which a
// test, or without one the truth, is want.
func sift(r *renderer, x any, a argValues, byAttribute, want bool) (any, error) {
	items, err := r.items(x)
	if err != nil {
		return nil, err
	}
	var by Text
	if byAttribute {
		var ok bool
		if by, ok = a.get(0, "").(Text); !ok {
			return nil, r.fail("selectattr and rejectattr want an attribute")
		}
		a.pos = a.pos[1:]
	}
	t := func(_ *renderer, v any, _ argValues) (any, error) { return truth(v), nil }
	if len(a.pos) > 0 {
		n, _ := a.pos[0].(Text)
		if t = testTable[n.s]; t == nil {
			return nil, r.fail("the test %q is not known", n.s)
		}
		a.pos = a.pos[1:]
	}
	l := &List{}
	for _, v := range items {
		if err := r.step(); err != nil {
			return nil, err
		}
		tested := v
		if byAttribute {
			if tested, err = r.item(v, by); err != nil {
				return nil, err
			}
		}
		got, err := t(r, tested, a)
		if err != nil {
			return nil, err
		}
		if truth(got) == want {
			l.Items = append(l.Items, v)
		}
	}
	return l, nil
}

func indent(r *renderer, t Text, a argValues) (any, error) {
	by := strings.Repeat(" ", max(0, min(a.int(0, "width", 4), 64)))
	if s, ok := a.get(0, "width").(Text); ok {
		by = s.s
	}
	lines := t.split("\n", -1)
	if err := r.spend(len(lines) * (64 + len(by))); err != nil {
		return nil, err
	}
	for i := range lines {
		if (i > 0 || truth(a.get(1, "first"))) && (lines[i].s != "" || truth(a.get(2, "blank"))) {
			lines[i] = concat(Plain(by), lines[i])
		}
	}
	return joinTexts(lines, Plain("\n")), nil
}

func initTests() {
	is := func(f func(x any) bool) func(*renderer, any, argValues) (any, error) {
		return func(_ *renderer, x any, _ argValues) (any, error) { return f(x), nil }
	}
	order := func(op string) func(*renderer, any, argValues) (any, error) {
		return func(r *renderer, x any, a argValues) (any, error) { return r.holds(op, x, a.get(0, "")) }
	}
	modulo := func(of func(a argValues) int64, want int64) func(*renderer, any, argValues) (any, error) {
		return func(r *renderer, x any, a argValues) (any, error) {
			_, i, whole, ok := number(x)
			n := of(a)
			if !ok || !whole || n == 0 {
				return nil, r.fail("odd, even and divisibleby want whole numbers")
			}
			return (i%n+n)%n == want, nil
		}
	}
	two := func(argValues) int64 { return 2 }
	callable := is(func(x any) bool { _, ok := x.(function); return ok })
	testTable = map[string]func(r *renderer, x any, a argValues) (any, error){
		"defined":   is(func(x any) bool { _, ok := x.(undefined); return !ok }),
		"undefined": is(func(x any) bool { _, ok := x.(undefined); return ok }),
		"none":      is(func(x any) bool { return x == nil }),
		"string":    is(func(x any) bool { _, ok := x.(Text); return ok }),
		"mapping":   is(func(x any) bool { _, ok := x.(*Dict); return ok }),
		"boolean":   is(func(x any) bool { _, ok := x.(bool); return ok }),
		"true":      is(func(x any) bool { return x == true }),
		"false":     is(func(x any) bool { return x == false }),
		"callable":  callable,
		"integer":   is(func(x any) bool { return slices.Contains([]string{"an int"}, kindOf(x)) }),
		"float":     is(func(x any) bool { _, ok := x.(float64); return ok }),
		"number":    is(func(x any) bool { _, _, _, ok := number(x); return ok }),
		"iterable": is(func(x any) bool {
			switch x.(type) {
			case Text, *List, *Dict, undefined:
				return true
			}
			return false
		}),
		"sequence": is(func(x any) bool {
			switch x.(type) {
			case Text, *List, *Dict, undefined:
				return true
			}
			return false
		}),
		"upper": is(func(x any) bool { return isUpper(str2(x)) }),
		"lower": is(func(x any) bool { return isLower(str2(x)) }),
		"eq":    order("=="), "equalto": order("=="), "ne": order("!="),
		"lt": order("<"), "le": order("<="), "gt": order(">"), "ge": order(">="),
		"lessthan": order("<"), "greaterthan": order(">"), "in": order("in"), "sameas": order("=="),
		"odd":  modulo(two, 1),
		"even": modulo(two, 0),
		"divisibleby": modulo(func(a argValues) int64 {
			_, n, _, _ := number(a.get(0, "num"))
			return max(n, -n)
		}, 0),
	}
}

// strftime writes a time by the directives that chat templates use; others stay.
func strftime(t time.Time, format string) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		plain := format[i] == '-' && i+1 < len(format)
		if plain {
			i++
		}
		layout, ok := directives[format[i]]
		switch s := t.Format(layout); {
		case format[i] == '%':
			b.WriteByte('%')
		case format[i] == 'j':
			fmt.Fprintf(&b, "%03d", t.YearDay())
		case !ok:
			b.WriteString("%" + format[i:i+1])
		case plain:
			b.WriteString(strings.TrimLeft(s[:len(s)-1], "0") + s[len(s)-1:])
		default:
			b.WriteString(s)
		}
	}
	return b.String()
}

var directives = map[byte]string{
	'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'e': "_2", 'H': "15", 'I': "03", 'M': "04", 'S': "05", 'p': "PM",
	'A': "Monday", 'a': "Mon", 'B': "January", 'b': "Jan", 'h': "Jan", 'Z': "MST", 'z': "-0700",
	'F': "2006-01-02", 'T': "15:04:05", 'D': "01/02/06", 'R': "15:04",
}
