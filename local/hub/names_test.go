package hub

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	tests := []struct {
		name string
		want string // String of the result, "" for an error
	}{
		{"lfm2-350m", "LiquidAI/LFM2-350M-GGUF"},
		{"LFM2-350M-GGUF", "LiquidAI/LFM2-350M-GGUF"},
		{"lfm2.5-1.2b", "LiquidAI/LFM2.5-1.2B-Instruct-GGUF"},
		{"lfm2.5-1.2b-instruct:q4_k_m", "LiquidAI/LFM2.5-1.2B-Instruct-GGUF:Q4_K_M"},
		{"lfm2-1.2b:LFM2-1.2B-F16.gguf", "LiquidAI/LFM2-1.2B-GGUF:LFM2-1.2B-F16.gguf"},
		{"lfm2-350m:safetensors", "LiquidAI/LFM2-350M:SAFETENSORS"},
		{"bartowski/LFM2-GGUF:q8_0", "bartowski/LFM2-GGUF:Q8_0"},
		{"a/b", "a/b"},
		{"a/b:sub/c.gguf", "a/b:sub/c.gguf"},
		{"a/b/sub/c.gguf", "a/b:sub/c.gguf"},
		{"lfm2-351m", ""},
		{"", ""},
		{"a/b:", ""},
		{"a/", ""},
		{"/b", ""},
		{"a/../b", ""},
		{"../b", ""},
		{"a/b/../../c", ""},
		{"a/b:../c.gguf", ""},
		{"a/b:/etc/passwd", ""},
		{"a/b/c.gguf:Q8_0", ""},
		{"a/b:Q4 K", ""},
		{"a b/c", ""},
		{"a/b?x=y", ""},
	}
	for _, tt := range tests {
		r, err := Parse(tt.name)
		got := r.String()
		if err != nil {
			got = ""
		}
		if got != tt.want {
			t.Errorf("Parse(%q) = %q, %v; want %q", tt.name, got, err, tt.want)
		}
		if err == nil {
			if again, err := Parse(got); err != nil || again != r {
				t.Errorf("Parse(%q) = %+v, %v; want %+v", got, again, err, r)
			}
		}
	}
	for _, short := range Names() {
		if r, err := Parse(short); err != nil || r.Org != Org || !strings.HasSuffix(r.Repo, "-GGUF") {
			t.Errorf("Parse(%q) = %+v, %v", short, r, err)
		}
	}
}

func TestChoose(t *testing.T) {
	listing := "LFM2-8B-A1B-F16.gguf LFM2-8B-A1B-Q4_0.gguf lfm2-8b-a1b-q5_k_m.gguf mmproj-LFM2-8B-A1B-Q8_0.gguf " +
		"big/M-Q6_K-00001-of-00002.gguf big/M-Q6_K-00002-of-00002.gguf README.md"
	tests := []struct{ name, ref, files, want string }{
		{"any-case", "a/b:Q5_K_M", listing, "lfm2-8b-a1b-q5_k_m.gguf"},
		{"next-best", "a/b", listing, "LFM2-8B-A1B-Q4_0.gguf"},
		{"best", "a/b", listing + " x-q4_k_m.gguf", "x-q4_k_m.gguf"},
		{"shards", "a/b:q6_k", listing, "big/M-Q6_K-00001-of-00002.gguf big/M-Q6_K-00002-of-00002.gguf"},
		{"shards-by-file", "a/b:M-Q6_K-00001-of-00002.gguf", listing, "big/M-Q6_K-00001-of-00002.gguf big/M-Q6_K-00002-of-00002.gguf"},
		{"shard-missing", "a/b:q6_k", "M-Q6_K-00001-of-00002.gguf", ""},
		{"no-projector", "a/b:Q8_0", listing, ""},
		{"projector-by-file", "a/b:mmproj-LFM2-8B-A1B-Q8_0.gguf", listing, "mmproj-LFM2-8B-A1B-Q8_0.gguf"},
		{"file-in-folder", "a/b:README.md", listing, "README.md"},
		{"ambiguous", "a/b:Q8_0", "x-Q8_0.gguf y-Q8_0.gguf", ""},
		{"dotted", "a/b:Q8_0", "x.Q8_0.gguf", "x.Q8_0.gguf"},
		{"odd-quant", "a/b", "x-special.gguf", "x-special.gguf"},
		{"safetensors", "a/b", "model-00001-of-00002.safetensors config.json x.bin model-00002-of-00002.safetensors",
			"config.json model-00001-of-00002.safetensors model-00002-of-00002.safetensors"},
		{"nothing", "a/b", "README.md", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var files []File
			for f := range strings.FieldsSeq(tt.files) {
				files = append(files, File{Path: f})
			}
			found, err := choose(ref(t, tt.ref), files)
			var got []string
			for _, f := range found {
				got = append(got, f.Path)
			}
			if strings.Join(got, " ") != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("choose = %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{
		"LiquidAI/LFM2-1.2B-GGUF/LFM2-1.2B-Q8_0.gguf", "LiquidAI/LFM2-1.2B-GGUF/LFM2-1.2B-Q6_K.gguf.part",
		"lfm2-350m-q4_0.gguf", "LFM2-350M-Extract-Q4_K_M.gguf", "a/b/sub/x-Q4_0.gguf",
	} {
		p := filepath.Join(dir, filepath.FromSlash(f))
		os.MkdirAll(filepath.Dir(p), 0o755)
		os.WriteFile(p, []byte("x"), 0o644)
	}
	tests := []struct{ name, want string }{
		{"lfm2-1.2b", "LiquidAI/LFM2-1.2B-GGUF/LFM2-1.2B-Q8_0.gguf"},
		{"lfm2-1.2b:q6_k", ""},
		{"lfm2-350m", "lfm2-350m-q4_0.gguf"},
		{"lfm2-350m:q4_k_m", ""},
		{"lfm2-350m-extract", "LFM2-350M-Extract-Q4_K_M.gguf"},
		{"a/b", "a/b/sub/x-Q4_0.gguf"},
		{"lfm2-700m", ""},
		{"no name", ""},
	}
	for _, tt := range tests {
		got, ok := Find(tt.name, dir)
		if ok {
			got, _ = filepath.Rel(dir, got)
			got = filepath.ToSlash(got)
		}
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("Find(%q) = %q, %v; want %q", tt.name, got, ok, tt.want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)
	for v, want := range map[string]time.Duration{
		"": 0, "soon": 0, "-5": 0, "30": 30 * time.Second, now.Add(time.Minute).Format(http.TimeFormat): time.Minute,
		now.Add(-time.Minute).Format(http.TimeFormat): 0,
	} {
		if got := retryAfter(v, now); got != want {
			t.Errorf("retryAfter(%q) = %v, want %v", v, got, want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, endpoint := range []string{"hub.example", "ftp://hub.example", "https://", "https://user:pw@hub.example", ":"} {
		if _, err := New(Config{Endpoint: endpoint}); err == nil || strings.Contains(err.Error(), "pw") {
			t.Errorf("New(%q): %v", endpoint, err)
		}
	}
	if c, err := New(Config{Endpoint: "https://mirror.example/hf/"}); err != nil ||
		c.FileURL(Ref{Org: "a", Repo: "b"}, "sub/c d.gguf") != "https://mirror.example/hf/a/b/resolve/main/sub/c%20d.gguf" {
		t.Error(c.FileURL(Ref{Org: "a", Repo: "b"}, "sub/c d.gguf"), err)
	}
	if !slices.IsSorted(Names()) {
		t.Error("Names are not sorted")
	}
}
