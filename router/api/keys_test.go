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
