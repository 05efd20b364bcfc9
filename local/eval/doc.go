// Package eval measures how well the local tier's control models do their work,
// beside the baselines they have to beat.
//
// Its one suite for now is the judge's. [ReadCases] reads labelled requests,
// [Run] asks a judge about each of them, and [Compare] makes a [Report]: how
// often it is right, how well its probabilities are ranked and how far they can
// be believed, and what routing by them would cost and save. [Rules] is the
// baseline of keywords and lengths. [Plots] draws what the report holds.
//
// The definitions are in docs/evaluation.md. Every number that depends on chance
// (the bootstrap) is seeded: the same input gives the same report, latencies
// aside. The package is pure: it opens no files and no models.
package eval
