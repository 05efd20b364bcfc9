package eval

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Bins is how many bins of equal mass the calibration error is taken over.
const Bins = 15

// An Estimate is a number with its 95 % bootstrap interval.
type Estimate struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Metrics say how good the probabilities of a judge are. A request's label is
// local when its p is at least 0.5.
type Metrics struct {
	// Accuracy is the share of requests whose p_local is on the label's side of 0.5.
	Accuracy Estimate `json:"accuracy"`
	// AUC is the chance that a request that may stay has a higher p_local than one
	// that may not; equal ones count half. Nil when there is only one label.
	AUC *Estimate `json:"auc,omitempty"`
	// ECE is the expected calibration error: requests sorted by p_local are cut into
	// Bins bins of equal mass; it is the mean of |mean p_local - share of local labels|.
	ECE Estimate `json:"ece"`
	// ECEP compares with the mean of p itself, instead of with the share of labels.
	ECEP Estimate `json:"ece_p"`
	// Brier is the mean of (p_local - label)², BrierP that of (p_local - p)².
	Brier  Estimate `json:"brier"`
	BrierP Estimate `json:"brier_p"`
}

// values are the metrics of one sample; auc is NaN when there is only one label.
type values struct{ accuracy, auc, ece, eceP, brier, brierP float64 }

// A ranking is what metrics need of a judge's scores: all in the order of
// growing score.
type ranking struct {
	score, p []float64
	local    []bool
	index    []int // into the cases
}

func rank(score []float64, cases []Case, of []int) *ranking {
	index := slices.Clone(of)
	slices.SortStableFunc(index, func(a, b int) int {
		switch {
		case score[a] < score[b]:
			return -1
		case score[a] > score[b]:
			return 1
		}
		return 0
	})
	r := &ranking{index: index}
	for _, i := range index {
		r.score = append(r.score, score[i])
		r.p = append(r.p, cases[i].P)
		r.local = append(r.local, cases[i].local())
	}
	return r
}

// measure takes the metrics of the sample that holds each case times[index] times.
func (r *ranking) measure(times []int) values {
	var v values
	n := 0
	for _, i := range r.index {
		n += times[i]
	}
	var binScore, binLabel, binP [Bins]float64
	var positives, negatives, below, wins float64 // below: negatives with a smaller score
	at := 0
	for i := 0; i < len(r.index); {
		end := i + 1
		for end < len(r.index) && r.score[end] == r.score[i] {
			end++
		}
		var pos, neg float64 // of this score
		for ; i < end; i++ {
			k := times[r.index[i]]
			label := 0.0
			if r.local[i] {
				label = 1
				pos += float64(k)
			} else {
				neg += float64(k)
			}
			if (r.score[i] >= 0.5) == r.local[i] {
				v.accuracy += float64(k)
			}
			v.brier += float64(k) * square(r.score[i]-label)
			v.brierP += float64(k) * square(r.score[i]-r.p[i])
			for range k {
				b := at * Bins / n
				at++
				binScore[b] += r.score[i]
				binLabel[b] += label
				binP[b] += r.p[i]
			}
		}
		wins += pos * (below + neg/2)
		below += neg
		positives, negatives = positives+pos, negatives+neg
	}
	for b := range Bins {
		v.ece += math.Abs(binScore[b] - binLabel[b])
		v.eceP += math.Abs(binScore[b] - binP[b])
	}
	total := float64(n)
	v.accuracy, v.brier, v.brierP, v.ece, v.eceP = v.accuracy/total, v.brier/total, v.brierP/total, v.ece/total, v.eceP/total
	v.auc = wins / (positives * negatives) // NaN when one is 0
	return v
}

func square(x float64) float64 { return x * x }

// bootstrap measures each of the rankings, which are of the same cases, on the
// sample as it is and on rounds resamples of it, the same ones for all.
func bootstrap(rankings []*ranking, cases int, of []int, rounds int, seed uint64) (plain []values, resampled [][]values) {
	times := make([]int, cases)
	for _, i := range of {
		times[i] = 1
	}
	resampled = make([][]values, len(rankings))
	for s, r := range rankings {
		plain = append(plain, r.measure(times))
		resampled[s] = make([]values, rounds)
	}
	rng := rand.New(rand.NewPCG(seed, uint64(len(of))))
	for round := range rounds {
		clear(times)
		for range of {
			times[of[rng.IntN(len(of))]]++
		}
		for s, r := range rankings {
			resampled[s][round] = r.measure(times)
		}
	}
	return plain, resampled
}

// estimate takes one of the metrics, with the middle 95 % of its resamples.
func estimate(plain values, resampled []values, get func(values) float64) Estimate {
	var all []float64
	for _, v := range resampled {
		if x := get(v); !math.IsNaN(x) {
			all = append(all, x)
		}
	}
	e := Estimate{Value: get(plain), Low: get(plain), High: get(plain)}
	if len(all) > 0 {
		slices.Sort(all)
		e.Low, e.High = quantile(all, 0.025), quantile(all, 0.975)
	}
	return e
}

// quantile returns the q-quantile of sorted values, between neighbours linearly.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

func metricsOf(plain values, resampled []values) Metrics {
	get := func(f func(values) float64) Estimate { return estimate(plain, resampled, f) }
	m := Metrics{
		Accuracy: get(func(v values) float64 { return v.accuracy }),
		ECE:      centred(get, plain.ece, resampled, func(v values) float64 { return v.ece }),
		ECEP:     centred(get, plain.eceP, resampled, func(v values) float64 { return v.eceP }),
		Brier:    get(func(v values) float64 { return v.brier }), BrierP: get(func(v values) float64 { return v.brierP }),
	}
	if !math.IsNaN(plain.auc) {
		auc := get(func(v values) float64 { return v.auc })
		m.AUC = &auc
	}
	return m
}

// centred is an estimate whose resamples are moved so that their mean is the
// value. Resampling adds noise to every bin, and a mean of absolute values only
// grows by it: as it is, the interval of a calibration error would lie too high.
func centred(get func(func(values) float64) Estimate, value float64, resampled []values, f func(values) float64) Estimate {
	mean := value
	if len(resampled) > 0 {
		mean = 0
		for _, v := range resampled {
			mean += f(v) / float64(len(resampled))
		}
	}
	e := get(f)
	return Estimate{value, max(0, e.Low+value-mean), max(0, e.High+value-mean)}
}

// floor is the mean ECE of scores that are right: labels are drawn with the
// scores as chances. No judge of n requests can be expected to have less.
func (r *ranking) floor(rounds int, seed uint64) float64 {
	rng := rand.New(rand.NewPCG(seed, 1))
	drawn := *r
	drawn.local = make([]bool, len(r.local))
	once := make([]int, slices.Max(r.index)+1)
	for _, i := range r.index {
		once[i] = 1
	}
	sum := 0.0
	for range rounds {
		for i, p := range r.score {
			drawn.local[i] = rng.Float64() < p
		}
		sum += drawn.measure(once).ece
	}
	return sum / float64(rounds)
}
