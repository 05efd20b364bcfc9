package kernel

import "math"

// AttnScores sets dst[t] to scale * q·k[t], where key t is the len(q) elements
// of k from t*stride on. It panics if k is too short for len(dst) keys, or stride
// is negative.
func AttnScores(dst, q, k []float32, stride int, scale float32) {
	if len(dst) == 0 {
		return
	}
	_ = k[:(len(dst)-1)*stride+len(q)]
	scores(dst, q, k, max(0, stride), scale)
}

// AttnMix sets dst to the sum of p[t]*v[t], where value t is the len(dst)
// elements of v from t*stride on. It panics if v is too short for len(p) values,
// or stride is negative.
func AttnMix(dst, p, v []float32, stride int) {
	if len(p) > 0 {
		_ = v[:(len(p)-1)*stride+len(dst)]
	}
	mix(dst, p, v, max(0, stride))
}

// RopeTable fills cos and sin, both of half the head's dimension, with the
// angles pos * theta^(-i/len(cos)) of the rotary embedding.
func RopeTable(cos, sin []float32, pos int, theta float64) {
	for i := range cos {
		s, c := math.Sincos(float64(pos) * math.Pow(theta, -float64(i)/float64(len(cos))))
		cos[i], sin[i] = float32(c), float32(s)
	}
}

// Rope rotates every head of x in place, a head being 2*len(cos) elements:
// element i pairs with element i+len(cos) (the half rotation of GPT-NeoX). It
// panics if x is not a whole number of heads, or sin is shorter than cos.
func Rope(x, cos, sin []float32) {
	n := len(cos)
	if n == 0 || len(x)%(2*n) != 0 {
		panic("kernel: Rope: x is no whole number of heads")
	}
	rope(x, cos, sin[:n])
}

// ConvStep advances the gated short convolution of three taps by one token. With
// d = len(dst) channels, bcx[3][d] is the input projection (B, C, x in this
// order), taps[3][d] the taps with the oldest first (transposed from the file's
// [d][3]), and state[2][d] what the last two tokens left, oldest first. With
// s = B*x it sets dst = C * (taps[0]*state[0] + taps[1]*state[1] + taps[2]*s) and
// shifts s into state. It panics if a slice is too short.
func ConvStep(dst, bcx, taps, state []float32) { ConvChannels(dst, bcx, taps, state, 0, len(dst)) }

// ConvChannels is ConvStep for the channels [from, to) alone.
func ConvChannels(dst, bcx, taps, state []float32, from, to int) {
	d := len(dst)
	conv(dst, bcx[:3*d], taps[:3*d], state[:2*d], from, to)
}
