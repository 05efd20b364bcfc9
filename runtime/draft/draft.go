// Package draft guesses the tokens that come next, so that a model can verify
// several in one step, and decides when that is worth it.
//
// The guess is a look-up: what followed the last time the text went like this. It
// costs no model and is right where an answer repeats its prompt or itself: in
// extraction, editing, code, tool calls. What is guessed never changes an answer,
// for the model's own choice at each place decides; a wrong guess only costs the
// time that a wider step takes.
package draft

const (
	shortest = 2 // tokens that must recur before a guess is made
	longest  = 8 // from where more do not make it better
)

// Lookup appends to dst the n tokens that followed the latest of the best earlier
// occurrences of the end of history, which goes on with what is guessed: so a
// repetition is repeated. It appends none if nothing like the end occurred.
func Lookup(dst, history []int32, n int) []int32 {
	end := len(history) - 1
	if end < shortest || n < 1 {
		return dst
	}
	last, best, at := history[end], shortest-1, 0
	for i := end - 1; i >= best; i-- {
		if history[i] != last || history[i-1] != history[end-1] {
			continue
		}
		same := 2
		for same < longest && same <= i && history[i-same] == history[end-same] {
			same++
		}
		if same > best {
			best, at = same, i+1
			if same == longest {
				break
			}
		}
	}
	if at == 0 {
		return dst
	}
	from := len(dst)
	for i := range n {
		if at+i < len(history) {
			dst = append(dst, history[at+i])
		} else {
			dst = append(dst, dst[from+at+i-len(history)])
		}
	}
	return dst
}

// Odds estimates how likely a guessed token is right, for one sequence. The zero
// Odds knows nothing yet.
type Odds struct {
	miss float64 // 1 - the estimate, but for the zero value
	seen bool
}

const (
	prior    = 0.5  // before anything is known
	learn    = 0.15 // weight of one token verified
	forgives = 0.01 // how far an estimate comes back for each token not guessed
)

// Right returns the estimate.
func (o *Odds) Right() float64 {
	if !o.seen {
		return prior
	}
	return 1 - o.miss
}

// Verified says that of so many guessed tokens the first right ones were right.
func (o *Odds) Verified(guessed, right int) {
	p := o.Right()
	for range right {
		p += (1 - p) * learn
	}
	if right < guessed { // those behind the first wrong one say nothing
		p -= p * learn
	}
	o.miss, o.seen = 1-p, true
}

// Skipped says that a guess was not used: in time it is tried again.
func (o *Odds) Skipped() {
	if p := o.Right(); o.seen && p < prior {
		o.miss = 1 - p - (prior-p)*forgives
	}
}
