//go:build purego || !(amd64 || arm64)

package kernel

import "github.com/sluice-ai/sluice/runtime/quant"

func havePacked(quant.Type) bool { return false }

func fetchesAhead() bool { return false }

func haveRepack(quant.Type) bool { return false }

func repack(*packArgs, quant.Type) { panic("kernel: no routine to repack") }

func packed(*packedArgs, quant.Type, int) { panic("kernel: no packed routine") }
