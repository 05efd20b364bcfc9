package kernel

// multiplyTiles computes rows [r0, r1), a chunk at most, panel by panel. The
// panels are unpacked once; each group of columns then meets all of them while
// it is in the nearest cache.
func (s *Scratch) multiplyTiles(wk *worker, pt *part, r0, r1 int) {
	w, a, size := pt.w, &s.act, s.act.kind.size
	blocks, per := w.Cols/32, 32/size
	panels := wk.panels[:(r1-r0+panelRows-1)/panelRows]
	for i := range panels {
		panels[i].pack(w, r0+i*panelRows)
	}
	t := &wk.args
	t.blocks = blocks
	for c0 := 0; c0 < s.n; c0 += groupCols {
		g := c0 / groupCols * blocks * groupCols
		t.q, t.d, t.dsum, t.bias = &a.q[32*g], &a.d[g], &a.dsum[g], &a.bias[g*per]
		cols := min(groupCols, s.n-c0)
		for i := range panels {
			p := &panels[i]
			t.v, t.scale, t.min, t.dst = &p.v[0], &p.scale[0], nil, &wk.tile[0]
			if p.min != nil {
				t.min = &p.min[0]
			}
			tile(t, cols, size)
			if p.late != nil {
				addLate(wk.tile[:], p.late, a.d[g:], a.bias[g*per:], cols)
			}
			r := r0 + i*panelRows
			rows := min(panelRows, w.Rows-r)
			for c := range cols {
				copy(pt.dst[(c0+c)*w.Rows+r:][:rows], wk.tile[c*panelRows:])
			}
		}
	}
}

// addLate adds to a tile of cols columns what [dotLate] is for each row and column,
// from the scales and the sums of a group of activations.
func addLate(tile, late, d []float32, bias []int32, cols int) {
	for c := range cols {
		var acc [panelRows]float32
		for i := range len(late) / panelRows {
			sum := -bias[i*groupCols+c] / 128
			dsum := d[i/2*groupCols+c] * float32(sum)
			for r, m := range late[i*panelRows:][:panelRows] {
				acc[r] += float32(m * dsum)
			}
		}
		for r, f := range acc {
			tile[c*panelRows+r] += f
		}
	}
}
