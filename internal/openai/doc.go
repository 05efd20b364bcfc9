// Package openai reads and writes the wire format of OpenAI's chat
// completions: the form in which clients speak to Sluice and in which Sluice
// speaks to most upstreams.
//
// Reading keeps the original bytes ([llm.Request.Body], [llm.Event.Raw]), and
// writing starts from them when they exist: a field that this package does
// not know reaches the other side unchanged.
package openai
