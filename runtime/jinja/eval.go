package jinja

import (
	"context"
	"time"
	"unicode/utf8"
)

// A renderer runs one template once.
type renderer struct {
	ctx     context.Context //nolint:containedctx // it lives as long as the call
	now     time.Time
	globals map[string]any
	out     *builder
	line    int
	steps   int
	bytes   int
	calls   int
}

// A scope holds what was set; a loop's body and a macro have their own.
type scope struct {
	vars   map[string]any
	parent *scope
}

func (s *scope) get(name string) (any, bool) {
	for ; s != nil; s = s.parent {
		if v, ok := s.vars[name]; ok {
			return v, true
		}
	}
	return nil, false
}

var (
	errBreak    = &Error{Msg: "break"}
	errContinue = &Error{Msg: "continue"}
)

// step counts one evaluation.
func (r *renderer) step() error {
	if r.steps++; r.steps > maxSteps {
		return r.wrap(ErrBudget)
	}
	if r.steps%1024 == 0 && r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	return nil
}

// spend counts n bytes of a string about to be made.
func (r *renderer) spend(n int) error {
	if n < 0 || n > maxBytes || r.bytes+n > maxBytes {
		return r.wrap(ErrBudget)
	}
	r.bytes += n
	return nil
}

func (r *renderer) run(nodes []node, s *scope) error {
	for _, n := range nodes {
		if err := r.step(); err != nil {
			return err
		}
		if err := r.exec(n, s); err != nil {
			return err
		}
	}
	return nil
}

func (r *renderer) exec(n node, s *scope) error {
	switch n := n.(type) {
	case text:
		if err := r.spend(len(n.s)); err != nil {
			return err
		}
		r.out.plain(n.s)
	case output:
		r.line = n.line
		v, err := r.eval(n.e, s)
		if err != nil {
			return err
		}
		t, err := r.str(v)
		if err != nil {
			return err
		}
		r.out.add(t)
	case ifStmt:
		for i, c := range n.conds {
			r.line = n.line
			v, err := r.eval(c, s)
			if err != nil {
				return err
			}
			if truth(v) {
				return r.run(n.then[i], s)
			}
		}
		return r.run(n.then[len(n.conds)], s)
	case forStmt:
		return r.loop(n, s)
	case setStmt:
		return r.set(n, s)
	case macroStmt:
		s.vars[n.name] = r.macro(n, s)
	case flow:
		if n.stop {
			return errBreak
		}
		return errContinue
	}
	return nil
}

// str is str(v), counted.
func (r *renderer) str(v any) (Text, error) {
	if _, ok := v.(Text); !ok {
		if err := r.spend(64 * weight(v)); err != nil {
			return Text{}, err
		}
	}
	t := str(v)
	return t, r.spend(len(t.s))
}

// weight is a bound, within a factor, on what writing v takes. A value may
// hold another many times over, so it stops counting at what no budget allows.
func weight(v any) int {
	left := maxBytes / 64
	weigh(v, 0, &left)
	return maxBytes/64 - left
}

func weigh(v any, depth int, left *int) {
	if *left--; *left < 0 || depth > 2*maxJSONDepth {
		*left = -1
		return
	}
	switch v := v.(type) {
	case Text:
		*left -= len(v.s) / 16
	case *List:
		for i := 0; i < len(v.Items) && *left >= 0; i++ {
			weigh(v.Items[i], depth+1, left)
		}
	case *Dict:
		for i := 0; i < len(v.keys) && *left >= 0; i++ {
			*left -= len(v.keys[i].s) / 16
			weigh(v.values[i], depth+1, left)
		}
	}
}

func (r *renderer) loop(n forStmt, s *scope) error {
	r.line = n.line
	v, err := r.eval(n.in, s)
	if err != nil {
		return err
	}
	all, err := r.items(v)
	if err != nil {
		return err
	}
	items := all
	if n.cond != nil {
		items = nil
		for _, x := range all {
			inner := &scope{map[string]any{}, s}
			if err := r.assign(n.targets, x, inner); err != nil {
				return err
			}
			keep, err := r.eval(n.cond, inner)
			if err != nil {
				return err
			}
			if truth(keep) {
				items = append(items, x)
			}
		}
	}
	if len(items) == 0 {
		return r.run(n.orElse, s)
	}
	for i, x := range items {
		if err := r.step(); err != nil {
			return err
		}
		inner := &scope{map[string]any{"loop": &loop{items, i}}, s}
		if err := r.assign(n.targets, x, inner); err != nil {
			return err
		}
		switch err := r.run(n.body, inner); err {
		case nil, errContinue:
		case errBreak:
			return nil
		default:
			return err
		}
	}
	return nil
}

// items is list(v).
func (r *renderer) items(v any) ([]any, error) {
	switch v := v.(type) {
	case undefined:
		return nil, nil
	case *List:
		return v.Items, nil
	case *Dict:
		out := make([]any, len(v.keys))
		for i, k := range v.keys {
			out[i] = k
		}
		return out, r.spend(16 * len(out))
	case Text:
		if err := r.spend(64 * len(v.s)); err != nil {
			return nil, err
		}
		var out []any
		for i := 0; i < len(v.s); {
			_, n := utf8.DecodeRuneInString(v.s[i:])
			out = append(out, v.slice(i, i+n))
			i += n
		}
		return out, nil
	}
	return nil, r.fail("%s cannot be iterated over", kindOf(v))
}

// assign sets one name, or unpacks v into several.
func (r *renderer) assign(targets []string, v any, s *scope) error {
	if len(targets) == 1 {
		s.vars[targets[0]] = v
		return nil
	}
	items, err := r.items(v)
	if err != nil {
		return err
	}
	if len(items) != len(targets) {
		return r.fail("%d values cannot be unpacked into %d names", len(items), len(targets))
	}
	for i, t := range targets {
		s.vars[t] = items[i]
	}
	return nil
}

func (r *renderer) set(n setStmt, s *scope) error {
	r.line = n.line
	var v any
	var err error
	if n.value != nil {
		v, err = r.eval(n.value, s)
	} else {
		v, err = r.capture(n.body, &scope{map[string]any{}, s})
	}
	if err != nil {
		return err
	}
	if n.attr == "" {
		return r.assign(n.targets, v, s)
	}
	target, _ := r.lookup(n.targets[0], s)
	ns, ok := target.(*namespace)
	if !ok {
		return r.fail("only attributes of a namespace can be set, and %s is none", n.targets[0])
	}
	ns.vars[n.attr] = v
	return nil
}

// capture runs nodes and returns what they write.
func (r *renderer) capture(nodes []node, s *scope) (Text, error) {
	before := r.out
	var b builder
	r.out = &b
	err := r.run(nodes, s)
	r.out = before
	return b.text(), err
}

func (r *renderer) macro(n macroStmt, outer *scope) function {
	return func(r *renderer, a argValues) (any, error) {
		if r.calls++; r.calls > maxCalls {
			return nil, r.wrap(ErrBudget)
		}
		defer func() { r.calls-- }()
		if len(a.pos) > len(n.params) {
			return nil, r.fail("macro %s takes %d arguments, not %d", n.name, len(n.params), len(a.pos))
		}
		s := &scope{map[string]any{}, outer}
		for i, p := range n.params {
			v, named := a.named[p]
			switch d := i - (len(n.params) - len(n.defaults)); {
			case i < len(a.pos):
				v = a.pos[i]
			case named:
			case d >= 0:
				var err error
				if v, err = r.eval(n.defaults[d], s); err != nil {
					return nil, err
				}
			default:
				v = undefined(p)
			}
			s.vars[p] = v
		}
		line := r.line
		t, err := r.capture(n.body, s)
		if err == nil {
			r.line = line
		}
		return t, err
	}
}

func (r *renderer) lookup(name string, s *scope) (any, bool) {
	if v, ok := s.get(name); ok {
		return v, true
	}
	if v, ok := r.globals[name]; ok {
		return v, true
	}
	if f, ok := globalTable[name]; ok {
		return f, true
	}
	return undefined(name), false
}
