//go:build !purego

#include "textflag.h"

// Attention over keys and values in F16 and Q8_0: what scoresAVX512 and mixAVX512
// are for F32, widening rows as they are read.

// SUM16 sets X0 to the sum of the lanes of Z0, using X1.
#define SUM16 \
	VEXTRACTF32X8 $1, Z0, Y1 \
	VADDPS Y1, Y0, Y0 \
	VEXTRACTF128 $1, Y0, X1 \
	VADDPS X1, X0, X0 \
	VMOVHLPS X0, X0, X1 \
	VADDPS X1, X0, X0 \
	VMOVSHDUP X0, X1 \
	VADDSS X1, X0, X0

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

// func dotF16AVX2(x *float32, y *byte, n int) float32
// n is a positive multiple of 8.
// Requires: AVX, FMA, F16C
TEXT ·dotF16AVX2(SB), NOSPLIT, $0-28
	MOVQ x+0(FP), SI
	MOVQ y+8(FP), DI
	MOVQ n+16(FP), CX
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	SUBQ $16, CX
	JL tail
loop:
	VCVTPH2PS (DI), Y2
	VCVTPH2PS 16(DI), Y3
	VFMADD231PS (SI), Y2, Y0
	VFMADD231PS 32(SI), Y3, Y1
	ADDQ $64, SI
	ADDQ $32, DI
	SUBQ $16, CX
	JGE loop
tail:
	ADDQ $16, CX
	JZ done
	VCVTPH2PS (DI), Y2
	VFMADD231PS (SI), Y2, Y0
done:
	VADDPS Y1, Y0, Y0
	VEXTRACTF128 $1, Y0, X1
	VADDPS X1, X0, X0
	VMOVHLPS X0, X0, X1
	VADDPS X1, X0, X0
	VMOVSHDUP X0, X1
	VADDSS X1, X0, X0
	VZEROUPPER
	MOVSS X0, ret+24(FP)
	RET

// func axpyF16AVX2(a float32, x *byte, y *float32, n int)
// n is a positive multiple of 8.
// Requires: AVX, FMA, F16C
TEXT ·axpyF16AVX2(SB), NOSPLIT, $0-32
	VBROADCASTSS a+0(FP), Y0
	MOVQ x+8(FP), SI
	MOVQ y+16(FP), DI
	MOVQ n+24(FP), CX
loop:
	VCVTPH2PS (SI), Y1
	VMOVUPS (DI), Y2
	VFMADD231PS Y1, Y0, Y2
	VMOVUPS Y2, (DI)
	ADDQ $16, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ loop
	VZEROUPPER
	RET

// func scoresF16AVX512(dst, q *float32, k *byte, n, stride, fours int, scale float32)
// Sets 4*fours elements of dst to scale times the product of q and a row of k,
// where n, the elements of a row, is a positive multiple of 16, and rows are
// stride bytes apart.
// Requires: AVX512F, AVX512DQ
TEXT ·scoresF16AVX512(SB), NOSPLIT, $0-52
	MOVQ dst+0(FP), DI
	MOVQ q+8(FP), SI
	MOVQ k+16(FP), R8
	MOVQ n+24(FP), DX
	MOVQ stride+32(FP), R9
	MOVQ fours+40(FP), CX
	VBROADCASTSS scale+48(FP), X21
	SHLQ $2, DX
	LEAQ (R9)(R9*2), R10
four:
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3
	MOVQ R8, R11
	XORQ AX, AX
row:
	VMOVUPS (SI)(AX*1), Z20
	VCVTPH2PS (R11), Z16
	VCVTPH2PS (R11)(R9*1), Z17
	VCVTPH2PS (R11)(R9*2), Z18
	VCVTPH2PS (R11)(R10*1), Z19
	VFMADD231PS Z16, Z20, Z0
	VFMADD231PS Z17, Z20, Z1
	VFMADD231PS Z18, Z20, Z2
	VFMADD231PS Z19, Z20, Z3
	ADDQ $32, R11
	ADDQ $64, AX
	CMPQ AX, DX
	JL row
	VUNPCKLPS Z1, Z0, Z16
	VUNPCKHPS Z1, Z0, Z17
	VADDPS Z17, Z16, Z16
	VUNPCKLPS Z3, Z2, Z18
	VUNPCKHPS Z3, Z2, Z19
	VADDPS Z19, Z18, Z18
	VUNPCKLPD Z18, Z16, Z17
	VUNPCKHPD Z18, Z16, Z19
	VADDPS Z19, Z17, Z16
	VEXTRACTF32X8 $1, Z16, Y17
	VADDPS Y17, Y16, Y16
	VEXTRACTF32X4 $1, Y16, X17
	VADDPS X17, X16, X16
	VMULPS X21, X16, X16
	VMOVUPS X16, (DI)
	LEAQ (R8)(R9*4), R8
	ADDQ $16, DI
	DECQ CX
	JNZ four
	VZEROUPPER
	RET

// func mixF16AVX512(dst, p *float32, v *byte, n, stride, mask int)
// Adds to up to 64 elements of dst, those of mask, n rows of v times p, in the
// order of the rows, which are stride bytes apart.
// Requires: AVX512F
TEXT ·mixF16AVX512(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ p+8(FP), DX
	MOVQ v+16(FP), SI
	MOVQ n+24(FP), CX
	MOVQ stride+32(FP), BX
	MOVQ mask+40(FP), AX
	KMOVW AX, K1
	SHRQ $16, AX
	KMOVW AX, K2
	SHRQ $16, AX
	KMOVW AX, K3
	SHRQ $16, AX
	KMOVW AX, K4
	VMOVUPS.Z (DI), K1, Z0
	VMOVUPS.Z 64(DI), K2, Z1
	VMOVUPS.Z 128(DI), K3, Z2
	VMOVUPS.Z 192(DI), K4, Z3
loop:
	VBROADCASTSS (DX), Z8
	VCVTPH2PS.Z (SI), K1, Z4
	VCVTPH2PS.Z 32(SI), K2, Z5
	VCVTPH2PS.Z 64(SI), K3, Z6
	VCVTPH2PS.Z 96(SI), K4, Z7
	VFMADD231PS Z4, Z8, Z0
	VFMADD231PS Z5, Z8, Z1
	VFMADD231PS Z6, Z8, Z2
	VFMADD231PS Z7, Z8, Z3
	ADDQ $4, DX
	ADDQ BX, SI
	DECQ CX
	JNZ loop
	VMOVUPS Z0, K1, (DI)
	VMOVUPS Z1, K2, 64(DI)
	VMOVUPS Z2, K3, 128(DI)
	VMOVUPS Z3, K4, 192(DI)
	VZEROUPPER
	RET

// func scoresQ8AVX512(dst, q *float32, k *byte, blocks, n int, scale float32)
// Sets n elements of dst to scale times the product of q and a row of k, a row
// being blocks of Q8_0.
// Requires: AVX512F, AVX512BW, AVX512DQ, AVX512VL
TEXT ·scoresQ8AVX512(SB), NOSPLIT, $0-44
	MOVQ dst+0(FP), DI
	MOVQ q+8(FP), SI
	MOVQ k+16(FP), R8
	MOVQ blocks+24(FP), DX
	MOVQ n+32(FP), CX
	VMOVSS scale+40(FP), X9
key:
	VPXORD Z0, Z0, Z0
	MOVQ SI, R11
	MOVQ DX, BX
block:
	VPMOVSXBD 2(R8), Z1
	VPMOVSXBD 18(R8), Z2
	VPBROADCASTW (R8), Y3
	VCVTDQ2PS Z1, Z1
	VCVTDQ2PS Z2, Z2
	VCVTPH2PS Y3, Z3
	VMULPS (R11), Z1, Z1
	VFMADD231PS 64(R11), Z2, Z1
	VFMADD231PS Z3, Z1, Z0
	ADDQ $34, R8
	ADDQ $128, R11
	DECQ BX
	JNZ block
	SUM16
	VMULSS X9, X0, X0
	VMOVSS X0, (DI)
	ADDQ $4, DI
	DECQ CX
	JNZ key
	VZEROUPPER
	RET

// func mixQ8AVX512(dst, p *float32, v *byte, n, stride int)
// Adds to 32 elements of dst n blocks of v, stride bytes apart, times p.
// Requires: AVX512F, AVX512BW, AVX512VL
TEXT ·mixQ8AVX512(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ p+8(FP), DX
	MOVQ v+16(FP), SI
	MOVQ n+24(FP), CX
	MOVQ stride+32(FP), BX
	VMOVUPS (DI), Z0
	VMOVUPS 64(DI), Z1
loop:
	VPBROADCASTW (SI), Y3
	VCVTPH2PS Y3, Z3
	VPMOVSXBD 2(SI), Z4
	VPMOVSXBD 18(SI), Z5
	VMULPS.BCST (DX), Z3, Z3
	VCVTDQ2PS Z4, Z4
	VCVTDQ2PS Z5, Z5
	VFMADD231PS Z4, Z3, Z0
	VFMADD231PS Z5, Z3, Z1
	ADDQ $4, DX
	ADDQ BX, SI
	DECQ CX
	JNZ loop
	VMOVUPS Z0, (DI)
	VMOVUPS Z1, 64(DI)
	VZEROUPPER
	RET
