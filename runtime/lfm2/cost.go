package lfm2

// A Cost is what one token takes of a machine, attention over the tokens before it,
// and tables of one row each, left out.
type Cost struct {
	Bytes  int // of matrices read, as they are laid out: those of a step of one token
	Layers int // multiplications in the layers
	Output int // multiplications for its logits, which most tokens of a prompt do without
}

// Cost returns what one token takes.
func (m *Model) Cost() Cost {
	var c Cost
	for i := range m.layers {
		l := &m.layers[i]
		one := func(share, of int, all ...*linear) {
			for _, w := range all {
				c.Bytes += w.Bytes() * share / of
				c.Layers += w.Rows * w.Cols * share / of
			}
		}
		if l.conv != nil {
			one(1, 1, &l.conv.in, &l.conv.out)
		} else {
			one(1, 1, &l.attn.q, &l.attn.k, &l.attn.v, &l.attn.out)
		}
		if l.ffn != nil {
			one(1, 1, &l.ffn.gate, &l.ffn.up, &l.ffn.down)
			continue
		}
		one(1, 1, &l.experts.router)
		for e := range l.experts.each {
			x := &l.experts.each[e]
			one(m.Active, len(l.experts.each), &x.gate, &x.up, &x.down)
		}
	}
	c.Bytes += m.output.Bytes()
	c.Output = m.output.Rows * m.output.Cols
	return c
}
