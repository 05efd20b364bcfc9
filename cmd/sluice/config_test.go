package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/configs"
	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/local/entities"
	"github.com/sluice-ai/sluice/policy/pii"
)

// noEnv takes what configures Sluice out of the environment.
func noEnv(t *testing.T) {
	t.Helper()
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "SLUICE_") || strings.HasPrefix(name, "OPENAI_") {
			t.Setenv(name, "") // put back when the test ends
			os.Unsetenv(name)
		}
	}
}

func load(t *testing.T, f flags) *Config {
	t.Helper()
	c, err := loadConfig(f)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func file(t *testing.T, text string) flags {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return flags{config: path}
}

// The annotated file is the built-in default, loads as a file, and says what is in force without it.
func TestDefaultConfig(t *testing.T) {
	noEnv(t)
	annotated := filepath.Join("..", "..", "configs", "sluice.yaml")
	text, err := os.ReadFile(annotated)
	if err != nil || string(text) != string(configs.YAML) {
		t.Fatalf("configs/sluice.yaml is not what is embedded: %v", err)
	}
	c := load(t, flags{})
	if got := load(t, flags{config: annotated}); !reflect.DeepEqual(got, c) {
		t.Errorf("configs/sluice.yaml as a file gives\n%+v\nwithout one\n%+v", got, c)
	}
	if c.Listen != "127.0.0.1:8080" || c.AdminListen != "127.0.0.1:8081" || c.Judge.Timeout != 500*time.Millisecond ||
		!reflect.DeepEqual(c.Local.Models, []ModelConfig{{Name: "nano", File: "embedded"}}) || len(c.Providers) != 0 {
		t.Errorf("the defaults are %+v", c)
	}
	b, err := assemble(t.Context(), c, quiet())
	if err != nil {
		t.Fatal(err)
	}
	b.close()
}

// What the annotated file shows in comments is a configuration too.
func TestExamplesInDefaultConfig(t *testing.T) {
	noEnv(t)
	text := string(configs.YAML)
	// "key: []" and a comment below it that begins with a dash: the comment is the list.
	text = regexp.MustCompile(`(?m)^(\w+): \[\]\n#  -`).ReplaceAllString(text, "$1:\n#  -")
	text = regexp.MustCompile(`(?m)^#(  .*)$`).ReplaceAllString(text, "$1")
	text = regexp.MustCompile(`(?m)^(\w+): \[\] +# (\{.*?\}).*$`).ReplaceAllString(text, "$1: [$2]")
	text = regexp.MustCompile(`(?m)^( +\w+): \[\] +# (\{.*?\})$`).ReplaceAllString(text, "$1: [$2]")
	for _, name := range []string{"OPENAI_API_KEY", "OPENAI_PROJECT", "SLUICE_KEY_CI", "OTLP_TOKEN"} {
		t.Setenv(name, "a-value")
	}
	c := load(t, file(t, text))
	if len(c.Local.Models) != 3 || len(c.Providers) != 1 || len(c.Providers[0].Models) != 1 || len(c.Aliases) != 2 || len(c.Keys) != 1 || len(c.Budgets) != 1 ||
		len(c.Providers[0].Headers) != 1 || len(c.Telemetry.Traces.Headers) != 1 {
		t.Fatalf("an example was not found, or this test reads the file wrongly: %+v", c)
	}
	// The second alias names a model that the examples do not define.
	c.Aliases = c.Aliases[:1]
	c.Local.Models = c.Local.Models[:2] // nor is there a file for the third model
	b, err := assemble(t.Context(), c, quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	for _, target := range b.cloud.Targets() {
		if target.ID != "openai/gpt-5-mini" || target.Zone.Region != "EU" || target.Zone.Operator != "OpenAI" || target.Price.Input != 250 {
			t.Errorf("the example's target is %+v", target)
		}
	}
}

// A later source wins: the defaults, the file, the environment, the flags.
func TestConfigSources(t *testing.T) {
	const text = "listen: 127.0.0.1:1\nadmin_listen: 127.0.0.1:2\ndata_dir: from-file\njudge: {timeout: 1s}\n"
	env := map[string]string{
		"SLUICE_LISTEN": "127.0.0.1:11", "SLUICE_ADMIN_LISTEN": "127.0.0.1:12", "SLUICE_DATA_DIR": "from-env",
		"SLUICE_JUDGE_TIMEOUT": "2s", "SLUICE_LOG_LEVEL": "debug", "SLUICE_LIMITS_MAX_BODY_BYTES": "7",
		"SLUICE_MODEL": "models/a.gguf,models/b.gguf", "SLUICE_JUDGE_DISABLE": "true", "SLUICE_TELEMETRY_TRACES_SAMPLE": "0.5",
	}
	names := func(c *Config) (out []string) {
		for _, m := range c.Local.Models {
			out = append(out, m.Name+"="+m.File)
		}
		return out
	}
	t.Run("file", func(t *testing.T) {
		noEnv(t)
		c := load(t, file(t, text))
		if c.Listen != "127.0.0.1:1" || c.DataDir != "from-file" || c.Judge.Timeout != time.Second || c.Judge.Supported != 0.6 {
			t.Errorf("the file's values are not in force, or what it leaves out is lost: %+v", c)
		}
	})
	t.Run("environment", func(t *testing.T) {
		noEnv(t)
		f := file(t, text)
		t.Setenv("SLUICE_CONFIG", f.config)
		for k, v := range env {
			t.Setenv(k, v)
		}
		c := load(t, flags{})
		if c.Listen != "127.0.0.1:11" || c.AdminListen != "127.0.0.1:12" || c.DataDir != "from-env" || c.Judge.Timeout != 2*time.Second ||
			c.Log.Level != "debug" || c.Limits.MaxBody != 7 || !c.Judge.Disable {
			t.Errorf("the environment's values are not in force: %+v", c)
		}
		if s := c.Telemetry.Traces.Sample; s == nil || *s != 0.5 {
			t.Errorf("SLUICE_TELEMETRY_TRACES_SAMPLE, which the default file leaves out, is not in force: %v", s)
		}
		if got, want := names(c), []string{"nano=embedded", "a=models/a.gguf", "b=models/b.gguf"}; !slices.Equal(got, want) {
			t.Errorf("models %v, want %v", got, want)
		}
	})
	t.Run("flags", func(t *testing.T) {
		noEnv(t)
		for k, v := range env {
			t.Setenv(k, v)
		}
		f := file(t, text)
		f.listen, f.adminListen, f.dataDir, f.models = "127.0.0.1:21", "127.0.0.1:22", "from-flag", []string{"c.gguf", "nano"}
		c := load(t, f)
		if c.Listen != "127.0.0.1:21" || c.AdminListen != "127.0.0.1:22" || c.DataDir != "from-flag" || c.Judge.Timeout != 2*time.Second {
			t.Errorf("the flags are not in force: %+v", c)
		}
		if got, want := names(c), []string{"nano=embedded", "c=c.gguf"}; !slices.Equal(got, want) {
			t.Errorf("models %v, want %v", got, want)
		}
	})
	t.Run("bad-environment", func(t *testing.T) {
		noEnv(t)
		t.Setenv("SLUICE_JUDGE_TIMEOUT", "soon")
		if _, err := loadConfig(flags{}); err == nil || !strings.Contains(err.Error(), "judge.timeout: a duration is wanted") {
			t.Errorf("the error is %v", err)
		}
	})
}

// Each testdata/config/*.bad.yaml names, in its first lines, the lines of its error.
func TestBadConfigs(t *testing.T) {
	noEnv(t)
	files, err := filepath.Glob("testdata/config/*.bad.yaml")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d bad configurations, %v", len(files), err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".bad.yaml"), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for line := range strings.Lines(string(text)) {
				if msg, ok := strings.CutPrefix(line, "# error: "); ok {
					want = append(want, strings.TrimSpace(msg))
				}
			}
			if len(want) == 0 {
				t.Fatal("the file names no error")
			}
			c, err := loadConfig(flags{config: path})
			if err == nil {
				var b *assembled
				if b, err = assemble(t.Context(), c, quiet()); err == nil {
					b.close()
					t.Fatal("the configuration was taken")
				}
			}
			var got []string
			for line := range strings.Lines(err.Error()) {
				if line = strings.TrimSpace(line); line != path+":" {
					got = append(got, strings.TrimPrefix(line, path+": "))
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("the error is\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
			}
		})
	}
}

// OPENAI_API_KEY alone makes a provider; a provider in the file leaves it alone.
func TestOpenAIKey(t *testing.T) {
	targets := func(t *testing.T, f flags) []llm.Target {
		t.Helper()
		b, err := assemble(t.Context(), load(t, f), quiet())
		if err != nil {
			t.Fatal(err)
		}
		defer b.close()
		return b.cloud.Targets()
	}
	t.Run("none", func(t *testing.T) {
		noEnv(t)
		if got := targets(t, flags{}); len(got) != 0 {
			t.Errorf("without a key there are targets: %v", got)
		}
	})
	t.Run("key", func(t *testing.T) {
		noEnv(t)
		t.Setenv("OPENAI_API_KEY", "sk-alone")
		got := targets(t, flags{})
		if len(got) == 0 || !strings.HasPrefix(got[0].ID, "openai/") || !got[0].Price.Known || got[0].Zone.Jurisdiction != "US" || !got[0].Has("tools") {
			t.Errorf("the key alone makes %+v", got)
		}
	})
	t.Run("base-url-and-models", func(t *testing.T) {
		noEnv(t)
		t.Setenv("OPENAI_API_KEY", "sk-alone")
		t.Setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
		t.Setenv("OPENAI_MODEL", "one, two")
		got := targets(t, flags{})
		if len(got) != 2 || got[0].ID != "openai/one" || got[1].ID != "openai/two" || got[0].Price.Known {
			t.Errorf("the targets are %+v", got)
		}
		for _, target := range got { // nobody knows where that is
			if target.Zone != (llm.Zone{}) {
				t.Errorf("%s is said to be in %+v", target.ID, target.Zone)
			}
		}
	})
	t.Run("file-wins", func(t *testing.T) {
		noEnv(t)
		t.Setenv("OPENAI_API_KEY", "sk-alone")
		got := targets(t, file(t, "providers: [{name: mine, base_url: http://127.0.0.1:1, models: [{name: a@eu}]}]"))
		if len(got) != 1 || got[0].ID != "mine/a@eu" || got[0].Model != "a" {
			t.Errorf("the targets are %+v", got)
		}
	})
}

// The tagger's types are those that policy knows.
func TestEntityTypes(t *testing.T) {
	if !slices.Equal(entities.Types, pii.Shapeless) {
		t.Errorf("the tagger finds %v, policy knows %v", entities.Types, pii.Shapeless)
	}
}
