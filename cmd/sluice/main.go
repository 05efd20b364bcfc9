// Command sluice is a gateway for language models that answers on your own
// machine first, and opens the gate to the cloud only when the work needs it
// and the rules allow it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the Makefile.
var version = "dev"

// Exit codes: 0 success, 1 a failure while working (a broken ledger, a failed
// test), 2 a mistake in the command line or the configuration.
const (
	exitFailure = 1
	exitUsage   = 2
)

// A usageError is a mistake that the caller can mend: exit code 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "sluice: %v\n", err)
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitFailure
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "sluice",
		Short: "A hybrid local-cloud gateway for language models",
		Long: `Sluice answers on your own machine first, and opens the gate to the cloud only
when the work needs it and the rules allow it.

  sluice serve                 start the gateway
  sluice route "…"             where would this request go, and why?
  sluice chat                  talk to a running gateway

Results go to stdout, talk to stderr. --json gives results that scripts can rely on.`,
		SilenceErrors: true, SilenceUsage: true,
		Args: noSuchCommand, RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w: see %s --help", err, c.CommandPath())}
	})
	f := &flags{}
	p := root.PersistentFlags()
	p.StringVarP(&f.config, "config", "c", "", "configuration file (or SLUICE_CONFIG); without one, the built-in defaults")
	p.StringVar(&f.dataDir, "data-dir", "", "where the ledger is (or SLUICE_DATA_DIR)")
	root.AddCommand(
		serveCommand(f), chatCommand(f), routeCommand(f), inspectCommand(f), modelsCommand(f),
		policyCommand(f), auditCommand(f), configCommand(f), versionCommand(), evalCommand(f), calibrateCommand(f),
	)
	root.CompletionOptions.HiddenDefaultCmd = true
	return root
}

// exactly and atMost are cobra's argument checks with a sentence of our own.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError{fmt.Errorf("%s takes %s: see %s --help", c.CommandPath(), what, c.CommandPath())}
		}
		return nil
	}
}

// group is a command that only holds others.
func group(use, short string, sub ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: noSuchCommand, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(sub...)
	return c
}

// noSuchCommand refuses the name of a command that a group does not hold.
func noSuchCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	meant := ""
	if like := c.SuggestionsFor(args[0]); len(like) > 0 {
		meant = fmt.Sprintf("did you mean %q? Otherwise ", like[0])
	}
	return usageError{fmt.Errorf("unknown command %q: %ssee %s --help", args[0], meant, c.CommandPath())}
}

func versionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "version", Short: "Print the version", Args: exactly(0, "no arguments")}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		v := struct {
			Version  string `json:"version"`
			Go       string `json:"go"`
			Platform string `json:"platform"`
			Revision string `json:"revision,omitempty"`
		}{version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, ""}
		if info, ok := debug.ReadBuildInfo(); ok {
			for _, s := range info.Settings {
				if s.Key == "vcs.revision" {
					v.Revision = s.Value
				}
			}
		}
		if asJSON {
			return printJSON(c.OutOrStdout(), v)
		}
		fmt.Fprintf(c.OutOrStdout(), "sluice %s %s %s\n", v.Version, v.Go, v.Platform)
		return nil
	}
	return c
}

// printJSON writes v as indented JSON.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
