//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "vector_arm64.h"

// Eight rows of a panel times four columns of a group, with the dot product
// instructions of ARMv8.2.
//
// V16-V23 are the integer sums, two for each column, and V24-V31 the
// float sums; R0 panel bytes, R1 group bytes, R2 panel scales, R3 group scales, R4
// panel mins or nil, R5 group sums.

#define LOAD_TILE \
	MOVD a+0(FP), R9 \
	MOVD tileArgs_v(R9), R0 \
	MOVD tileArgs_q(R9), R1 \
	MOVD tileArgs_scale(R9), R2 \
	MOVD tileArgs_d(R9), R3 \
	MOVD tileArgs_min(R9), R4 \
	MOVD tileArgs_dsum(R9), R5 \
	MOVD tileArgs_blocks(R9), R6 \
	MOVD tileArgs_dst(R9), R7 \
	VMOVI $128, V3.B16 \
	ZERO(V24) \
	ZERO(V25) \
	ZERO(V26) \
	ZERO(V27) \
	ZERO(V28) \
	ZERO(V29) \
	ZERO(V30) \
	ZERO(V31)

#define ZERO(V) VEOR V.B16, V.B16, V.B16

#define ZEROS \
	ZERO(V16) \
	ZERO(V17) \
	ZERO(V18) \
	ZERO(V19) \
	ZERO(V20) \
	ZERO(V21) \
	ZERO(V22) \
	ZERO(V23)

#define FOUR \
	VLD1 (R0), [V0.B16, V1.B16] \
	VLD1 (R1), [V2.B16] \
	ADD $64, R0 \
	ADD $32, R1 \
	VEOR V3.B16, V0.B16, V0.B16 \
	VEOR V3.B16, V1.B16, V1.B16 \
	SDOT0(2, 0, 16) \
	SDOT0(2, 1, 17) \
	SDOT1(2, 0, 18) \
	SDOT1(2, 1, 19) \
	SDOT2(2, 0, 20) \
	SDOT2(2, 1, 21) \
	SDOT3(2, 0, 22) \
	SDOT3(2, 1, 23)

// SCALE adds the integer sums i and i+1 to the float sums f and f+1.
#define SCALE(FMUL, i, f) \
	FMUL(4, 5, 7) \
	SCVTF4(i, i) \
	FMUL4(7, i, i) \
	FADD4(i, f, f) \
	FMUL(4, 6, 7) \
	SCVTF4((i+1), (i+1)) \
	FMUL4(7, (i+1), (i+1)) \
	FADD4((i+1), (f+1), (f+1))

#define SCALES \
	VLD1 (R2), [V5.S4, V6.S4] \
	ADD $64, R2 \
	SCALE(FMUL0, 16, 24) \
	SCALE(FMUL1, 18, 26) \
	SCALE(FMUL2, 20, 28) \
	SCALE(FMUL3, 22, 30)

#define MIN(FMUL, f) \
	FMUL(4, 5, 7) \
	FADD4(7, f, f) \
	FMUL(4, 6, 7) \
	FADD4(7, (f+1), (f+1))

#define STORE \
	VST1 [V24.S4, V25.S4], (R7) \
	ADD $64, R7 \
	VST1 [V26.S4, V27.S4], (R7) \
	ADD $64, R7 \
	VST1 [V28.S4, V29.S4], (R7) \
	ADD $64, R7 \
	VST1 [V30.S4, V31.S4], (R7) \
	RET

// func tileDOT(a *tileArgs)
// Requires: FEAT_DotProd
TEXT ·tileDOT(SB), NOSPLIT, $0-8
	LOAD_TILE
tile:
	ZEROS
	FOUR
	FOUR
	FOUR
	FOUR
	FOUR
	FOUR
	FOUR
	FOUR
	VLD1 (R3), [V4.S4]
	ADD $32, R3
	SCALES
	CBZ R4, nextTile
	VLD1 (R4), [V5.S4, V6.S4]
	VLD1 (R5), [V4.S4]
	ADD $64, R4
	ADD $32, R5
	MIN(FMUL0, 24)
	MIN(FMUL1, 26)
	MIN(FMUL2, 28)
	MIN(FMUL3, 30)
nextTile:
	SUBS $1, R6
	BNE tile
	STORE

// func tile16DOT(a *tileArgs)
// Requires: FEAT_DotProd
TEXT ·tile16DOT(SB), NOSPLIT, $0-8
	LOAD_TILE
tile16:
	VLD1 (R3), [V4.S4]
	ADD $32, R3
	ZEROS
	FOUR
	FOUR
	FOUR
	FOUR
	SCALES
	ZEROS
	FOUR
	FOUR
	FOUR
	FOUR
	SCALES
	SUBS $1, R6
	BNE tile16
	STORE
