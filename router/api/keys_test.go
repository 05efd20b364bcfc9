package api

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/internal/secret"
)

func TestKeyring(t *testing.T) {
	ring, err := newKeyring([]Key{
		{Name: "ci", Secret: secret.New("sk-ci"), Tenant: "acme", Roles: []string{"batch"}, RequestsPerMinute: 6},
		{Name: "dev", Secret: secret.New("sk-dev"), Debug: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(header, value string) (llm.Principal, error) {
		r := httptest.NewRequest("POST", "/", nil)
		r.Header.Set(header, value)
		return ring.admit(r)
	}
	p, err := ask("Authorization", "Bearer sk-ci")
	if err != nil || p.Tenant != "acme" || p.Key != "ci" || p.Debug {
		t.Errorf("ci: %+v, %v", p, err)
	}
	if p, err = ask("X-Api-Key", "sk-dev"); err != nil || p.Tenant != "default" || !p.Debug {
		t.Errorf("dev: %+v, %v", p, err)
	}
	for _, v := range []string{"", "Bearer ", "Bearer sk-no", "sk-ci"} {
		if _, err := ask("Authorization", v); llm.KindOf(err) != llm.Unauthenticated {
			t.Errorf("Authorization %q: %v, want kind Unauthenticated", v, err)
		} else if strings.Contains(err.Error(), "sk-") {
			t.Errorf("the error repeats the key: %v", err)
		}
	}
	// The key may burst once; the second request of the same second waits.
	_, err = ask("Authorization", "Bearer sk-ci")
	e, ok := errors.AsType[*llm.Error](err)
	if !ok || e.Code != llm.CodeRateLimited || e.RetryAfter <= 0 || e.RetryAfter > 10*time.Second {
		t.Errorf("over the rate: %v", err)
	}
}

func TestKeyringMistakes(t *testing.T) {
	_, err := newKeyring([]Key{{Name: "a", Secret: secret.New("x")}, {Name: "a", Secret: secret.New("y")}, {Name: "b", Secret: secret.New("x")}, {Name: "c"}})
	for _, want := range []string{"keys[1]", "same secret", `keys[3] "c": the secret is empty`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("mistakes lack %q: %v", want, err)
		}
	}
}

// Without keys, a page in the browser of this machine must not be able to use the gateway.
func TestPagesOfOtherSites(t *testing.T) {
	ring, err := newKeyring(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		host, origin string
		ok           bool
	}{
		{"127.0.0.1:8080", "", true},
		{"localhost:8080", "http://localhost:3000", true},
		{"[::1]:8080", "http://127.0.0.1:5173", true},
		{"host.docker.internal:8080", "", true},
		{"127.0.0.1:8080", "app://editor", true},
		{"127.0.0.1:8080", "https://evil.example", false},
		{"127.0.0.1:8080", "http://203.0.113.5", false},
		{"127.0.0.1:8080", "null", false},
		{"rebound.evil.example:8080", "", false},
		{"localhost.evil.example", "", false},
	} {
		r := httptest.NewRequest("POST", "/v1/chat/completions", nil)
		r.Host = tt.host
		if tt.origin != "" {
			r.Header.Set("Origin", tt.origin)
		}
		if _, err := ring.admit(r); (err == nil) != tt.ok {
			t.Errorf("host %s, origin %q: %v, want admitted: %v", tt.host, tt.origin, err, tt.ok)
		}
	}
	held, err := newKeyring([]Key{{Name: "a", Secret: secret.New("s")}})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "/", nil)
	r.Host = "llm.example.com"
	r.Header.Set("Authorization", "Bearer s")
	if _, err := held.admit(r); err != nil {
		t.Errorf("with a key, any name will do: %v", err)
	}
}
