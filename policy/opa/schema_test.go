package opa

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"go.yaml.in/yaml/v3"

	"github.com/sluice-ai/sluice/policy/pii"
)

// mistakes returns what Open says about the default bundle with the operator's data in text, one sentence a line.
func mistakes(t *testing.T, text string) []string {
	t.Helper()
	var data map[string]any
	if err := yaml.Unmarshal([]byte(text), &data); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), Config{FS: os.DirFS(folder), Data: data})
	if err == nil {
		return nil
	}
	return strings.Split(strings.TrimPrefix(err.Error(), "policy: "), "\n")
}

func TestDataSchema(t *testing.T) {
	const types = "EMAIL, PHONE, CREDIT_CARD, IBAN, IP_ADDRESS, MAC_ADDRESS, US_SSN, PERSON, LOCATION_ADDRESS, DATE_OF_BIRTH, ORGANIZATION, LOCATION, MEDICAL"
	tests := []struct {
		name, data string
		want       []string // after "policy.data: "
	}{
		{"nothing", "{}", nil},
		{"every-field", `
tenants:
  - name: all
    personal: block
    redact: [EMAIL]
    keep_home: [PHONE]
    allow: [IBAN]
    block: [US_SSN]
    private_keys: keep_home
    residency: {regions: [EU], jurisdictions: [DE], when: personal}
    max_retention_days: 0
    forbid_training: true
    models: ["a/*"]
    budget_usd: 0.5
    rehydrate: false
    audit: strict
    retention_days: 3
    store_content: false
    approve_tools: []
regions: [{name: DACH, countries: [DE, AT, CH]}]`, nil},
		{"jurisdictions-alone", `tenants: [{name: a, residency: {jurisdictions: [DE]}}]`, nil},
		{"misspelt", `tenants: [{name: acme, residncy: {regions: [EU]}}]`, []string{`tenants[1] "acme": unknown field residncy`}},
		{"misspelt-below", `tenants: [{name: acme, residency: {regoins: [EU]}}]`, []string{`tenants[1] "acme": residency: unknown field regoins`}},
		{"misspelt-at-the-top", `tenant: []`, []string{`unknown field tenant`}},
		{"text-for-a-list", `tenants: [{name: acme, residency: {regions: EU}}]`, []string{`tenants[1] "acme": residency.regions must be a list`}},
		{"list-for-a-map", `tenants: [{name: acme, residency: [EU]}]`, []string{`tenants[1] "acme": residency must be a map of fields`}},
		{"map-for-a-list", `tenants: {acme: {}}`, []string{`tenants must be a list`}},
		{"text-for-a-truth", `tenants: [{name: acme, forbid_training: "yes"}]`, []string{`tenants[1] "acme": forbid_training must be true or false`}},
		{"half-a-day", `tenants: [{name: acme, max_retention_days: 0.5}]`, []string{`tenants[1] "acme": max_retention_days must be a whole number`}},
		{"days-before", `tenants: [{name: acme, max_retention_days: -1}]`, []string{`tenants[1] "acme": max_retention_days must be at least 0, not -1`}},
		{"no-name", `tenants: [{audit: strict}]`, []string{`tenants[0]: name is missing`}},
		{"empty-name", `regions: [{name: EU, countries: [""]}]`, []string{`regions[0] "EU": countries[0] must not be empty`}},
		{"no-region", `tenants: [{name: acme, residency: {regions: []}}]`, []string{`tenants[1] "acme": residency.regions must not be empty`}},
		{"residency-of-nothing", `tenants: [{name: new, residency: {when: always}}]`, []string{`tenants[2] "new": residency: regions or jurisdictions is missing`}},
		{"unknown-type", `tenants: [{name: acme, keep_home: [IBAN, EMIAL]}]`, []string{`tenants[1] "acme": keep_home[1]: "EMIAL" is none of ` + types}},
		{"secret-in-a-list", `tenants: [{name: acme, allow: [SECRET]}]`, []string{`tenants[1] "acme": allow[0]: "SECRET" is none of ` + types}},
		{"all-at-once", `
tenants:
  - {name: acme, personal: burn, audit: 1}
  - {name: new, when: always, private_keys: allow}
extra: 1`, []string{
			`unknown field extra`,
			`tenants[1] "acme": audit must be a text`,
			`tenants[1] "acme": personal: "burn" is none of redact, keep_home, allow, block`,
			`tenants[2] "new": private_keys: "allow" is none of refuse, keep_home`,
			`tenants[2] "new": unknown field when`,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var want []string
			for _, w := range tt.want {
				want = append(want, "policy.data: "+w)
			}
			if got := mistakes(t, tt.data); !slices.Equal(got, want) {
				t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
			}
		})
	}
}

// What a tenant's lists may name, with the secrets that they are not about, is what the detectors and the tagger find.
func TestSchemaKnowsEveryType(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(folder, dataSchema))
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		Definitions map[string]struct{ Enum []string }
	}
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	got := slices.Sorted(slices.Values(append(s.Definitions["personal_type"].Enum, pii.Secret, pii.URLCredentials, pii.PrivateKey, "CREDENTIAL_TEXT")))
	if want := slices.Sorted(slices.Values(append(pii.Types(), pii.Shapeless...))); !slices.Equal(got, want) {
		t.Errorf("the schema has %v, the detectors %v", got, want)
	}
}

func TestSchemaOfABundle(t *testing.T) {
	tests := []struct{ name, schema, data, want string }{
		{"no-json", `{`, ``, "schema/data.json: not valid JSON"},
		{"unknown-keyword", `{"properties": {"a": {"oneOf": []}}}`, ``, `schema/data.json: not a schema that Sluice can check: unknown field "oneOf"`},
		{"unknown-type", `{"type": "map"}`, ``, `schema/data.json: not a schema that Sluice can check: there is no type "map"`},
		{"unknown-definition", `{"properties": {"a": {"$ref": "#/definitions/b"}}}`, ``, `schema/data.json: $ref "#/definitions/b" names no definition`},
		{"own-data", `{"additionalProperties": false}`, `a: 1`, "data.yaml: unknown field a"},
		{"typed-rest", `{"additionalProperties": {"type": "integer"}}`, `{a: 1, b: x}`, "data.yaml: b must be a whole number"},
		{"any-rest", `{"additionalProperties": true}`, `{a: 1, b: x}`, ""},
		{"several-types", `{"properties": {"a": {"type": ["string", "null"]}}}`, `a: 1`, "data.yaml: a must be a text or null"},
		{"several-types-fit", `{"properties": {"a": {"type": ["string", "null"]}}}`, `a: null`, ""},
		{"numbers", `{"properties": {"a": {"enum": [1, 2.5, true]}}}`, `a: 3`, "data.yaml: a: 3 is none of 1, 2.5, true"},
		{"numbers-fit", `{"properties": {"a": {"enum": [1, 2.5], "type": "number"}}}`, `a: 2.5`, ""},
		{"maximum", `{"properties": {"a": {"maximum": 7}}}`, `a: 8`, "data.yaml: a must be at most 7, not 8"},
		{"pattern", `{"properties": {"a": {"pattern": "^[A-Z]{2}$"}}}`, `a: de`, `data.yaml: a: "de" is not of the form ^[A-Z]{2}$`},
		{"too-short", `{"properties": {"a": {"minLength": 2}}}`, `a: ä`, "data.yaml: a must not be so short"},
		{"too-few", `{"properties": {"a": {"minItems": 2}}}`, `a: [1]`, "data.yaml: a must have at least 2 items"},
		{"lists-of-lists", `{"properties": {"a": {"items": {"items": {"type": "string"}}}}}`, `a: [[x], [x, 1]]`, "data.yaml: a[1][1] must be a text"},
		{"recursive", `{"properties": {"a": {"$ref": "#/definitions/n"}}, "definitions": {"n": {"additionalProperties": {"$ref": "#/definitions/n"}, "type": "object"}}}`, `a: {b: {c: 1}}`, "data.yaml: a.b.c must be a map of fields"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fs := answer(`{"allow": false, "targets": []}`)
			fs[dataSchema] = &fstest.MapFile{Data: []byte(tt.schema)}
			fs["data.yaml"] = &fstest.MapFile{Data: []byte(tt.data)}
			if tt.data == "" {
				delete(fs, "data.yaml")
			}
			got := ""
			if problems := Check(t.Context(), Config{FS: fs}); len(problems) > 0 {
				got = problems[0].String()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
