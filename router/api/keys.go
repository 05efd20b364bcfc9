package api

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/internal/secret"
)

// A Key is a virtual key: what a client presents, and who it makes the client.
type Key struct {
	Name   string        // what logs and the ledger say
	Secret secret.String // what the client sends as its bearer token
	Tenant string        // default "default"
	User   string        // when set, it wins over the user that the client names
	Roles  []string
	Debug  bool // may ask for the debug headers
	// RequestsPerMinute bounds the key. 0 is no bound.
	RequestsPerMinute int
}

// A keyring knows the keys by the hash of their secret.
type keyring struct {
	byHash map[[32]byte]*heldKey
	open   bool // no key is configured: everybody is the default tenant
}

type heldKey struct {
	Key
	limit *rate.Limiter // nil: no bound
}

func newKeyring(keys []Key) (*keyring, error) {
	k := &keyring{byHash: map[[32]byte]*heldKey{}, open: len(keys) == 0}
	names := map[string]bool{}
	var errs []error
	for i, key := range keys {
		switch {
		case key.Name == "" || names[key.Name]:
			errs = append(errs, fmt.Errorf("keys[%d]: each key needs a name of its own", i))
		case key.Secret.Empty():
			errs = append(errs, fmt.Errorf("keys[%d] %q: the secret is empty", i, key.Name))
		case key.RequestsPerMinute < 0:
			errs = append(errs, fmt.Errorf("keys[%d] %q: requests_per_minute must not be negative", i, key.Name))
		}
		names[key.Name] = true
		h := sha256.Sum256([]byte(key.Secret.Reveal()))
		if _, twice := k.byHash[h]; twice && !key.Secret.Empty() {
			errs = append(errs, fmt.Errorf("keys[%d] %q: another key has the same secret", i, key.Name))
		}
		held := &heldKey{Key: key}
		if held.Tenant == "" {
			held.Tenant = "default"
		}
		if n := key.RequestsPerMinute; n > 0 {
			held.limit = rate.NewLimiter(rate.Every(time.Minute/time.Duration(n)), max(n/6, 1))
		}
		k.byHash[h] = held
	}
	return k, errors.Join(errs...)
}

// admit says who r's client is.
func (k *keyring) admit(r *http.Request) (llm.Principal, error) {
	if k.open {
		if !ofThisMachine(r) {
			return llm.Principal{}, &llm.Error{Kind: llm.Unauthenticated,
				Msg: "this gateway has no keys, and so answers programs on this machine only, not the web pages or the names of other sites: configure a key"}
		}
		return llm.Principal{Tenant: "default", Debug: true}, nil
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		token = r.Header.Get("X-Api-Key")
	}
	if token == "" {
		return llm.Principal{}, &llm.Error{Kind: llm.Unauthenticated, Msg: "no API key was sent: set the header Authorization: Bearer KEY"}
	}
	held := k.byHash[sha256.Sum256([]byte(token))]
	if held == nil {
		return llm.Principal{}, &llm.Error{Kind: llm.Unauthenticated, Msg: "the API key is not known here: ask the operator of this gateway for one"}
	}
	if held.limit != nil {
		if res := held.limit.Reserve(); res.Delay() > 0 {
			wait := res.Delay()
			res.Cancel()
			return llm.Principal{}, &llm.Error{Kind: llm.Busy, Code: llm.CodeRateLimited, RetryAfter: wait,
				Msg: fmt.Sprintf("this key may send %d requests a minute: try again later", held.RequestsPerMinute)}
		}
	}
	return llm.Principal{Tenant: held.Tenant, User: held.User, Key: held.Name, Roles: held.Roles, Debug: held.Debug}, nil
}

// ofThisMachine reports whether r can come from a program rather than from a
// page of another site in a browser on this machine. Such a page may send
// requests to loopback addresses: it then names itself as their origin, or makes
// its own domain's name mean 127.0.0.1 and so shows as their host.
func ofThisMachine(r *http.Request) bool {
	if host := hostname(r.Host); net.ParseIP(host) == nil && !near(host) {
		return false
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Scheme == "" {
		return false // "null" is a page, too
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return true // an application: app://, tauri://, vscode-webview://
	}
	if ip := net.ParseIP(u.Hostname()); ip != nil {
		return ip.IsLoopback()
	}
	return near(u.Hostname())
}

// near reports whether no site on the internet can be called name, which is no address.
func near(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if !strings.Contains(name, ".") {
		return true
	}
	for _, end := range []string{".localhost", ".local", ".internal"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.Trim(hostport, "[]")
}
