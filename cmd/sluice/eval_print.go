package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-ai/sluice/local/eval"
)

// printEval writes a report as tables.
func printEval(w io.Writer, r *evalReport) error {
	fmt.Fprintf(w, "%s (%.19s…) on %s (%.19s…)\n", r.Model.Name, r.Model.Digest, r.Data.File, r.Data.Digest)
	fmt.Fprintf(w, "%d requests, %d labelled local (p >= 0.5); 95 %% intervals from %d resamples, seed %d\n", r.N, r.Local, r.Rounds, r.Seed)
	fmt.Fprintf(w, "ece: |mean p_local - share local| over %d bins of equal mass; floor: what to expect of perfect calibration\n\n", eval.Bins)
	for _, part := range []func(*evalReport) *table{overall, differences, groups, kindsTable, routes, quadrants} {
		t := part(r)
		if err := t.print(w); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	return nil
}

// within writes an estimate with its interval.
func within(e eval.Estimate) string {
	return fmt.Sprintf("%.3f (%.3f–%.3f)", e.Value, e.Low, e.High)
}

func withinOr(e *eval.Estimate) string {
	if e == nil {
		return "-"
	}
	return within(*e)
}

func signed(e *eval.Estimate) string {
	if e == nil {
		return "-"
	}
	return fmt.Sprintf("%+.3f (%+.3f to %+.3f)", e.Value, e.Low, e.High)
}

func num(v float64) string { return strconv.FormatFloat(v, 'f', 3, 64) }

func overall(r *evalReport) *table {
	t := &table{}
	t.row("", "accuracy", "AUC", "ECE", "floor", "ECE of p", "Brier", "Brier of p", "p50 ms", "p99 ms")
	for _, s := range r.Systems {
		t.row(s.Name, within(s.Accuracy), withinOr(s.AUC), within(s.ECE), num(s.ECEFloor), within(s.ECEP), within(s.Brier), within(s.BrierP),
			fmt.Sprintf("%.2f", s.Latency.P50), fmt.Sprintf("%.2f", s.Latency.P99))
	}
	return t
}

func differences(r *evalReport) *table {
	t := &table{}
	t.row("difference, same resamples", "accuracy", "AUC")
	for _, d := range r.Differences {
		t.row(d.Of+" - "+d.From, signed(&d.Accuracy), signed(d.AUC))
	}
	return t
}

// groups puts the first two systems side by side.
func groups(r *evalReport) *table {
	t := &table{}
	shown := r.Systems[:min(2, len(r.Systems))]
	head := []string{"", "n", "local"}
	for _, s := range shown {
		head = append(head, s.Name+": accuracy", "AUC")
	}
	by := ""
	for i, g := range shown[0].Groups {
		if g.By != by {
			by = g.By
			head[0] = "by " + by
			t.row(slices.Clone(head)...)
		}
		cells := []string{g.Name, strconv.Itoa(g.N), strconv.Itoa(g.Local)}
		for _, s := range shown {
			cells = append(cells, within(s.Groups[i].Accuracy), withinOr(s.Groups[i].AUC))
		}
		t.row(cells...)
	}
	return t
}

// kindsTable says, for each kind of task, how often the first system told it and
// what it took it for instead.
func kindsTable(r *evalReport) *table {
	t := &table{}
	head := []string{"kind of task told right"}
	for _, s := range r.Systems {
		head = append(head, s.Name+" "+within(s.Kinds.Accuracy))
	}
	t.row(strings.Join(head, "   "))
	k := r.Systems[0].Kinds
	t.row("kind", "n", "right", "taken for")
	for i, row := range k.Confusion {
		n := 0
		var others []int
		for j, count := range row {
			n += count
			if j != i && count > 0 {
				others = append(others, j)
			}
		}
		if n == 0 {
			continue
		}
		slices.SortStableFunc(others, func(a, b int) int { return row[b] - row[a] })
		var taken []string
		for _, j := range others[:min(4, len(others))] {
			taken = append(taken, fmt.Sprintf("%s %d", k.Names[j], row[j]))
		}
		t.row(k.Names[i], strconv.Itoa(n), strconv.Itoa(row[i]), strings.Join(taken, ", "))
	}
	return t
}

func routes(r *evalReport) *table {
	ro := r.Systems[0].Routing
	t := &table{}
	t.row(fmt.Sprintf("routing: quality %.3f when all stays, %.3f when all is sent", ro.Weak, ro.Strong))
	t.row("", "APGR", "sent for 50 % of the gap", "for 80 %", "kept at home at 95 % of quality")
	for _, s := range r.Systems {
		t.row(s.Name, within(s.Routing.APGR), percent(s.Routing.CPT50), percent(s.Routing.CPT80), within(s.Routing.LocalAt95))
	}
	t.row("at random, and the zero router", num(0.5), "50 %", "80 %", num(ro.LocalAt95Random))
	t.row("oracle", num(ro.Oracle), "", "", num(ro.LocalAt95Oracle))
	return t
}

func quadrants(r *evalReport) *table {
	t := &table{}
	t.row("at threshold 0.5 (expected requests)", "n", "both good", "only the cloud good", "only local good", "neither")
	for _, s := range r.Systems {
		for _, q := range []struct {
			name string
			eval.Quadrants
		}{{"kept (safe, lost, –, hard)", s.Routing.Kept}, {"sent (–, rescued, –, hard)", s.Routing.Sent}} {
			one := func(v float64) string { return fmt.Sprintf("%.1f", v) }
			t.row(s.Name+" "+q.name, strconv.Itoa(q.N), one(q.Safe), one(q.Rescue), one(q.Loss), one(q.Hard))
		}
	}
	return t
}
