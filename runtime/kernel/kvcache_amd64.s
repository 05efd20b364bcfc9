//go:build !purego

#include "textflag.h"

DATA maxhalf<>+0(SB)/4, $0x477fe000 // 65504
DATA maxhalf<>+4(SB)/4, $0xc77fe000
GLOBL maxhalf<>(SB), RODATA|NOPTR, $8

// func storeF16AVX2(dst *byte, x *float32, n int)
// n is a positive multiple of 8.
// Requires: AVX, F16C
TEXT ·storeF16AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ x+8(FP), SI
	MOVQ n+16(FP), CX
	VBROADCASTSS maxhalf<>+0(SB), Y2
	VBROADCASTSS maxhalf<>+4(SB), Y3
loop:
	VMOVUPS (SI), Y0
	VMINPS Y0, Y2, Y0 // a NaN, the second operand, stays
	VMAXPS Y0, Y3, Y0
	VCVTPS2PH $0, Y0, (DI)
	ADDQ $32, SI
	ADDQ $16, DI
	SUBQ $8, CX
	JNZ loop
	VZEROUPPER
	RET
