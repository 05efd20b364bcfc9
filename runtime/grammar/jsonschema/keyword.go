package jsonschema

import (
	"math/big"

	"github.com/sluice-ai/sluice/runtime/grammar/automaton"
)

var typeNames = map[string]typeset{
	"null": tNull, "boolean": tBool, "number": tNumber, "integer": tNumber,
	"string": tString, "array": tArray, "object": tObject,
}

// ranges are the formats of OpenAPI that bound integers.
var ranges = map[string]uint{"int32": 31, "int64": 63}

// silent are formats that say nothing about what is valid.
var silent = map[string]bool{"float": true, "double": true, "password": true, "binary": true, "byte": true}

// keyword reads keyword k of s, whose object is o.
func (p *parser) keyword(s *schema, o *object, k string, v any) {
	ptr := s.ptr + "/" + escapePointer(k)
	switch k {
	case "$ref":
		ref, ok := v.(string)
		if !ok {
			p.refuse(ptr, "must be a reference")
			return
		}
		target, at, err := p.find(p.bases[o], ref)
		if err != nil {
			p.refuse(ptr, "%v", err)
			return
		}
		s.ref = p.schema(target, at)
	case "type":
		p.types(s, v, ptr)
	case "enum":
		list, ok := v.([]any)
		if !ok {
			p.refuse(ptr, "must be a list")
			return
		}
		p.values(s, list)
	case "const":
		p.values(s, []any{v})
	case "allOf":
		s.all = append(s.all, p.list(v, ptr)...)
	case "anyOf":
		s.any = p.list(v, ptr)
	case "oneOf":
		s.one = p.list(v, ptr)
	case "not":
		s.not = p.schema(v, ptr)
	case "if":
		s.cond = p.schema(v, ptr)
		if t, ok := o.member["then"]; ok {
			s.then = p.schema(t, s.ptr+"/then")
		}
		if t, ok := o.member["else"]; ok {
			s.other = p.schema(t, s.ptr+"/else")
		}
	case "minimum":
		p.lower(s, p.rat(v, ptr), false)
	case "maximum":
		p.upper(s, p.rat(v, ptr), false)
	case "exclusiveMinimum":
		if open, ok := v.(bool); ok { // draft-04
			s.openMin = s.openMin || open
			return
		}
		p.lower(s, p.rat(v, ptr), true)
	case "exclusiveMaximum":
		if open, ok := v.(bool); ok {
			s.openMax = s.openMax || open
			return
		}
		p.upper(s, p.rat(v, ptr), true)
	case "multipleOf":
		s.multipleOf = p.rat(v, ptr)
		if s.multipleOf != nil && s.multipleOf.Sign() <= 0 {
			p.refuse(ptr, "must be greater than 0")
		}
	case "minLength":
		s.minLen = p.size(v, ptr)
	case "maxLength":
		s.maxLen = p.size(v, ptr)
	case "pattern":
		s.pattern = p.regex(v, ptr)
	case "format":
		p.format(s, v, ptr)
	default:
		p.container(s, o, k, v, ptr)
	}
}

// container reads the keywords of arrays and objects.
func (p *parser) container(s *schema, o *object, k string, v any, ptr string) {
	switch k {
	case "items":
		if _, ok := v.([]any); ok { // draft-07
			s.prefix = p.list(v, ptr)
			if more, ok := o.member["additionalItems"]; ok {
				s.items = p.schema(more, s.ptr+"/additionalItems")
			}
			return
		}
		s.items = p.schema(v, ptr)
	case "prefixItems":
		s.prefix = p.list(v, ptr)
	case "minItems":
		s.minItems = p.size(v, ptr)
	case "maxItems":
		s.maxItems = p.size(v, ptr)
	case "uniqueItems":
		s.unique, _ = v.(bool)
	case "contains":
		s.contains = p.schema(v, ptr)
		if n, ok := o.member["minContains"]; ok {
			s.minContains = p.size(n, s.ptr+"/minContains")
		}
		if n, ok := o.member["maxContains"]; ok {
			s.maxContains = p.size(n, s.ptr+"/maxContains")
		}
	case "unevaluatedItems":
		s.restItems = p.schema(v, ptr)
	case "properties":
		p.each(v, ptr, func(name string, v any, ptr string) {
			s.props = append(s.props, property{name, p.schema(v, ptr)})
		})
	case "patternProperties":
		p.each(v, ptr, func(name string, v any, ptr string) {
			s.patterns = append(s.patterns, patternProperty{p.regex(name, ptr), p.schema(v, ptr)})
		})
	case "additionalProperties":
		s.additional = p.schema(v, ptr)
	case "unevaluatedProperties":
		s.restProps = p.schema(v, ptr)
	case "propertyNames":
		s.names = p.schema(v, ptr)
	case "required":
		if _, ok := v.(bool); ok {
			p.refuse(ptr, "must be a list of names")
			return
		}
		s.required = p.strings(v, ptr)
	case "minProperties":
		s.minProps = p.size(v, ptr)
	case "maxProperties":
		s.maxProps = p.size(v, ptr)
	case "dependentRequired", "dependentSchemas", "dependencies":
		p.each(v, ptr, func(name string, v any, ptr string) {
			if _, ok := v.([]any); ok && k != "dependentSchemas" {
				s.needs = append(s.needs, dependency{name: name, required: p.strings(v, ptr)})
				return
			}
			s.needs = append(s.needs, dependency{name: name, schema: p.schema(v, ptr)})
		})
	default:
		if len(k) > 2 && k[:2] == "x-" || p.lenient {
			return
		}
		p.refuse(ptr, "the keyword is not supported")
	}
}

func (p *parser) types(s *schema, v any, ptr string) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	s.types = 0
	whole, all := false, false
	for _, e := range list {
		name, _ := e.(string)
		t, ok := typeNames[name]
		if !ok {
			p.refuse(ptr, "must name types of JSON")
			return
		}
		s.types |= t
		whole = whole || name == "integer"
		all = all || name == "number"
	}
	s.integer = whole && !all
}

// values adds the condition to be one of list.
func (p *parser) values(s *schema, list []any) {
	if s.hasE { // both enum and const
		var both []any
		for _, v := range s.enum {
			for _, w := range list {
				if equal(v, w) {
					both = append(both, v)
					break
				}
			}
		}
		list = both
	}
	s.enum, s.hasE = list, true
}

func (p *parser) lower(s *schema, x *big.Rat, open bool) {
	if x == nil {
		return
	}
	if s.min != nil {
		switch c := x.Cmp(s.min); {
		case c < 0:
			return
		case c == 0:
			open = open || s.openMin
		}
	}
	s.min, s.openMin = x, open || s.min == nil && s.openMin
}

func (p *parser) upper(s *schema, x *big.Rat, open bool) {
	if x == nil {
		return
	}
	if s.max != nil {
		switch c := x.Cmp(s.max); {
		case c > 0:
			return
		case c == 0:
			open = open || s.openMax
		}
	}
	s.max, s.openMax = x, open || s.max == nil && s.openMax
}

func (p *parser) format(s *schema, v any, ptr string) {
	name, ok := v.(string)
	if !ok {
		p.refuse(ptr, "must be a name")
		return
	}
	if bits, ok := ranges[name]; ok {
		// An allOf, so that it binds numbers only.
		top := new(big.Rat).SetInt(new(big.Int).Lsh(big.NewInt(1), bits))
		p.count++
		r := &schema{id: p.count, ptr: ptr, types: tAll, maxLen: -1, maxItems: -1, maxProps: -1, minContains: 1, maxContains: -1}
		r.min, r.max, r.openMax = new(big.Rat).Neg(top), top, true
		s.all = append(s.all, r)
		return
	}
	if silent[name] {
		return
	}
	if _, ok := automaton.FormatOf(name); !ok {
		if !p.lenient {
			p.refuse(ptr, "the format is not supported; those that are: %s", automaton.Formats())
		}
		return
	}
	s.format = name
}
