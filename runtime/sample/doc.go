// Package sample turns a row of logits into the next token.
//
// A [Sampler] applies, in llama.cpp's order, the steps its [Config] asks for:
//
//	banned      ids that must never occur (unused vocabulary rows) leave first
//	penalties   repetition, frequency and presence, over the last RepeatLast tokens
//	mask        with SampleMasked, tokens that are not allowed leave
//	top-k       keep the K likeliest
//	top-p       of those, keep the fewest whose probabilities reach P
//	min-p       of those, drop what is less likely than M times the likeliest
//	temperature divide what is left by T, then draw with the seeded generator
//
// Temperature comes last, so the filters see the model's own distribution.
// Temperature 0 takes the likeliest token after the penalties, the lowest id on
// a tie, and makes the filters irrelevant.
//
// Log-probabilities ([Sampler.Logprob], [Sampler.Top]) are those of the logits as
// given, after banned ids but before any other step, the mask included.
package sample
