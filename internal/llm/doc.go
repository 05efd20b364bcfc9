// Package llm is Sluice's own vocabulary: the words that the router, the two
// tiers, policy and telemetry use when they talk to each other.
//
// It holds values, not behaviour. It imports nothing of ours, so every
// package but those under runtime/ may import it. A wire format (OpenAI's,
// Anthropic's) is translated to these types at the edge, and the bytes of the
// original are kept beside them: what we do not understand survives.
package llm
