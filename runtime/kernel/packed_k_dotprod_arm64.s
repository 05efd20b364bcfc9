//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "vector_arm64.h"
#include "packed_arm64.h"
#include "packed_dotprod_arm64.h"

// HALF4 is the b-th 32 elements of a chunk of 64.
#define HALF4(b, BEGIN, COLUMNS, DOT, NIBBLES, SCALES, TIMES) \
	BEGIN \
	COLUMNS((2*b)) \
	NIBBLES(64, R0) \
	DOT((8*b+0), SDOT0) \
	NIBBLES(128, R0) \
	DOT((8*b+1), SDOT1) \
	NIBBLES(192, R0) \
	DOT((8*b+2), SDOT2) \
	NIBBLES(256, R0) \
	DOT((8*b+3), SDOT3) \
	COLUMNS((2*b+1)) \
	NIBBLES(320, R0) \
	DOT((8*b+4), SDOT0) \
	NIBBLES(384, R0) \
	DOT((8*b+5), SDOT1) \
	NIBBLES(448, R0) \
	DOT((8*b+6), SDOT2) \
	NIBBLES(512, R0) \
	DOT((8*b+7), SDOT3) \
	SCALES((16*b), UXTL8, UXTL8U) \
	TIMES

// MINS adds the p-th two minimums of each row times the columns' sums of their
// elements.
#define MINS1(p) \
	FMOVQ (R4), F7 \
	ADD $(576*p+96), R2, R9 \
	VLD2 (R9), [V0.B16, V1.B16] \
	UXTL8U(0, 2) \
	UXTL8(0, 0) \
	UXTL8U(1, 3) \
	UXTL8(1, 1) \
	SMLAL((2*p), 7, 0, 16) \
	SMLALU((2*p), 7, 0, 17) \
	SMLAL((2*p), 7, 2, 18) \
	SMLALU((2*p), 7, 2, 19) \
	SMLAL((2*p+1), 7, 1, 16) \
	SMLALU((2*p+1), 7, 1, 17) \
	SMLAL((2*p+1), 7, 3, 18) \
	SMLALU((2*p+1), 7, 3, 19)

#define MINS4(p) \
	FMOVQ (32*p)(R4), F7 \
	ADD $(576*p+96), R2, R9 \
	VLD2 (R9), [V0.B8, V1.B8] \
	UXTL8(0, 0) \
	UXTL8(1, 1) \
	SMLAL(0, 7, 0, 16) \
	SMLALU(0, 7, 0, 17) \
	SMLAL(1, 7, 1, 16) \
	SMLALU(1, 7, 1, 17) \
	SMLAL(2, 7, 0, 18) \
	SMLALU(2, 7, 0, 19) \
	SMLAL(3, 7, 1, 18) \
	SMLALU(3, 7, 1, 19) \
	SMLAL(4, 7, 0, 20) \
	SMLALU(4, 7, 0, 21) \
	SMLAL(5, 7, 1, 20) \
	SMLALU(5, 7, 1, 21) \
	SMLAL(6, 7, 0, 22) \
	SMLALU(6, 7, 0, 23) \
	SMLAL(7, 7, 1, 22) \
	SMLALU(7, 7, 1, 23)

// LOOP4K is a loop over blocks of 256 of Q4_K, in chunks of 64. W are the bytes of a
// chunk, B and D those of biases and of scales of a block, in the columns.
#define LOOP4K(W, B, D, MASK, BEGIN, COLUMNS, DOT, LOW, HIGH, BLOCK, SCALES, NEGATED, MINS, TIMES, ZERO, DONE, FINISH, RESULT, AHEAD) \
	LOAD_ARGS \
	VMOVI $15, MASK.B16 \
	DONE \
block: \
	BLOCK \
	ADD $64, R0 \
	ADD $64, R5 \
	MOVD $4, R10 \
	ZERO \
chunk: \
	AHEAD(0) \
	AHEAD(256) \
	HALF4(0, BEGIN, COLUMNS, DOT, LOW, SCALES, TIMES) \
	HALF4(1, BEGIN, COLUMNS, DOT, HIGH, SCALES, TIMES) \
	ADD $576, R0 \
	ADD $576, R5 \
	ADD $W, R1 \
	SUBS $1, R10 \
	BNE chunk \
	BEGIN \
	MINS(0) \
	MINS(1) \
	MINS(2) \
	MINS(3) \
	NEGATED(32) \
	TIMES \
	FINISH \
	ADD $2368, R2 \
	ADD $D, R3 \
	ADD $B, R4 \
	SUBS $1, R6 \
	BNE block \
	RESULT

// func packed1Q4_KDOT(a *packedArgs)
// Requires: FEAT_DotProd
TEXT ·packed1Q4_KDOT(SB), NOSPLIT, $0-8
	LOOP4K(64, 16, 32, V15, BEGIN1, COLUMNS1, DOT1, LOW1, HIGH1, BLOCK1, SCALES1, NEGATED1, MINS1, TIMES1, ZERO1, DONE1, FINISH1, RESULT1, AHEAD1)

// func packed4Q4_KDOT(a *packedArgs)
// Requires: FEAT_DotProd
TEXT ·packed4Q4_KDOT(SB), NOSPLIT, $0-8
	LOOP4K(512, 128, 256, V3, BEGIN4, COLUMNS4, DOT4, LOW4, HIGH4, BLOCK4, SCALES4, NEGATED4, MINS4, TIMES4, ZERO4, DONE4, FINISH4, RESULT4, AHEAD4)

// GROUP6 is the g-th 16 of 128 elements, l and h where their bits begin.
#define GROUP6(g, l, h, NIBBLES, SHIFT, BIAS, COLUMNS, DOT, JOIN, SCALES, TIMES) \
	BIAS(g) \
	COLUMNS(g) \
	ADD $l, R0, R12 \
	ADD $h, R0, R13 \
	NIBBLES(0, R12) \
	JOIN(0, SHIFT) \
	DOT((4*g+0), SDOT0) \
	NIBBLES(64, R12) \
	JOIN(64, SHIFT) \
	DOT((4*g+1), SDOT1) \
	NIBBLES(128, R12) \
	JOIN(128, SHIFT) \
	DOT((4*g+2), SDOT2) \
	NIBBLES(192, R12) \
	JOIN(192, SHIFT) \
	DOT((4*g+3), SDOT3) \
	SCALES((16*g), SXTL8, SXTL8U) \
	TIMES

// LOOP6K is a loop over blocks of 256 of Q6_K, in halves. W and B are the bytes and
// the bytes of biases of a half, in the columns, D those of scales of a block.
#define LOOP6K(W, B, D, MASK, BIAS, COLUMNS, DOT, LOW, HIGH, JOIN, BLOCK, SCALES, TIMES, ZERO, DONE, FINISH, RESULT, AHEAD) \
	LOAD_ARGS \
	VMOVI $15, MASK.B16 \
	VMOVI $48, V14.B16 \
	DONE \
block: \
	BLOCK \
	ADD $64, R0 \
	ADD $64, R5 \
	MOVD $2, R10 \
	ZERO \
half: \
	AHEAD(0) \
	AHEAD(256) \
	GROUP6(0, 128, 1152, LOW, LEFT4BITS, BIAS, COLUMNS, DOT, JOIN, SCALES, TIMES) \
	GROUP6(1, 384, 1408, LOW, LEFT4BITS, BIAS, COLUMNS, DOT, JOIN, SCALES, TIMES) \
	AHEAD(512) \
	AHEAD(768) \
	GROUP6(2, 640, 1152, LOW, LEFT2BITS, BIAS, COLUMNS, DOT, JOIN, SCALES, TIMES) \
	GROUP6(3, 896, 1408, LOW, LEFT2BITS, BIAS, COLUMNS, DOT, JOIN, SCALES, TIMES) \
	AHEAD(1024) \
	AHEAD(1280) \
	GROUP6(4, 128, 1152, HIGH, NOBITS, BIAS, COLUMNS, DOT, JOIN, SCALES, TIMES) \
	GROUP6(5, 384, 1408, HIGH, NOBITS, BIAS, COLUMNS, DOT, JOIN, SCALES, TIMES) \
	GROUP6(6, 640, 1152, HIGH, RIGHT2BITS, BIAS, COLUMNS, DOT, JOIN, SCALES, TIMES) \
	GROUP6(7, 896, 1408, HIGH, RIGHT2BITS, BIAS, COLUMNS, DOT, JOIN, SCALES, TIMES) \
	ADD $1664, R0 \
	ADD $1664, R5 \
	ADD $W, R1 \
	ADD $B, R4 \
	SUBS $1, R10 \
	BNE half \
	FINISH \
	ADD $3392, R2 \
	ADD $D, R3 \
	SUBS $1, R6 \
	BNE block \
	RESULT

// func packed1Q6_KDOT(a *packedArgs)
// Requires: FEAT_DotProd
TEXT ·packed1Q6_KDOT(SB), NOSPLIT, $0-8
	LOOP6K(128, 32, 32, V15, BIAS1, COLUMNS1, DOT1, LOW1, HIGH1, JOIN1, BLOCK1, SCALES1, TIMES1, ZERO1, DONE1, FINISH1, RESULT1, AHEAD1)

// func packed4Q6_KDOT(a *packedArgs)
// Requires: FEAT_DotProd
TEXT ·packed4Q6_KDOT(SB), NOSPLIT, $0-8
	LOOP6K(1024, 256, 256, V3, BIAS4, COLUMNS4, DOT4, LOW4, HIGH4, JOIN4, BLOCK4, SCALES4, TIMES4, ZERO4, DONE4, FINISH4, RESULT4, AHEAD4)
