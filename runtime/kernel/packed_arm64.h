// What all routines on packed panels share.

// LOAD_ARGS loads a packedArgs as all routines on packed panels have it.
#define LOAD_ARGS \
	MOVD a+0(FP), R9 \
	MOVD packedArgs_w(R9), R0 \
	MOVD packedArgs_q(R9), R1 \
	MOVD packedArgs_d(R9), R3 \
	MOVD packedArgs_bias(R9), R4 \
	MOVD packedArgs_blocks(R9), R6 \
	MOVD packedArgs_dst(R9), R7 \
	MOVD packedArgs_stride(R9), R8 \
	MOVD packedArgs_row(R9), R10 \
	ADD R10, R0, R5 \
	ADD R10<<1, R0, R2 \
	ADD R10<<2, R0, R0 \
	ADD R10<<2, R7, R7

#define CLEAR(V) VEOR V.B16, V.B16, V.B16

#define CLEAR_FOUR(A, B, C, D) \
	CLEAR(A) \
	CLEAR(B) \
	CLEAR(C) \
	CLEAR(D)

// SCALE_OF makes floats of S and multiplies them by B.
#define SCALE_OF(B, S) \
	SCVTF4(S, S) \
	FMUL4(B, S, S)

// TIMES adds the integer sums i, which become floats, times s to the float sums f.
#define TIMES(s, i, f) \
	SCVTF4(i, i) \
	FMUL4(s, i, i) \
	FADD4(i, f, f)
