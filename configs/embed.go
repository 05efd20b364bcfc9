// Package configs holds the defaults that are built into the binary: the
// annotated configuration, the policies, and the prices.
package configs

import "embed"

// YAML is the annotated default configuration.
//
//go:embed sluice.yaml
var YAML []byte

// Prices is the default price table.
//
//go:embed prices.yaml
var Prices []byte

// Policies holds the default policy bundle, under "policies".
//
//go:embed all:policies
var Policies embed.FS
