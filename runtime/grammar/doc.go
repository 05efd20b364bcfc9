// Package grammar keeps what a model writes inside a language: it turns a
// grammar into a mask over the vocabulary before each token.
//
//	Builder ─ Build ─→ Grammar ─ Vocab.Bind ─→ Program ─ NewMatcher ─→ Matcher
//	(rules over DFAs)   (a pushdown automaton)  (with caches)            (one answer)
//
// A Grammar is a graph of rules. Its edges read the strings of a DFA, call other
// rules, repeat them, or read one special token. Subpackages make Grammars:
// jsonschema of JSON Schemas, toolcall of LFM2's tool calls; [Regex], [Choice]
// and [GBNF] are here.
//
// # How a mask is made
//
// The state of a Matcher is a set of threads: a DFA state and the stack of what
// follows it. What a DFA state lets through does not depend on the stack, so it
// is found once, by walking a trie of the vocabulary: a bit set of the tokens
// that stay inside the DFA, and the nodes of the trie at which the DFA may end.
// From those few nodes the walk goes on with the top of the stack, and its
// result is kept with that stack. Stacks are shared by all Matchers of a
// Program. XGrammar (Dong et al. 2024) splits masks in the same way.
//
// # Decoding
//
// An engine declares what it needs of a [Matcher] and calls it in this order:
//
//	for !m.Complete() {
//		for _, id := range m.Forced() { m.Accept(id) } // read by the model in one step
//		m.Mask(bits)                                   // banned tokens get -Inf before sampling
//		id := sample(logits, bits)
//		m.Accept(id)                                   // an end-of-generation token ends it
//	}
//
// # Invariants
//
// A Matcher never lets an answer into a dead end: whatever it allows can be
// completed, within [MaxDepth] nested rules. It allows special tokens only where
// the Grammar names them, and the tokens that end a generation only where the
// language allows the text so far.
//
// A Vocab and a Program are safe for concurrent use, a Matcher is not.
package grammar
