package jinja

import (
	"fmt"
	"math"
	"strings"
)

func (r *renderer) eval(e expr, s *scope) (any, error) {
	if err := r.step(); err != nil {
		return nil, err
	}
	switch e := e.(type) {
	case constant:
		return e.v, nil
	case name:
		v, _ := r.lookup(e.s, s)
		return v, nil
	case list:
		items, err := r.evalAll(e.items, s)
		return &List{items, e.tuple}, err
	case dict:
		d := &Dict{}
		for i := range e.keys {
			k, err := r.eval(e.keys[i], s)
			if err != nil {
				return nil, err
			}
			key, ok := k.(Text)
			if !ok {
				return nil, r.fail("the keys of a dict must be strings, not %s", kindOf(k))
			}
			v, err := r.eval(e.values[i], s)
			if err != nil {
				return nil, err
			}
			d.Set(key, v)
		}
		return d, nil
	case unary:
		return r.unary(e, s)
	case binary:
		return r.binary(e, s)
	case compare:
		return r.compare(e, s)
	case cond:
		v, err := r.eval(e.test, s)
		switch {
		case err != nil:
			return nil, err
		case truth(v):
			return r.eval(e.yes, s)
		case e.no == nil:
			return undefined("the inline if without else"), nil
		}
		return r.eval(e.no, s)
	case attr:
		x, err := r.eval(e.x, s)
		if err != nil {
			return nil, err
		}
		return r.attribute(x, e.name)
	case item:
		x, err := r.eval(e.x, s)
		if err != nil {
			return nil, err
		}
		at, err := r.eval(e.at, s)
		if err != nil {
			return nil, err
		}
		return r.item(x, at)
	case slice:
		return r.slice(e, s)
	case call:
		f, err := r.eval(e.f, s)
		if err != nil {
			return nil, err
		}
		fn, ok := f.(function)
		if !ok {
			return nil, r.fail("%s cannot be called", kindOf(f))
		}
		a, err := r.args(e.args, s)
		if err != nil {
			return nil, err
		}
		return fn(r, a)
	case filter:
		x, err := r.eval(e.x, s)
		if err != nil {
			return nil, err
		}
		a, err := r.args(e.args, s)
		if err != nil {
			return nil, err
		}
		return filterTable[e.name](r, x, a)
	case test:
		x, err := r.eval(e.x, s)
		if err != nil {
			return nil, err
		}
		a, err := r.args(e.args, s)
		if err != nil {
			return nil, err
		}
		return testTable[e.name](r, x, a)
	}
	return nil, r.fail("unknown expression")
}

func (r *renderer) evalAll(es []expr, s *scope) ([]any, error) {
	out := make([]any, len(es))
	for i, e := range es {
		v, err := r.eval(e, s)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

func (r *renderer) args(a args, s *scope) (out argValues, err error) {
	if out.pos, err = r.evalAll(a.pos, s); err != nil || len(a.names) == 0 {
		return out, err
	}
	out.named = map[string]any{}
	for i, n := range a.names {
		if out.named[n], err = r.eval(a.named[i], s); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (r *renderer) unary(e unary, s *scope) (any, error) {
	x, err := r.eval(e.x, s)
	if err != nil {
		return nil, err
	}
	if e.op == "not" {
		return !truth(x), nil
	}
	f, i, whole, ok := number(x)
	switch {
	case !ok:
		return nil, r.fail("%s has no sign", kindOf(x))
	case e.op == "+" && whole:
		return i, nil
	case e.op == "+":
		return f, nil
	case whole:
		return -i, nil
	}
	return -f, nil
}

func (r *renderer) binary(e binary, s *scope) (any, error) {
	x, err := r.eval(e.x, s)
	if err != nil || e.op == "and" && !truth(x) || e.op == "or" && truth(x) {
		return x, err
	}
	y, err := r.eval(e.y, s)
	if err != nil || e.op == "and" || e.op == "or" {
		return y, err
	}
	a, isText := x.(Text)
	b, bothText := y.(Text)
	switch {
	case e.op == "~":
		if a, err = r.str(x); err != nil {
			return nil, err
		}
		if b, err = r.str(y); err != nil {
			return nil, err
		}
		return concat(a, b), nil
	case e.op == "+" && isText && bothText:
		if err := r.spend(len(a.s) + len(b.s)); err != nil {
			return nil, err
		}
		return concat(a, b), nil
	case e.op == "+":
		if l, ok := x.(*List); ok {
			if m, ok := y.(*List); ok && l.tuple == m.tuple {
				if err := r.spend(16 * (len(l.Items) + len(m.Items))); err != nil {
					return nil, err
				}
				return &List{append(append([]any{}, l.Items...), m.Items...), l.tuple}, nil
			}
		}
	case e.op == "*":
		if _, n, whole, ok := number(y); isText && ok && whole {
			if n = max(n, 0); n > maxBytes || len(a.s) > 0 && r.spend(len(a.s)*int(min(n, maxBytes/int64(len(a.s))+1))) != nil {
				return nil, r.wrap(ErrBudget)
			}
			return a.with(strings.Repeat(a.s, int(n))), nil
		}
	}
	return r.arithmetic(e.op, x, y)
}

func (r *renderer) arithmetic(op string, x, y any) (any, error) {
	f, i, wholeX, okX := number(x)
	g, j, wholeY, okY := number(y)
	if !okX || !okY {
		return nil, r.fail("%s cannot be applied to %s and %s", op, kindOf(x), kindOf(y))
	}
	if (op == "/" || op == "//" || op == "%") && g == 0 {
		return nil, r.fail("division by zero")
	}
	if wholeX && wholeY {
		switch op {
		case "+":
			return i + j, nil
		case "-":
			return i - j, nil
		case "*":
			return i * j, nil
		case "//", "%":
			q, m := i/j, i%j
			if m != 0 && (m < 0) != (j < 0) { // Python rounds down
				q, m = q-1, m+j
			}
			if op == "//" {
				return q, nil
			}
			return m, nil
		case "**":
			if p := math.Pow(f, g); j >= 0 && math.Abs(p) < 1<<53 {
				return int64(p), nil
			}
		}
	}
	switch op {
	case "+":
		return f + g, nil
	case "-":
		return f - g, nil
	case "*":
		return f * g, nil
	case "/":
		return f / g, nil
	case "//":
		return math.Floor(f / g), nil
	case "%":
		return f - g*math.Floor(f/g), nil
	}
	return math.Pow(f, g), nil
}

func (r *renderer) compare(e compare, s *scope) (any, error) {
	x, err := r.eval(e.x, s)
	if err != nil {
		return nil, err
	}
	for i, op := range e.ops {
		y, err := r.eval(e.ys[i], s)
		if err != nil {
			return nil, err
		}
		holds, err := r.holds(op, x, y)
		if err != nil || !holds {
			return false, err
		}
		x = y
	}
	return true, nil
}

func (r *renderer) holds(op string, x, y any) (bool, error) {
	switch op {
	case "==", "!=":
		if err := r.spend(64 * weight(x)); err != nil {
			return false, err
		}
		return equal(x, y, 0) == (op == "=="), nil
	case "in", "not in":
		in, err := r.in(x, y)
		return in == (op == "in"), err
	}
	order := 0
	a, okA := x.(Text)
	b, okB := y.(Text)
	f, _, _, okF := number(x)
	g, _, _, okG := number(y)
	switch {
	case okA && okB:
		order = strings.Compare(a.s, b.s)
	case !okF || !okG:
		return false, r.fail("%s cannot be compared with %s", kindOf(x), kindOf(y))
	case f < g:
		order = -1
	case f > g:
		order = 1
	}
	switch op {
	case "<":
		return order < 0, nil
	case "<=":
		return order <= 0, nil
	case ">":
		return order > 0, nil
	}
	return order >= 0, nil
}

func (r *renderer) in(x, y any) (bool, error) {
	switch y := y.(type) {
	case undefined:
		return false, nil
	case Text:
		t, ok := x.(Text)
		if !ok {
			return false, r.fail("%s cannot be in a string", kindOf(x))
		}
		return strings.Contains(y.s, t.s), r.spend(len(y.s) / 16)
	case *Dict:
		t, ok := x.(Text)
		if !ok {
			return false, nil
		}
		_, ok = y.get(t.s)
		return ok, nil
	case *List:
		for _, v := range y.Items {
			if err := r.spend(64 * weight(v)); err != nil {
				return false, err
			}
			if equal(x, v, 0) {
				return true, nil
			}
		}
		return false, nil
	}
	return false, r.fail("%s holds nothing", kindOf(y))
}

// attribute is x.name: a method, or else an item.
func (r *renderer) attribute(x any, name string) (any, error) {
	switch v := x.(type) {
	case undefined:
		return nil, r.fail("%q is undefined and has no attribute %q", string(v), name)
	case *namespace:
		if got, ok := v.vars[name]; ok {
			return got, nil
		}
	case *loop:
		return v.attribute(name), nil
	case Text, *Dict, *List:
		if m := method(x, name); m != nil {
			return m, nil
		}
		if d, ok := x.(*Dict); ok {
			if got, ok := d.get(name); ok {
				return got, nil
			}
		}
	}
	return undefined(name), nil
}

func (r *renderer) item(x, at any) (any, error) {
	_, i, whole, isNumber := number(at)
	key, isText := at.(Text)
	switch v := x.(type) {
	case undefined:
		return nil, r.fail("%q is undefined and has no items", string(v))
	case *Dict:
		if isText {
			if got, ok := v.get(key.s); ok {
				return got, nil
			}
		}
	case *List:
		if isNumber && whole {
			if i < 0 {
				i += int64(len(v.Items))
			}
			if i >= 0 && i < int64(len(v.Items)) {
				return v.Items[i], nil
			}
			return undefined("an item of a list"), nil
		}
	case Text:
		if isNumber && whole {
			runes, err := r.items(v)
			if i < 0 {
				i += int64(len(runes))
			}
			if err == nil && i >= 0 && i < int64(len(runes)) {
				return runes[i], nil
			}
			return undefined("a character of a string"), err
		}
	}
	if isText {
		return r.attribute(x, key.s)
	}
	return undefined("an item"), nil
}

func (r *renderer) slice(e slice, s *scope) (any, error) {
	x, err := r.eval(e.x, s)
	if err != nil {
		return nil, err
	}
	bounds := [3]*int64{}
	for i, b := range []expr{e.from, e.to, e.step} {
		if b == nil {
			continue
		}
		v, err := r.eval(b, s)
		if err != nil {
			return nil, err
		}
		_, n, whole, ok := number(v)
		if v != nil && (!ok || !whole) {
			return nil, r.fail("a slice cannot begin, end or step at %s", kindOf(v))
		}
		if v != nil {
			bounds[i] = &n
		}
	}
	items, err := r.items(x)
	if err != nil {
		return nil, err
	}
	if _, ok := x.(*Dict); ok {
		return nil, r.fail("a dict cannot be sliced")
	}
	picked, err := pick(items, bounds)
	if err != nil {
		return nil, r.fail("%v", err)
	}
	if _, ok := x.(Text); ok {
		var b builder
		for _, c := range picked {
			b.add(c.(Text))
		}
		return b.text(), nil
	}
	l, ok := x.(*List)
	return &List{picked, ok && l.tuple}, r.spend(16 * len(picked))
}

// pick is items[from:to:step].
func pick(items []any, bounds [3]*int64) ([]any, error) {
	n, step := int64(len(items)), int64(1)
	if bounds[2] != nil {
		step = *bounds[2]
	}
	if step == 0 {
		return nil, fmt.Errorf("a slice cannot step by zero")
	}
	low, high := int64(0), n // where an index may lie
	from, to := low, high
	if step < 0 {
		low, high = -1, n-1
		from, to = high, low
	}
	at := func(p *int64, otherwise int64) int64 {
		if p == nil {
			return otherwise
		}
		i := *p
		if i < 0 {
			i += n
		}
		return max(low, min(i, high))
	}
	from, to = at(bounds[0], from), at(bounds[1], to)
	var out []any
	step = max(-n-1, min(step, n+1))
	for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
		out = append(out, items[i])
	}
	return out, nil
}
