//go:build !purego

#include "textflag.h"
#include "vector_arm64.h"

// The assembler has no FCVTL. It widens the lower four halves of a register, and
// FCVTL2 the upper four.
#define FCVTL(n, d) WORD $(0x0E217800 | n<<5 | d)
#define FCVTL2(n, d) WORD $(0x4E217800 | n<<5 | d)

// func dotF16NEON(x *float32, y *byte, n int) float32
// n is a positive multiple of 8.
TEXT ·dotF16NEON(SB), NOSPLIT, $0-28
	MOVD x+0(FP), R0
	MOVD y+8(FP), R1
	MOVD n+16(FP), R2
	VEOR V16.B16, V16.B16, V16.B16
	VEOR V17.B16, V17.B16, V17.B16
loop:
	VLD1.P 16(R1), [V0.B16]
	VLD1.P 32(R0), [V4.S4, V5.S4]
	FCVTL(0, 1)
	FCVTL2(0, 2)
	VFMLA V1.S4, V4.S4, V16.S4
	VFMLA V2.S4, V5.S4, V17.S4
	SUBS $8, R2
	BNE loop
	FADD4(17, 16, 16)
	FADDP4(16, 16, 16)
	FADDP4(16, 16, 16)
	FMOVS F16, ret+24(FP)
	RET

// func axpyF16NEON(a float32, x *byte, y *float32, n int)
// n is a positive multiple of 8.
TEXT ·axpyF16NEON(SB), NOSPLIT, $0-32
	FMOVS a+0(FP), F16
	VDUP V16.S[0], V16.S4
	MOVD x+8(FP), R0
	MOVD y+16(FP), R1
	MOVD n+24(FP), R2
loop:
	VLD1.P 16(R0), [V0.B16]
	VLD1 (R1), [V4.S4, V5.S4]
	FCVTL(0, 1)
	FCVTL2(0, 2)
	VFMLA V1.S4, V16.S4, V4.S4
	VFMLA V2.S4, V16.S4, V5.S4
	VST1.P [V4.S4, V5.S4], 32(R1)
	SUBS $8, R2
	BNE loop
	RET
