package hub

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const modelFile = "LFM2-350M-Q4_K_M.gguf"

// target is where the tests' model goes.
func target(dir string) string {
	return filepath.Join(dir, "LiquidAI", "LFM2-350M-GGUF", modelFile)
}

func newModelHub(t *testing.T) (*fakeHub, []byte) {
	data := randomBytes(1, 1<<20+123)
	return newFakeHub(t, "LiquidAI/LFM2-350M-GGUF", map[string][]byte{
		modelFile:                      data,
		"LFM2-350M-Q8_0.gguf":          randomBytes(2, 5000),
		"mmproj-LFM2-350M-Q4_K_M.gguf": randomBytes(3, 50),
		"README.md":                    []byte("hello"),
	}), data
}

func ref(t *testing.T, name string) Ref {
	t.Helper()
	r, err := Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPull(t *testing.T) {
	tests := []struct {
		name   string
		set    func(h *fakeHub)
		part   []byte // what an earlier pull left, of the same file
		stale  bool   // it is of another file
		want   error
		ranges []string // of the requests for the file
		// downloaded is how many bytes must come, if not 0.
		downloaded int64
	}{
		{name: "plain", ranges: []string{""}},
		{name: "pages", set: func(h *fakeHub) { h.pageSize = 2 }, ranges: []string{""}},
		{name: "cut-then-resumed", set: func(h *fakeHub) { h.faults = []fault{{cut: 400000}, {cut: 1000}} },
			ranges: []string{"", "bytes=400000-", "bytes=401000-"}},
		{name: "stall-then-resumed", set: func(h *fakeHub) { h.faults = []fault{{stall: true}} },
			ranges: []string{"", "bytes=524349-"}},
		{name: "429-then-served", set: func(h *fakeHub) { h.faults = []fault{{status: 429, retryAfter: "1"}, {status: 503}} },
			ranges: []string{"", "", ""}},
		{name: "429-for-too-long", set: func(h *fakeHub) { h.faults = []fault{{status: 429, retryAfter: "7200"}} },
			want: ErrUnreachable, ranges: []string{""}},
		{name: "always-500", set: func(h *fakeHub) { h.faults = slices.Repeat([]fault{{status: 500}}, 20) },
			want: ErrUnreachable, ranges: make([]string, 6)},
		{name: "cuts-that-get-on", set: func(h *fakeHub) { h.faults = slices.Repeat([]fault{{cut: 50000}}, 12) },
			ranges: []string{"", "bytes=50000-", "bytes=100000-", "bytes=150000-", "bytes=200000-", "bytes=250000-", "bytes=300000-",
				"bytes=350000-", "bytes=400000-", "bytes=450000-", "bytes=500000-", "bytes=550000-", "bytes=600000-"}},
		{name: "wrong-digest", set: func(h *fakeHub) { h.wrongOID = true }, want: ErrChecksum, ranges: []string{""}},
		{name: "gated", set: func(h *fakeHub) { h.token = "right" }, want: ErrDenied, ranges: []string{}},
		{name: "not-there", set: func(h *fakeHub) { h.repo = "LiquidAI/other" }, want: ErrNotFound, ranges: []string{}},
		{name: "file-gone", set: func(h *fakeHub) { h.faults = []fault{{status: 404}} }, want: ErrNotFound, ranges: []string{""}},
		{name: "resumes-an-earlier-pull", part: randomBytes(1, 300000), ranges: []string{"bytes=300000-"}},
		{name: "part-of-another-file", part: randomBytes(1, 300000), stale: true, ranges: []string{""}},
		{name: "part-is-damaged", part: randomBytes(9, 300000), ranges: []string{"bytes=300000-", ""}},
		{name: "part-is-whole", part: randomBytes(1, 1<<20+123), ranges: []string{}},
		{name: "part-is-too-long", part: randomBytes(1, 2<<20), ranges: []string{""}},
		{name: "range-ignored", set: func(h *fakeHub) { h.faults = []fault{{ignore: true}} }, part: randomBytes(1, 1000), ranges: []string{"bytes=1000-"}},
		{name: "range-shifted", set: func(h *fakeHub) { h.faults = []fault{{shift: true}} }, part: randomBytes(1, 1000), ranges: []string{"bytes=1000-", ""}},
		{name: "changed-since", set: func(h *fakeHub) { h.etag = `"v2"` }, part: randomBytes(1, 1000), ranges: []string{"bytes=1000-"}, downloaded: 1<<20 + 123},
		{name: "mirror-without-digests", set: func(h *fakeHub) { h.hideOIDs = true; h.faults = []fault{{cut: 1000}} }, ranges: []string{"", "bytes=1000-"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, data := newModelHub(t)
			if tt.set != nil {
				tt.set(h)
			}
			dir := t.TempDir()
			if tt.part != nil {
				os.MkdirAll(filepath.Dir(target(dir)), 0o755)
				os.WriteFile(target(dir)+".part", tt.part, 0o644)
				digest := sha(data)
				if tt.stale {
					digest = sha(nil)
				}
				os.WriteFile(target(dir)+".part.json", []byte(`{"digest":"`+digest+`","etag":"\"v1\"","size":1048699}`), 0o644)
			}
			var last Progress
			c := h.client(Config{Stall: 300 * time.Millisecond, OnProgress: func(p Progress) {
				if p.Note == "" {
					last = p
				}
			}})
			res, err := c.Pull(t.Context(), ref(t, "lfm2-350m"), dir)
			if got := h.ranges(); !slices.Equal(got, tt.ranges) {
				t.Errorf("requests for ranges %q, want %q", got, tt.ranges)
			}
			got, readErr := os.ReadFile(target(dir))
			if tt.want != nil {
				if !errors.Is(err, tt.want) {
					t.Errorf("Pull: %v, want %v", err, tt.want)
				}
				if readErr == nil {
					t.Errorf("a failed pull left %d bytes under the final name", len(got))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, data) {
				t.Errorf("the file has %d bytes that are not the hub's", len(got))
			}
			if res.Path != target(dir) || res.Bytes != int64(len(data)) {
				t.Errorf("result %+v", res)
			}
			if tt.downloaded != 0 && res.Downloaded != tt.downloaded {
				t.Errorf("%d bytes came, want %d", res.Downloaded, tt.downloaded)
			}
			if last.Done != res.Bytes || last.Total != res.Bytes || last.File != modelFile {
				if tt.name != "part-is-whole" {
					t.Errorf("last progress %+v", last)
				}
			}
			entries, _ := os.ReadDir(filepath.Dir(target(dir)))
			if len(entries) != 1 {
				t.Errorf("left behind: %v", entries)
			}
			before := len(h.ranges())
			again, err := c.Pull(t.Context(), ref(t, "lfm2-350m"), dir)
			if err != nil || again.Downloaded != 0 || len(h.ranges()) != before {
				t.Errorf("a second pull downloads again: %+v, %v", again, err)
			}
			if path, ok := Find("lfm2-350m", dir); !ok || path != target(dir) {
				t.Errorf("Find = %q, %v", path, ok)
			}
		})
	}
}

func TestPullToken(t *testing.T) {
	h, _ := newModelHub(t)
	h.token = "hf_right"
	_, err := h.client(Config{Token: token("hf_wrong")}).Pull(t.Context(), ref(t, "lfm2-350m"), t.TempDir())
	if !errors.Is(err, ErrDenied) || strings.Contains(err.Error(), "hf_wrong") {
		t.Errorf("wrong token: %v", err)
	}
	if _, err := h.client(Config{Token: token("hf_right")}).Pull(t.Context(), ref(t, "lfm2-350m"), t.TempDir()); err != nil {
		t.Errorf("right token: %v", err)
	}
	if h.cdnTokens != 0 {
		t.Errorf("%d requests took the token to another host", h.cdnTokens)
	}
}

// A token must not go over plain HTTP to another machine.
func TestTokenNotInClear(t *testing.T) {
	var sent []string
	c, err := New(Config{Endpoint: "http://hub.example", Token: token("hf_x"), Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		sent = append(sent, r.Header.Get("Authorization"))
		return &http.Response{StatusCode: 401, Body: http.NoBody, Header: http.Header{}}, nil
	})})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.List(t.Context(), Ref{Org: "a", Repo: "b"})
	if !errors.Is(err, ErrDenied) || !slices.Equal(sent, []string{""}) {
		t.Errorf("sent %q, %v", sent, err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestUnsafeRedirects(t *testing.T) {
	for _, location := range []string{"http://cdn.example/x", "file:///etc/passwd", "https://hub.example/loop", ""} {
		c, err := New(Config{Endpoint: "https://hub.example", Retries: -1, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 302, Body: http.NoBody, Header: http.Header{"Location": {location}}, Request: r}, nil
		})})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.List(t.Context(), Ref{Org: "a", Repo: "b"}); err == nil || errors.Is(err, ErrUnreachable) {
			t.Errorf("redirect to %q: %v", location, err)
		}
	}
}

func TestPullSafetensors(t *testing.T) {
	h := newFakeHub(t, "LiquidAI/LFM2-350M", map[string][]byte{
		"model.safetensors": randomBytes(1, 70000), "config.json": []byte("{}"), "tokenizer.json": []byte(`{"a":1}`),
		"onnx/model.safetensors": randomBytes(2, 10), "README.md": []byte("x"), "pytorch_model.bin": []byte("x"),
	})
	dir := t.TempDir()
	res, err := h.client(Config{}).Pull(t.Context(), ref(t, "lfm2-350m:safetensors"), dir)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "LiquidAI", "LFM2-350M")
	if res.Path != folder || len(res.Files) != 3 {
		t.Errorf("result %+v", res)
	}
	if path, ok := Find("LFM2-350M:Safetensors", dir); !ok || path != folder {
		t.Errorf("Find = %q, %v", path, ok)
	}
	// The blob id of a small file is checked too.
	h.mu.Lock()
	h.lfs["config.json"], h.wrongOID = true, true
	h.mu.Unlock()
	os.Remove(filepath.Join(folder, "config.json"))
	if _, err := h.client(Config{}).Pull(t.Context(), ref(t, "lfm2-350m:safetensors"), dir); !errors.Is(err, ErrChecksum) {
		t.Errorf("wrong id: %v", err)
	}
}

func TestPullTwiceAtOnce(t *testing.T) {
	h, data := newModelHub(t)
	h.faults = []fault{{cut: 100000}, {cut: 100000}}
	dir := t.TempDir()
	var wg sync.WaitGroup
	var downloaded [4]int64
	for i := range downloaded {
		wg.Go(func() {
			res, err := h.client(Config{}).Pull(t.Context(), ref(t, "lfm2-350m"), dir)
			if err != nil {
				t.Error(err)
			}
			downloaded[i] = res.Downloaded
		})
	}
	wg.Wait()
	got, err := os.ReadFile(target(dir))
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	sum := int64(0)
	for _, n := range downloaded {
		sum += n
	}
	if sum != int64(len(data)) {
		t.Errorf("%d bytes came for a file of %d", sum, len(data))
	}
}

func TestPullCanceled(t *testing.T) {
	h, data := newModelHub(t)
	h.faults = []fault{{stall: true}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	dir := t.TempDir()
	c := h.client(Config{OnProgress: func(p Progress) {
		if p.Done == int64(len(data)/2) {
			cancel()
		}
	}})
	if _, err := c.Pull(ctx, ref(t, "lfm2-350m"), dir); !errors.Is(err, context.Canceled) {
		t.Fatalf("Pull: %v", err)
	}
	if st, err := os.Stat(target(dir) + ".part"); err != nil || st.Size() != int64(len(data)/2) {
		t.Errorf("what came is gone: %v, %v", st, err)
	}
	if _, ok := Find("lfm2-350m", dir); ok {
		t.Error("half a model is found")
	}
	res, err := h.client(Config{}).Pull(t.Context(), ref(t, "lfm2-350m"), dir)
	if err != nil || res.Downloaded != int64(len(data)-len(data)/2) {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestOffline(t *testing.T) {
	c, err := New(Config{Endpoint: "http://127.0.0.1:1", Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Pull(t.Context(), ref(t, "lfm2.5-1.2b-instruct:q8_0"), "models")
	if !errors.Is(err, ErrUnreachable) {
		t.Fatalf("Pull: %v", err)
	}
	for _, want := range []string{
		"http://127.0.0.1:1/LiquidAI/LFM2.5-1.2B-Instruct-GGUF/resolve/main/LFM2.5-1.2B-Instruct-Q8_0.gguf",
		filepath.Join("models", "LiquidAI", "LFM2.5-1.2B-Instruct-GGUF", "LFM2.5-1.2B-Instruct-Q8_0.gguf"),
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\ndoes not say %s", err, want)
		}
	}
}

func TestExplain(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, "is full"},
		{&os.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, "may not be written"},
		{&os.PathError{Op: "open", Path: "x", Err: syscall.EROFS}, "read-only"},
	} {
		if got := explain(tt.err, "models/a/b/c"); !strings.Contains(got.Error(), tt.want) || !errors.Is(got, tt.err) {
			t.Errorf("explain = %v, want %s", got, tt.want)
		}
	}
}

func TestNoRoom(t *testing.T) {
	if _, ok := freeSpace(t.TempDir()); !ok {
		t.Skip("this platform does not tell")
	}
	c := &Client{}
	err := c.room(filepath.Join(t.TempDir(), "not", "yet"), []File{{Path: "a", Size: 1 << 60}})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("room: %v", err)
	}
}

// Mirrors are not trusted with paths.
func TestListIgnoresUnsafePaths(t *testing.T) {
	h := newFakeHub(t, "a/b", map[string][]byte{
		"../x.gguf": nil, "/x.gguf": nil, "a/../x.gguf": nil, ".x.gguf": nil, `a\x.gguf`: nil, "c:x.gguf": nil, "sub/ok-Q4_0.gguf": nil,
	})
	files, err := h.client(Config{}).List(t.Context(), Ref{Org: "a", Repo: "b"})
	if err != nil || len(files) != 1 || files[0].Path != "sub/ok-Q4_0.gguf" {
		t.Errorf("List = %+v, %v", files, err)
	}
}

func TestListIsNoHub(t *testing.T) {
	for _, body := range []string{"<html>", `{"error":"x"}`, ""} {
		c, _ := New(Config{Endpoint: "https://hub.example", Retries: -1, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			rec := &http.Response{StatusCode: 200, Header: http.Header{}, Request: r}
			rec.Body = readCloser{strings.NewReader(body)}
			return rec, nil
		})})
		if _, err := c.List(t.Context(), Ref{Org: "a", Repo: "b"}); err == nil || !strings.Contains(err.Error(), "is no list") {
			t.Errorf("%q: %v", body, err)
		}
	}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }
