package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/runtime/quant"
)

func TestPoolRunsEachOnce(t *testing.T) {
	for _, threads := range []int{0, 1, 2, 3, 8} {
		p := NewPool(threads)
		var callers sync.WaitGroup
		for range 3 {
			callers.Go(func() {
				for n := range 100 {
					seen := make([]int32, n) // plain: Run's return must order these writes
					p.Run(n, func(i int) { seen[i]++ })
					for i, s := range seen {
						if s != 1 {
							t.Errorf("threads=%d n=%d: iteration %d ran %d times", threads, n, i, s)
						}
					}
				}
			})
		}
		callers.Wait()
		p.Close()
	}
}

func TestPoolWorkersAreAlone(t *testing.T) {
	p := NewPool(4)
	defer p.Close()
	busy := make([]atomic.Int32, p.Threads())
	for range 200 {
		p.RunWorkers(64, func(worker, i int) {
			if busy[worker].Add(1) != 1 {
				t.Error("two calls on one worker")
			}
			busy[worker].Add(-1)
		})
	}
}

func TestPoolShares(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	time.Sleep(10 * time.Millisecond) // let the worker fall asleep
	meet := make(chan int)
	p.Run(2, func(i int) { // returns only if both calls run at once
		if i == 0 {
			meet <- 1
		} else {
			<-meet
		}
	})
}

func TestPoolClose(t *testing.T) {
	before := runtime.NumGoroutine()
	p := NewPool(8)
	p.Run(100, func(int) {})
	p.Close()
	p.Close()
	for range 100 {
		if runtime.NumGoroutine() <= before {
			break
		}
		time.Sleep(time.Millisecond) // exited goroutines are counted for a moment
	}
	if now := runtime.NumGoroutine(); now > before {
		t.Errorf("%d goroutines before, %d after Close", before, now)
	}
	ran := 0
	p.Run(3, func(int) { ran++ })
	if ran != 3 {
		t.Errorf("after Close, Run ran %d of 3", ran)
	}
}

func TestMatMulAllocatesNothing(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	const rows, cols = 640, 256
	x, dst := make([]float32, 9*cols), make([]float32, 9*rows)
	each(t, func(t *testing.T) {
		for _, qt := range []quant.Type{quant.F16, quant.Q8_0, quant.Q4_K, quant.Q6_K} {
			w, err := NewWeight(qt, rows, cols, make([]byte, quant.RowBytes(qt, rows*cols)))
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range []int{1, 9} {
				var s Scratch
				w.MatMul(p, dst, x, n, &s)
				if a := testing.AllocsPerRun(20, func() { w.MatMul(p, dst, x, n, &s) }); a != 0 {
					t.Errorf("%v n=%d: %v allocations", qt, n, a)
				}
			}
		}
	})
}
