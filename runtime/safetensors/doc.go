// Package safetensors reads the checkpoints that transformers writes: tensors
// in one *.safetensors file or several with an index, the shape of an LFM2 model
// in config.json ([ParseConfig]) and its vocabulary in tokenizer.json
// ([ParseTokenizer]).
//
// Files are mapped, not read; a tensor's data is a view of the map. Files may be
// hostile: reading one fails rather than panics, and allocates at most in
// proportion to its header.
package safetensors
