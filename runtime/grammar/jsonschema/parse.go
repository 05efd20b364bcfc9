package jsonschema

import (
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-ai/sluice/runtime/grammar/automaton"
)

// An UnsupportedError names a keyword that cannot be honoured.
type UnsupportedError struct {
	Pointer string // JSON pointer to the keyword
	Reason  string
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("the schema at %q: %s", "#"+e.Pointer, e.Reason)
}

// annotations are keywords that say nothing about what is valid.
var annotations = map[string]bool{
	"title": true, "description": true, "default": true, "examples": true, "example": true, "deprecated": true,
	"readOnly": true, "writeOnly": true, "$comment": true, "$schema": true, "$id": true, "id": true, "$anchor": true,
	"$dynamicAnchor": true, "$defs": true, "definitions": true, "$vocabulary": true,
	"contentMediaType": true, "contentEncoding": true, "contentSchema": true, "discriminator": true,
	// These speak only through their neighbours.
	"then": true, "else": true, "minContains": true, "maxContains": true, "additionalItems": true,
}

// A parser reads the schemas of one document.
type parser struct {
	root    any
	legacy  bool // $ref hides what stands beside it, as up to draft-07
	lenient bool // unknown keywords say nothing
	reading bool // no grammar will be made: a pattern that is no regular language goes unchecked

	ids     map[string]any     // by URI without fragment
	anchors map[string]any     // by URI with fragment
	bases   map[*object]string // base URI of every object
	ptrs    map[*object]string

	done  map[*object]*schema
	count int
	errs  []error
	langs map[string]*automaton.Language
	work  *int // left for patterns
}

const maxSchemas = 20_000

func (p *parser) refuse(ptr, format string, args ...any) {
	if len(p.errs) < 20 {
		p.errs = append(p.errs, &UnsupportedError{ptr, fmt.Sprintf(format, args...)})
	}
}

// parseDocument reads a schema document.
func parseDocument(data []byte, o Options, reading bool) (*parser, *schema, error) {
	if len(data) > maxSchemaBytes {
		return nil, nil, fmt.Errorf("the schema is larger than %d bytes", maxSchemaBytes)
	}
	root, err := decode(data)
	if err != nil {
		return nil, nil, fmt.Errorf("the schema is no JSON: %w", err)
	}
	p := &parser{
		root: root, lenient: o.IgnoreUnknown, reading: reading,
		ids: map[string]any{}, anchors: map[string]any{}, bases: map[*object]string{}, ptrs: map[*object]string{},
		done: map[*object]*schema{}, langs: map[string]*automaton.Language{}, work: o.Work,
	}
	if p.work == nil {
		p.work = new(automaton.MaxWork)
	}
	if o, ok := root.(*object); ok {
		if uri, ok := o.member["$schema"].(string); ok {
			if !strings.Contains(uri, "json-schema.org/") {
				return nil, nil, &UnsupportedError{"/$schema", "the dialect is not supported"}
			}
			p.legacy = strings.Contains(uri, "draft-07") || strings.Contains(uri, "draft-06") || strings.Contains(uri, "draft-04")
		}
	}
	p.ids[""] = root
	p.index(root, "", "")
	s := p.schema(root, "")
	if len(p.errs) > 0 {
		return nil, nil, errors.Join(p.errs...)
	}
	return p, s, nil
}

// textBytes is what is kept for a byte of a schema's text, at a guess.
const textBytes = 8

// bytes returns about how many bytes is kept of a schema of so many bytes of text.
func (p *parser) bytes(text int) int64 {
	n := textBytes * int64(text)
	for _, l := range p.langs {
		n += l.Size()
	}
	return n
}

// index notes where identifiers are, below v.
func (p *parser) index(v any, ptr, base string) {
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			p.index(e, ptr+"/"+strconv.Itoa(i), base)
		}
	case *object:
		if id, ok := v.member["$id"].(string); ok && !(p.legacy && v.member["$ref"] != nil) {
			if uri := resolve(base, id); !strings.HasPrefix(id, "#") {
				base = strings.TrimSuffix(uri, "#")
				p.ids[base] = v
			} else {
				p.anchors[uri] = v // draft-07's way to write an anchor
			}
		}
		for _, k := range []string{"$anchor", "$dynamicAnchor"} {
			if a, ok := v.member[k].(string); ok {
				p.anchors[base+"#"+a] = v
			}
		}
		p.bases[v], p.ptrs[v] = base, ptr
		for _, k := range v.keys {
			if k != "enum" && k != "const" && k != "default" && k != "examples" {
				p.index(v.member[k], ptr+"/"+escapePointer(k), base)
			}
		}
	}
}

func escapePointer(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "~", "~0"), "/", "~1")
}

func resolve(base, ref string) string {
	b, err := url.Parse(base)
	if err != nil {
		return ref
	}
	r, err := url.Parse(ref)
	if err != nil {
		return ref
	}
	if base == "" {
		return ref
	}
	return b.ResolveReference(r).String()
}

// find returns what a $ref in a schema with that base means, and its pointer.
func (p *parser) find(base, ref string) (v any, ptr string, err error) {
	uri := resolve(base, ref)
	if strings.HasPrefix(ref, "#") {
		uri = base + ref
	}
	doc, fragment, _ := strings.Cut(uri, "#")
	if v, ok := p.anchors[doc+"#"+fragment]; ok {
		return v, p.ptrs[v.(*object)], nil
	}
	v, ok := p.ids[doc]
	if !ok {
		return nil, "", errors.New("refers to another document")
	}
	if o, ok := v.(*object); ok {
		ptr = p.ptrs[o]
	}
	if fragment == "" {
		return v, ptr, nil
	}
	if fragment, err = url.PathUnescape(fragment); err != nil || !strings.HasPrefix(fragment, "/") {
		return nil, "", errors.New("refers to nothing in the schema")
	}
	for step := range strings.SplitSeq(fragment[1:], "/") {
		step = strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")
		switch at := v.(type) {
		case *object:
			if v, ok = at.member[step]; !ok {
				return nil, "", errors.New("refers to nothing in the schema")
			}
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(at) {
				return nil, "", errors.New("refers to nothing in the schema")
			}
			v = at[i]
		default:
			return nil, "", errors.New("refers to nothing in the schema")
		}
		ptr += "/" + escapePointer(step)
	}
	return v, ptr, nil
}

// schema reads the schema v at ptr.
func (p *parser) schema(v any, ptr string) *schema {
	s := &schema{ptr: ptr, types: tAll, maxLen: -1, maxItems: -1, maxProps: -1, minContains: 1, maxContains: -1}
	switch v := v.(type) {
	case bool:
		s.always = &v
	case *object:
		if old, ok := p.done[v]; ok {
			return old
		}
		p.done[v] = s
		defer func() {
			if s.ref == nil && !slices.ContainsFunc(v.keys, func(k string) bool { return !annotations[k] }) {
				yes := true
				s.always = &yes
			}
		}()
	default:
		p.refuse(ptr, "a schema is an object or a boolean")
		return s
	}
	p.count++
	s.id = p.count
	if p.count > maxSchemas {
		if p.count == maxSchemas+1 {
			p.refuse(ptr, "more than %d schemas", maxSchemas)
		}
		return s
	}
	o, ok := v.(*object)
	if !ok {
		return s
	}
	if ref, ok := o.member["$ref"]; ok && p.legacy {
		p.keyword(s, o, "$ref", ref)
		return s
	}
	for _, k := range o.keys {
		if !annotations[k] {
			p.keyword(s, o, k, o.member[k])
		}
	}
	if d, ok := o.member["default"]; ok {
		s.def, s.hasDef = d, true
	}
	if s.maxContains >= 0 && s.contains == nil {
		s.maxContains = -1
	}
	return s
}

func (p *parser) rat(v any, ptr string) *big.Rat {
	n, ok := v.(*number)
	if !ok {
		p.refuse(ptr, "must be a number")
		return nil
	}
	return n.rat
}

func (p *parser) size(v any, ptr string) int {
	n, ok := v.(*number)
	if !ok || !n.rat.IsInt() || n.rat.Sign() < 0 {
		p.refuse(ptr, "must be a whole number that is not negative")
		return 0
	}
	if !n.rat.Num().IsInt64() || n.rat.Num().Int64() > 1<<30 {
		return 1 << 30
	}
	return int(n.rat.Num().Int64())
}

func (p *parser) strings(v any, ptr string) []string {
	list, ok := v.([]any)
	if !ok {
		p.refuse(ptr, "must be a list of names")
		return nil
	}
	var out []string
	for _, e := range list {
		s, ok := e.(string)
		if !ok {
			p.refuse(ptr, "must be a list of names")
			return nil
		}
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func (p *parser) list(v any, ptr string) []*schema {
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		p.refuse(ptr, "must be a list of schemas")
		return nil
	}
	var out []*schema
	for i, e := range list {
		out = append(out, p.schema(e, ptr+"/"+strconv.Itoa(i)))
	}
	return out
}

// each calls f for the members of an object.
func (p *parser) each(v any, ptr string, f func(name string, v any, ptr string)) {
	o, ok := v.(*object)
	if !ok {
		p.refuse(ptr, "must be an object")
		return
	}
	for _, k := range o.keys {
		f(k, o.member[k], ptr+"/"+escapePointer(k))
	}
}

func (p *parser) regex(v any, ptr string) *automaton.Language {
	s, ok := v.(string)
	if !ok {
		p.refuse(ptr, "must be a pattern")
		return automaton.Any()
	}
	if l, ok := p.langs[s]; ok {
		return l
	}
	l, err := automaton.Search(s, p.work)
	if err != nil {
		if !p.reading {
			p.refuse(ptr, "%v", err)
		}
		l = automaton.Any()
	}
	p.langs[s] = l
	return l
}
