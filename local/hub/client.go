package hub

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-ai/sluice/internal/secret"
)

// DefaultEndpoint is the hub that everybody uses.
const DefaultEndpoint = "https://huggingface.co"

// Errors that a [Client] wraps. ErrUnreachable is what is left of a network
// that does not work after all retries.
var (
	ErrNotFound    = errors.New("not found on the hub")
	ErrDenied      = errors.New("the hub refuses access")
	ErrUnreachable = errors.New("cannot reach the hub")
	ErrChecksum    = errors.New("the file is not what the hub says it is")
)

// Config configures a [Client]. A zero field takes the default it documents.
type Config struct {
	// Endpoint is the hub or a mirror of it. Default [DefaultEndpoint].
	Endpoint string
	// Token opens gated and private repositories. Default none.
	Token secret.String
	// Revision is a branch, tag or commit. Default "main".
	Revision string
	// Retries is how often a request is tried again that fails for reasons that
	// pass; a download that gets on starts over counting. Default 5; -1 for none.
	Retries int
	// MaxWait bounds one wait before a retry; a hub that asks for more is given
	// up. Default 1 minute.
	MaxWait time.Duration
	// Stall is how long a connection may send nothing. Default 1 minute.
	Stall time.Duration
	// Transport carries the requests. Default: one with the settings of
	// [http.DefaultTransport], which knows the proxies of the environment.
	Transport http.RoundTripper
	// OnProgress, if set, is called as a pull gets on, from one goroutine.
	OnProgress func(Progress)
}

// FromEnv returns the configuration that HF_ENDPOINT and HF_TOKEN give.
func FromEnv() Config {
	return Config{Endpoint: os.Getenv("HF_ENDPOINT"), Token: secret.New(strings.TrimSpace(os.Getenv("HF_TOKEN")))}
}

func (c Config) withDefaults() Config {
	c.Endpoint = strings.TrimRight(cmp.Or(c.Endpoint, DefaultEndpoint), "/")
	c.Revision = cmp.Or(c.Revision, "main")
	c.Retries = cmp.Or(c.Retries, 5)
	c.MaxWait = cmp.Or(c.MaxWait, time.Minute)
	c.Stall = cmp.Or(c.Stall, time.Minute)
	if c.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.ResponseHeaderTimeout = c.Stall
		c.Transport = t
	}
	if c.OnProgress == nil {
		c.OnProgress = func(Progress) {}
	}
	return c
}

// A Client speaks the file API of one hub. It is safe for concurrent use if
// OnProgress is.
type Client struct {
	cfg      Config
	endpoint *url.URL
	http     *http.Client
	sleep    func(context.Context, time.Duration) error
}

// New returns a client. It fails when the endpoint is no http or https URL.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	u, err := url.Parse(cfg.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return nil, errors.New("HF_ENDPOINT must be the URL of a hub, such as " + DefaultEndpoint)
	}
	return &Client{cfg: cfg, endpoint: u, sleep: sleep, http: &http.Client{
		Transport:     cfg.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// FileURL returns where a file of a repository is downloaded from.
func (c *Client) FileURL(r Ref, file string) string {
	return c.endpoint.JoinPath(r.Org, r.Repo, "resolve", c.cfg.Revision, file).String()
}

// List returns the files of a repository, all folders of it.
func (c *Client) List(ctx context.Context, r Ref) ([]File, error) {
	next := c.endpoint.JoinPath("api/models", r.Org, r.Repo, "tree", c.cfg.Revision)
	next.RawQuery = "recursive=true"
	var files []File
	const maxPages = 100 // of 1000 files
	for range maxPages {
		page, link, err := c.listPage(ctx, r, next)
		if err != nil {
			return nil, err
		}
		files = append(files, page...)
		if link == nil {
			return files, nil
		}
		next = link
	}
	return nil, fmt.Errorf("listing %s/%s: too many files", r.Org, r.Repo)
}

func (c *Client) listPage(ctx context.Context, r Ref, u *url.URL) (files []File, next *url.URL, err error) {
	err = c.retry(ctx, func() (bool, error) {
		res, err := c.get(ctx, u, nil)
		if err != nil {
			return false, err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return false, c.statusError(res.Response, "the repository "+r.Org+"/"+r.Repo)
		}
		var entries []struct {
			Type, Path, OID string
			Size            int64
			LFS             *struct {
				OID  string
				Size int64
			}
		}
		const maxPage = 16 << 20
		body, err := io.ReadAll(io.LimitReader(res.Body, maxPage))
		if err != nil {
			return false, &transient{err: err}
		}
		if err := json.Unmarshal(body, &entries); err != nil {
			return false, fmt.Errorf("listing %s/%s: the answer is no list of files; is %s a Hugging Face hub?", r.Org, r.Repo, c.cfg.Endpoint)
		}
		files = files[:0]
		for _, e := range entries {
			if e.Type != "file" || !isLocal(e.Path) || e.Size < 0 {
				continue
			}
			f := File{Path: e.Path, Size: e.Size}
			switch {
			case e.LFS != nil && e.LFS.Size >= 0:
				f.SHA256, f.Size = digest(e.LFS.OID, 64), e.LFS.Size
			case e.LFS == nil:
				f.GitID = digest(e.OID, 40)
			}
			files = append(files, f)
		}
		next = c.nextPage(u, res.Header.Get("Link"))
		return false, nil
	})
	return files, next, err
}

// digest returns a hexadecimal digest of n digits, or "" if s is none.
func digest(s string, n int) string {
	s = strings.ToLower(strings.TrimPrefix(s, "sha256:"))
	if len(s) != n || strings.Trim(s, "0123456789abcdef") != "" {
		return ""
	}
	return s
}

// nextPage reads a Link header. A link to another host is not followed.
func (c *Client) nextPage(from *url.URL, link string) *url.URL {
	for part := range strings.SplitSeq(link, ",") {
		target, params, ok := strings.Cut(part, ";")
		target = strings.TrimSpace(target)
		if !ok || !strings.Contains(params, `rel="next"`) || len(target) < 2 || target[0] != '<' {
			continue
		}
		if u, err := from.Parse(strings.Trim(target, "<>")); err == nil && c.isEndpoint(u) {
			return u
		}
	}
	return nil
}

func (c *Client) isEndpoint(u *url.URL) bool {
	return u.Scheme == c.endpoint.Scheme && strings.EqualFold(u.Host, c.endpoint.Host)
}

// A response is the last of a chain of redirects. Linked is the header of the
// endpoint's own answer, which tells what the file is.
type response struct {
	*http.Response
	linked http.Header
}

// get requests u and follows redirects. Only the endpoint sees the token.
func (c *Client) get(ctx context.Context, u *url.URL, header http.Header) (*response, error) {
	var linked http.Header
	const maxHops = 10
	for range maxHops {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
		if err != nil {
			return nil, err
		}
		req.Header = header.Clone()
		if req.Header == nil {
			req.Header = http.Header{}
		}
		req.Header.Set("User-Agent", "sluice")
		req.Header.Set("Accept-Encoding", "identity") // sizes and ranges are of the file itself
		if c.isEndpoint(u) && !c.cfg.Token.Empty() && (u.Scheme == "https" || isLoopback(u.Hostname())) {
			req.Header.Set("Authorization", "Bearer "+c.cfg.Token.Reveal())
		}
		res, err := c.http.Do(req)
		if err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			return nil, &transient{err: unwrapURL(err)}
		}
		if linked == nil {
			linked = res.Header
		}
		switch res.StatusCode {
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		default:
			return &response{res, linked}, nil
		}
		res.Body.Close()
		next, err := res.Location()
		if err != nil {
			return nil, errors.New("the hub redirects without saying where")
		}
		if next.Scheme != "https" && (next.Scheme != "http" || u.Scheme == "https") {
			return nil, errors.New("the hub redirects to an address that is not safe")
		}
		u = next
	}
	return nil, errors.New("the hub redirects in circles")
}

// unwrapURL drops the URL from an error: a signed one is a secret.
func unwrapURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// transient is a failure that may pass; after, if positive, is when.
type transient struct {
	err   error
	after time.Duration
}

func (t *transient) Error() string { return t.err.Error() }
func (t *transient) Unwrap() error { return t.err }

// statusError explains an answer that is not the one hoped for. What is "the
// repository x/y" or "the file z".
func (c *Client) statusError(res *http.Response, what string) error {
	switch s := res.StatusCode; {
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		switch {
		case c.cfg.Token.Empty():
			return fmt.Errorf("%w to %s: it is gated, private, or does not exist; accept its licence on %s and set HF_TOKEN", ErrDenied, what, c.cfg.Endpoint)
		case c.endpoint.Scheme != "https" && !isLoopback(c.endpoint.Hostname()):
			return fmt.Errorf("%w to %s: HF_TOKEN is not sent over plain http", ErrDenied, what)
		}
		return fmt.Errorf("%w to %s: HF_TOKEN is not allowed to read it; accept its licence on %s", ErrDenied, what, c.cfg.Endpoint)
	case s == http.StatusNotFound || s == http.StatusGone:
		return fmt.Errorf("%w: %s at revision %s", ErrNotFound, what, c.cfg.Revision)
	case s == http.StatusTooManyRequests || s == http.StatusRequestTimeout || s >= 500:
		return &transient{err: fmt.Errorf("%s: the hub answers %d %s", what, s, http.StatusText(s)), after: retryAfter(res.Header.Get("Retry-After"), time.Now())}
	}
	return fmt.Errorf("%s: the hub answers %d %s", what, res.StatusCode, http.StatusText(res.StatusCode))
}

// retryAfter reads a number of seconds or a date; 0 if v is neither.
func retryAfter(v string, now time.Time) time.Duration {
	if s, err := strconv.ParseUint(strings.TrimSpace(v), 10, 31); err == nil {
		return time.Duration(s) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// retry calls try until it succeeds, fails for good, or has failed too often in
// a row without getting on.
func (c *Client) retry(ctx context.Context, try func() (progress bool, err error)) error {
	most := c.cfg.Retries
	for failures := 0; ; {
		progress, err := try()
		t, passes := errors.AsType[*transient](err)
		if err == nil || !passes {
			return err
		}
		if progress {
			failures = 0
		}
		failures++
		if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
			most = min(most, 2) // no network, most likely: say so soon
		}
		if failures > most {
			return fmt.Errorf("%w (%s): %w", ErrUnreachable, c.cfg.Endpoint, t.err)
		}
		wait := t.after
		if wait > c.cfg.MaxWait {
			return fmt.Errorf("%w: %w; it asks to wait %v", ErrUnreachable, t.err, wait)
		}
		if wait == 0 {
			wait = min(time.Second<<(failures-1), c.cfg.MaxWait, 30*time.Second)
			wait = wait/2 + rand.N(wait/2+1)
		}
		c.cfg.OnProgress(Progress{Note: fmt.Sprintf("%v; trying again in %v", t.err, wait.Round(time.Second/10))})
		if err := c.sleep(ctx, wait); err != nil {
			return err
		}
	}
}
