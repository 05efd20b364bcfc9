//go:build !purego

#include "textflag.h"
#include "vector_arm64.h"

// func readNEON(p *byte, n int)
TEXT ·readNEON(SB), NOSPLIT, $0-16
	MOVD p+0(FP), R0
	MOVD n+8(FP), R1
loop:
	VLD1.P 64(R0), [V0.B16, V1.B16, V2.B16, V3.B16]
	SUBS $64, R1
	BNE loop
	RET

#define SDOTS(i) \
	SDOT(0, 1, i) \
	SDOT(0, 1, (i+1)) \
	SDOT(0, 1, (i+2)) \
	SDOT(0, 1, (i+3))

// func dotPeakDOT(n int)
// Requires: FEAT_DotProd
TEXT ·dotPeakDOT(SB), NOSPLIT, $0-8
	MOVD n+0(FP), R0
	VEOR V0.B16, V0.B16, V0.B16
	VEOR V1.B16, V1.B16, V1.B16
loop:
	SDOTS(8)
	SDOTS(12)
	SDOTS(16)
	SDOTS(20)
	SUBS $256, R0
	BNE loop
	RET

#define USMMLAS(i) \
	USMMLA(0, 1, (i)) \
	USMMLA(0, 1, (i+1)) \
	USMMLA(0, 1, (i+2)) \
	USMMLA(0, 1, (i+3))

// func dotPeakI8MM(n int)
// Requires: FEAT_I8MM
TEXT ·dotPeakI8MM(SB), NOSPLIT, $0-8
	MOVD n+0(FP), R0
	VEOR V0.B16, V0.B16, V0.B16
	VEOR V1.B16, V1.B16, V1.B16
loop:
	USMMLAS(8)
	USMMLAS(12)
	USMMLAS(16)
	USMMLAS(20)
	SUBS $512, R0
	BNE loop
	RET
