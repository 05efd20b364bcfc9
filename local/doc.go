// Package local is the local tier: the LFM2 models that run in this process,
// as one backend. It loads them, admits work to them, and translates between
// the gateway's vocabulary and the engine's.
package local
