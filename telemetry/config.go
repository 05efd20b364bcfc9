package telemetry

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/sluice-ai/sluice/internal/secret"
)

// Config configures [Start]. A zero field takes the default it documents. Where
// it is silent, the standard environment variables speak: OTEL_TRACES_EXPORTER,
// OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES,
// OTEL_SDK_DISABLED and OTEL_EXPORTER_OTLP_*.
type Config struct {
	// Service names this program in traces. Default "sluice".
	Service string  `yaml:"service"`
	Version string  `yaml:"-"`
	Traces  Traces  `yaml:"traces"`
	Metrics Metrics `yaml:"metrics"`

	// Out takes the lines of the stdout exporter. Default os.Stderr: standard
	// output is for results.
	Out io.Writer `yaml:"-"`
	// Log takes what goes wrong, at most once a minute. Default slog's default logger.
	Log *slog.Logger `yaml:"-"`
}

// Traces says where spans go.
type Traces struct {
	// Exporter is "none", "stdout" or "otlp". Default: "otlp" when the
	// environment names an endpoint, else "none".
	Exporter string `yaml:"exporter"`
	// Endpoint is the collector, for OTLP over HTTP: "http://host:4318" or
	// "host:4318". Without a path, /v1/traces is added. Default http://localhost:4318.
	Endpoint string `yaml:"endpoint"`
	// Insecure allows plain HTTP to an Endpoint without a scheme.
	Insecure bool `yaml:"insecure"`
	// Sample is the share of traces to record, 0 to 1; a caller's own decision,
	// in its traceparent, goes before it. Default 1.
	Sample *float64 `yaml:"sample"`
	// Headers go with every export, such as the collector's key.
	Headers []Header `yaml:"-"`
}

// A Header is an HTTP header whose value is secret.
type Header struct {
	Name  string
	Value secret.String
}

// Metrics says whether there is a metrics page.
type Metrics struct {
	// Disable leaves every instrument without effect.
	Disable bool `yaml:"disable"`
}

// The values of Traces.Exporter.
const (
	exportNone   = "none"
	exportStdout = "stdout"
	exportOTLP   = "otlp"
)

// Validate reports every mistake in c, not only the first.
func (c Config) Validate() error {
	var errs []error
	t := c.Traces
	if !slices.Contains([]string{"", exportNone, exportStdout, exportOTLP}, t.Exporter) {
		errs = append(errs, fmt.Errorf("traces.exporter: %q is none of none, stdout and otlp", t.Exporter))
	}
	if t.Endpoint != "" {
		if t.Exporter != exportOTLP {
			errs = append(errs, errors.New("traces.endpoint: it is only used with exporter: otlp"))
		}
		if _, err := t.url(); err != nil {
			errs = append(errs, err)
		}
	}
	if s := t.Sample; s != nil && !(*s >= 0 && *s <= 1) {
		errs = append(errs, fmt.Errorf("traces.sample: %g is not between 0 and 1", *s))
	}
	for _, h := range t.Headers {
		if h.Name == "" || strings.ContainsAny(h.Name, " :\r\n") {
			errs = append(errs, fmt.Errorf("traces.headers: %q is not the name of a header", h.Name))
		}
	}
	return errors.Join(errs...)
}

// url returns where spans are sent.
func (t Traces) url() (string, error) {
	raw := t.Endpoint
	if !strings.Contains(raw, "://") {
		scheme := "https://"
		if t.Insecure {
			scheme = "http://"
		}
		raw = scheme + raw
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "":
		return "", fmt.Errorf("traces.endpoint: %q is not an address such as http://localhost:4318", t.Endpoint)
	case u.Scheme != "http" && u.Scheme != "https":
		return "", fmt.Errorf("traces.endpoint: %q is no scheme for OTLP over HTTP: use http or https", u.Scheme)
	case u.User != nil:
		return "", errors.New("traces.endpoint: it must not hold a password: use traces.headers")
	case u.Scheme == "https" && t.Insecure:
		return "", errors.New("traces.insecure: it contradicts the https of traces.endpoint")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces"
	}
	return u.String(), nil
}

// exporter decides which exporter to use, asking the environment when c is silent.
func (t Traces) exporter() (string, error) {
	if t.Exporter != "" {
		return t.Exporter, nil
	}
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return exportNone, nil
	}
	switch env := os.Getenv("OTEL_TRACES_EXPORTER"); env {
	case exportNone, exportOTLP:
		return env, nil
	case "console", exportStdout:
		return exportStdout, nil
	case "":
	default:
		return "", fmt.Errorf("OTEL_TRACES_EXPORTER: %q is none of none, console and otlp", env)
	}
	if endpointInEnv() {
		return exportOTLP, nil
	}
	return exportNone, nil
}

func endpointInEnv() bool {
	return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}

// checkProtocol refuses what we cannot speak, rather than sending HTTP to a gRPC port.
func checkProtocol() error {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		switch v := os.Getenv(name); v {
		case "":
			continue
		case "http/protobuf", "http/json":
			return nil
		default:
			return fmt.Errorf("%s: %q is not supported: use http/protobuf and the collector's port for it, usually 4318", name, v)
		}
	}
	return nil
}
