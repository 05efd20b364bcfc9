package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var busyModel = flag.String("busy-model", "", "GGUF to keep busy in BenchmarkHealthz instead of a tiny model")

// BenchmarkHealthz measures how long /healthz takes, on a connection of its own,
// while a local model does nothing, writes one answer, and writes four. The
// model's threads are then all at work: what is measured is whether the gateway's
// own goroutines come to their turn.
func BenchmarkHealthz(b *testing.B) {
	dir, bin := b.TempDir(), buildBinary(b)
	file := *busyModel
	if file == "" {
		file = filepath.Join(dir, "busy.gguf")
		if r := sluice(b, bin, "models", "synth", "--size", "tiny", "-o", file); r.exit != 0 {
			b.Fatal(r.stderr)
		}
	}
	p := start(b, "the gateway", bin, nil, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data-dir", filepath.Join(dir, "data"), "--model", file)
	name := "local/" + strings.TrimSuffix(filepath.Base(file), ".gguf")
	for _, answers := range []int{0, 1, 4} {
		b.Run(fmt.Sprint(answers), func(b *testing.B) {
			ctx, cancel := context.WithCancel(b.Context())
			var wg sync.WaitGroup
			defer wg.Wait()
			defer cancel()
			for i := range answers {
				wg.Go(func() {
					for ctx.Err() == nil {
						write(ctx, p.base, name, i)
					}
				})
			}
			time.Sleep(500 * time.Millisecond) // prompts are read
			var took []time.Duration
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for b.Loop() {
				time.Sleep(2 * time.Millisecond) // a probe that comes when it comes
				began := time.Now()
				res, err := client.Get(p.admin + "/healthz")
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			at := func(q float64) float64 { return took[int(q*float64(len(took)-1))].Seconds() * 1000 }
			b.ReportMetric(at(0.5), "p50-ms")
			b.ReportMetric(at(0.99), "p99-ms")
			b.ReportMetric(at(1), "max-ms")
		})
	}
}

// write streams one long answer.
func write(ctx context.Context, base, model string, n int) {
	body, err := json.Marshal(map[string]any{
		"model": model, "stream": true, "max_tokens": 1000, "seed": n,
		"messages": []map[string]string{{"role": "user", "content": "Go on and on"}},
	})
	if err != nil {
		return
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		return
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
}
