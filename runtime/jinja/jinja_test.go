package jinja

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// vars returns the variables of the recorded cases.
func vars(t testing.TB) map[string]any {
	t.Helper()
	b, err := os.ReadFile("testdata/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases struct{ Vars map[string]json.RawMessage }
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	for k, raw := range cases.Vars {
		if out[k], err = FromJSON(raw, true); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

var now = time.Date(2026, 6, 1, 9, 5, 7, 0, time.UTC)

func render(t testing.TB, source string, vars map[string]any) (Text, error) {
	t.Helper()
	tmpl, err := Parse(source)
	if err != nil {
		return Text{}, err
	}
	return tmpl.Render(t.Context(), vars, Options{Now: now})
}

// TestPython compares with what Python's Jinja made of the same templates; see
// testdata/record.py.
func TestPython(t *testing.T) {
	b, err := os.ReadFile("testdata/python.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Template    string
		Want, Fails string
	}
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	vars := vars(t)
	for _, c := range cases {
		got, err := render(t, c.Template, vars)
		switch {
		case c.Fails != "":
			if err == nil {
				t.Errorf("%s\n  makes %q, and fails in Python with %s", c.Template, got.s, c.Fails)
			}
		case err != nil:
			t.Errorf("%s\n  %v", c.Template, err)
		case got.s != c.Want:
			t.Errorf("%s\n  makes %q\n  want  %q", c.Template, got.s, c.Want)
		}
	}
}

// A hostile template fails soon.
func TestBounds(t *testing.T) {
	tests := []struct{ name, template string }{
		{"doubling", `{% set ns = namespace(s="x") %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}`},
		{"doubling-tilde", `{% set ns = namespace(s="x") %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}`},
		{"repeat", `{{ "xxxxxxxx" * 9000000000000000000 }}`},
		{"repeat-twice", `{{ ("x" * 200000000) * 200000000 }}`},
		{"lists", `{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = ns.l + ns.l %}{% endfor %}`},
		{"nested-list", `{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}`},
		{"nested-list-json", `{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l | tojson }}`},
		{"nested-list-equal", `{% set ns = namespace(l=[1], m=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% set ns.m = [ns.m, ns.m] %}{% endfor %}{{ ns.l == ns.m }}`},
		{"deep-list", `{% set ns = namespace(l=[1]) %}{% for i in range(9000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}`},
		{"loops", `{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}`},
		{"long-range", `{{ range(1000000000) }}`},
		{"recursion", `{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}`},
		{"tree-recursion", `{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}`},
		{"replace", `{{ ("x" * 100000) | replace("x", "y" * 100000) }}`},
		{"replace-empty", `{{ ("x" * 100000).replace("", "y" * 100000) }}`},
		{"join", `{{ range(9999) | join("x" * 1000000) }}`},
		{"indent", `{{ ("\n" * 1000000) | indent("x" * 1000000) }}`},
		{"output", `{% for a in range(9999) %}{% for b in range(9999) %}` + strings.Repeat("x", 1000) + `{% endfor %}{% endfor %}`},
		{"parentheses", strings.Repeat("{{ ", 1) + strings.Repeat("(", 100000) + "1" + strings.Repeat(")", 100000) + " }}"},
		{"brackets", "{{ " + strings.Repeat("[", 100000)},
		{"nots", "{{ " + strings.Repeat("not ", 50000) + "1 }}"},
		{"minuses", "{{ " + strings.Repeat("-", 100000) + "1 }}"},
		{"ifs", strings.Repeat("{% if 1 %}", 20000)},
		{"attributes", "{{ a" + strings.Repeat(".a", 100000) + " }}"},
		{"filters", "{{ a" + strings.Repeat("|d", 100000) + " }}"},
		{"inline-ifs", "{{ 1 " + strings.Repeat("if 1 else 1 ", 20000) + " }}"},
		{"powers", "{{ 1 " + strings.Repeat("+ 1 ", 60000) + " }}" + strings.Repeat("x", 1<<18)},
		{"long", strings.Repeat("x", 1<<20)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Now()
			got, err := render(t, tt.template, vars(t))
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Errorf("makes %d bytes, error %v", len(got.s), err)
			}
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}

func TestCanceled(t *testing.T) {
	tmpl, err := Parse(`{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}`)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tmpl.Render(ctx, nil, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Render: %v", err)
	}
}

func TestParts(t *testing.T) {
	v := map[string]any{"u": Literal("<a> b\n"), "x": Literal("x")}
	tests := []struct{ template, want string }{ // literal text stands between « and »
		{`[{{ u }}]`, "[«<a> b\n»]"},
		{`[{{ u | trim }}]`, "[«<a> b»]"},
		{`{{ "<" + u.split(" ")[0] + ">" }}`, "<«<a>»>"},
		{`{{ u[1:3] ~ x }}{{ x }}`, "«a>xx»"},
		{`{{ u.replace("a", "b") }}`, "«<»b«> b\n»"},
		{`{{ "axa".replace("x", u[:1]) }}`, "a«<»a"},
		{`{{ u | tojson }}{{ {"k": x, "j": 1} | tojson }}`, `«"<a> b\n"»{"k": «"x"», "j": 1}`},
		{`{{ u | upper }}`, "«<A> B\n»"},
		{`{{ [x, "y"] }}`, "[«'x'», 'y']"},
		{`{{ [x, "y"] | join("-") }}`, "«x»-y"},
		{`{{ x * 3 }}`, "«xxx»"},
		{`{% set z %}a{{ x }}{% endset %}{% macro f(q) %}<{{ q }}>{% endmacro %}{{ f(z) }}`, "<a«x»>"},
		{`{{ x == "x" }}{{ x in ["x"] }}{{ {"x": 1}[x] }}`, "TrueTrue1"},
		{`{{ u[::-1] }}`, "«\nb >a<»"},
		{`{{ ("a\n" + x) | indent(2) }}`, "a\n  «x»"},
	}
	for _, tt := range tests {
		text, err := render(t, tt.template, v)
		if err != nil {
			t.Fatalf("%s: %v", tt.template, err)
		}
		got := ""
		for _, p := range text.Parts() {
			if p.Literal {
				got += "«" + p.Text + "»"
			} else {
				got += p.Text
			}
		}
		if got != tt.want {
			t.Errorf("%s makes %q, want %q", tt.template, got, tt.want)
		}
	}
}

// FuzzTemplate: whatever the template, no panic, no hang, and spans in order.
func FuzzTemplate(f *testing.F) {
	b, err := os.ReadFile("testdata/python.json")
	if err != nil {
		f.Fatal(err)
	}
	var cases []struct{ Template string }
	if err := json.Unmarshal(b, &cases); err != nil {
		f.Fatal(err)
	}
	for _, c := range cases {
		f.Add(c.Template)
	}
	v := vars(f)
	f.Fuzz(func(t *testing.T, source string) {
		text, err := render(t, source, v)
		if err != nil {
			return
		}
		joined := ""
		for _, p := range text.Parts() {
			if p.Text == "" {
				t.Fatal("an empty part")
			}
			joined += p.Text
		}
		if joined != text.s {
			t.Fatalf("parts make %q of %q", joined, text.s)
		}
	})
}
