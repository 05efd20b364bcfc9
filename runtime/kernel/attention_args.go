package kernel

// The arguments of attention's assembly: pointers into slices that the callers
// checked, sizes in elements or, where it says so, bytes.

// scoreArgs are those of a scores routine, whose rows are q's.
type scoreArgs struct {
	p, q    *float32 // [rows][KVPage], [rows][d]
	k       *byte
	d       int
	group   int // bytes of a group of keys
	batches int // as many groups each as the routine takes at once
}

// weightArgs are those of a weights routine.
type weightArgs struct {
	p           *float32 // [rows][KVPage]
	keys        *int     // [rows]
	top         *float32 // [rows]
	sum, factor *float32 // [rows][sumLanes], [rows]
	rows        int
}

// mixArgs are those of a mix routine for some elements of every row.
type mixArgs struct {
	o      *float32 // [rows], width bytes apart
	width  int
	factor *float32 // [rows]
	p      *float32 // [rows][KVPage]
	v      *byte    // [keys], stride bytes apart
	block  *byte    // of Q8_0 that v is in, where the routine takes a part of it
	stride int
	keys   int
	mask   int // bits of the elements, where the routine takes fewer than all
}
