package opa

import (
	"fmt"
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/util"
)

// merge lays over on base and returns the result: maps key by key, lists of {name: …} by name, the rest replaces.
func merge(base, over any) any {
	if over == nil {
		return base
	}
	switch over := over.(type) {
	case map[string]any:
		b, ok := base.(map[string]any)
		if !ok {
			return over
		}
		for k, v := range over {
			b[k] = merge(b[k], v)
		}
		return b
	case []any:
		b, ok := base.([]any)
		if !ok || !named(b) || !named(over) {
			return over
		}
	next:
		for _, item := range over {
			for i := range b {
				if b[i].(map[string]any)["name"] == item.(map[string]any)["name"] {
					b[i] = merge(b[i], item)
					continue next
				}
			}
			b = append(b, item)
		}
		return b
	}
	return over
}

// named reports whether every item of the list is a map with a name.
func named(list []any) bool {
	for _, item := range list {
		m, ok := item.(map[string]any)
		if !ok {
			return false
		}
		if _, ok := m["name"].(string); !ok {
			return false
		}
	}
	return len(list) > 0
}

// index adds data.by_name to b: each list of {name: …} at the top of its data, as a map.
// Configuration has lists, because the readers of YAML fold the case of keys; rules want to look up.
func index(b *bundle) []Problem {
	var problems []Problem
	add := func(format string, a ...any) {
		problems = append(problems, Problem{File: b.name("data.yaml"), Message: fmt.Sprintf(format, a...)})
	}
	byName := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(b.data)) {
		if key == "by_name" || key == "prepared" {
			add("%s: this key is made when the bundle is loaded, it cannot be given", key)
		}
		list, ok := b.data[key].([]any)
		if !ok || !named(list) {
			continue
		}
		m := map[string]any{}
		for _, item := range list {
			name := item.(map[string]any)["name"].(string)
			if _, twice := m[name]; twice {
				add("%s: the name %q is there twice", key, name)
			}
			m[name] = item
		}
		byName[key] = m
	}
	b.data["by_name"] = byName
	return problems
}

// clone returns a copy of m made of JSON's types alone.
func clone(m map[string]any) any {
	var v any = m
	if m == nil || util.RoundTrip(&v) != nil { // what is no JSON was reported when the revision was made
		return map[string]any{}
	}
	return v
}

// taken reports whether data already has something at path, where a rule would be hidden by it.
func taken(data map[string]any, path []string) bool {
	var v any = data
	for _, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return true
		}
		if v, ok = m[p]; !ok {
			return false
		}
	}
	return true
}
