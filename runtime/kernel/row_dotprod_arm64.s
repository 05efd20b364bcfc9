//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "vector_arm64.h"

// One row of quantised weights times one column, with the dot product
// instructions of ARMv8.2. R0 weights, R1 column, R2 the row's scales, R3 the
// column's, R4 the row's mins or nil, R5 the column's sums, R6 blocks of 32 left,
// F16 the float sum.

#define LOAD_ARGS \
	MOVD a+0(FP), R9 \
	MOVD rowArgs_v(R9), R0 \
	MOVD rowArgs_q(R9), R1 \
	MOVD rowArgs_scale(R9), R2 \
	MOVD rowArgs_d(R9), R3 \
	MOVD rowArgs_min(R9), R4 \
	MOVD rowArgs_dsum(R9), R5 \
	MOVD rowArgs_blocks(R9), R6 \
	VEOR V16.B16, V16.B16, V16.B16

// DOT sets F4 to the product of V0, V1 with 32 elements of the column.
#define DOT \
	VLD1.P 32(R1), [V2.B16, V3.B16] \
	VEOR V4.B16, V4.B16, V4.B16 \
	SDOT(2, 0, 4) \
	SDOT(3, 1, 4) \
	VADDV V4.S4, V4 \
	SCVTF4(4, 4)

// ADDF adds the sum F with the row's scale F6 and the column's F7 to F16.
#define ADDF(F) \
	FMULS F7, F6, F6 \
	FMULS F6, F, F \
	FADDS F, F16, F16

#define DONE \
	FMOVS F16, ret+8(FP) \
	RET

// func rowDOT(a *rowArgs) float32
// Requires: FEAT_DotProd
TEXT ·rowDOT(SB), NOSPLIT, $0-12
	LOAD_ARGS
block:
	VLD1.P 32(R0), [V0.B16, V1.B16]
	DOT
	FMOVS.P 4(R2), F6
	FMOVS.P 4(R3), F7
	ADDF(F4)
	CBZ R4, next
	FMOVS.P 4(R4), F6
	FMOVS.P 4(R5), F7
	FMULS F7, F6, F6
	FADDS F6, F16, F16
next:
	SUBS $1, R6
	BNE block
	DONE

// func row16DOT(a *rowArgs) float32
// Requires: FEAT_DotProd
TEXT ·row16DOT(SB), NOSPLIT, $0-12
	LOAD_ARGS
block16:
	VLD1.P 32(R0), [V0.B16, V1.B16]
	VLD1.P 32(R1), [V2.B16, V3.B16]
	VEOR V4.B16, V4.B16, V4.B16
	VEOR V5.B16, V5.B16, V5.B16
	SDOT(2, 0, 4)
	SDOT(3, 1, 5)
	VADDV V4.S4, V4
	VADDV V5.S4, V5
	SCVTF4(4, 4)
	SCVTF4(5, 5)
	FMOVS.P 4(R3), F7
	FMOVS.P 4(R2), F6
	ADDF(F4)
	FMOVS.P 4(R2), F6
	ADDF(F5)
	SUBS $1, R6
	BNE block16
	DONE

// HALF sets F6 to the half at (R0), and R0 past it.
#define HALF \
	MOVHU.P 2(R0), R10 \
	FMOVS R10, F6 \
	FCVTHS F6, F6

// func rowQ8_0DOT(a *rowArgs) float32
// Requires: FEAT_DotProd
TEXT ·rowQ8_0DOT(SB), NOSPLIT, $0-12
	LOAD_ARGS
block8:
	HALF
	VLD1.P 32(R0), [V0.B16, V1.B16]
	DOT
	FMOVS.P 4(R3), F7
	ADDF(F4)
	SUBS $1, R6
	BNE block8
	DONE

// func rowQ4_0DOT(a *rowArgs) float32
// Requires: FEAT_DotProd
TEXT ·rowQ4_0DOT(SB), NOSPLIT, $0-12
	LOAD_ARGS
	VMOVI $15, V14.B16
	VMOVI $8, V13.B16
block4:
	HALF
	VLD1.P 16(R0), [V0.B16]
	VUSHR $4, V0.B16, V1.B16
	VAND V14.B16, V0.B16, V0.B16
	VSUB V13.B16, V0.B16, V0.B16
	VSUB V13.B16, V1.B16, V1.B16
	DOT
	FMOVS.P 4(R3), F7
	ADDF(F4)
	SUBS $1, R6
	BNE block4
	DONE
