// Package openai calls upstreams that speak OpenAI's chat completions.
//
// sashabaranov/go-openai is the transport: it knows URLs, headers and the
// stream's framing. It never serialises what we send nor reads what we get, for
// its types know less than half of the fields in use: the request's own bytes
// are put in below it, and the answer's own bytes are taken out beside it.
package openai
