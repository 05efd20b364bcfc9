package calibrate

import (
	"math"
	"slices"
	"sync"

	"github.com/sluice-ai/sluice/internal/llm"
)

// The bounds of the drift alarm; docs/judgment.md explains them.
const (
	// PSIWatch and PSIDrift are the usual bounds of the population stability index:
	// below the first nothing has changed, above the second the population is another.
	PSIWatch = 0.1
	PSIDrift = 0.25
	// EvidenceBound is how much evidence against the promise raises the alarm. While
	// the promise holds, false alarms come no more often than once in so many
	// outcomes, on average.
	EvidenceBound = 1000

	// mostEvidence is where evidence stops to grow, so that it stays a number and the
	// alarm ends some hundred good outcomes after the last bad one.
	mostEvidence = 1000 * EvidenceBound

	monitorWindow = 1000 // verdicts that are looked at
	monitorFewest = 200  // before that the index is noise
	scoreBins     = 10
)

// A Monitor watches a judge in use. It holds its scores against those that the
// calibration was made from, and the outcomes of local answers against the
// promised share of bad ones. It implements the router's Monitor.
type Monitor struct {
	cal   *Calibration // nil: there is nothing to hold the judge to
	edges []float64    // between the bins of the reference
	share []float64    // of the reference in each bin

	mu       sync.Mutex
	ring     []float64
	at       int
	counts   []int
	outcomes int
	bad      int
	cusum    []float64 // one for each of the bets
}

// bets are the stakes of the e-detectors that are averaged.
var bets = []float64{0.25, 0.5, 1, 2, 4}

// NewMonitor returns a monitor of a judge with the calibration c, which may be nil.
func NewMonitor(c *Calibration) *Monitor {
	m := &Monitor{cal: c, cusum: make([]float64, len(bets))}
	if c != nil && len(c.Scores) > 1 {
		m.edges, m.share = binsOf(c.Scores)
		m.counts = make([]int, len(m.share))
	}
	return m
}

// binsOf cuts the reference, its quantiles in order, into bins of about equal
// mass. Equal quantiles make one bin.
func binsOf(quantiles []float64) (edges, share []float64) {
	inner := slices.Compact(slices.Clone(quantiles[1 : len(quantiles)-1]))
	mass := func(below float64) float64 { // of the reference, at or below
		n := 0
		for _, q := range quantiles[1:] {
			if q <= below {
				n++
			}
		}
		return float64(n) / float64(len(quantiles)-1)
	}
	last := 0.0
	for _, e := range inner {
		if m := mass(e); m > last && m < 1 {
			edges, share = append(edges, e), append(share, m-last)
			last = m
		}
	}
	return edges, append(share, 1-last)
}

// quantiles returns the 0, 10, … 100 % quantiles of scores; nil for fewer than 50.
func quantiles(scores []float64) (out []float64) {
	if len(scores) < 50 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(scores))
	for i := range scoreBins + 1 {
		out = append(out, sorted[i*(len(sorted)-1)/scoreBins])
	}
	return out
}

// bin returns where a score belongs.
func (m *Monitor) bin(score float64) int {
	i, _ := slices.BinarySearch(m.edges, score)
	return i
}

// Scored sees a verdict's p_local.
func (m *Monitor) Scored(pLocal float64) {
	if m.share == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts[m.bin(pLocal)]++
	if len(m.ring) < monitorWindow {
		m.ring = append(m.ring, pLocal)
		return
	}
	m.counts[m.bin(m.ring[m.at])]--
	m.ring[m.at] = pLocal
	m.at = (m.at + 1) % monitorWindow
}

// Outcome sees a local answer's. Those below the calibrated threshold were never
// promised anything.
func (m *Monitor) Outcome(pLocal float64, good bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.outcomes++
	bad := 0.0
	if !good {
		m.bad++
		bad = 1
	}
	if m.cal == nil || pLocal < m.cal.Supported {
		return
	}
	// A sum of e-values that begins anew when it falls (Shin, Ramdas and Rinaldo
	// 2024): in the long run it passes 1/a at most once in 1/a outcomes while no
	// more than alpha of them are bad.
	for i, stake := range bets {
		l := min(stake, 0.9/m.cal.Alpha) // so that no factor is negative
		m.cusum[i] = min(max(m.cusum[i], 1)*(1+l*(bad-m.cal.Alpha)), mostEvidence)
	}
}

// Drift says how it stands.
func (m *Monitor) Drift() llm.Drift {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := llm.Drift{State: "unknown", Scores: len(m.ring), Outcomes: m.outcomes, Bad: m.bad}
	if m.cal == nil {
		return d
	}
	d.Calibration = m.cal.ID
	for _, e := range m.cusum {
		d.Evidence += e / float64(len(m.cusum))
	}
	if len(m.ring) >= monitorFewest {
		d.PSI = m.psi()
		switch {
		case d.PSI >= PSIDrift:
			d.State = "drift"
		case d.PSI >= PSIWatch:
			d.State = "watch"
		default:
			d.State = "ok"
		}
	}
	d.Alarm = d.State == "drift" || d.Evidence >= EvidenceBound
	return d
}

// psi is Σ (a − e) ln(a/e) over the bins, with half a verdict added to each so that
// an empty one is no infinity.
func (m *Monitor) psi() float64 {
	n := float64(len(m.ring)) + 0.5*float64(len(m.share))
	sum := 0.0
	for i, e := range m.share {
		a := (float64(m.counts[i]) + 0.5) / n
		sum += (a - e) * math.Log(a/e)
	}
	return sum
}
