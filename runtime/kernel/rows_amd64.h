// Sixteen rows of blocks at once: R8, R9 rows 0 and 8; R10, R11, R12, R13 one,
// three, five and seven strides. AX runs through the next sixteen rows, to have
// them fetched: the processor does not follow sixteen streams by itself.

// STRIDES sets the registers from R8 and R10.
#define STRIDES \
	LEAQ (R8)(R10*8), R9 \
	LEAQ (R10)(R10*2), R11 \
	LEAQ (R10)(R10*4), R12 \
	LEAQ (R10)(R11*2), R13

#define AHEAD \
	LEAQ (R9)(R10*8), AX

#define FETCH4(o) \
	PREFETCHT0 (o)(AX) \
	PREFETCHT0 (o+64)(AX) \
	PREFETCHT0 (o+128)(AX) \
	PREFETCHT0 (o+192)(AX)

// LOAD0 to LOAD3 load 16 bytes at offset o of rows i, i+4, i+8 and i+12.
#define LOAD0(o, X, Z) \
	VMOVDQU32 o(R8), X \
	VINSERTI32X4 $1, o(R8)(R10*4), Z, Z \
	VINSERTI32X4 $2, o(R9), Z, Z \
	VINSERTI32X4 $3, o(R9)(R10*4), Z, Z

#define LOAD1(o, X, Z) \
	VMOVDQU32 o(R8)(R10*1), X \
	VINSERTI32X4 $1, o(R8)(R12*1), Z, Z \
	VINSERTI32X4 $2, o(R9)(R10*1), Z, Z \
	VINSERTI32X4 $3, o(R9)(R12*1), Z, Z

#define LOAD2(o, X, Z) \
	VMOVDQU32 o(R8)(R10*2), X \
	VINSERTI32X4 $1, o(R8)(R11*2), Z, Z \
	VINSERTI32X4 $2, o(R9)(R10*2), Z, Z \
	VINSERTI32X4 $3, o(R9)(R11*2), Z, Z

#define LOAD3(o, X, Z) \
	VMOVDQU32 o(R8)(R11*1), X \
	VINSERTI32X4 $1, o(R8)(R13*1), Z, Z \
	VINSERTI32X4 $2, o(R9)(R11*1), Z, Z \
	VINSERTI32X4 $3, o(R9)(R13*1), Z, Z

// HALVES sets Z20 to the halves that begin the sixteen blocks, as floats.
#define HALVES \
	VMOVD (R8), X20 \
	VPINSRW $1, (R8)(R10*1), X20, X20 \
	VPINSRW $2, (R8)(R10*2), X20, X20 \
	VPINSRW $3, (R8)(R11*1), X20, X20 \
	VPINSRW $4, (R8)(R10*4), X20, X20 \
	VPINSRW $5, (R8)(R12*1), X20, X20 \
	VPINSRW $6, (R8)(R11*2), X20, X20 \
	VPINSRW $7, (R8)(R13*1), X20, X20 \
	VMOVD (R9), X21 \
	VPINSRW $1, (R9)(R10*1), X21, X21 \
	VPINSRW $2, (R9)(R10*2), X21, X21 \
	VPINSRW $3, (R9)(R11*1), X21, X21 \
	VPINSRW $4, (R9)(R10*4), X21, X21 \
	VPINSRW $5, (R9)(R12*1), X21, X21 \
	VPINSRW $6, (R9)(R11*2), X21, X21 \
	VPINSRW $7, (R9)(R13*1), X21, X21 \
	VINSERTI32X4 $1, X21, Y20, Y20 \
	VCVTPH2PS Y20, Z20
