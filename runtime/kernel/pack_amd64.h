// Panels from sixteen rows of blocks: a vector of 16 bytes of each of rows i,
// i+4, i+8 and i+12 for i from 0 to 3, and a transposition of four by four dwords
// in each of its quarters, put the rows side by side in order.
//
// Registers as in rows_amd64.h, and DI panel bytes, BX panel scales, CX blocks
// left.

#define LOAD_ARGS \
	MOVQ a+0(FP), AX \
	MOVQ packArgs_w(AX), R8 \
	MOVQ packArgs_stride(AX), R10 \
	MOVQ packArgs_v(AX), DI \
	MOVQ packArgs_scale(AX), BX \
	MOVQ packArgs_blocks(AX), CX \
	STRIDES \
	AHEAD

// STORE transposes A, B, C and D and stores the panel's bytes at o, for 16 of
// each row. It uses Z0 to Z3.
#define STORE(A, B, C, D, o) \
	VPUNPCKLDQ B, A, Z0 \
	VPUNPCKHDQ B, A, Z1 \
	VPUNPCKLDQ D, C, Z2 \
	VPUNPCKHDQ D, C, Z3 \
	VPUNPCKLQDQ Z2, Z0, A \
	VPUNPCKHQDQ Z2, Z0, B \
	VPUNPCKLQDQ Z3, Z1, C \
	VPUNPCKHQDQ Z3, Z1, D \
	VMOVDQU32 A, (o)(DI) \
	VMOVDQU32 B, (o+64)(DI) \
	VMOVDQU32 C, (o+128)(DI) \
	VMOVDQU32 D, (o+192)(DI)
