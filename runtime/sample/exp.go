package sample

import "math"

// expParts are the parts that an octave is cut into: 2^(i/expParts) for each i.
const expParts = 32

var expTable = func() (t [expParts]float64) {
	for i := range t {
		t[i] = math.Exp2(float64(i) / expParts)
	}
	return t
}()

// exp returns e^x for x from -700 to 0, to within 3·10^-13 of its size: a power of
// two, one of the table, and the series of the rest, which is below 0.022.
func exp(x float64) float64 {
	k := int(x * (expParts / math.Ln2)) // towards 0
	r := x - float64(k)*(math.Ln2/expParts)
	p := 1 + r*(1+r*(1.0/2+r*(1.0/6+r*(1.0/24+r*(1.0/120)))))
	return math.Float64frombits(uint64(1023+k>>5)<<52) * expTable[k&(expParts-1)] * p
}

// negligible is how far below the highest a logit adds nothing to a sum of
// exponentials in float64, even 2^20 times over: e^-52 is less than 2^-74.
const negligible = 52

// sumExp returns Σ exp((logits[i]-top)*scale) over the logits whose terms are not
// negligible, top being the highest.
func sumExp(logits []float32, top float32, scale float64) float64 {
	least := float32(float64(top) - negligible/scale)
	sum := 0.0
	for _, l := range logits {
		if l >= least {
			sum += exp(float64(l-top) * scale)
		}
	}
	return sum
}

// LogSumExp returns log Σ exp(logits[i]). It reports false if that is not finite.
func LogSumExp(logits []float32) (float64, bool) {
	if len(logits) == 0 {
		return 0, false
	}
	r := row{logits: logits}
	top := logits[ArgMax(logits)]
	for _, l := range logits {
		if l != l {
			return math.NaN(), false
		}
	}
	return r.logSumExp(top)
}

// logSumExp is [LogSumExp] of a row without NaNs whose highest is top.
func (r *row) logSumExp(top float32) (float64, bool) {
	if math.IsInf(float64(top), 0) {
		return float64(top), false
	}
	return float64(top) + math.Log(sumExp(r.logits, top, 1)), true
}
