// Package mix writes a model again with other weight types.
//
// A [Recipe] names the outcome, as llama-quantize does: "q4_k_m" and its like are
// mixes, where tensors that matter more get a larger type. Which tensor gets what
// is llama.cpp's choice to the letter (src/llama-quant.cpp; section 9 of the LFM2
// reference), so that a file's name means the same wherever it was made.
//
// [Write] streams: of the model it holds some megabytes at a time.
package mix
