package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/local/hub"
)

func TestModelsPull(t *testing.T) {
	model := []byte(strings.Repeat("GGUF", 1000))
	sum := sha256.Sum256(model)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/models/LiquidAI/LFM2-350M-GGUF/tree/v1":
			fmt.Fprintf(w, `[{"type":"file","path":"LFM2-350M-Q4_K_M.gguf","size":%d,"oid":"x","lfs":{"oid":"%s","size":%d}}]`,
				len(model), hex.EncodeToString(sum[:]), len(model))
		case "/LiquidAI/LFM2-350M-GGUF/resolve/v1/LFM2-350M-Q4_K_M.gguf":
			w.Write(model)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	dir := t.TempDir()
	t.Setenv("HF_ENDPOINT", server.URL)
	t.Setenv("HF_TOKEN", "")
	t.Setenv("SLUICE_MODELS", dir)
	path := filepath.Join(dir, "LiquidAI", "LFM2-350M-GGUF", "LFM2-350M-Q4_K_M.gguf")
	pull := func(args ...string) (code int, stdout, stderr string) {
		var out, talk bytes.Buffer
		code = run(t.Context(), append([]string{"models", "pull"}, args...), strings.NewReader(""), &out, &talk)
		return code, out.String(), talk.String()
	}
	code, out, talk := pull("lfm2-350m", "--revision", "v1")
	if code != 0 || out != path+"\n" || strings.Count(talk, "LFM Open License v1.0") != 1 || !strings.Contains(talk, "sluice models inspect "+path) {
		t.Errorf("exit %d\n%s\n%s", code, out, talk)
	}
	code, out, talk = pull("lfm2-350m", "--revision", "v1", "--json")
	var res struct {
		Name, Path        string
		Bytes, Downloaded int64
	}
	if err := json.Unmarshal([]byte(out), &res); err != nil || code != 0 || res.Path != path || res.Bytes != 4000 || res.Downloaded != 0 || strings.Contains(talk, "Licence") {
		t.Errorf("exit %d, %v\n%s\n%s", code, err, out, talk)
	}
	for _, tt := range []struct {
		args string
		code int
		want string
	}{
		{"lfm2-350m", exitFailure, "not found"}, // revision main
		{"nope", exitUsage, "no official checkpoint"},
		{"", exitUsage, "one name"},
		{"lfm2-350m --list", exitUsage, "no name"},
	} {
		if code, out, talk := pull(strings.Fields(tt.args)...); code != tt.code || out != "" || !strings.Contains(talk, tt.want) {
			t.Errorf("pull %s: exit %d\n%s\n%s", tt.args, code, out, talk)
		}
	}
}

func TestPullText(t *testing.T) {
	p := hub.Progress{File: "m.gguf", Done: 3 << 20, Total: 12 << 20}
	for _, tt := range []struct {
		received int64
		elapsed  time.Duration
		want     string
	}{
		{1 << 20, 2 * time.Second, "m.gguf [######..................]  25% 3.0 MiB  512.0 KiB/s  18s left"},
		{0, time.Minute, "m.gguf [######..................]  25% 3.0 MiB"},
		{1 << 20, time.Millisecond, "m.gguf [######..................]  25% 3.0 MiB"},
	} {
		if got := pullText(p, tt.received, tt.elapsed); got != tt.want {
			t.Errorf("pullText = %q, want %q", got, tt.want)
		}
	}
	if got := pullText(hub.Progress{}, 0, 0); !strings.Contains(got, "0%") {
		t.Errorf("of nothing: %q", got)
	}
}
