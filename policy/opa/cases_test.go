package opa

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sluice-ai/sluice/internal/llm"
)

var (
	zero, thirty = 0, 30
	no           = false
	targets      = map[string]llm.PolicyTarget{
		"local/nano":    {ID: "local/nano", Local: true, Healthy: true},
		"openai/gpt":    {ID: "openai/gpt", Healthy: true, Zone: llm.Zone{Region: "US", Jurisdiction: "US", RetentionDays: &thirty, Trains: &no}},
		"mistral/small": {ID: "mistral/small", Healthy: true, Zone: llm.Zone{Region: "FR", Jurisdiction: "FR", RetentionDays: &zero, Trains: &no}},
		"other/unknown": {ID: "other/unknown", Healthy: true, Zone: llm.Zone{Region: "unknown"}},
	}
)

// A policyCase is an item of testdata/cases/*.yaml.
type policyCase struct {
	Name  string `yaml:"name"`
	Input struct {
		Tenant       string         `yaml:"tenant"`
		Types        map[string]int `yaml:"types"`
		Targets      []string       `yaml:"targets"`
		Hop          llm.Hop        `yaml:"hop"`
		RemainingUSD *float64       `yaml:"remaining_usd"`
		SpentUSD     float64        `yaml:"spent_usd"`
	} `yaml:"input"`
	Want struct {
		Allow     bool                `yaml:"allow"`
		Deny      []string            `yaml:"deny"` // rules
		Targets   []string            `yaml:"targets"`
		Redact    []string            `yaml:"redact"`
		Rehydrate bool                `yaml:"rehydrate"`
		LocalOnly bool                `yaml:"local_only"`
		Audit     string              `yaml:"audit"`
		Reasons   []string            `yaml:"reasons"`
		Excluded  map[string][]string `yaml:"excluded"` // compared when given
	} `yaml:"want"`
}

func (c *policyCase) input() llm.PolicyInput {
	in := llm.PolicyInput{
		Request:  llm.PolicyRequest{Tenant: c.Input.Tenant, Dialect: llm.OpenAIChat, Model: "auto"},
		Findings: llm.Findings{Types: c.Input.Types},
		Hop:      llm.First,
		Budget:   llm.Budget{RemainingUSD: c.Input.RemainingUSD, SpentUSD: c.Input.SpentUSD},
		Time:     time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	if c.Input.Hop != "" {
		in.Hop = c.Input.Hop
	}
	for _, id := range c.Input.Targets {
		in.Targets = append(in.Targets, targets[id])
	}
	return in
}

func same[T any](a, b []T) bool { return len(a) == len(b) && (len(a) == 0 || reflect.DeepEqual(a, b)) }

func TestCases(t *testing.T) {
	p, err := Open(t.Context(), Config{Dir: folder})
	if err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob("testdata/cases/*.yaml")
	if len(files) < 2 {
		t.Fatalf("cases in %v", files)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var cases []policyCase
		d := yaml.NewDecoder(bytes.NewReader(text))
		d.KnownFields(true)
		if err := d.Decode(&cases); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, c := range cases {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml")+"/"+c.Name, func(t *testing.T) {
				d, err := p.Decide(t.Context(), c.input())
				if err != nil {
					t.Fatal(err)
				}
				var rules []string
				for _, x := range d.Deny {
					rules = append(rules, x.Rule)
				}
				w := c.Want
				if d.Allow != w.Allow || d.LocalOnly != w.LocalOnly || d.Rehydrate != w.Rehydrate || d.Obligations.Audit != w.Audit || !same(rules, w.Deny) || !same(d.Targets, w.Targets) ||
					!same(d.Redact, w.Redact) || !same(d.Reasons, w.Reasons) || w.Excluded != nil && !reflect.DeepEqual(d.Excluded, w.Excluded) {
					t.Errorf("decided %+v\nwant    %+v", d, w)
				}
				if d.Revision != p.Revision() {
					t.Errorf("revision %q", d.Revision)
				}
				for _, id := range c.Input.Targets { // every target is permitted, or it is said why not
					if permitted, why := contains(d.Targets, id), d.Excluded[id]; permitted == (len(why) > 0) {
						t.Errorf("%s: permitted %v, excluded because of %q", id, permitted, why)
					}
				}
			})
		}
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
