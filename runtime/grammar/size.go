package grammar

// Bytes returns about how many bytes p takes: its grammar, and what it has learnt of the
// vocabulary so far. What all programs of a Vocab share is not counted.
func (p *Program) Bytes() int64 {
	return p.size + maxMaskBytes - p.room.Load() + p.space.Load().bytes.Load()
}

// About what these take, in bytes, their places in maps included.
const (
	nodeBytes   = 32
	edgeBytes   = 32
	threadBytes = 32
	frameBytes  = 256
	extraBytes  = 128
)

// bytes returns about how many bytes g takes, without what the process shares.
func (g *Grammar) bytes() (n int64) {
	for i := range g.nodes {
		n += nodeBytes + edgeBytes*int64(len(g.nodes[i].edges))
	}
	for _, d := range g.dfas {
		if !d.Shared {
			n += d.Size() + 8*int64(d.States()) // a place for each state's mask
		}
	}
	return n
}
