//go:build !purego

#include "textflag.h"
#include "go_asm.h"

DATA exp2s<>+0(SB)/4, $0x3f317218  // exp2c1
DATA exp2s<>+4(SB)/4, $0x3e75fe1f  // exp2c2
DATA exp2s<>+8(SB)/4, $0x3d634fcc  // exp2c3
DATA exp2s<>+12(SB)/4, $0x3c1e243e // exp2c4
DATA exp2s<>+16(SB)/4, $0x3aa65bd8 // exp2c5
DATA exp2s<>+20(SB)/4, $0x395a4aaa // exp2c6
DATA exp2s<>+24(SB)/4, $0x3f800000 // 1
GLOBL exp2s<>(SB), RODATA|NOPTR, $28

// EXP2 sets Y to 2^X, using T: X less its floor, the polynomial, and the exponent.
#define EXP2(X, T, Y) \
	VREDUCEPS $9, X, T \
	VMOVAPS Z31, Y \
	VFMADD213PS Z30, T, Y \
	VFMADD213PS Z29, T, Y \
	VFMADD213PS Z28, T, Y \
	VFMADD213PS Z27, T, Y \
	VFMADD213PS Z26, T, Y \
	VFMADD213PS Z25, T, Y \
	VSCALEFPS X, Y, Y

// func weightsAVX512(a *weightArgs)
// Requires: AVX512F, AVX512DQ
TEXT ·weightsAVX512(SB), NOSPLIT, $0-8
	MOVQ a+0(FP), AX
	MOVQ weightArgs_p(AX), DI
	MOVQ weightArgs_keys(AX), SI
	MOVQ weightArgs_top(AX), R8
	MOVQ weightArgs_sum(AX), R9
	MOVQ weightArgs_factor(AX), R10
	MOVQ weightArgs_rows(AX), R11
	VBROADCASTSS exp2s<>+20(SB), Z31
	VBROADCASTSS exp2s<>+16(SB), Z30
	VBROADCASTSS exp2s<>+12(SB), Z29
	VBROADCASTSS exp2s<>+8(SB), Z28
	VBROADCASTSS exp2s<>+4(SB), Z27
	VBROADCASTSS exp2s<>+0(SB), Z26
	VBROADCASTSS exp2s<>+24(SB), Z25
row:
	MOVQ (SI), BX
	MOVL $1, DX
	MOVQ BX, CX
	ANDQ $15, CX
	SHLL CX, DX
	DECL DX
	KMOVW DX, K1 // the last keys, if not sixteen
	VBROADCASTSS (R8), Z0
	VMOVAPS Z0, Z1
	MOVQ DI, DX
	MOVQ BX, CX
	SUBQ $16, CX
	JL tailtop
top:
	VMAXPS (DX), Z1, Z1
	ADDQ $64, DX
	SUBQ $16, CX
	JGE top
tailtop:
	VMAXPS (DX), Z1, K1, Z1
	VEXTRACTF32X8 $1, Z1, Y2
	VMAXPS Y2, Y1, Y1
	VEXTRACTF32X4 $1, Y1, X2
	VMAXPS X2, X1, X1
	VPERMILPS $0x4e, X1, X2
	VMAXPS X2, X1, X1
	VPERMILPS $0xb1, X1, X2
	VMAXPS X2, X1, X1
	VBROADCASTSS X1, Z1
	VMOVSS X1, (R8)
	VSUBPS Z1, Z0, Z0
	EXP2(Z0, Z2, Z3)
	VMOVSS X3, (R10)
	VMULPS (R9), Z3, Z4
	MOVQ DI, DX
	MOVQ BX, CX
	SUBQ $16, CX
	JL tail
loop:
	VMOVUPS (DX), Z0
	VSUBPS Z1, Z0, Z0
	EXP2(Z0, Z2, Z3)
	VMOVUPS Z3, (DX)
	VADDPS Z3, Z4, Z4
	ADDQ $64, DX
	SUBQ $16, CX
	JGE loop
tail:
	ADDQ $16, CX
	JZ done
	VMOVUPS.Z (DX), K1, Z0
	VSUBPS Z1, Z0, Z0
	EXP2(Z0, Z2, Z3)
	VMOVUPS Z3, K1, (DX)
	VADDPS Z3, Z4, K1, Z4
done:
	VMOVUPS Z4, (R9)
	ADDQ $512, DI
	ADDQ $8, SI
	ADDQ $4, R8
	ADDQ $64, R9
	ADDQ $4, R10
	DECQ R11
	JNZ row
	VZEROUPPER
	RET
