package calibrate

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
)

// verdict draws a p_local of a made-up judge, and whether the local answer is good.
func verdict(rng *rand.Rand, shift, worse float64) (p float64, good bool) {
	p = (rng.Float64() + rng.Float64()) / 2
	return min(1, p*(1-shift)), rng.Float64() < p-worse
}

func calibrated(rng *rand.Rand) *Calibration {
	c := &Calibration{ID: "cal_x", Alpha: 0.3, Delta: 0.05, Supported: 0.75}
	var scores []float64
	for range 1000 {
		p, _ := verdict(rng, 0, 0)
		scores = append(scores, p)
	}
	c.Scores = quantiles(scores)
	return c
}

// The index stays low while nothing changes, and rises when the traffic does.
func TestPSI(t *testing.T) {
	for _, tt := range []struct {
		name  string
		shift float64
		n     int
		state string
	}{{"same", 0, 3000, "ok"}, {"too-few", 0.5, 150, "unknown"}, {"other-traffic", 0.3, 1000, "drift"}} {
		t.Run(tt.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			m := NewMonitor(calibrated(rng))
			for range tt.n {
				p, _ := verdict(rng, tt.shift, 0)
				m.Scored(p)
			}
			if d := m.Drift(); d.State != tt.state || d.Alarm != (tt.state == "drift") || d.Scores != min(tt.n, monitorWindow) {
				t.Errorf("drift = %+v, want %s", d, tt.state)
			}
		})
	}
	t.Run("recovers", func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		m := NewMonitor(calibrated(rng))
		for i := range 2 * monitorWindow {
			p, _ := verdict(rng, 0.5*float64(1-i/monitorWindow), 0)
			m.Scored(p)
		}
		if d := m.Drift(); d.State != "ok" {
			t.Errorf("drift = %+v after the window has passed", d)
		}
	})
}

// Evidence: false alarms are as rare as promised, and a judge that became worse is found.
func TestEvidence(t *testing.T) {
	run := func(seed uint64, share float64, n int) (first int) {
		rng := rand.New(rand.NewPCG(seed, 3))
		m := NewMonitor(calibrated(rng))
		for i := range n {
			m.Outcome(0.9, rng.Float64() >= share)
			if m.Drift().Alarm {
				return i + 1
			}
		}
		return 0
	}
	alarms := 0
	for seed := range uint64(200) {
		if run(seed, 0.3, 200) > 0 { // exactly alpha bad: the hardest case
			alarms++
		}
	}
	if alarms > 60 { // 200 × 200 outcomes at one alarm in 1000 are at most 40 on average
		t.Errorf("%d false alarms in 40,000 outcomes, more than one in 1000", alarms)
	}
	late := 0
	for seed := range uint64(50) {
		if at := run(seed, 0.6, 150); at == 0 {
			late++
		}
	}
	if late > 5 {
		t.Errorf("%d of 50 judges that are twice as bad as promised are not found within 150 outcomes", late)
	}
}

func TestMonitorWithoutACalibration(t *testing.T) {
	m := NewMonitor(nil)
	for range 500 {
		m.Scored(0.9)
		m.Outcome(0.9, false)
	}
	if d := m.Drift(); d.Alarm || d.State != "unknown" || d.Bad != 500 {
		t.Errorf("drift = %+v", d)
	}
	flat := NewMonitor(&Calibration{Scores: []float64{0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5}, Alpha: 0.1, Supported: 0.5})
	for range 500 {
		flat.Scored(0.5)
	}
	if d := flat.Drift(); d.PSI > 0.01 {
		t.Errorf("a judge that always says the same: %+v", d)
	}
}

// However long a judge is wrong, its evidence is a number that JSON can hold, and the
// alarm ends when it is right again.
func TestEvidenceIsBounded(t *testing.T) {
	m := NewMonitor(&Calibration{Alpha: 0.05, Supported: 0.5})
	for range 2000 {
		m.Outcome(0.9, false)
	}
	if _, err := json.Marshal(m.Drift()); err != nil || !m.Drift().Alarm {
		t.Errorf("alarm %v, %v", m.Drift().Alarm, err)
	}
	for range 1000 {
		m.Outcome(0.9, true)
	}
	if d := m.Drift(); d.Alarm {
		t.Errorf("after 1000 good outcomes the alarm is still on: evidence %g", d.Evidence)
	}
}
