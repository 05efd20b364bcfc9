// What the routines on packed panels share. A panel is 16 rows; a vector holds four
// neighbouring elements of each, as unsigned bytes.
//
// DI panel, SI column bytes, R9 column scales, R10 biases, DX result,
// R13 its stride, CX blocks left. Per column c of eight, four or one: Zc is
// the float sum, Z(8+c) the integer sum. No operation fuses, and float operations
// keep the generic order.

#define LOAD_ARGS \
	MOVQ a+0(FP), AX \
	MOVQ packedArgs_w(AX), DI \
	MOVQ packedArgs_q(AX), SI \
	MOVQ packedArgs_d(AX), R9 \
	MOVQ packedArgs_bias(AX), R10 \
	MOVQ packedArgs_dst(AX), DX \
	MOVQ packedArgs_stride(AX), R13 \
	MOVQ packedArgs_ahead(AX), R12 \
	MOVQ packedArgs_step(AX), R11 \
	MOVQ packedArgs_blocks(AX), CX

// ZERO clears the float sums.
#define ZERO1 VPXORD Z0, Z0, Z0

#define ZERO4 \
	ZERO1 \
	VPXORD Z1, Z1, Z1 \
	VPXORD Z2, Z2, Z2 \
	VPXORD Z3, Z3, Z3

#define ZERO8 \
	ZERO4 \
	VPXORD Z4, Z4, Z4 \
	VPXORD Z5, Z5, Z5 \
	VPXORD Z6, Z6, Z6 \
	VPXORD Z7, Z7, Z7

// CLEAR begins integer sums at zero.
#define CLEAR1 VPXORD Z8, Z8, Z8

#define CLEAR4 \
	CLEAR1 \
	VPXORD Z9, Z9, Z9 \
	VPXORD Z10, Z10, Z10 \
	VPXORD Z11, Z11, Z11

#define CLEAR8 \
	CLEAR4 \
	VPXORD Z12, Z12, Z12 \
	VPXORD Z13, Z13, Z13 \
	VPXORD Z14, Z14, Z14 \
	VPXORD Z15, Z15, Z15

// BIAS begins integer sums at the b-th bias of each column.
#define BIAS1(b) VPBROADCASTD (4*b)(R10), Z8

#define BIAS4(b) \
	VPBROADCASTD (32*b+0)(R10), Z8 \
	VPBROADCASTD (32*b+4)(R10), Z9 \
	VPBROADCASTD (32*b+8)(R10), Z10 \
	VPBROADCASTD (32*b+12)(R10), Z11

#define BIAS8(b) \
	BIAS4(b) \
	VPBROADCASTD (32*b+16)(R10), Z12 \
	VPBROADCASTD (32*b+20)(R10), Z13 \
	VPBROADCASTD (32*b+24)(R10), Z14 \
	VPBROADCASTD (32*b+28)(R10), Z15

// DOT adds the products of the vector W with the j-th four elements of each column.
#define DOT1(j, W) VPDPBUSD.BCST ((j)*4)(SI), W, Z8

#define DOT4(j, W) \
	VPDPBUSD.BCST ((j)*32+0)(SI), W, Z8 \
	VPDPBUSD.BCST ((j)*32+4)(SI), W, Z9 \
	VPDPBUSD.BCST ((j)*32+8)(SI), W, Z10 \
	VPDPBUSD.BCST ((j)*32+12)(SI), W, Z11

#define DOT8(j, W) \
	DOT4(j, W) \
	VPDPBUSD.BCST ((j)*32+16)(SI), W, Z12 \
	VPDPBUSD.BCST ((j)*32+20)(SI), W, Z13 \
	VPDPBUSD.BCST ((j)*32+24)(SI), W, Z14 \
	VPDPBUSD.BCST ((j)*32+28)(SI), W, Z15

// SCALE adds the integer sums times row scales Z24 and the columns' b-th scales.
#define SCALE(o, I, F, T) \
	VCVTDQ2PS I, I \
	VMULPS.BCST (o)(R9), Z24, T \
	VMULPS T, I, I \
	VADDPS I, F, F

#define SCALE1(b) SCALE((4*b), Z8, Z0, Z25)

#define SCALE4(b) \
	SCALE((32*b+0), Z8, Z0, Z25) \
	SCALE((32*b+4), Z9, Z1, Z26) \
	SCALE((32*b+8), Z10, Z2, Z25) \
	SCALE((32*b+12), Z11, Z3, Z26)

#define SCALE8(b) \
	SCALE4(b) \
	SCALE((32*b+16), Z12, Z4, Z25) \
	SCALE((32*b+20), Z13, Z5, Z26) \
	SCALE((32*b+24), Z14, Z6, Z25) \
	SCALE((32*b+28), Z15, Z7, Z26)

// STORE writes the float sums and returns.
#define STORE1 \
	VMOVUPS Z0, (DX) \
	VZEROUPPER \
	RET

#define FOUR(A, B, C, D) \
	VMOVUPS A, (DX) \
	VMOVUPS B, (DX)(R13*1) \
	LEAQ (DX)(R13*2), DX \
	VMOVUPS C, (DX) \
	VMOVUPS D, (DX)(R13*1)

#define STORE4 \
	FOUR(Z0, Z1, Z2, Z3) \
	VZEROUPPER \
	RET

#define STORE8 \
	FOUR(Z0, Z1, Z2, Z3) \
	LEAQ (DX)(R13*2), DX \
	FOUR(Z4, Z5, Z6, Z7) \
	VZEROUPPER \
	RET

// NEXT goes two blocks of 32 further in the columns.
#define NEXT1 \
	ADDQ $64, SI \
	ADDQ $8, R9 \
	ADDQ $8, R10

#define NEXT8 \
	ADDQ $512, SI \
	ADDQ $64, R9 \
	ADDQ $64, R10

// What follows is for columns that share a scale for 128 or 256 elements: Z16 to Z23 are the
// float sums of the blocks that are done, Z0 to Z7 those of the one in progress.

#define DONE1 VPXORD Z16, Z16, Z16

#define DONE4 \
	DONE1 \
	VPXORD Z17, Z17, Z17 \
	VPXORD Z18, Z18, Z18 \
	VPXORD Z19, Z19, Z19

#define DONE8 \
	DONE4 \
	VPXORD Z20, Z20, Z20 \
	VPXORD Z21, Z21, Z21 \
	VPXORD Z22, Z22, Z22 \
	VPXORD Z23, Z23, Z23

// TIMES adds the integer sums times the rows' R.
#define TIMES(I, F, R) \
	VCVTDQ2PS I, I \
	VMULPS R, I, I \
	VADDPS I, F, F

#define TIMES1(R) TIMES(Z8, Z0, R)

#define TIMES4(R) \
	TIMES1(R) \
	TIMES(Z9, Z1, R) \
	TIMES(Z10, Z2, R) \
	TIMES(Z11, Z3, R)

#define TIMES8(R) \
	TIMES4(R) \
	TIMES(Z12, Z4, R) \
	TIMES(Z13, Z5, R) \
	TIMES(Z14, Z6, R) \
	TIMES(Z15, Z7, R)

// FINISH adds a block to those that are done.
#define FINISH(o, F, D) \
	VMULPS.BCST o(R9), F, F \
	VADDPS F, D, D

#define FINISH1 FINISH(0, Z0, Z16)

#define FINISH4 \
	FINISH1 \
	FINISH(4, Z1, Z17) \
	FINISH(8, Z2, Z18) \
	FINISH(12, Z3, Z19)

#define FINISH8 \
	FINISH4 \
	FINISH(16, Z4, Z20) \
	FINISH(20, Z5, Z21) \
	FINISH(24, Z6, Z22) \
	FINISH(28, Z7, Z23)

#define RESULT1 \
	VMOVUPS Z16, (DX) \
	VZEROUPPER \
	RET

#define RESULT4 \
	FOUR(Z16, Z17, Z18, Z19) \
	VZEROUPPER \
	RET

#define RESULT8 \
	FOUR(Z16, Z17, Z18, Z19) \
	LEAQ (DX)(R13*2), DX \
	FOUR(Z20, Z21, Z22, Z23) \
	VZEROUPPER \
	RET

// AFTER goes the scales of m blocks of 32 further, and n lines of biases; the bytes
// are already there.
#define AFTER1(m, n) \
	ADDQ $(4*m), R9 \
	ADDQ $(4*n), R10

#define AFTER8(m, n) \
	ADDQ $(32*m), R9 \
	ADDQ $(32*n), R10

// AHEAD fetches four lines some way ahead, and LINE one more: for one column past the
// caches, which it would only sweep; for several into them, R11 bytes apart from R12 on,
// which goes along.
#define AHEAD1(o) \
	PREFETCHNTA (4096+o)(DI) \
	PREFETCHNTA (4096+64+o)(DI) \
	PREFETCHNTA (4096+128+o)(DI) \
	PREFETCHNTA (4096+192+o)(DI)

#define LINE1(o) PREFETCHT0 o(DI)

#define AHEAD8(o) \
	PREFETCHT0 (R12) \
	PREFETCHT0 (R12)(R11*1) \
	LEAQ (R12)(R11*2), R12 \
	PREFETCHT0 (R12) \
	PREFETCHT0 (R12)(R11*1) \
	LEAQ (R12)(R11*2), R12

#define LINE8(o) \
	PREFETCHT0 (R12) \
	ADDQ R11, R12
