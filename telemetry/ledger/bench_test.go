package ledger

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/internal/llm"
)

// full is a record as a busy gateway writes it: one escalation, two findings.
func full() *llm.Record {
	r := rec(1)
	r.User, r.Key, r.Session = "5d41402abc4b2a76b9719d911017c592", "team-a", "7d793037a0760186574b0282f2f435e7"
	r.Trace, r.InputMAC = "4bf92f3577b34da6a3ce929d0e0e4736", "e4d909c290d0fb1ca068ffaddf22cbd0"
	r.Findings = map[string]int{"EMAIL": 2, "IBAN": 1}
	r.Redacted, r.Reasons = []string{"EMAIL", "IBAN"}, []string{"personal data is redacted before the cloud"}
	r.Attempts = []llm.Attempt{{Target: "openai/gpt-5-mini@eu", Hop: llm.First, Try: 1, Start: day, Duration: time.Second, Outcome: llm.OK, Status: 200}}
	r.Usage = llm.Usage{Input: 412, Output: 96}
	return r
}

// BenchmarkRecord measures durable records: each writer waits for each of its
// records. wait-p50-us and wait-p99-us are what one caller sees.
func BenchmarkRecord(b *testing.B) {
	for _, writers := range []int{1, 8, 64, 256} {
		b.Run(fmt.Sprintf("writers-%d", writers), func(b *testing.B) {
			commits := 0
			l := mustOpen(b, b.TempDir(), Config{OnCommit: func(Commit) { commits++ }})
			r := full()
			waits := make([][]time.Duration, writers)
			ctx := b.Context()
			var wg sync.WaitGroup
			b.ResetTimer()
			for w := range writers {
				wg.Go(func() {
					for i := w; i < b.N; i += writers {
						start := time.Now()
						if err := l.Record(ctx, r, true); err != nil {
							b.Error(err)
							return
						}
						waits[w] = append(waits[w], time.Since(start))
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			l.Close()
			all := slices.Concat(waits...)
			slices.Sort(all)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
			b.ReportMetric(float64(b.N)/float64(commits), "records/fsync")
			b.ReportMetric(float64(all[len(all)/2].Microseconds()), "wait-p50-us")
			b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "wait-p99-us")
		})
	}
}

// BenchmarkVerify measures reading: every byte is hashed again.
func BenchmarkVerify(b *testing.B) {
	dir := b.TempDir()
	l := mustOpen(b, dir, Config{})
	const n = 20000
	for range n {
		if err := l.Record(b.Context(), full(), false); err != nil {
			b.Fatal(err)
		}
	}
	l.Close()
	b.ResetTimer()
	for range b.N {
		if rep, err := Verify(dir); err != nil || rep.Records != n {
			b.Fatal(rep, err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
