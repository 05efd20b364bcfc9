package opa

import (
	"testing"

	"github.com/sluice-ai/sluice/internal/llm"
)

func BenchmarkDecide(b *testing.B) {
	p, err := Open(b.Context(), Config{Dir: folder})
	if err != nil {
		b.Fatal(err)
	}
	days, no, left := 0, false, 12.5
	targets := []llm.PolicyTarget{
		{ID: "local/nano", Local: true, Healthy: true},
		{ID: "openai/gpt-5-mini@eu", Healthy: true, Zone: llm.Zone{Region: "EU", Jurisdiction: "US", RetentionDays: &days, Trains: &no}},
		{ID: "openai/gpt-5-mini", Healthy: true, Zone: llm.Zone{Region: "US", Jurisdiction: "US"}},
		{ID: "mistral/small", Healthy: true, Zone: llm.Zone{Region: "FR", Jurisdiction: "FR", RetentionDays: &days, Trains: &no}},
	}
	for _, c := range []struct {
		name, tenant string
		types        map[string]int
	}{
		{"default-clean", "default", nil},
		{"default-redact", "default", map[string]int{"EMAIL": 2, "SECRET": 1}},
		{"acme-residency", "acme", map[string]int{"EMAIL": 2, "PHONE": 1}},
	} {
		in := llm.PolicyInput{
			Request:  llm.PolicyRequest{Tenant: c.tenant, Dialect: llm.OpenAIChat, Model: "auto", Modalities: []string{"text"}},
			Findings: llm.Findings{Types: c.types}, Targets: targets, Hop: llm.First, Budget: llm.Budget{RemainingUSD: &left},
			Assessment: llm.PolicyAssessment{Task: "chat", PLocal: 0.7, Boundary: llm.Supported},
		}
		b.Run(c.name+"-input", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				inputValue(&in, p.now.Load().reads)
			}
		})
		evaluated := *p.now.Load()
		evaluated.cache = nil
		b.Run(c.name+"-evaluated", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if d, err := evaluated.decide(b.Context(), &in); err != nil || !d.Allow {
					b.Fatal(d, err)
				}
			}
		})
		b.Run(c.name+"-cached", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if d, err := p.Decide(b.Context(), in); err != nil || !d.Allow {
					b.Fatal(d, err)
				}
			}
		})
	}
}
