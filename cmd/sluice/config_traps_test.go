package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// configured returns the configuration that text gives as a file.
func configured(t *testing.T, text string) (*Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return loadConfig(flags{config: path})
}

// The keys of policy's data are the policy's, and keep their case.
func TestPolicyDataKeepsItsCase(t *testing.T) {
	c, err := configured(t, "policy:\n  data:\n    Groups: {EMAIL: keep}\n    tenants:\n      - {name: Acme, Own: {IBAN: 1}}\n")
	if err != nil {
		t.Fatal(err)
	}
	groups, _ := c.Policy.Data["Groups"].(map[string]any)
	list, _ := c.Policy.Data["tenants"].([]any)
	if groups["EMAIL"] != "keep" || len(list) != 1 || list[0].(map[string]any)["Own"] == nil {
		t.Errorf("policy.data = %v", c.Policy.Data)
	}
}

func TestNegativeTimeouts(t *testing.T) {
	_, err := configured(t, "providers:\n  - {name: p, idle_timeout: -1s, models: [{name: m}]}\n")
	if err == nil || !strings.Contains(err.Error(), `providers[0] "p": idle_timeout must not be negative`) {
		t.Errorf("error = %v", err)
	}
}

func TestPrintHidesPasswords(t *testing.T) {
	for address, want := range map[string]string{
		"https://ann:PW@host/v1":      "https://ann:xxxxx@host/v1",
		"https://host/v1?api-key=PW":  "https://host/v1?<redacted>",
		"https://api.openai.com/v1":   "https://api.openai.com/v1",
		"":                            "",
		"https://host:port/v1?key=PW": "<redacted>",
	} {
		got := address
		hideUser(&got)
		if got != want {
			t.Errorf("%s is printed as %s, want %s", address, got, want)
		}
	}
}

// A reload takes over whole or not at all: it must not leave out what it cannot do.
func TestFixed(t *testing.T) {
	const before = "keys: [{name: a, secret: s}]\n"
	old, err := configured(t, before)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		before: "",
		before + "aliases: [{name: x, to: [auto]}]\n": "",
		before + "judge: {timeout: 2s}\n":             "",
		before + "judge: {supported: 0.9}\n":          "judge can only",
		before + "judge: {disable: true}\n":           "judge can only",
		before + "log: {level: debug}\n":              "log can only",
		before + "limits: {shutdown: 1s}\n":           "limits.shutdown can only",
		"aliases: []\n":                               "open to everybody",
	} {
		now, err := configured(t, text)
		if err != nil {
			t.Fatal(err)
		}
		if err := fixed(old, now); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
