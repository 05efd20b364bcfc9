package breaker

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestBreaker(t *testing.T) {
	// A script is one rune per step: o and f are calls that succeed and fail, n
	// one that tells nothing, b a stream that begins well and then breaks, s one
	// that begins well and succeeds; x is a call the breaker must refuse, and .
	// lets one second pass.
	tests := []struct{ name, script string }{
		{"below-threshold", "ffoffo"},
		{"opens-at-threshold", "fffx"},
		{"good-probe-closes", "fffx.....offo"},
		{"bad-probe-reopens", "fff.....fx....x.o"},
		{"nothing-counts-as-nothing", "ffnnnfx"},
		{"nothing-gives-the-probe-back", "fff.....nnno"},
		{"streams-that-break-are-failures", "bbbx"},
		{"a-good-stream-resets", "bbsbbo"},
		{"slow-failures-are-not-forgotten", "f........................................................................ffx"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := New("t", Config{Failures: 3, Cooldown: 5 * time.Second}, nil)
				for i, step := range tt.script {
					if step == '.' {
						time.Sleep(time.Second + time.Millisecond) // a breaker waits longer than its cooldown, not as long
						continue
					}
					p := b.Allow()
					if got, want := p != nil, step != 'x'; got != want {
						t.Fatalf("step %d of %q: allowed %v, want %v", i, tt.script, got, want)
					}
					switch step {
					case 'o':
						p.Success()
					case 'f':
						p.Failure()
					case 'n':
						p.Nothing()
					case 'b':
						p.FirstByte()
						p.Failure()
					case 's':
						p.FirstByte()
						p.Success()
					}
				}
			})
		})
	}
}

// A long answer does not keep a half-open breaker half-open.
func TestProbeClosesAtItsFirstByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var changes []string
		b := New("t", Config{Failures: 1, Cooldown: time.Second}, func(from, to string) { changes = append(changes, from+">"+to) })
		b.Allow().Failure()
		time.Sleep(2 * time.Second)
		probe := b.Allow()
		if b.Allow() != nil {
			t.Fatal("two probes at once")
		}
		probe.FirstByte()
		if b.State() != "closed" {
			t.Fatalf("state %s after the probe's first byte", b.State())
		}
		probe.Failure() // the answer broke after all
		if b.State() != "open" {
			t.Errorf("state %s after the probe's stream broke, want open", b.State())
		}
		if got, want := strings.Join(changes, " "), "closed>open open>half-open half-open>closed closed>open"; got != want {
			t.Errorf("changes %s, want %s", got, want)
		}
	})
}

func TestConfigMistakes(t *testing.T) {
	err := Config{Failures: -1, Cooldown: -1}.Validate()
	if err == nil || strings.Count(err.Error(), "must not be negative") != 2 {
		t.Errorf("Validate = %v, want both mistakes", err)
	}
}
