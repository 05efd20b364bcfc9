//go:build !purego

#include "textflag.h"
#include "vector_arm64.h"

// func dotNEON(x, y []float32) float32
TEXT ·dotNEON(SB), NOSPLIT, $0-52
	MOVD x_base+0(FP), R0
	MOVD x_len+8(FP), R2
	MOVD y_base+24(FP), R1
	VEOR V16.B16, V16.B16, V16.B16
	VEOR V17.B16, V17.B16, V17.B16
	VEOR V18.B16, V18.B16, V18.B16
	VEOR V19.B16, V19.B16, V19.B16
	SUBS $16, R2
	BLT tail
loop:
	VLD1.P 64(R0), [V0.S4, V1.S4, V2.S4, V3.S4]
	VLD1.P 64(R1), [V4.S4, V5.S4, V6.S4, V7.S4]
	VFMLA V0.S4, V4.S4, V16.S4
	VFMLA V1.S4, V5.S4, V17.S4
	VFMLA V2.S4, V6.S4, V18.S4
	VFMLA V3.S4, V7.S4, V19.S4
	SUBS $16, R2
	BGE loop
tail:
	FADD4(17, 16, 16)
	FADD4(19, 18, 18)
	FADD4(18, 16, 16)
	FADDP4(16, 16, 16)
	FADDP4(16, 16, 16)
	ADDS $16, R2
	BEQ done
one:
	FMOVS.P 4(R0), F0
	FMOVS.P 4(R1), F1
	FMADDS F0, F16, F1, F16
	SUBS $1, R2
	BNE one
done:
	FMOVS F16, ret+48(FP)
	RET

// func axpyNEON(a float32, x, y []float32)
TEXT ·axpyNEON(SB), NOSPLIT, $0-56
	FMOVS a+0(FP), F16
	VDUP V16.S[0], V16.S4
	MOVD x_base+8(FP), R0
	MOVD x_len+16(FP), R2
	MOVD y_base+32(FP), R1
	SUBS $16, R2
	BLT tail
loop:
	VLD1.P 64(R0), [V0.S4, V1.S4, V2.S4, V3.S4]
	VLD1 (R1), [V4.S4, V5.S4, V6.S4, V7.S4]
	VFMLA V0.S4, V16.S4, V4.S4
	VFMLA V1.S4, V16.S4, V5.S4
	VFMLA V2.S4, V16.S4, V6.S4
	VFMLA V3.S4, V16.S4, V7.S4
	VST1.P [V4.S4, V5.S4, V6.S4, V7.S4], 64(R1)
	SUBS $16, R2
	BGE loop
tail:
	ADDS $16, R2
	BEQ done
one:
	FMOVS.P 4(R0), F0
	FMOVS (R1), F1
	FMADDS F0, F1, F16, F1
	FMOVS.P F1, 4(R1)
	SUBS $1, R2
	BNE one
done:
	RET
