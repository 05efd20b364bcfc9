package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-ai/sluice/telemetry/ledger"
)

func auditCommand(f *flags) *cobra.Command {
	return group("audit", "The ledger of decisions: tail, verify", auditTailCommand(f), auditVerifyCommand(f))
}

// ledgerDir is where the ledger lies in the data directory.
func ledgerDir(cfg *Config) string { return filepath.Join(cfg.DataDir, "ledger") }

// existingLedger returns the ledger's folder, or says that there is none.
func existingLedger(f flags) (string, error) {
	cfg, err := loadConfig(f)
	if err != nil {
		return "", usageError{err}
	}
	dir := ledgerDir(cfg)
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return "", usageError{fmt.Errorf("there is no ledger in %s: name the gateway's data directory with --data-dir", cfg.DataDir)}
	}
	return dir, nil
}

func auditTailCommand(f *flags) *cobra.Command {
	var n int
	var follow, asJSON bool
	c := &cobra.Command{Use: "tail", Short: "Show the last records, also of a running gateway", Args: exactly(0, "no arguments, only flags")}
	c.Flags().IntVarP(&n, "lines", "n", 10, "how many records")
	c.Flags().BoolVarP(&follow, "follow", "f", false, "wait for more")
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object for each record, as the ledger holds it")
	c.RunE = func(c *cobra.Command, _ []string) error {
		dir, err := existingLedger(*f)
		if err != nil {
			return err
		}
		err = ledger.Tail(c.Context(), dir, n, follow, func(e ledger.Entry) error {
			if asJSON {
				_, err := fmt.Fprintf(c.OutOrStdout(), "%s\n", bytes.TrimSpace(e.Raw))
				return err
			}
			return printEntry(c.OutOrStdout(), e)
		})
		if c.Context().Err() != nil {
			return nil // the user has seen enough
		}
		return err
	}
	return c
}

// printEntry writes one record on one line.
func printEntry(w io.Writer, e ledger.Entry) error {
	r := e.Record
	what := string(r.Route)
	if r.Target != "" {
		what += " " + r.Target
	}
	if r.Code != "" {
		what += " " + string(r.Code)
	}
	var notes []string
	if r.Kind != "" { // what was learned of a request later
		what = r.Kind + " " + what
		verdict := "no verdict"
		if v := r.Verdict; v != nil {
			verdict = map[bool]string{true: "good", false: "bad"}[v.Good]
			if v.Score != nil {
				verdict += fmt.Sprintf(" (%.2f)", *v.Score)
			}
		}
		notes = append(notes, verdict+", of "+r.Of)
	}
	if len(r.Redacted) > 0 {
		notes = append(notes, "redacted "+strings.Join(r.Redacted, ","))
	}
	if n := len(r.Attempts); n > 1 {
		notes = append(notes, fmt.Sprintf("%d attempts", n))
	}
	if r.CostNano > 0 {
		notes = append(notes, fmt.Sprintf("$%.6f", float64(r.CostNano)/1e9))
	}
	_, err := fmt.Fprintf(w, "%6d  %s  %-8s %3d  %-34s p=%.2f  %4d ms  %s  %s\n", e.Sequence, r.Time.Local().Format("15:04:05"), r.Tenant,
		r.Status, what, r.Assessment.PLocal, r.Duration.Milliseconds(), r.ID, strings.Join(notes, ", "))
	return err
}

func auditVerifyCommand(f *flags) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "verify", Short: "Recompute the ledger's chain; name the first broken record",
		Long: `Recompute the ledger's hash chain from the first record to the last. Exit 0 when every
record is as it was written; otherwise name the first that is not, and exit 1.

A chain cannot show that its end was cut off: note the root that this command prints in
another place, and compare it later.`,
		Args: exactly(0, "no arguments, only flags"),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "the report as JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		dir, err := existingLedger(*f)
		if err != nil {
			return err
		}
		rep, err := ledger.Verify(dir)
		if err != nil {
			return err
		}
		if asJSON {
			if err := printJSON(c.OutOrStdout(), rep); err != nil {
				return err
			}
		} else {
			where := "in " + plural(rep.Segments, "segment") + " of"
			if rep.Problem != nil {
				where = "before the break in"
			}
			fmt.Fprintf(c.OutOrStdout(), "%s %s %s\n", plural(int(rep.Records), "record"), where, dir)
			if rep.Records > 0 {
				fmt.Fprintf(c.OutOrStdout(), "first  %s %s\nlast   %s %s\nroot   %s\n",
					rep.First.Time.Format("2006-01-02 15:04:05Z07:00"), rep.First.ID, rep.Last.Time.Format("2006-01-02 15:04:05Z07:00"), rep.Last.ID, rep.Root)
			}
		}
		if rep.Torn > 0 && !asJSON {
			fmt.Fprintf(c.OutOrStdout(), "torn   %d bytes at the end: a record is being written now, or was when the process or the machine stopped\n", rep.Torn)
		}
		if rep.Problem != nil {
			return fmt.Errorf("the ledger is broken: %w", rep.Problem)
		}
		if !asJSON {
			fmt.Fprintln(c.OutOrStdout(), "the chain is whole")
		}
		return nil
	}
	return c
}
