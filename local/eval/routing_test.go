package eval

import (
	"math"
	"math/rand/v2"
	"testing"
)

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

// Four requests, kept from the surest down: 0.9 and 0.6 lose little, 0.2 and 0 much.
func TestRoutingByHand(t *testing.T) {
	c := 0.8
	cases := []Case{{P: 0.9}, {P: 0.2}, {P: 0.6, Cloud: &c}, {P: 0}}
	score := []float64{0.99, 0.3, 0.7, 0.3}
	r := routing(score, cases, nil)
	// Sent: 1+1+0.8+1 = 3.8. Kept: 0.9, then 0.6 for 0.8, then the tied two, each half of -0.8 and -1.
	want := []float64{3.8 / 4, 3.7 / 4, 3.5 / 4, 2.6 / 4, 1.7 / 4}
	for i, w := range want {
		if !near(r.Curve[25*i], w) {
			t.Errorf("with %d kept, quality is %v, want %v", i, r.Curve[25*i], w)
		}
	}
	if !near(r.Strong, want[0]) || !near(r.Weak, want[4]) {
		t.Errorf("strong %v, weak %v", r.Strong, r.Weak)
	}
	area := (want[0]/2 + want[1] + want[2] + want[3] + want[4]/2) / 4
	if apgr := (area - want[4]) / (want[0] - want[4]); !near(r.APGR.Value, apgr) || r.Oracle < r.APGR.Value {
		t.Errorf("APGR %v, want %v; oracle %v", r.APGR.Value, apgr, r.Oracle)
	}
	// 95 % of 0.95 is 0.9025: one may stay (0.925), two may not (0.875).
	if !near(r.LocalAt95.Value, 0.25) {
		t.Errorf("kept at 95 %% of quality: %v", r.LocalAt95.Value)
	}
	// Half of the gap is at 0.6875: two kept have 0.875, three 0.65. So half must be sent.
	if !near(r.CPT50, 0.5) || !near(r.CPT80, 0.5) {
		t.Errorf("CPT50 %v, CPT80 %v", r.CPT50, r.CPT80)
	}
	k := r.Kept
	if k.N != 2 || !near(k.Safe, 0.9+0.48) || !near(k.Rescue, 0.1+0.32) || !near(k.Loss, 0.12) || !near(k.Hard, 0.08) || r.Sent.N != 2 {
		t.Errorf("kept %+v, sent %+v", k, r.Sent)
	}
}

// Routing at random recovers half of the gap, by the labels as much as an oracle
// can, and the wrong way round as much less.
func TestAPGR(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	const n = 2000
	cases, noise, truth, lies := make([]Case, n), make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range cases {
		cases[i].P = rng.Float64()
		noise[i], truth[i], lies[i] = rng.Float64(), cases[i].P, -cases[i].P
	}
	random, right, wrong := routing(noise, cases, nil), routing(truth, cases, nil), routing(lies, cases, nil)
	if math.Abs(random.APGR.Value-0.5) > 0.02 || math.Abs(random.LocalAt95.Value-random.LocalAt95Random) > 0.03 {
		t.Errorf("random: %+v, kept %v, the line says %v", random.APGR, random.LocalAt95.Value, random.LocalAt95Random)
	}
	if !near(right.APGR.Value, right.Oracle) || !near(wrong.APGR.Value+right.Oracle, 1) {
		t.Errorf("right %v, oracle %v, wrong %v", right.APGR.Value, right.Oracle, wrong.APGR.Value)
	}
	// When the cloud is no better, there is nothing to recover and everything may stay.
	same := routing(noise, []Case{{P: 1}, {P: 1}}, nil)
	if same.APGR.Value != 0.5 || same.LocalAt95.Value != 1 || same.LocalAt95Random != 1 {
		t.Errorf("without a gap: %+v", same)
	}
}
