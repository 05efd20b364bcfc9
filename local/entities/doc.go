// Package entities finds, with a local model, the personal data that has no
// shape: names, addresses, illnesses, what a pattern cannot know.
package entities
