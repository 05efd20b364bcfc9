package main

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/sluice-ai/sluice/configs"
)

func configCommand(f *flags) *cobra.Command {
	return group("config", "The configuration: check, print", configCheckCommand(f), configPrintCommand(f))
}

func configCheckCommand(f *flags) *cobra.Command {
	c := &cobra.Command{Use: "check [FILE]", Short: "Report every mistake in a configuration"}
	c.Args = func(_ *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usageError{errors.New("config check takes at most one file")}
		}
		return nil
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 1 {
			f.config = args[0]
		}
		cfg, err := loadConfig(*f)
		if err != nil {
			return usageError{err}
		}
		// What can only be seen by building: secrets, aliases, policy, prices.
		b, err := assemble(c.Context(), cfg, quiet())
		if err != nil {
			return usageError{err}
		}
		b.close()
		fmt.Fprintf(c.OutOrStdout(), "%s: ok\n", orBuiltIn(f.config))
		return nil
	}
	return c
}

func configPrintCommand(f *flags) *cobra.Command {
	var defaults bool
	c := &cobra.Command{Use: "print", Short: "Print the configuration in force, or the annotated defaults", Args: exactly(0, "no arguments")}
	c.Flags().BoolVar(&defaults, "defaults", false, "the annotated default file, to start your own from")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if defaults {
			_, err := c.OutOrStdout().Write(configs.YAML)
			return err
		}
		cfg, err := loadConfig(*f)
		if err != nil {
			return usageError{err}
		}
		hide(cfg)
		enc := yaml.NewEncoder(c.OutOrStdout())
		enc.SetIndent(2)
		return enc.Encode(cfg)
	}
	return c
}

// hide replaces secrets that stand in the file itself; references to them stay readable.
func hide(cfg *Config) {
	for i := range cfg.Keys {
		hideOne(&cfg.Keys[i].Secret)
	}
	for i := range cfg.Providers {
		hideOne(&cfg.Providers[i].APIKey)
		hideUser(&cfg.Providers[i].BaseURL)
		for j := range cfg.Providers[i].Headers {
			hideOne(&cfg.Providers[i].Headers[j].Value)
		}
	}
	hideUser(&cfg.Telemetry.Traces.Endpoint)
	for i := range cfg.Telemetry.Traces.Headers {
		hideOne(&cfg.Telemetry.Traces.Headers[i].Value)
	}
}

// hideUser hides the password in an address, and what its query may hold.
func hideUser(s *string) {
	u, err := url.Parse(*s)
	if err != nil {
		*s = "<redacted>"
		return
	}
	if u.RawQuery != "" {
		u.RawQuery = "<redacted>"
	}
	*s = u.Redacted()
}
