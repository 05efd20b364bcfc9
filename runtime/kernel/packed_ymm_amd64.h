// What the routines on packed panels with 256-bit registers share: eight rows of a
// panel times four columns of a group, or all sixteen rows times one column.
//
// DI panel, BX the first of the eight rows, SI column bytes, R9 column scales, R10
// biases, DX result, R13 its stride, R11 three strides, CX blocks left. For four
// columns Y0-Y3 are the float sums and Y4-Y7 the integer sums of columns 0 to 3, Y8 a
// vector of weights, Y13 row scales; for one column Y0, Y4, Y8 and Y13 are such of rows 0
// to 7, and Y1, Y5, Y9 and Y14 of rows 8 to 15. Y12 is a mask. No operation fuses, and
// float operations keep the generic order.
//
// The integer sums are up to the includer, which defines for four columns
//
//	START4(b, j)  begins them with the products of Y8 and the j-th four elements,
//	              perhaps upon the b-th biases
//	DOT4(j)       adds the products of Y8 and the j-th four elements
//	END4(b)       makes int32 of them, and adds the b-th biases if START4 has not
//	SPLIT4(b), RESTART4(b, j), JOIN4  are END4, START4 and END4 for sums that are begun
//	              anew midway
//	CLEAN4(j), WIDE4  are START4 and END4 without biases
//	PAIR4(o)      adds the products of int16s in Y8 and the two at o of the biases
//	CLEAR4        sets them to zero
//
// and START1 and so on for one.

DATA nibbles<>+0(SB)/4, $0x0f0f0f0f
GLOBL nibbles<>(SB), RODATA|NOPTR, $4
DATA minus<>+0(SB)/4, $0x80000000
GLOBL minus<>(SB), RODATA|NOPTR, $4
DATA upper2<>+0(SB)/8, $0x3030303030303030
DATA upper2<>+8(SB)/8, $0x3030303030303030
DATA upper2<>+16(SB)/8, $0x3030303030303030
DATA upper2<>+24(SB)/8, $0x3030303030303030
GLOBL upper2<>(SB), RODATA|NOPTR, $32

#define LOAD_ARGS \
	MOVQ a+0(FP), AX \
	MOVQ packedArgs_w(AX), DI \
	MOVQ packedArgs_q(AX), SI \
	MOVQ packedArgs_d(AX), R9 \
	MOVQ packedArgs_bias(AX), R10 \
	MOVQ packedArgs_dst(AX), DX \
	MOVQ packedArgs_stride(AX), R13 \
	MOVQ packedArgs_row(AX), BX \
	MOVQ packedArgs_blocks(AX), CX \
	LEAQ (DX)(BX*4), DX \
	LEAQ (R13)(R13*2), R11

// ZERO clears the float sums.
#define ZERO1 \
	VPXOR Y0, Y0, Y0 \
	VPXOR Y1, Y1, Y1

#define ZERO4 \
	ZERO1 \
	VPXOR Y2, Y2, Y2 \
	VPXOR Y3, Y3, Y3

// BYTES loads the vector of weights at w.
#define BYTES1(w) \
	VMOVDQU w(DI), Y8 \
	VMOVDQU (w+32)(DI), Y9

#define BYTES4(w) VMOVDQU w(DI)(BX*4), Y8

// LOW and HIGH load the low or the high nibbles of the vector at w.
#define LOW1(w) \
	VPAND w(DI), Y12, Y8 \
	VPAND (w+32)(DI), Y12, Y9

#define LOW4(w) VPAND w(DI)(BX*4), Y12, Y8

#define HIGH1(w) \
	BYTES1(w) \
	VPSRLW $4, Y8, Y8 \
	VPSRLW $4, Y9, Y9 \
	VPAND Y12, Y8, Y8 \
	VPAND Y12, Y9, Y9

#define HIGH4(w) \
	BYTES4(w) \
	VPSRLW $4, Y8, Y8 \
	VPAND Y12, Y8, Y8

// LEFT and RIGHT join to the weights two bits each from the vector at h, shifted by n.
#define JOIN_BITS(SHIFT, n, B, W) \
	SHIFT $n, B, B \
	VPAND upper2<>(SB), B, B \
	VPOR B, W, W

#define LEFT1(n, h) \
	VMOVDQU h(DI), Y10 \
	JOIN_BITS(VPSLLW, n, Y10, Y8) \
	VMOVDQU (h+32)(DI), Y11 \
	JOIN_BITS(VPSLLW, n, Y11, Y9)

#define LEFT4(n, h) \
	VMOVDQU h(DI)(BX*4), Y10 \
	JOIN_BITS(VPSLLW, n, Y10, Y8)

#define RIGHT1(n, h) \
	VMOVDQU h(DI), Y10 \
	JOIN_BITS(VPSRLW, n, Y10, Y8) \
	VMOVDQU (h+32)(DI), Y11 \
	JOIN_BITS(VPSRLW, n, Y11, Y9)

#define RIGHT4(n, h) \
	VMOVDQU h(DI)(BX*4), Y10 \
	JOIN_BITS(VPSRLW, n, Y10, Y8)

// HALVES sets the row scales to the halves at o.
#define HALVES1(o) \
	VCVTPH2PS o(DI), Y13 \
	VCVTPH2PS (o+16)(DI), Y14

#define HALVES4(o) VCVTPH2PS o(DI)(BX*2), Y13

// SCALES sets the row scales to the integers at o, which WIDEN to 32 bits, times the
// halves at h.
#define SCALES1(WIDEN, o, h) \
	WIDEN o(DI), Y13 \
	WIDEN (o+8)(DI), Y14 \
	VCVTDQ2PS Y13, Y13 \
	VCVTDQ2PS Y14, Y14 \
	VCVTPH2PS h(R8), Y10 \
	VCVTPH2PS (h+16)(R8), Y11 \
	VMULPS Y10, Y13, Y13 \
	VMULPS Y11, Y14, Y14

#define SCALES4(WIDEN, o, h) \
	WIDEN o(DI)(BX*1), Y13 \
	VCVTDQ2PS Y13, Y13 \
	VCVTPH2PS h(R8)(BX*2), Y10 \
	VMULPS Y10, Y13, Y13

// NEGATED sets the row scales to minus the halves at h.
#define NEGATED1(h) \
	VPBROADCASTD minus<>(SB), Y10 \
	VCVTPH2PS h(R8), Y13 \
	VCVTPH2PS (h+16)(R8), Y14 \
	VXORPS Y10, Y13, Y13 \
	VXORPS Y10, Y14, Y14

#define NEGATED4(h) \
	VPBROADCASTD minus<>(SB), Y10 \
	VCVTPH2PS h(R8)(BX*2), Y13 \
	VXORPS Y10, Y13, Y13

// TIMES adds the integer sums times the row scales to the float sums.
#define TIMES(I, S, F) \
	VCVTDQ2PS I, I \
	VMULPS S, I, I \
	VADDPS I, F, F

#define TIMES1 \
	TIMES(Y4, Y13, Y0) \
	TIMES(Y5, Y14, Y1)

#define TIMES4 \
	TIMES(Y4, Y13, Y0) \
	TIMES(Y5, Y13, Y1) \
	TIMES(Y6, Y13, Y2) \
	TIMES(Y7, Y13, Y3)

// SCALED is TIMES with the b-th scales of the columns as well.
#define SCALED(o, I, S, F) \
	VBROADCASTSS o(R9), Y10 \
	VMULPS Y10, S, Y10 \
	VCVTDQ2PS I, I \
	VMULPS Y10, I, I \
	VADDPS I, F, F

#define SCALED1(b) \
	SCALED((4*b), Y4, Y13, Y0) \
	SCALED((4*b), Y5, Y14, Y1)

#define SCALED4(b) \
	SCALED((32*b+0), Y4, Y13, Y0) \
	SCALED((32*b+4), Y5, Y13, Y1) \
	SCALED((32*b+8), Y6, Y13, Y2) \
	SCALED((32*b+12), Y7, Y13, Y3)

// STORE writes the float sums.
#define STORE1 \
	VMOVUPS Y0, (DX) \
	VMOVUPS Y1, 32(DX)

#define STORE4 \
	VMOVUPS Y0, (DX) \
	VMOVUPS Y1, (DX)(R13*1) \
	VMOVUPS Y2, (DX)(R13*2) \
	VMOVUPS Y3, (DX)(R11*1)

// FINISH adds the float sums times the scales of the columns to the result, where the
// blocks of 128 or 256 that are done add up.
#define FINISH1 \
	VBROADCASTSS (R9), Y10 \
	VMULPS Y10, Y0, Y0 \
	VMULPS Y10, Y1, Y1 \
	VADDPS (DX), Y0, Y0 \
	VADDPS 32(DX), Y1, Y1 \
	STORE1

#define FINISH4 \
	VBROADCASTSS (R9), Y8 \
	VBROADCASTSS 4(R9), Y9 \
	VBROADCASTSS 8(R9), Y10 \
	VBROADCASTSS 12(R9), Y11 \
	VMULPS Y8, Y0, Y0 \
	VMULPS Y9, Y1, Y1 \
	VMULPS Y10, Y2, Y2 \
	VMULPS Y11, Y3, Y3 \
	VADDPS (DX), Y0, Y0 \
	VADDPS (DX)(R13*1), Y1, Y1 \
	VADDPS (DX)(R13*2), Y2, Y2 \
	VADDPS (DX)(R11*1), Y3, Y3 \
	STORE4

// AHEAD fetches four lines some way ahead: for one column past the caches, which it
// would only sweep; for several into them.
#define AHEAD1(o) \
	PREFETCHNTA (4096+o)(DI) \
	PREFETCHNTA (4096+64+o)(DI) \
	PREFETCHNTA (4096+128+o)(DI) \
	PREFETCHNTA (4096+192+o)(DI)

#define AHEAD4(o) \
	PREFETCHT0 (2048+o)(DI) \
	PREFETCHT0 (2048+64+o)(DI) \
	PREFETCHT0 (2048+128+o)(DI) \
	PREFETCHT0 (2048+192+o)(DI)

// LOOP4 is a loop over 128 elements of Q4_0, in pairs of blocks of 32. W and B are the
// bytes and the bytes of biases of a pair, in the columns, D the bytes of scales in 128.
#define BLOCK4(b, START, DOT, END, LOW, HIGH, HALVES, TIMES) \
	LOW((64+256*b)) \
	START(b, (8*b+0)) \
	LOW((64+256*b+64)) \
	DOT((8*b+1)) \
	LOW((64+256*b+128)) \
	DOT((8*b+2)) \
	LOW((64+256*b+192)) \
	DOT((8*b+3)) \
	HIGH((64+256*b)) \
	DOT((8*b+4)) \
	HIGH((64+256*b+64)) \
	DOT((8*b+5)) \
	HIGH((64+256*b+128)) \
	DOT((8*b+6)) \
	HIGH((64+256*b+192)) \
	DOT((8*b+7)) \
	END(b) \
	HALVES((32*b)) \
	TIMES

#define LOOP4(W, B, D, START, DOT, END, LOW, HIGH, HALVES, TIMES, ZERO, STORE, FINISH, AHEAD) \
	LOAD_ARGS \
	VPBROADCASTD nibbles<>(SB), Y12 \
	SHRQ $2, CX \
	ZERO \
	STORE \
block: \
	MOVQ $2, AX \
	ZERO \
pair: \
	AHEAD(0) \
	BLOCK4(0, START, DOT, END, LOW, HIGH, HALVES, TIMES) \
	AHEAD(256) \
	PREFETCHT0 4608(DI) \
	BLOCK4(1, START, DOT, END, LOW, HIGH, HALVES, TIMES) \
	ADDQ $576, DI \
	ADDQ $W, SI \
	ADDQ $B, R10 \
	DECQ AX \
	JNZ pair \
	FINISH \
	ADDQ $D, R9 \
	DECQ CX \
	JNZ block \
	VZEROUPPER \
	RET

// LOOP8 is a loop over pairs of blocks of 32 of Q8_0. B are the bytes of biases and
// of scales of a pair.
#define BLOCK8(b, START, DOT, END, BYTES, HALVES, SCALED) \
	BYTES((64+512*b)) \
	START(b, (8*b+0)) \
	BYTES((64+512*b+64)) \
	DOT((8*b+1)) \
	BYTES((64+512*b+128)) \
	DOT((8*b+2)) \
	BYTES((64+512*b+192)) \
	DOT((8*b+3)) \
	BYTES((64+512*b+256)) \
	DOT((8*b+4)) \
	BYTES((64+512*b+320)) \
	DOT((8*b+5)) \
	BYTES((64+512*b+384)) \
	DOT((8*b+6)) \
	BYTES((64+512*b+448)) \
	DOT((8*b+7)) \
	END(b) \
	HALVES((32*b)) \
	SCALED(b)

#define LOOP8(W, B, START, DOT, END, BYTES, HALVES, SCALED, ZERO, STORE, AHEAD) \
	LOAD_ARGS \
	ZERO \
pair: \
	AHEAD(0) \
	AHEAD(256) \
	BLOCK8(0, START, DOT, END, BYTES, HALVES, SCALED) \
	AHEAD(512) \
	AHEAD(768) \
	PREFETCHT0 5120(DI) \
	BLOCK8(1, START, DOT, END, BYTES, HALVES, SCALED) \
	ADDQ $1088, DI \
	ADDQ $W, SI \
	ADDQ $B, R9 \
	ADDQ $B, R10 \
	SUBQ $2, CX \
	JNZ pair \
	STORE \
	VZEROUPPER \
	RET

// LOOP4K is a loop over blocks of 256 of Q4_K, in chunks of 64, R8 being where the block
// begins. D are the bytes of biases in a block, and half of those of scales.
#define CHUNK4K(b, CLEAN, DOT, WIDE, NIBBLES, SCALES, TIMES) \
	NIBBLES(64) \
	CLEAN((8*b+0)) \
	NIBBLES(128) \
	DOT((8*b+1)) \
	NIBBLES(192) \
	DOT((8*b+2)) \
	NIBBLES(256) \
	DOT((8*b+3)) \
	NIBBLES(320) \
	DOT((8*b+4)) \
	NIBBLES(384) \
	DOT((8*b+5)) \
	NIBBLES(448) \
	DOT((8*b+6)) \
	NIBBLES(512) \
	DOT((8*b+7)) \
	WIDE \
	SCALES(VPMOVZXBD, (16*b), 0) \
	TIMES

// MINS loads the p-th two minimums of each row.
#define MINS1(p) \
	VPMOVZXBW (576*p+96)(R8), Y8 \
	VPMOVZXBW (576*p+96+16)(R8), Y9

#define MINS4(p) VPMOVZXBW (576*p+96)(R8)(BX*2), Y8

#define LOOP4K(W, D, CLEAN, DOT, WIDE, CLEAR, PAIR, MINS, LOW, HIGH, SCALES, NEGATED, TIMES, ZERO, STORE, FINISH, AHEAD) \
	LOAD_ARGS \
	VPBROADCASTD nibbles<>(SB), Y12 \
	ZERO \
	STORE \
block: \
	PREFETCHT0 4096(DI) \
	MOVQ DI, R8 \
	ADDQ $64, DI \
	MOVQ $4, AX \
	ZERO \
chunk: \
	AHEAD(0) \
	AHEAD(256) \
	PREFETCHT0 4608(DI) \
	CHUNK4K(0, CLEAN, DOT, WIDE, LOW, SCALES, TIMES) \
	CHUNK4K(1, CLEAN, DOT, WIDE, HIGH, SCALES, TIMES) \
	ADDQ $576, DI \
	ADDQ $W, SI \
	DECQ AX \
	JNZ chunk \
	CLEAR \
	MINS(0) \
	PAIR((0*D/4)) \
	MINS(1) \
	PAIR((1*D/4)) \
	MINS(2) \
	PAIR((2*D/4)) \
	MINS(3) \
	PAIR((3*D/4)) \
	NEGATED(32) \
	TIMES \
	FINISH \
	ADDQ $(2*D), R9 \
	ADDQ $D, R10 \
	DECQ CX \
	JNZ block \
	VZEROUPPER \
	RET

// LOOP6K is a loop over blocks of 256 of Q6_K, in halves, R8 being where the block
// begins. GROUP6 is the g-th 16 of 128 elements, l and h where their bits begin.
#define GROUP6(g, l, h, n, START, DOT, SPLIT, RESTART, JOIN, NIBBLES, SHIFT, SCALES, TIMES) \
	NIBBLES((l+0)) \
	SHIFT(n, (h+0)) \
	START(g, (4*g+0)) \
	NIBBLES((l+64)) \
	SHIFT(n, (h+64)) \
	DOT((4*g+1)) \
	SPLIT(g) \
	NIBBLES((l+128)) \
	SHIFT(n, (h+128)) \
	RESTART((4*g+2)) \
	NIBBLES((l+192)) \
	SHIFT(n, (h+192)) \
	DOT((4*g+3)) \
	JOIN \
	SCALES(VPMOVSXBD, (16*g), 0) \
	TIMES

#define LOOP6K(W, B, D, START, DOT, SPLIT, RESTART, JOIN, LOW, HIGH, LEFT, RIGHT, SCALES, TIMES, ZERO, STORE, FINISH, AHEAD) \
	LOAD_ARGS \
	VPBROADCASTD nibbles<>(SB), Y12 \
	ZERO \
	STORE \
block: \
	PREFETCHT0 4096(DI) \
	MOVQ DI, R8 \
	ADDQ $64, DI \
	MOVQ $2, AX \
	ZERO \
half: \
	AHEAD(0) \
	AHEAD(256) \
	GROUP6(0, 128, 1152, 4, START, DOT, SPLIT, RESTART, JOIN, LOW, LEFT, SCALES, TIMES) \
	GROUP6(1, 384, 1408, 4, START, DOT, SPLIT, RESTART, JOIN, LOW, LEFT, SCALES, TIMES) \
	AHEAD(512) \
	AHEAD(768) \
	GROUP6(2, 640, 1152, 2, START, DOT, SPLIT, RESTART, JOIN, LOW, LEFT, SCALES, TIMES) \
	GROUP6(3, 896, 1408, 2, START, DOT, SPLIT, RESTART, JOIN, LOW, LEFT, SCALES, TIMES) \
	AHEAD(1024) \
	AHEAD(1280) \
	GROUP6(4, 128, 1152, 0, START, DOT, SPLIT, RESTART, JOIN, HIGH, LEFT, SCALES, TIMES) \
	GROUP6(5, 384, 1408, 0, START, DOT, SPLIT, RESTART, JOIN, HIGH, LEFT, SCALES, TIMES) \
	PREFETCHT0 5632(DI) \
	PREFETCHT0 5696(DI) \
	GROUP6(6, 640, 1152, 2, START, DOT, SPLIT, RESTART, JOIN, HIGH, RIGHT, SCALES, TIMES) \
	GROUP6(7, 896, 1408, 2, START, DOT, SPLIT, RESTART, JOIN, HIGH, RIGHT, SCALES, TIMES) \
	ADDQ $1664, DI \
	ADDQ $W, SI \
	ADDQ $B, R10 \
	DECQ AX \
	JNZ half \
	FINISH \
	ADDQ $D, R9 \
	DECQ CX \
	JNZ block \
	VZEROUPPER \
	RET
