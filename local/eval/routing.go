package eval

import (
	"slices"
)

// Routing says what routing by a judge's p_local would do: requests are kept at
// home from the highest p_local down. Quality is the mean chance of a good
// answer, p at home and c (by default 1) in the cloud; cost is the share of
// requests sent to the cloud. With two models, the line of the zero router (any
// mix of all-local and all-cloud) is the line of routing at random.
type Routing struct {
	Weak   float64 `json:"weak"`   // quality when everything stays
	Strong float64 `json:"strong"` // quality when everything is sent
	// APGR is the mean, over all shares sent, of the part of the gap between Weak and
	// Strong that routing recovers. Random routing has 0.5.
	APGR Estimate `json:"apgr"`
	// Oracle is the APGR of routing by p itself: no judge can have more.
	Oracle float64 `json:"apgr_oracle"`
	// CPT50 and CPT80 are the smallest shares sent that recover 50 and 80 % of the gap.
	CPT50 float64 `json:"cpt50"`
	CPT80 float64 `json:"cpt80"`
	// LocalAt95 is the largest share kept at home with at least 95 % of Strong.
	LocalAt95       Estimate `json:"local_at_95"`
	LocalAt95Random float64  `json:"local_at_95_random"`
	LocalAt95Oracle float64  `json:"local_at_95_oracle"`
	// Curve has quality at 0, 1, … 100 % of requests kept at home.
	Curve       []float64 `json:"curve"`
	CurveOracle []float64 `json:"curve_oracle"`
	// Kept and Sent are what the threshold 0.5 does.
	Kept Quadrants `json:"kept"`
	Sent Quadrants `json:"sent"`
}

// Quadrants are expected numbers of requests by whose answer would be good.
type Quadrants struct {
	N      int     `json:"n"`
	Safe   float64 `json:"safe"`   // both
	Rescue float64 `json:"rescue"` // the cloud's alone
	Loss   float64 `json:"loss"`   // the local one alone
	Hard   float64 `json:"hard"`   // neither
}

// curve is the quality of keeping the first 0, 1, … n of an order at home.
type curve []float64

// keep builds the curve of keeping cases from the highest score down. Cases of
// the same score are kept in any order, so each counts as their mean.
func keep(score []float64, cases []Case, of []int) curve {
	order := slices.Clone(of)
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case score[a] > score[b]:
			return -1
		case score[a] < score[b]:
			return 1
		}
		return 0
	})
	n := float64(len(order))
	quality := 0.0
	for _, i := range order {
		quality += cases[i].cloud() / n
	}
	c := curve{quality}
	for i := 0; i < len(order); {
		end, gain := i, 0.0
		for ; end < len(order) && score[order[end]] == score[order[i]]; end++ {
			gain += cases[order[end]].P - cases[order[end]].cloud()
		}
		for gain /= float64(end - i); i < end; i++ {
			quality += gain / n
			c = append(c, quality)
		}
	}
	return c
}

// at returns the quality with a share of requests kept.
func (c curve) at(share float64) float64 {
	x := share * float64(len(c)-1)
	i := min(int(x), len(c)-2)
	return c[i] + (x-float64(i))*(c[i+1]-c[i])
}

func (c curve) strong() float64 { return c[0] }
func (c curve) weak() float64   { return c[len(c)-1] }

// apgr is the area under the recovered gap, by trapezoids; 0.5 when there is no gap.
func (c curve) apgr() float64 {
	gap := c.strong() - c.weak()
	if gap <= 0 {
		return 0.5
	}
	area := 0.0
	for i := range len(c) - 1 {
		area += (c[i] + c[i+1]) / 2
	}
	return (area/float64(len(c)-1) - c.weak()) / gap
}

// sentFor returns the smallest share sent to the cloud that reaches quality.
func (c curve) sentFor(quality float64) float64 { return 1 - c.keptFor(quality) }

// keptFor returns the largest share kept at home with at least quality.
func (c curve) keptFor(quality float64) float64 {
	for i := len(c) - 1; i > 0; i-- {
		if c[i] >= quality-1e-12 {
			return float64(i) / float64(len(c)-1)
		}
	}
	return 0
}

// sampled returns c at 0, 1, … 100 %.
func (c curve) sampled() []float64 {
	out := make([]float64, 101)
	for i := range out {
		out[i] = c.at(float64(i) / 100)
	}
	return out
}

func routing(score []float64, cases []Case, resamples [][]int) Routing {
	all := make([]int, len(cases))
	truth := make([]float64, len(cases)) // what an oracle would rank by: what keeping gains
	for i := range cases {
		all[i] = i
		truth[i] = cases[i].P - cases[i].cloud()
	}
	c, oracle := keep(score, cases, all), keep(truth, cases, all)
	gap := c.strong() - c.weak()
	r := Routing{
		Weak: c.weak(), Strong: c.strong(), Oracle: oracle.apgr(),
		CPT50: c.sentFor(c.weak() + 0.5*gap), CPT80: c.sentFor(c.weak() + 0.8*gap),
		LocalAt95Oracle: oracle.keptFor(0.95 * c.strong()), LocalAt95Random: 1,
		Curve: c.sampled(), CurveOracle: oracle.sampled(),
	}
	if gap > 0 {
		r.LocalAt95Random = min(1, 0.05*c.strong()/gap)
	}
	var areas, shares []float64
	for _, of := range resamples {
		d := keep(score, cases, of)
		areas = append(areas, d.apgr())
		shares = append(shares, d.keptFor(0.95*d.strong()))
	}
	r.APGR, r.LocalAt95 = spread(c.apgr(), areas), spread(c.keptFor(0.95*c.strong()), shares)
	for i := range cases {
		q := &r.Sent
		if score[i] >= 0.5 {
			q = &r.Kept
		}
		p, cl := cases[i].P, cases[i].cloud()
		q.N++
		q.Safe += p * cl
		q.Rescue += (1 - p) * cl
		q.Loss += p * (1 - cl)
		q.Hard += (1 - p) * (1 - cl)
	}
	return r
}

// spread is value with the middle 95 % of its resamples.
func spread(value float64, resampled []float64) Estimate {
	if len(resampled) == 0 {
		return Estimate{value, value, value}
	}
	slices.Sort(resampled)
	return Estimate{value, quantile(resampled, 0.025), quantile(resampled, 0.975)}
}
