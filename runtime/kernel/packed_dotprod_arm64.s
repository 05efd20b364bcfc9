//go:build !purego

#include "textflag.h"
#include "go_asm.h"
#include "vector_arm64.h"
#include "packed_arm64.h"
#include "packed_dotprod_arm64.h"

// PAIR4_0 is the b-th block of a pair.
#define PAIR4_0(b, BIAS, COLUMNS, DOT, LOW, HIGH, HALVES, TIMES) \
	BIAS(b) \
	COLUMNS((2*b)) \
	LOW((64+256*b), R0) \
	DOT((8*b+0), SDOT0) \
	LOW((64+256*b+64), R0) \
	DOT((8*b+1), SDOT1) \
	LOW((64+256*b+128), R0) \
	DOT((8*b+2), SDOT2) \
	LOW((64+256*b+192), R0) \
	DOT((8*b+3), SDOT3) \
	COLUMNS((2*b+1)) \
	HIGH((64+256*b), R0) \
	DOT((8*b+4), SDOT0) \
	HIGH((64+256*b+64), R0) \
	DOT((8*b+5), SDOT1) \
	HIGH((64+256*b+128), R0) \
	DOT((8*b+6), SDOT2) \
	HIGH((64+256*b+192), R0) \
	DOT((8*b+7), SDOT3) \
	HALVES((32*b)) \
	TIMES

// LOOP4 is a loop over 128 elements of Q4_0, in pairs of blocks of 32. W and B are the
// bytes and the bytes of biases of a pair, in the columns, D the bytes of scales in 128.
#define LOOP4(W, B, D, MASK, BIAS, COLUMNS, DOT, LOW, HIGH, HALVES, TIMES, ZERO, DONE, FINISH, RESULT, AHEAD) \
	LOAD_ARGS \
	VMOVI $15, MASK.B16 \
	LSR $2, R6, R6 \
	DONE \
block: \
	MOVD $2, R10 \
	ZERO \
pair: \
	AHEAD(0) \
	PAIR4_0(0, BIAS, COLUMNS, DOT, LOW, HIGH, HALVES, TIMES) \
	AHEAD(256) \
	PAIR4_0(1, BIAS, COLUMNS, DOT, LOW, HIGH, HALVES, TIMES) \
	ADD $576, R0 \
	ADD $576, R2 \
	ADD $W, R1 \
	ADD $B, R4 \
	SUBS $1, R10 \
	BNE pair \
	FINISH \
	ADD $D, R3 \
	SUBS $1, R6 \
	BNE block \
	RESULT

// func packed1Q4_0DOT(a *packedArgs)
// Requires: FEAT_DotProd
TEXT ·packed1Q4_0DOT(SB), NOSPLIT, $0-8
	LOOP4(64, 8, 16, V15, BIAS1, COLUMNS1, DOT1, LOW1, HIGH1, HALVES1, TIMES1, ZERO1, DONE1, FINISH1, RESULT1, AHEAD1)

// func packed4Q4_0DOT(a *packedArgs)
// Requires: FEAT_DotProd
TEXT ·packed4Q4_0DOT(SB), NOSPLIT, $0-8
	LOOP4(512, 64, 128, V3, BIAS4, COLUMNS4, DOT4, LOW4, HIGH4, HALVES4, TIMES4, ZERO4, DONE4, FINISH4, RESULT4, AHEAD4)

// PAIR8_0 is the b-th block of a pair; R0 goes along.
#define PAIR8_0(b, BEGIN, COLUMNS, DOT, SIGNED, HALVES, SCALED) \
	BEGIN \
	COLUMNS((2*b)) \
	SIGNED(0, R0) \
	DOT((8*b+0), SDOT0) \
	SIGNED(64, R0) \
	DOT((8*b+1), SDOT1) \
	SIGNED(128, R0) \
	DOT((8*b+2), SDOT2) \
	SIGNED(192, R0) \
	DOT((8*b+3), SDOT3) \
	COLUMNS((2*b+1)) \
	SIGNED(256, R0) \
	DOT((8*b+4), SDOT0) \
	SIGNED(320, R0) \
	DOT((8*b+5), SDOT1) \
	SIGNED(384, R0) \
	DOT((8*b+6), SDOT2) \
	SIGNED(448, R0) \
	DOT((8*b+7), SDOT3) \
	ADD $512, R0 \
	HALVES((32*b)) \
	SCALED(b)

// LOOP8 is a loop over pairs of blocks of 32 of Q8_0. D are the bytes of scales of a
// pair.
#define LOOP8(W, D, MASK, BEGIN, COLUMNS, DOT, SIGNED, HALVES, SCALED, ZERO, STORE, AHEAD) \
	LOAD_ARGS \
	VMOVI $128, MASK.B16 \
	ZERO \
pair: \
	ADD $64, R0 \
	AHEAD(0) \
	AHEAD(256) \
	PAIR8_0(0, BEGIN, COLUMNS, DOT, SIGNED, HALVES, SCALED) \
	AHEAD(0) \
	AHEAD(256) \
	PAIR8_0(1, BEGIN, COLUMNS, DOT, SIGNED, HALVES, SCALED) \
	ADD $1088, R2 \
	ADD $W, R1 \
	ADD $D, R3 \
	SUBS $2, R6 \
	BNE pair \
	STORE \
	RET

// func packed1Q8_0DOT(a *packedArgs)
// Requires: FEAT_DotProd
TEXT ·packed1Q8_0DOT(SB), NOSPLIT, $0-8
	LOOP8(64, 8, V15, BEGIN1, COLUMNS1, DOT1, SIGNED1, HALVES1, SCALED1, ZERO1, STORE1, AHEAD1)

// func packed4Q8_0DOT(a *packedArgs)
// Requires: FEAT_DotProd
TEXT ·packed4Q8_0DOT(SB), NOSPLIT, $0-8
	LOOP8(512, 64, V3, BEGIN4, COLUMNS4, DOT4, SIGNED4, HALVES4, SCALED4, ZERO4, STORE4, AHEAD4)
