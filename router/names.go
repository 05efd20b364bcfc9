package router

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-ai/sluice/internal/llm"
)

// An Alias gives a model name a meaning: one or more other names, tried in
// their order. The first may be auto, local or cloud, and is then alone.
type Alias struct {
	Name string   `yaml:"name"`
	To   []string `yaml:"to"`
}

// Resolved is what a model name means.
type Resolved struct {
	Want  Want
	Named []string // target ids, in the order to try; empty for auto, cloud, and local without a name
}

// resolve finds the meaning of a client's model name among targets.
func resolve(name string, aliases []Alias, targets []llm.Target) (Resolved, error) {
	if i := slices.IndexFunc(aliases, func(a Alias) bool { return a.Name == name }); i >= 0 {
		return resolveAll(aliases[i].To, targets)
	}
	return resolveAll([]string{name}, targets)
}

func resolveAll(names []string, targets []llm.Target) (Resolved, error) {
	if len(names) == 1 {
		switch names[0] {
		case "auto":
			return Resolved{Want: WantAuto}, nil
		case "local":
			return Resolved{Want: WantLocal}, nil
		case "cloud":
			return Resolved{Want: WantCloud}, nil
		}
	}
	out := Resolved{Want: WantNamed}
	for _, n := range names {
		ids := matching(n, targets)
		if len(ids) == 0 {
			return Resolved{}, &llm.Error{Kind: llm.NotFound, Code: llm.CodeModelNotFound, Param: "model",
				Msg: fmt.Sprintf("the model %q does not exist or this key may not use it: GET /v1/models lists those it may", clipName(n))}
		}
		out.Named = append(out.Named, ids...)
	}
	if allLocal(out.Named) {
		out.Want = WantLocal
	}
	return out, nil
}

// matching returns the ids of the targets that name means: an id, an id
// without its "@place", or a model's own name.
func matching(name string, targets []llm.Target) []string {
	for _, same := range []func(llm.Target) bool{
		func(t llm.Target) bool { return t.ID == name },
		func(t llm.Target) bool { id, _, ok := strings.Cut(t.ID, "@"); return ok && id == name },
		func(t llm.Target) bool { return t.Model == name },
	} {
		var ids []string
		for _, t := range targets {
			if same(t) {
				ids = append(ids, t.ID)
			}
		}
		if ids != nil {
			return ids
		}
	}
	return nil
}

func allLocal(ids []string) bool {
	return !slices.ContainsFunc(ids, func(id string) bool { return !strings.HasPrefix(id, "local/") })
}

// clipName bounds what a client's model name may put into an answer and a log.
func clipName(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}

// ValidateAliases reports every alias that is empty, doubled, or names what does not exist.
func ValidateAliases(aliases []Alias, targets []llm.Target) []error {
	var errs []error
	seen := map[string]bool{}
	for i, a := range aliases {
		switch {
		case a.Name == "":
			errs = append(errs, fmt.Errorf("aliases[%d]: name is missing", i))
		case slices.Contains([]string{"auto", "local", "cloud"}, a.Name):
			errs = append(errs, fmt.Errorf("aliases[%d]: %q is a name of Sluice's own", i, a.Name))
		case seen[a.Name]:
			errs = append(errs, fmt.Errorf("aliases[%d]: %q is defined twice", i, a.Name))
		case len(a.To) == 0:
			errs = append(errs, fmt.Errorf("aliases[%d] %q: to is empty: say what the name means, for example [auto]", i, a.Name))
		}
		seen[a.Name] = true
		if len(a.To) > 0 {
			if _, err := resolveAll(a.To, targets); err != nil {
				errs = append(errs, fmt.Errorf("aliases[%d] %q: %w", i, a.Name, err))
			}
		}
	}
	return errs
}
