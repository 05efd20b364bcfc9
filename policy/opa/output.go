package opa

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/sluice-ai/sluice/internal/llm"
)

// decode reads the policy's answer about targets, strictly: what it does not understand is an error.
func decode(v ast.Value, targets []llm.PolicyTarget) (llm.Decision, error) {
	d := llm.Decision{Obligations: llm.Obligations{Audit: "group"}}
	var allow *bool
	given := false
	err := eachField(v, "the decision", func(name string, v ast.Value) (err error) {
		switch name {
		case "allow":
			var b bool
			b, err = boolean(v)
			allow = &b
		case "deny":
			d.Deny, err = denials(v)
		case "targets":
			given = true
			d.Targets, err = stringList(v)
		case "redact":
			d.Redact, err = stringList(v)
		case "rehydrate":
			d.Rehydrate, err = boolean(v)
		case "local_only":
			d.LocalOnly, err = boolean(v)
		case "obligations":
			d.Obligations, err = obligations(v)
		case "reasons":
			d.Reasons, err = stringList(v)
		case "excluded":
			d.Excluded = map[string][]string{}
			err = eachField(v, "excluded", func(id string, v ast.Value) (err error) {
				d.Excluded[id], err = stringList(v)
				return err
			})
		default:
			err = errors.New("is not known")
		}
		return err
	})
	switch {
	case err != nil:
		return llm.Decision{}, err
	case allow == nil:
		return llm.Decision{}, errors.New("the decision lacks allow")
	case !given:
		return llm.Decision{}, errors.New("the decision lacks targets")
	case *allow && len(d.Deny) > 0:
		return llm.Decision{}, errors.New("the decision allows and denies at once")
	}
	d.Allow = *allow
	return settle(d, targets)
}

// settle checks d against the targets that were offered, and completes it: every target is permitted or excluded with a reason.
func settle(d llm.Decision, targets []llm.PolicyTarget) (llm.Decision, error) {
	offered := make(map[string]bool, len(targets)) // id → local
	for _, t := range targets {
		offered[t.ID] = t.Local
	}
	for _, id := range d.Targets {
		if _, ok := offered[id]; !ok {
			return llm.Decision{}, fmt.Errorf("the decision permits %q, which is not among the targets", id)
		}
	}
	for id := range d.Excluded {
		if _, ok := offered[id]; !ok {
			return llm.Decision{}, fmt.Errorf("the decision excludes %q, which is not among the targets", id)
		}
		if slices.Contains(d.Targets, id) {
			return llm.Decision{}, fmt.Errorf("the decision permits and excludes %q at once", id)
		}
	}
	exclude := func(id, why string) {
		if d.Excluded == nil {
			d.Excluded = map[string][]string{}
		}
		d.Excluded[id] = append(d.Excluded[id], why)
	}
	if !d.Allow {
		if len(d.Deny) == 0 {
			d.Deny = []llm.Denial{{Rule: "policy", Message: "the policy does not allow this request"}}
		}
		d.Targets = nil
	}
	if d.LocalOnly {
		d.Targets = slices.DeleteFunc(d.Targets, func(id string) bool { return !offered[id] })
	}
	for _, t := range targets {
		if slices.Contains(d.Targets, t.ID) || len(d.Excluded[t.ID]) > 0 {
			continue
		}
		switch {
		case !d.Allow:
			exclude(t.ID, d.Deny[0].Rule+": "+d.Deny[0].Message)
		case d.LocalOnly && !t.Local:
			exclude(t.ID, "local_only: the request stays here")
		default:
			exclude(t.ID, "policy: not permitted")
		}
	}
	if d.Allow && len(d.Targets) == 0 {
		d.Allow = false
		d.Deny = []llm.Denial{{Rule: "targets", Message: "the policy permits no target for this request"}}
	}
	return d, nil
}

// eachField calls f for each field of the object v and names the field in f's error.
func eachField(v ast.Value, what string, f func(name string, v ast.Value) error) error {
	o, ok := v.(ast.Object)
	if !ok {
		return fmt.Errorf("%s is %s, not an object", what, ast.ValueName(v))
	}
	var failed error
	o.Until(func(k, v *ast.Term) bool {
		name, ok := k.Value.(ast.String)
		if !ok {
			failed = fmt.Errorf("%s has a key that is no string", what)
		} else if err := f(string(name), v.Value); err != nil {
			failed = fmt.Errorf("%s: field %q %w", what, string(name), err)
		}
		return failed != nil
	})
	return failed
}

func boolean(v ast.Value) (bool, error) {
	b, ok := v.(ast.Boolean)
	if !ok {
		return false, fmt.Errorf("is %s, not a boolean", ast.ValueName(v))
	}
	return bool(b), nil
}

// each calls f for each item of the array or set v.
func each(v ast.Value, f func(ast.Value) error) error {
	var failed error
	item := func(t *ast.Term) bool { failed = f(t.Value); return failed != nil }
	switch v := v.(type) {
	case *ast.Array:
		v.Until(item)
	case ast.Set:
		v.Until(item)
	default:
		return fmt.Errorf("is %s, not an array or a set", ast.ValueName(v))
	}
	return failed
}

// stringList returns the strings of an array or a set, ordered, each once.
func stringList(v ast.Value) ([]string, error) {
	out := []string{}
	err := each(v, func(v ast.Value) error {
		s, ok := v.(ast.String)
		if !ok {
			return fmt.Errorf("holds %s, not only strings", ast.ValueName(v))
		}
		out = append(out, string(s))
		return nil
	})
	slices.Sort(out)
	return slices.Compact(out), err
}

func denials(v ast.Value) ([]llm.Denial, error) {
	var out []llm.Denial
	err := each(v, func(v ast.Value) error {
		var d llm.Denial
		err := eachField(v, "denial", func(name string, v ast.Value) error {
			s, ok := v.(ast.String)
			switch {
			case !ok:
				return errors.New("is no string")
			case name == "rule":
				d.Rule = string(s)
			case name == "message":
				d.Message = string(s)
			default:
				return errors.New("is not known")
			}
			return nil
		})
		if err == nil && (d.Rule == "" || d.Message == "") {
			err = errors.New("a denial needs a rule and a message")
		}
		out = append(out, d)
		return err
	})
	slices.SortFunc(out, func(a, b llm.Denial) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Message, b.Message))
	})
	return out, err
}

func obligations(v ast.Value) (llm.Obligations, error) {
	o := llm.Obligations{}
	err := eachField(v, "obligations", func(name string, v ast.Value) (err error) {
		switch name {
		case "audit":
			s, ok := v.(ast.String)
			if !ok || s != "strict" && s != "group" {
				return errors.New(`is neither "strict" nor "group"`)
			}
			o.Audit = string(s)
		case "retention_days":
			n, ok := v.(ast.Number)
			i, whole := n.Int()
			if !ok || !whole || i < 0 {
				return errors.New("is no count of days")
			}
			o.RetentionDays = i
		case "store_content":
			o.StoreContent, err = boolean(v)
		case "approve_tools":
			o.ApproveTools, err = stringList(v)
		case "repair":
			s, ok := v.(ast.String)
			o.Repair = llm.Repair(s)
			if !ok || !slices.Contains([]llm.Repair{llm.RepairNone, llm.RepairRules, llm.RepairModel}, o.Repair) {
				return errors.New(`is none of "none", "rules" and "model"`)
			}
		default:
			return errors.New("is not an obligation that this gateway can meet")
		}
		return err
	})
	if err == nil && o.Audit == "" {
		err = errors.New("obligations lack audit")
	}
	return o, err
}
