// Package entities finds the personal data that has no shape: names, addresses,
// illnesses, what a pattern cannot know. [Tag] needs no model: it is a linear-chain CRF over
// words, their shapes and their neighbours, fitted on texts written by hand (train/tagger.py), and
// takes microseconds a word. [Find] asks a model of the local tier.
package entities
