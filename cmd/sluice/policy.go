package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sluice-ai/sluice/policy/opa"
)

func policyCommand(f *flags) *cobra.Command {
	return group("policy", "The policies: check, test", policyCheckCommand(f), policyTestCommand(f))
}

// bundle returns the bundle that the arguments name: a folder, or the configuration's.
func bundle(f *flags, args []string) (opa.Config, string, error) {
	cfg, err := loadConfig(*f)
	if err != nil {
		return opa.Config{}, "", usageError{err}
	}
	name := cfg.Policy.Dir
	if len(args) > 0 {
		name = args[0]
	}
	fsys, err := policyFS(name)
	if err != nil {
		return opa.Config{}, "", usageError{fmt.Errorf("policy: %w", err)}
	}
	c := policyConfig(cfg, fsys)
	if name == "" {
		name = "the built-in policies"
	}
	return c, name, nil
}

func atMostOneFolder(c *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usageError{fmt.Errorf("%s takes at most one folder", c.CommandPath())}
	}
	return nil
}

func policyCheckCommand(f *flags) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "check [FOLDER]", Short: "Compile a policy bundle and try it on sample inputs", Args: atMostOneFolder,
		Long: `Compile a policy bundle, ask it about sample inputs of every tenant, and hold inputs
and answers against the bundle's schemas. Without a folder: the configuration's bundle.`,
	}
	c.Flags().BoolVar(&asJSON, "json", false, "the problems as JSON")
	c.RunE = func(c *cobra.Command, args []string) error {
		cfg, name, err := bundle(f, args)
		if err != nil {
			return err
		}
		problems := opa.Check(c.Context(), cfg)
		if asJSON {
			if problems == nil {
				problems = []opa.Problem{}
			}
			if err := printJSON(c.OutOrStdout(), problems); err != nil {
				return err
			}
		} else {
			for _, p := range problems {
				fmt.Fprintln(c.OutOrStdout(), p)
			}
		}
		if n := len(problems); n > 0 {
			return fmt.Errorf("%s: %s", name, plural(n, "problem"))
		}
		if !asJSON {
			fmt.Fprintf(c.OutOrStdout(), "%s: ok\n", name)
		}
		return nil
	}
	return c
}

func policyTestCommand(f *flags) *cobra.Command {
	var asJSON, verbose bool
	c := &cobra.Command{Use: "test [FOLDER]", Short: "Run a bundle's own tests (*_test.rego)", Args: atMostOneFolder}
	c.Flags().BoolVar(&asJSON, "json", false, "the report as JSON")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "name every test, not only those that fail")
	c.RunE = func(c *cobra.Command, args []string) error {
		cfg, name, err := bundle(f, args)
		if err != nil {
			return err
		}
		rep, err := opa.Test(c.Context(), cfg)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if asJSON {
			if err := printJSON(c.OutOrStdout(), rep); err != nil {
				return err
			}
		} else {
			for _, r := range rep.Tests {
				if !r.Pass {
					fmt.Fprintf(c.OutOrStdout(), "FAIL  %s:%d  %s  %s\n", r.File, r.Line, r.Name, r.Message)
				} else if verbose {
					fmt.Fprintf(c.OutOrStdout(), "ok    %s:%d  %s\n", r.File, r.Line, r.Name)
				}
			}
			fmt.Fprintf(c.OutOrStdout(), "%d passed, %d failed, %.0f %% of the rules' lines covered\n", rep.Passed, rep.Failed, rep.Coverage)
		}
		switch {
		case len(rep.Tests) == 0:
			return fmt.Errorf("%s has no tests: name files *_test.rego and rules test_…", name)
		case !rep.OK():
			return fmt.Errorf("%s: %s failed", name, plural(rep.Failed, "test"))
		}
		return nil
	}
	return c
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
