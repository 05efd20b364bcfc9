package hub

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/internal/secret"
)

// A fakeHub speaks the paths of the hub: the tree of a repository in pages, its
// files by a redirect to another host, with ranges.
type fakeHub struct {
	t        *testing.T
	api, cdn *httptest.Server

	mu       sync.Mutex
	repo     string // "org/repo"
	files    map[string][]byte
	lfs      map[string]bool
	token    string // that it wants, if any
	pageSize int
	// faults are used up one by one by requests for files, then by none.
	faults    []fault
	hideOIDs  bool // a mirror whose listing states no digests
	etag      string
	wrongOID  bool
	requests  []string // "METHOD path range"
	cdnTokens int      // requests at the CDN that carried a token: a leak
}

// A fault is how a request for a file goes wrong.
type fault struct {
	status     int    // answer with this
	retryAfter string // with this header
	cut        int    // close after this many bytes
	stall      bool   // send half and wait until the client is gone
	shift      bool   // answer a range with another one
	ignore     bool   // answer a range with the whole file
}

func newFakeHub(t *testing.T, repo string, files map[string][]byte) *fakeHub {
	h := &fakeHub{t: t, repo: repo, files: files, lfs: map[string]bool{}, pageSize: 1000, etag: `"v1"`}
	for name := range files {
		h.lfs[name] = strings.HasSuffix(name, ".gguf") || strings.HasSuffix(name, ".safetensors")
	}
	h.api = httptest.NewServer(http.HandlerFunc(h.serveAPI))
	h.cdn = httptest.NewServer(http.HandlerFunc(h.serveCDN))
	t.Cleanup(h.api.Close)
	t.Cleanup(h.cdn.Close)
	return h
}

// client returns a client of h that does not wait between retries.
func (h *fakeHub) client(cfg Config) *Client {
	h.t.Helper()
	cfg.Endpoint = h.api.URL
	c, err := New(cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	c.sleep = func(ctx context.Context, _ time.Duration) error { return context.Cause(ctx) }
	return c
}

func (h *fakeHub) serveAPI(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests = append(h.requests, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+r.Header.Get("Range")))
	if h.token != "" && r.Header.Get("Authorization") != "Bearer "+h.token {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.URL.Path == "/api/models/"+h.repo+"/tree/main" && r.URL.Query().Get("recursive") == "true" {
		h.serveTree(w, r)
		return
	}
	name, ok := strings.CutPrefix(r.URL.Path, "/"+h.repo+"/resolve/main/")
	data, exists := h.files[name]
	if !ok || !exists {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("X-Linked-Etag", `"`+sha(data)+`"`)
	w.Header().Set("X-Linked-Size", strconv.Itoa(len(data)))
	http.Redirect(w, r, h.cdn.URL+"/signed?f="+url.QueryEscape(name)+"&sig=secret", http.StatusFound)
}

func (h *fakeHub) serveTree(w http.ResponseWriter, r *http.Request) {
	entries := []map[string]any{{"type": "directory", "path": "sub", "oid": "x", "size": 0}}
	var names []string
	for name := range h.files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		data := h.files[name]
		e := map[string]any{"type": "file", "path": name, "size": len(data)}
		blob := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(data)), data...))
		e["oid"] = hex.EncodeToString(blob[:])
		if h.lfs[name] {
			oid := sha(data)
			if h.wrongOID {
				oid = sha([]byte("another file"))
			}
			e["oid"], e["size"] = "0123456789012345678901234567890123456789", 134
			e["lfs"] = map[string]any{"oid": oid, "size": len(data), "pointerSize": 134}
		}
		if h.hideOIDs {
			delete(e, "oid")
			delete(e, "lfs")
			e["size"] = len(data)
		}
		entries = append(entries, e)
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
	to := min(from+h.pageSize, len(entries))
	if to < len(entries) {
		w.Header().Set("Link", fmt.Sprintf(`<%s%s?recursive=true&cursor=%d>; rel="next"`, h.api.URL, r.URL.Path, to))
	}
	json.NewEncoder(w).Encode(entries[from:to])
}

func (h *fakeHub) serveCDN(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	if r.Header.Get("Authorization") != "" {
		h.cdnTokens++
	}
	data := h.files[r.URL.Query().Get("f")]
	var f fault
	if len(h.faults) > 0 {
		f, h.faults = h.faults[0], h.faults[1:]
	}
	etag := h.etag
	h.mu.Unlock()
	w.Header().Set("ETag", etag)
	switch {
	case f.status != 0:
		w.Header().Set("Retry-After", f.retryAfter)
		w.WriteHeader(f.status)
	case f.cut > 0 || f.stall:
		if f.stall {
			f.cut = len(data) / 2
		}
		start := 0
		fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &start)
		w.Header().Set("Content-Length", strconv.Itoa(len(data)-start))
		if start > 0 {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", start, len(data)-1, len(data)))
			w.WriteHeader(http.StatusPartialContent)
		}
		w.Write(data[start:min(start+f.cut, len(data))])
		http.NewResponseController(w).Flush()
		if f.stall {
			<-r.Context().Done()
		}
		panic(http.ErrAbortHandler)
	case f.shift && r.Header.Get("Range") != "":
		w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(data)-1, len(data)))
		w.WriteHeader(http.StatusPartialContent)
		w.Write(data)
	case f.ignore:
		w.Write(data)
	default:
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data)) // knows Range and If-Range
	}
}

// ranges returns the Range headers of the requests for files, "" for none.
func (h *fakeHub) ranges() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := []string{}
	for _, r := range h.requests {
		if strings.Contains(r, "/resolve/") {
			_, span, _ := strings.Cut(strings.TrimPrefix(r, "GET "), " ")
			out = append(out, span)
		}
	}
	return out
}

func sha(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func randomBytes(seed uint64, n int) []byte {
	var key [32]byte
	key[0] = byte(seed)
	b := make([]byte, n)
	rand.NewChaCha8(key).Read(b)
	return b
}

func token(s string) secret.String { return secret.New(s) }
