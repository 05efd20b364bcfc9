package lfm2

import (
	"math"

	"github.com/sluice-ai/sluice/runtime/kernel"
)

// experts is a sparse feed-forward layer: E SwiGLUs of width Fe, of which each
// token uses k (section 4 of the reference).
type experts struct {
	router linear    // [E][d]
	bias   []float32 // [E], added to the scores for the choice only; nil is none
	each   []swiglu  // [E]
}

// A routing is the buffers of a sparse layer's choice, for up to max tokens.
type routing struct {
	scores []float32 // [max][E]
	picked []int32   // [max][k], the chosen experts
	weight []float32 // [max][k]
	order  []int32   // [max*k], places in picked sorted by expert, then token
	ends   []int     // [E], where an expert's part of order ends
	in     []float32 // [max][d], one expert's tokens
	out    []float32 // [max][d]

	// The expert in progress.
	part []int32 // of order
}

func newRouting(c *Config, max int) routing {
	if c.Experts == 0 {
		return routing{}
	}
	return routing{
		scores: make([]float32, max*c.Experts),
		picked: make([]int32, max*c.Active), weight: make([]float32, max*c.Active),
		order: make([]int32, max*c.Active), ends: make([]int, c.Experts),
		in: make([]float32, max*c.Dim), out: make([]float32, max*c.Dim),
	}
}

// mixture sets y to the sparse feed-forward of u:
//
//	p = sigmoid(u Wrᵀ)                [n][E]
//	chosen = top k of p + bias        the bias decides nothing else
//	y = Σ_chosen w_e SwiGLU_e(u)      w = p, normalised
//
// Tokens are gathered by expert, so that each expert's weights are read once. A
// token adds its experts up in the order of their numbers, whatever else is in
// the batch.
func (w *Work) mixture(x *experts) {
	m, r, n := w.model, &w.routing, w.n
	w.times(&x.router, r.scores, w.u, n)
	for t := range n {
		k := t * m.Active
		m.Router.choose(r.picked[k:k+m.Active], r.weight[k:k+m.Active], r.scores[t*m.Experts:][:m.Experts], x.bias)
	}
	clear(w.y[:n*m.Dim])
	if n == 1 && w.single(x) {
		return
	}
	r.sort(n * m.Active)
	begin := 0
	for e, end := range r.ends {
		r.part = r.order[begin:end]
		begin = end
		if count := len(r.part); count > 0 {
			w.pool.Run(count, w.gather)
			w.feedForward(&x.each[e], m.ExpertFFN, r.out, r.in, count)
			w.pool.Run(count, w.scatter)
		}
	}
}

// single is mixture for one token, whose experts are few and small: what comes
// before their last matrices is done for all of them at once, for each part of the
// work that the threads share costs them a meeting. It reports false, with
// nothing done, where an adapter or a lack of room forbids it.
func (w *Work) single(x *experts) bool {
	m, r, f := w.model, &w.routing, w.model.ExpertFFN
	if m.Active*f > len(w.gate) {
		return false
	}
	picked := r.picked[:m.Active]
	r.sort(m.Active)
	products := w.products[:0]
	for i, place := range r.order[:m.Active] {
		s := &x.each[picked[place]]
		if len(s.gate.sides)+len(s.up.sides) > 0 {
			return false
		}
		products = append(products, kernel.Product{Weight: s.gate.Weight, Dst: w.gate[i*f:][:f]}, kernel.Product{Weight: s.up.Weight, Dst: w.up[i*f:][:f]})
	}
	w.scratch.Multiply(w.pool, w.u, 1, products)
	clear(products)
	w.width = f
	w.pool.Run(m.Active, w.silu)
	for i, place := range r.order[:m.Active] {
		w.times(&x.each[picked[place]].down, r.out, w.gate[i*f:], 1)
		kernel.Axpy(r.weight[place], r.out[:m.Dim], w.y[:m.Dim])
	}
	return true
}

// gatherOne copies the i-th token of the expert in progress to in.
func (w *Work) gatherOne(i int) {
	d, t := w.model.Dim, int(w.routing.part[i])/w.model.Active
	copy(w.routing.in[i*d:][:d], w.u[t*d:])
}

// scatterOne adds its weighted result to y.
func (w *Work) scatterOne(i int) {
	d, place := w.model.Dim, int(w.routing.part[i])
	kernel.Axpy(w.routing.weight[place], w.routing.out[i*d:][:d], w.y[place/w.model.Active*d:][:d])
}

// sort puts the first count places in order, by counting.
func (r *routing) sort(count int) {
	clear(r.ends)
	for _, e := range r.picked[:count] {
		r.ends[e]++
	}
	sum := 0
	for e, c := range r.ends {
		r.ends[e] = sum // begins, for now
		sum += c
	}
	for place, e := range r.picked[:count] {
		r.order[r.ends[e]] = int32(place)
		r.ends[e]++
	}
}

// choose picks the experts with the highest scores plus bias, and their weights.
// Scores, the router's output, are overwritten by their sigmoids. Of equals the
// first wins.
func (c *Router) choose(picked []int32, weight, scores, bias []float32) {
	for e, s := range scores {
		scores[e] = float32(1 / (1 + math.Exp(-float64(s))))
	}
	sum := float32(0)
	for i := range picked {
		best, top := -1, float32(math.Inf(-1))
		for e, s := range scores {
			if bias != nil {
				s += bias[e]
			}
			if (best < 0 || s > top) && !contains(picked[:i], int32(e)) {
				best, top = e, s
			}
		}
		picked[i], weight[i] = int32(best), scores[best]
		sum += weight[i]
	}
	scale := c.Scale
	if c.Normalise {
		scale /= max(sum+c.Add, c.Floor)
	}
	for i := range weight {
		weight[i] *= scale
	}
}

func contains(s []int32, v int32) bool {
	for _, x := range s {
		if x == v {
			return true
		}
	}
	return false
}
