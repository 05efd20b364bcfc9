// Package bench measures how fast a model runs on this machine, and beside it how
// fast memory can be read and bytes can be multiplied here: no engine goes beyond
// the two, so they say how much is left.
//
// Everything goes through [engine], as a gateway uses it: steps of a session, and
// generations that are sampled and turned into text. Guessing tokens and the cache of
// prompts are off, for prompts are random. What is measured:
//
//	load      opening the file, until it could be asked
//	start     opening it and reading 16 tokens, until there is a first token
//	prefill   512 tokens read at once, as tokens/s
//	decode    64 tokens written after one, by 1, 4 and 16 sequences (32 tokens after
//	          128), as tokens/s of all together
//	ttft      from a prompt of 200 tokens to the first token of the answer
//	judge     200 tokens read and two labels scored
//	contended decode, while other processes spin on the same cores
//
// Rounds alternate between models; a round has one sample of everything, and the
// rooflines are measured right before it. Medians are of the rounds.
package bench
