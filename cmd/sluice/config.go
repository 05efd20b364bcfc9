package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"

	"github.com/sluice-ai/sluice/cloud"
	"github.com/sluice-ai/sluice/cloud/breaker"
	"github.com/sluice-ai/sluice/configs"
	"github.com/sluice-ai/sluice/internal/llm"
	"github.com/sluice-ai/sluice/local/entities"
	"github.com/sluice-ai/sluice/router"
	"github.com/sluice-ai/sluice/runtime/nano"
)

// Config is the whole configuration; configs/sluice.yaml explains each setting.
type Config struct {
	Listen      string `yaml:"listen"`
	AdminListen string `yaml:"admin_listen"`
	DataDir     string `yaml:"data_dir"`
	Log         struct {
		Level  string `yaml:"level"`
		Format string `yaml:"format"`
	} `yaml:"log"`
	Local struct {
		Threads int           `yaml:"threads"`
		Queue   int           `yaml:"queue"`
		Models  []ModelConfig `yaml:"models"`
		Hide    bool          `yaml:"hide_schema"`
	} `yaml:"local"`
	Judge struct {
		Model       string        `yaml:"model"`
		Timeout     time.Duration `yaml:"timeout"`
		Supported   float64       `yaml:"supported"`
		Unsupported float64       `yaml:"unsupported"`
		Calibration string        `yaml:"calibration"` // a file of `sluice calibrate`; it sets both thresholds
		Escalate    float64       `yaml:"escalate"`    // p_local below which a local answer is given up; 0: never
		SelfCheck   time.Duration `yaml:"self_check"`  // how long the answering model may take to judge itself; 0: it is not asked
		Disable     bool          `yaml:"disable"`
	} `yaml:"judge"`
	Providers []ProviderConfig `yaml:"providers"`
	Prices    string           `yaml:"prices"`
	Inspect   struct {
		Types    []string `yaml:"types"`
		MinScore float64  `yaml:"min_score"`
		Regions  []string `yaml:"regions"`
		Entities []string `yaml:"entities"`

		EntitiesMinScore float64 `yaml:"entities_min_score"`
	} `yaml:"inspect"`
	Aliases []router.Alias `yaml:"aliases"`
	Routing struct {
		NoDegrade bool `yaml:"no_degrade"`
		Commit    struct {
			Tokens int           `yaml:"tokens"`
			Wait   time.Duration `yaml:"wait"`
		} `yaml:"commit"`
		Agents struct {
			LatchAfter int           `yaml:"latch_after"`
			Sticky     string        `yaml:"sticky"`
			Idle       time.Duration `yaml:"idle"`
		} `yaml:"agents"`
		Shadow struct {
			Share   float64       `yaml:"share"`
			Good    float64       `yaml:"good"`
			Workers int           `yaml:"workers"`
			Queue   int           `yaml:"queue"`
			Timeout time.Duration `yaml:"timeout"`
		} `yaml:"shadow"`
	} `yaml:"routing"`
	Formats struct {
		Repair  llm.Repair    `yaml:"repair"`
		Model   string        `yaml:"model"` // of local.models; "": the first that chats
		Invalid string        `yaml:"invalid"`
		Stream  string        `yaml:"stream"`
		Alive   time.Duration `yaml:"alive"`
	} `yaml:"formats"`
	Keys    []KeyConfig     `yaml:"keys"`
	Budgets []router.Budget `yaml:"budgets"`
	Policy  struct {
		Dir     string         `yaml:"dir"`
		Timeout time.Duration  `yaml:"timeout"`
		Data    map[string]any `yaml:"data"`
	} `yaml:"policy"`
	Telemetry struct {
		Traces struct {
			Exporter string         `yaml:"exporter"`
			Endpoint string         `yaml:"endpoint"`
			Sample   *float64       `yaml:"sample"`
			Headers  []HeaderConfig `yaml:"headers"`
		} `yaml:"traces"`
		DisableMetrics bool `yaml:"disable_metrics"`
	} `yaml:"telemetry"`
	Ledger struct {
		SegmentBytes int64 `yaml:"segment_bytes"`
		Queue        int   `yaml:"queue"`
	} `yaml:"ledger"`
	Limits struct {
		MaxBody   int64         `yaml:"max_body_bytes"`
		MaxAnswer int64         `yaml:"max_answer_bytes"`
		Shutdown  time.Duration `yaml:"shutdown"`
	} `yaml:"limits"`
}

// ModelConfig is one model of the local tier.
type ModelConfig struct {
	Name    string `yaml:"name"`
	File    string `yaml:"file"`    // a GGUF, "embedded" or "embedded/forms"
	Context int    `yaml:"context"` // tokens; 0: the model's own, at most 32768
	KV      string `yaml:"kv"`      // type of the keys and values kept: f16, q8_0, f32
	Memory  int64  `yaml:"memory_bytes"`
	// Unpacked leaves the weights as the file has them.
	Unpacked bool  `yaml:"unpacked"`
	Cache    int64 `yaml:"cache_bytes"` // of Memory, for prompts that are kept; 0: a quarter; -1: none
	// Grammars bounds what is kept of compiled formats; 0: 128 MiB.
	Grammars int64 `yaml:"grammar_bytes"`
	// Adapters are LoRA adapters laid over the model.
	Adapters []AdapterConfig `yaml:"adapters"`
}

// AdapterConfig is a LoRA adapter in a GGUF file.
type AdapterConfig struct {
	File  string  `yaml:"file"`
	Scale float64 `yaml:"scale"` // 0 is 1
}

// ProviderConfig is one cloud provider.
type ProviderConfig struct {
	Name             string             `yaml:"name"`
	BaseURL          string             `yaml:"base_url"`
	APIKey           string             `yaml:"api_key"`
	Headers          []HeaderConfig     `yaml:"headers"`
	Zone             llm.Zone           `yaml:"zone"`
	ConnectTimeout   time.Duration      `yaml:"connect_timeout"`
	FirstByteTimeout time.Duration      `yaml:"first_byte_timeout"`
	AnswerTimeout    time.Duration      `yaml:"answer_timeout"`
	IdleTimeout      time.Duration      `yaml:"idle_timeout"`
	Breaker          breaker.Config     `yaml:"breaker"`
	Retry            cloud.Retry        `yaml:"retry"`
	Models           []CloudModelConfig `yaml:"models"`
}

// CloudModelConfig is one model of a provider.
type CloudModelConfig struct {
	Name    string       `yaml:"name"`
	Model   string       `yaml:"model"`
	Can     []string     `yaml:"can"`
	Context int          `yaml:"context"`
	Price   *PriceConfig `yaml:"price"`
	Zone    llm.Zone     `yaml:"zone"`
}

// PriceConfig is a price in US dollars per million tokens.
type PriceConfig struct {
	Input     float64 `yaml:"input"`
	Cached    float64 `yaml:"cached"`
	Output    float64 `yaml:"output"`
	Reasoning float64 `yaml:"reasoning"`
}

// HeaderConfig is an HTTP header whose value may be a secret reference.
type HeaderConfig struct {
	Name  string `yaml:"name"`
	Value string `yaml:"value"`
}

// KeyConfig is a virtual key.
type KeyConfig struct {
	Name              string   `yaml:"name"`
	Secret            string   `yaml:"secret"`
	Tenant            string   `yaml:"tenant"`
	User              string   `yaml:"user"`
	Roles             []string `yaml:"roles"`
	Debug             bool     `yaml:"debug"`
	RequestsPerMinute int      `yaml:"requests_per_minute"`
}

// flags are the command-line settings that override the file and the environment.
type flags struct {
	config      string
	listen      string
	adminListen string
	dataDir     string
	models      []string
}

// loadConfig reads the built-in defaults, then the file, then the environment,
// then f. It returns every mistake at once.
func loadConfig(f flags) (*Config, error) {
	v := viper.NewWithOptions(viper.KeyDelimiter("::"), viper.ExperimentalBindStruct())
	v.SetConfigType("yaml")
	if err := v.ReadConfig(bytes.NewReader(configs.YAML)); err != nil {
		return nil, fmt.Errorf("the built-in configuration: %w", err)
	}
	path := f.config
	if path == "" {
		path = os.Getenv("SLUICE_CONFIG")
	}
	var errs []error
	var fileText []byte
	if path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading the configuration: %w", err)
		}
		fileText, errs = text, overlooked(text)
		if err := v.MergeConfig(bytes.NewReader(text)); err != nil {
			return nil, fmt.Errorf("%s: %w", path, yamlSentence(err))
		}
	}
	v.SetEnvPrefix("SLUICE")
	v.SetEnvKeyReplacer(strings.NewReplacer("::", "_"))
	v.AutomaticEnv()

	var c Config
	err := v.UnmarshalExact(&c, func(d *mapstructure.DecoderConfig) { d.TagName = "yaml" })
	mistyped, unknown := decodeSentences(err)
	errs = append(append(unknown, errs...), mistyped...)
	c.override(f)
	if data, ok := policyData(fileText); ok {
		c.Policy.Data = data
	}
	if len(mistyped) == 0 { // a value that could not be read would be reported twice
		errs = append(errs, c.Validate())
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("%s:\n%w", orBuiltIn(path), err)
	}
	return &c, nil
}

// overlooked reports what viper drops from text before anybody could refuse it:
// unknown keys without a value, and a value where there should be keys.
func overlooked(text []byte) []error {
	var doc map[string]any
	if yaml.Unmarshal(text, &doc) != nil {
		return nil // viper says it better
	}
	var errs []error
	var walk func(t reflect.Type, m map[string]any, at string)
	walk = func(t reflect.Type, m map[string]any, at string) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			f, known := t.FieldByNameFunc(func(name string) bool {
				f, _ := t.FieldByName(name)
				return strings.EqualFold(f.Tag.Get("yaml"), k)
			})
			sub, isMap := m[k].(map[string]any)
			switch {
			case !known && (m[k] == nil || isMap && len(sub) == 0):
				errs = append(errs, unknownKey(at+k))
			case known && isMap && f.Type.Kind() == reflect.Struct:
				walk(f.Type, sub, at+k+".")
			case known && m[k] != nil && f.Type.Kind() == reflect.Struct:
				errs = append(errs, fmt.Errorf("  %s%s: keys are wanted, each on a line of its own below it", at, k))
			}
		}
	}
	walk(reflect.TypeFor[Config](), doc, "")
	return errs
}

// policyData reads policy.data from text itself: viper folds the case of every
// key below it, and a rule that looks for "EMAIL" would not find it.
func policyData(text []byte) (map[string]any, bool) {
	var doc map[string]any
	if yaml.Unmarshal(text, &doc) != nil {
		return nil, false // reported already
	}
	at := func(m map[string]any, key string) map[string]any {
		for k, v := range m {
			if strings.EqualFold(k, key) { // as viper finds it
				sub, _ := v.(map[string]any)
				return sub
			}
		}
		return nil
	}
	data := at(at(doc, "policy"), "data")
	return data, len(data) > 0
}

func unknownKey(keys string) error {
	return fmt.Errorf("  unknown key %s: `sluice config print` shows the keys there are", keys)
}

func orBuiltIn(path string) string {
	if path == "" {
		return "the configuration"
	}
	return path
}

// override puts the flags over what was read. SLUICE_MODEL and --model add
// local models; --model wins.
func (c *Config) override(f flags) {
	for _, o := range []struct {
		from string
		to   *string
	}{{f.listen, &c.Listen}, {f.adminListen, &c.AdminListen}, {f.dataDir, &c.DataDir}} {
		if o.from != "" {
			*o.to = o.from
		}
	}
	models := f.models
	if len(models) == 0 && os.Getenv("SLUICE_MODEL") != "" {
		models = strings.Split(os.Getenv("SLUICE_MODEL"), ",")
	}
	for _, m := range models {
		if slices.ContainsFunc(c.Local.Models, func(have ModelConfig) bool { return have.Name == m }) {
			continue
		}
		name := strings.TrimSuffix(filepath.Base(m), ".gguf")
		c.Local.Models = append(c.Local.Models, ModelConfig{Name: name, File: m})
	}
}

// yamlSentence drops viper's prefix.
func yamlSentence(err error) error {
	if strings.Contains(err.Error(), "cannot unmarshal") {
		return errors.New("the file must hold keys, such as listen: 127.0.0.1:8080")
	}
	return errors.New(strings.TrimPrefix(err.Error(), "While parsing config: "))
}

// decodeSentences turns mapstructure's report into a line for each mistake:
// values of the wrong type, and unknown keys.
func decodeSentences(err error) (mistyped, unknown []error) {
	if many, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		for _, e := range many.Unwrap() {
			m, u := decodeSentences(e)
			mistyped, unknown = append(mistyped, m...), append(unknown, u...)
		}
		return mistyped, unknown
	}
	if err == nil {
		return nil, nil
	}
	at, what := "", err.Error()
	if d, ok := errors.AsType[*mapstructure.DecodeError](err); ok {
		at, what = d.Name(), d.Unwrap().Error()
	}
	if _, keys, ok := strings.Cut(what, "has invalid keys: "); ok {
		if at != "" {
			at += "."
		}
		return nil, []error{unknownKey(at + strings.ReplaceAll(keys, ", ", ", "+at))}
	}
	return []error{fmt.Errorf("  %s: %s", at, wanted(err, what))}, nil
}

// wanted says what a value should have been.
func wanted(err error, otherwise string) string {
	var kind reflect.Kind
	if e, ok := errors.AsType[*mapstructure.ParseError](err); ok {
		kind = e.Expected.Kind()
	} else if e, ok := errors.AsType[*mapstructure.UnconvertibleTypeError](err); ok {
		kind = e.Expected.Kind()
	}
	switch {
	case strings.Contains(otherwise, "duration"):
		return "a duration is wanted, such as 500ms or 20s"
	case strings.HasPrefix(otherwise, "expected a map"):
		return "fields are wanted, such as {name: …}"
	case kind == reflect.Int || kind == reflect.Int64:
		return "a whole number is wanted"
	case kind == reflect.Float64:
		return "a number is wanted"
	case kind == reflect.Bool:
		return "true or false is wanted"
	case kind == reflect.String:
		return "a text is wanted"
	case kind == reflect.Slice:
		return "a list is wanted"
	}
	return otherwise
}

// Validate reports every mistake that can be seen without opening anything.
func (c *Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("  "+format, args...)) }
	for _, a := range []struct{ key, addr string }{{"listen", c.Listen}, {"admin_listen", c.AdminListen}} {
		if _, _, err := net.SplitHostPort(a.addr); err != nil {
			bad("%s: %q is no address like 127.0.0.1:8080", a.key, a.addr)
		}
	}
	if c.Listen == c.AdminListen && !strings.HasSuffix(c.Listen, ":0") {
		bad("listen and admin_listen are the same address")
	}
	if !loopback(c.Listen) && len(c.Keys) == 0 {
		bad("listen: %s is reachable from other machines, and no key is configured: add one under keys, or listen on 127.0.0.1", c.Listen)
	}
	if c.DataDir == "" {
		bad("data_dir is empty")
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		bad("log.level: %q is none of debug, info, warn, error", c.Log.Level)
	}
	if !slices.Contains([]string{"text", "json"}, c.Log.Format) {
		bad("log.format: %q is neither text nor json", c.Log.Format)
	}
	for i, t := range c.Inspect.Entities {
		switch {
		case !slices.Contains(entities.Types, t):
			bad("inspect.entities: %q is none of %s", t, strings.Join(entities.Types, ", "))
		case slices.Contains(c.Inspect.Entities[:i], t):
			bad("inspect.entities: %s is there twice", t)
		}
	}
	if s := c.Inspect.EntitiesMinScore; s < 0 || s > 1 {
		bad("inspect.entities_min_score: %g is not between 0 and 1", s)
	}
	c.validateLocal(bad)
	c.validateProviders(bad)
	if t := c.Telemetry.Traces; !slices.Contains([]string{"", "none", "stdout", "otlp"}, t.Exporter) {
		bad("telemetry.traces.exporter: %q is none of none, stdout, otlp", t.Exporter)
	} else if s := t.Sample; s != nil && (*s < 0 || *s > 1) {
		bad("telemetry.traces.sample: %g is not between 0 and 1", *s)
	}
	if s := c.Routing.Agents.Sticky; !slices.Contains([]string{"turn", "session", "off"}, s) {
		bad("routing.agents.sticky: %q is none of turn, session, off", s)
	}
	for key, v := range map[string]float64{"share": c.Routing.Shadow.Share, "good": c.Routing.Shadow.Good} {
		if v < 0 || v > 1 {
			bad("routing.shadow.%s: %g is no share between 0 and 1", key, v)
		}
	}
	for _, n := range []struct {
		key string
		v   int64
	}{
		{"routing.shadow.workers", int64(c.Routing.Shadow.Workers)}, {"routing.shadow.queue", int64(c.Routing.Shadow.Queue)}, {"routing.shadow.timeout", int64(c.Routing.Shadow.Timeout)},
		{"local.threads", int64(c.Local.Threads)}, {"local.queue", int64(c.Local.Queue)},
		{"limits.max_body_bytes", c.Limits.MaxBody}, {"limits.max_answer_bytes", c.Limits.MaxAnswer},
		{"limits.shutdown", int64(c.Limits.Shutdown)}, {"ledger.segment_bytes", c.Ledger.SegmentBytes},
		{"ledger.queue", int64(c.Ledger.Queue)}, {"policy.timeout", int64(c.Policy.Timeout)}, {"judge.timeout", int64(c.Judge.Timeout)},
		{"judge.self_check", int64(c.Judge.SelfCheck)}, {"routing.commit.tokens", int64(c.Routing.Commit.Tokens)}, {"routing.commit.wait", int64(c.Routing.Commit.Wait)},
		{"routing.agents.latch_after", int64(c.Routing.Agents.LatchAfter)}, {"routing.agents.idle", int64(c.Routing.Agents.Idle)},
	} {
		if n.v < 0 {
			bad("%s must not be negative", n.key)
		}
	}
	return errors.Join(errs...)
}

func (c *Config) validateLocal(bad func(string, ...any)) {
	names := map[string]bool{}
	for i, m := range c.Local.Models {
		switch {
		case m.Name == "" || strings.ContainsAny(m.Name, " @"):
			bad("local.models[%d]: a model needs a name without spaces and @", i)
		case names[m.Name]:
			bad("local.models[%d]: the name %q is taken", i, m.Name)
		case m.File == "":
			bad("local.models[%d] %q: file is missing: a GGUF, or \"embedded\"", i, m.Name)
		case m.File == nano.Embedded && m.Name != "nano":
			bad("local.models[%d] %q: the embedded model is called nano", i, m.Name)
		case m.Cache < -1:
			bad("local.models[%d] %q: cache_bytes must be -1 (none), 0 (a quarter of the memory) or a number of bytes", i, m.Name)
		case m.Context < 0 || m.Memory < 0 || m.Grammars < 0:
			bad("local.models[%d] %q: context, memory_bytes and grammar_bytes must not be negative", i, m.Name)
		case !slices.Contains([]string{"", "f16", "q8_0", "f32"}, m.KV):
			bad("local.models[%d] %q: kv: %q is none of f16, q8_0, f32", i, m.Name, m.KV)
		}
		names[m.Name] = true
	}
	if m := c.Formats.Model; m != "" && !names[m] {
		bad("formats.model: %q is none of local.models", m)
	}
	if err := c.formatConfig().Validate(); err != nil {
		bad("formats: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	if !c.Judge.Disable && !names[c.Judge.Model] {
		bad("judge.model: %q is none of local.models", c.Judge.Model)
	}
	if c.Judge.Unsupported < 0 || c.Judge.Supported > 1 || c.Judge.Unsupported > c.Judge.Supported {
		bad("judge: 0 <= unsupported (%g) <= supported (%g) <= 1 must hold", c.Judge.Unsupported, c.Judge.Supported)
	}
	if c.Judge.Escalate < 0 || c.Judge.Escalate > 1 {
		bad("judge.escalate: %g is no share between 0 and 1", c.Judge.Escalate)
	}
}

// formatConfig is what the router is told about answers with a schema.
func (c *Config) formatConfig() router.FormatConfig {
	return router.FormatConfig{Repair: c.Formats.Repair, Invalid: c.Formats.Invalid, Stream: c.Formats.Stream, Alive: c.Formats.Alive}
}

func (c *Config) validateProviders(bad func(string, ...any)) {
	names := map[string]bool{}
	for i, p := range c.Providers {
		switch {
		case p.Name == "" || strings.ContainsAny(p.Name, " /@"):
			bad("providers[%d]: a provider needs a name without spaces, / and @", i)
		case p.Name == "local":
			bad("providers[%d]: \"local\" is the embedded tier's name", i)
		case names[p.Name]:
			bad("providers[%d]: the name %q is taken", i, p.Name)
		case len(p.Models) == 0:
			bad("providers[%d] %q: models is empty: name at least one", i, p.Name)
		}
		names[p.Name] = true
		if p.BaseURL != "" && !strings.HasPrefix(p.BaseURL, "https://") && !strings.HasPrefix(p.BaseURL, "http://") {
			bad("providers[%d] %q: base_url must begin with https:// or http://", i, p.Name)
		}
		for _, d := range []struct {
			key string
			v   time.Duration
		}{{"connect_timeout", p.ConnectTimeout}, {"first_byte_timeout", p.FirstByteTimeout}, {"answer_timeout", p.AnswerTimeout}, {"idle_timeout", p.IdleTimeout}} {
			if d.v < 0 {
				bad("providers[%d] %q: %s must not be negative", i, p.Name, d.key)
			}
		}
		for _, part := range []struct {
			key string
			err error
		}{{"breaker", p.Breaker.Validate()}, {"retry", p.Retry.Validate()}} {
			if part.err != nil {
				bad("providers[%d] %q: %s: %s", i, p.Name, part.key, strings.ReplaceAll(part.err.Error(), "\n", "; "))
			}
		}
		for j, m := range p.Models {
			if m.Name == "" {
				bad("providers[%d].models[%d]: name is missing", i, j)
			}
		}
	}
}

// loopback reports whether only this machine can reach addr.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return true // reported already
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
