package jsonschema

import (
	"errors"
	"slices"
)

// denied returns the shapes of what does not satisfy s: for each of its keywords,
// what breaks that keyword. It fails with errNegate if a keyword's negation is no
// shape.
func (c *compiler) denied(s *schema) ([]*shape, error) {
	if s.always != nil {
		if *s.always {
			return nil, nil
		}
		return []*shape{anyShape()}, nil
	}
	switch {
	case s.multipleOf != nil, s.format != "", s.aboutArrays(), s.contains != nil, s.unique,
		len(s.patterns) > 0, s.additional != nil, s.names != nil, s.restProps != nil, s.restItems != nil,
		len(s.one) > 0, s.cond != nil, len(s.needs) > 0:
		return nil, errNegate
	}
	var out []*shape
	// breaks adds a way to break s.
	breaks := func(types typeset, f func(*shape)) {
		m := anyShape()
		m.types = types
		if f != nil {
			f(m)
		}
		if m.prune(); m.types != 0 {
			out = append(out, m)
		}
	}
	if s.types != tAll {
		breaks(tAll&^s.types, nil)
	}
	if s.integer {
		return nil, errNegate // numbers that are not whole
	}
	if s.hasE {
		breaks(tAll, func(m *shape) {
			for _, v := range s.enum {
				m.not = append(m.not, notValue{v, s.ptr})
			}
		})
	}
	if s.min != nil {
		breaks(tNumber, func(m *shape) { m.num.Max, m.num.OpenMax = s.min, !s.openMin })
	}
	if s.max != nil {
		breaks(tNumber, func(m *shape) { m.num.Min, m.num.OpenMin = s.max, !s.openMax })
	}
	if s.minLen > 0 {
		breaks(tString, func(m *shape) { m.maxLen = s.minLen - 1 })
	}
	if s.maxLen >= 0 {
		breaks(tString, func(m *shape) { m.minLen = s.maxLen + 1 })
	}
	if s.pattern != nil {
		breaks(tString, func(m *shape) { m.langs = []language{{s.pattern.Complement(), s.ptr + "/pattern"}} })
	}
	if s.minItems > 0 {
		breaks(tArray, func(m *shape) { m.maxItems = s.minItems - 1 })
	}
	if s.maxItems >= 0 {
		breaks(tArray, func(m *shape) { m.minItems = s.maxItems + 1 })
	}
	if s.minProps > 0 {
		breaks(tObject, func(m *shape) { m.maxProps = s.minProps - 1 })
	}
	if s.maxProps >= 0 {
		breaks(tObject, func(m *shape) { m.minProps, m.minPropsPtr = s.maxProps+1, s.ptr+"/maxProperties" })
	}
	for _, r := range s.required {
		breaks(tObject, func(m *shape) { m.forbidden = map[string]bool{r: true} })
	}
	for _, p := range s.props {
		if p.schema.isTrue() {
			continue
		}
		breaks(tObject, func(m *shape) {
			m.required = []string{p.name}
			m.must = map[string]goal{p.name: {{p.schema, true}}}
		})
	}
	return c.deniedCombined(s, out)
}

func (c *compiler) deniedCombined(s *schema, out []*shape) ([]*shape, error) {
	or := func(l literal) error {
		more, err := c.shapesOf(l)
		out = append(out, more...)
		if err == nil && len(out) > maxShapes {
			err = errLarge
		}
		return err
	}
	var errs error
	if s.ref != nil {
		errs = errors.Join(errs, or(literal{s.ref, true}))
	}
	for _, sub := range s.all {
		errs = errors.Join(errs, or(literal{sub, true}))
	}
	if s.not != nil {
		errs = errors.Join(errs, or(literal{s.not, false}))
	}
	if s.any != nil && errs == nil {
		none := []*shape{anyShape()}
		for _, sub := range s.any {
			more, err := c.shapesOf(literal{sub, true})
			if err == nil {
				none, err = c.cross(none, more)
			}
			if err != nil {
				return nil, err
			}
		}
		out = append(slices.Clip(out), none...)
	}
	return out, errs
}
