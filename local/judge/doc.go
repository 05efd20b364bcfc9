// Package judge says, before a request is answered, how surely the local tier
// can answer it well.
//
// Rules come first, for what no local model can do. Then an LFM2 model reads a
// digest of the request and scores two labels, local and cloud, in one prefill
// and without generating text; the difference of their log-probabilities,
// calibrated, is added to the log-odds that cheap hints give (package hints). One
// more step scores the kind of task. The prompt is the same for the embedded nano and for a real LFM2
// checkpoint, so that swapping the model changes no code.
package judge
