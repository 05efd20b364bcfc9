package kernel

func dot(x, y []float32) float32              { return dotGeneric(x, y) }
func axpy(a float32, x, y []float32)          { axpyGeneric(a, x, y) }
func siluMul(gate, up []float32)              { siluMulGeneric(gate, up) }
func expSub(x []float32, top float32) float32 { return expSubGeneric(x, top) }
