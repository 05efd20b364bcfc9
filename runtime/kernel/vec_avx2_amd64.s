//go:build !purego

#include "textflag.h"

// Vector operations for AVX2 with FMA. Tails are loaded and stored under a mask,
// so that nothing past a slice is touched.

// ones<> holds eight set dwords and eight clear ones: the mask for n elements is
// at byte 32-4n.
DATA ones<>+0(SB)/8, $-1
DATA ones<>+8(SB)/8, $-1
DATA ones<>+16(SB)/8, $-1
DATA ones<>+24(SB)/8, $-1
DATA ones<>+32(SB)/8, $0
DATA ones<>+40(SB)/8, $0
DATA ones<>+48(SB)/8, $0
DATA ones<>+56(SB)/8, $0
GLOBL ones<>(SB), RODATA|NOPTR, $64

// MASK sets Y to the mask for CX < 8 elements; it uses AX and BX.
#define MASK(Y) \
	LEAQ ones<>+32(SB), AX \
	MOVQ CX, BX \
	SHLQ $2, BX \
	SUBQ BX, AX \
	VMOVDQU (AX), Y

// SUM8 sets X0 to the sum of the lanes of Y0, using X1.
#define SUM8 \
	VEXTRACTF128 $1, Y0, X1 \
	VADDPS X1, X0, X0 \
	VMOVHLPS X0, X0, X1 \
	VADDPS X1, X0, X0 \
	VMOVSHDUP X0, X1 \
	VADDSS X1, X0, X0

// func dotAVX2(x, y []float32) float32
// Requires: AVX2, FMA
TEXT ·dotAVX2(SB), NOSPLIT, $0-52
	MOVQ x_base+0(FP), SI
	MOVQ x_len+8(FP), CX
	MOVQ y_base+24(FP), DI
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	SUBQ $32, CX
	JL tail32
loop32:
	VMOVUPS (SI), Y4
	VMOVUPS 32(SI), Y5
	VMOVUPS 64(SI), Y6
	VMOVUPS 96(SI), Y7
	VFMADD231PS (DI), Y4, Y0
	VFMADD231PS 32(DI), Y5, Y1
	VFMADD231PS 64(DI), Y6, Y2
	VFMADD231PS 96(DI), Y7, Y3
	ADDQ $128, SI
	ADDQ $128, DI
	SUBQ $32, CX
	JGE loop32
tail32:
	ADDQ $32-8, CX
	JL tail8
loop8:
	VMOVUPS (SI), Y4
	VFMADD231PS (DI), Y4, Y0
	ADDQ $32, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JGE loop8
tail8:
	ADDQ $8, CX
	JZ done
	MASK(Y6)
	VMASKMOVPS (SI), Y6, Y4
	VMASKMOVPS (DI), Y6, Y5
	VFMADD231PS Y4, Y5, Y1
done:
	VADDPS Y1, Y0, Y0
	VADDPS Y3, Y2, Y2
	VADDPS Y2, Y0, Y0
	SUM8
	VZEROUPPER
	MOVSS X0, ret+48(FP)
	RET

// func axpyAVX2(a float32, x, y []float32)
// Requires: AVX2, FMA
TEXT ·axpyAVX2(SB), NOSPLIT, $0-56
	VBROADCASTSS a+0(FP), Y0
	MOVQ x_base+8(FP), SI
	MOVQ x_len+16(FP), CX
	MOVQ y_base+32(FP), DI
	SUBQ $8, CX
	JL tail
loop:
	VMOVUPS (DI), Y1
	VFMADD231PS (SI), Y0, Y1
	VMOVUPS Y1, (DI)
	ADDQ $32, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JGE loop
tail:
	ADDQ $8, CX
	JZ done
	MASK(Y6)
	VMASKMOVPS (SI), Y6, Y2
	VMASKMOVPS (DI), Y6, Y1
	VFMADD231PS Y2, Y0, Y1
	VMASKMOVPS Y1, Y6, (DI)
done:
	VZEROUPPER
	RET

// func scaleMulAVX2(dst, x, w []float32, a float32)
// Requires: AVX2
TEXT ·scaleMulAVX2(SB), NOSPLIT, $0-76
	MOVQ dst_base+0(FP), DI
	MOVQ dst_len+8(FP), CX
	MOVQ x_base+24(FP), SI
	MOVQ w_base+48(FP), DX
	VBROADCASTSS a+72(FP), Y0
	SUBQ $8, CX
	JL tail
loop:
	VMULPS (SI), Y0, Y1
	VMULPS (DX), Y1, Y1
	VMOVUPS Y1, (DI)
	ADDQ $32, SI
	ADDQ $32, DI
	ADDQ $32, DX
	SUBQ $8, CX
	JGE loop
tail:
	ADDQ $8, CX
	JZ done
	MASK(Y6)
	VMASKMOVPS (SI), Y6, Y1
	VMASKMOVPS (DX), Y6, Y2
	VMULPS Y0, Y1, Y1
	VMULPS Y2, Y1, Y1
	VMASKMOVPS Y1, Y6, (DI)
done:
	VZEROUPPER
	RET

// The exponential is that of the Cephes library: with n the integer nearest to
// x/ln 2, exp(x) = 2^n * exp(r), where |r| <= ln 2 / 2 is x less n times ln 2 in
// two parts, and a polynomial of degree seven gives exp(r).
DATA exps<>+0(SB)/4, $0x3fb8aa3b  // 1/ln 2
DATA exps<>+4(SB)/4, $0x3f318000  // high part of ln 2
DATA exps<>+8(SB)/4, $0xb95e8083  // low part
DATA exps<>+12(SB)/4, $0x39506967 // 1.9875691500e-4
DATA exps<>+16(SB)/4, $0x3ab743ce // 1.3981999507e-3
DATA exps<>+20(SB)/4, $0x3c088908 // 8.3334519073e-3
DATA exps<>+24(SB)/4, $0x3d2aa9c1 // 4.1665795894e-2
DATA exps<>+28(SB)/4, $0x3e2aaaaa // 1.6666665459e-1
DATA exps<>+32(SB)/4, $0x3f000000 // 5.0000001201e-1
DATA exps<>+36(SB)/4, $0x3f800000 // 1
DATA exps<>+40(SB)/4, $0xc2ae0000 // -87, the least argument
DATA exps<>+44(SB)/4, $0x42ae0000 // 87, the largest
GLOBL exps<>(SB), RODATA|NOPTR, $48

#define EXP_SETUP \
	VBROADCASTSS exps<>+0(SB), Y15 \
	VBROADCASTSS exps<>+4(SB), Y14 \
	VBROADCASTSS exps<>+8(SB), Y13 \
	VBROADCASTSS exps<>+36(SB), Y12 \
	VBROADCASTSS exps<>+40(SB), Y11 \
	VBROADCASTSS exps<>+44(SB), Y10

// EXP sets Y2 to exp(Y1), the argument clamped; it uses Y3, Y4 and Y5.
#define EXP \
	VMAXPS Y11, Y1, Y1 \
	VMINPS Y10, Y1, Y1 \
	VMULPS Y15, Y1, Y3 \
	VROUNDPS $0, Y3, Y3 \
	VFNMADD231PS Y14, Y3, Y1 \
	VFNMADD231PS Y13, Y3, Y1 \
	VBROADCASTSS exps<>+12(SB), Y2 \
	VBROADCASTSS exps<>+16(SB), Y4 \
	VFMADD213PS Y4, Y1, Y2 \
	VBROADCASTSS exps<>+20(SB), Y4 \
	VFMADD213PS Y4, Y1, Y2 \
	VBROADCASTSS exps<>+24(SB), Y4 \
	VFMADD213PS Y4, Y1, Y2 \
	VBROADCASTSS exps<>+28(SB), Y4 \
	VFMADD213PS Y4, Y1, Y2 \
	VBROADCASTSS exps<>+32(SB), Y4 \
	VFMADD213PS Y4, Y1, Y2 \
	VMULPS Y1, Y1, Y5 \
	VFMADD213PS Y1, Y5, Y2 \
	VADDPS Y12, Y2, Y2 \
	VCVTPS2DQ Y3, Y3 \
	VPSLLD $23, Y3, Y3 \
	VPADDD Y3, Y2, Y2

#define SILU \
	VXORPS Y0, Y0, Y0 \
	VSUBPS Y1, Y0, Y1 \
	EXP \
	VADDPS Y12, Y2, Y2 \
	VDIVPS Y2, Y9, Y2 \
	VMULPS Y8, Y2, Y2

// func siluMulAVX2(gate, up []float32)
// Requires: AVX2, FMA
TEXT ·siluMulAVX2(SB), NOSPLIT, $0-48
	MOVQ gate_base+0(FP), SI
	MOVQ gate_len+8(FP), CX
	MOVQ up_base+24(FP), DI
	EXP_SETUP
	SUBQ $8, CX
	JL tail
loop:
	VMOVUPS (SI), Y9
	VMOVUPS (DI), Y8
	VMOVAPS Y9, Y1
	SILU
	VMOVUPS Y2, (SI)
	ADDQ $32, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JGE loop
tail:
	ADDQ $8, CX
	JZ done
	MASK(Y6)
	VMASKMOVPS (SI), Y6, Y9
	VMASKMOVPS (DI), Y6, Y8
	VMOVAPS Y9, Y1
	SILU
	VMASKMOVPS Y2, Y6, (SI)
done:
	VZEROUPPER
	RET

// func widenF16AVX2(dst *float32, src *byte, n int)
// Requires: AVX, F16C; n is a positive multiple of 8
TEXT ·widenF16AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
loop:
	VCVTPH2PS (SI), Y0
	VMOVUPS Y0, (DI)
	ADDQ $16, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JG loop
	VZEROUPPER
	RET

// func widenBF16AVX2(dst *float32, src *byte, n int)
// Requires: AVX2; n is a positive multiple of 8
TEXT ·widenBF16AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
loop:
	VPMOVZXWD (SI), Y0
	VPSLLD $16, Y0, Y0
	VMOVDQU Y0, (DI)
	ADDQ $16, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JG loop
	VZEROUPPER
	RET
