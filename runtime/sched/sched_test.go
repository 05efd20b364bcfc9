package sched

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write what the scripts print into them")

// A world is a model made of numbers: a step takes base, and token for each of
// its tokens; memory is counted, not used.
type world struct {
	s           *Scheduler
	cfg         Config
	base, token time.Duration
	memory      int
	parties     map[string]*party
}

// A party is an answer or a session of a script.
type party struct {
	Task
	name    string
	prompt  int // tokens still to be read
	answer  int // tokens still to be written
	draft   int // tokens beside each of them
	memory  int
	inside  bool
	stalled bool // its reader does not read: it asks for no step
}

// TestScripts runs testdata/*.txt: lines of commands, each followed by what it
// printed, indented.
//
//	config slots=2 queue=1 tokens=64 base=2ms token=1ms memory=100
//	arrive NAME [group=G] prompt=N answer=N [memory=N] [draft=N]
//	session NAME tokens=N [whole]      urgent work
//	stall NAME, resume NAME            its reader stops, and goes on
//	leave NAME                         cancelled
//	step [N]                           N steps: +NAME is let in, -NAME refused; then
//	                                   the plan (* is urgent), the time, and who ended
//
// With "step N" above 1, equal plans in a row are printed once.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			w := &world{}
			for line := range strings.Lines(string(data)) {
				if strings.HasPrefix(line, "  ") {
					continue
				}
				got.WriteString(line)
				if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
					for _, out := range w.run(t, line) {
						got.WriteString("  " + out + "\n")
					}
				}
			}
			if *update {
				if err := os.WriteFile(file, []byte(got.String()), 0o666); err != nil {
					t.Fatal(err)
				}
			} else if got.String() != string(data) {
				t.Errorf("the script printed\n%s\nand not\n%s", got.String(), data)
			}
		})
	}
}

func (w *world) run(t *testing.T, line string) []string {
	t.Helper()
	words := strings.Fields(line)
	name := ""
	args := map[string]string{}
	for _, word := range words[1:] {
		if k, v, ok := strings.Cut(word, "="); ok {
			args[k] = v
		} else if name == "" {
			name = word
		} else {
			args[word] = "1"
		}
	}
	number := func(key string, otherwise int) int {
		if args[key] == "" {
			return otherwise
		}
		n, err := strconv.Atoi(args[key])
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		return n
	}
	duration := func(key string) time.Duration {
		d, err := time.ParseDuration(args[key])
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		return d
	}
	p := w.parties[name]
	switch words[0] {
	case "config":
		w.cfg = Config{Slots: number("slots", 0), Queue: number("queue", 0), Tokens: number("tokens", 0)}
		w.s = New(w.cfg)
		w.base, w.token, w.memory, w.parties = duration("base"), duration("token"), number("memory", 1<<30), map[string]*party{}
	case "arrive":
		p := &party{name: name, prompt: number("prompt", 1), answer: number("answer", 1), draft: number("draft", 0), memory: number("memory", 0)}
		p.Task = Task{Group: args["group"], Owner: p}
		if err := w.s.Arrive(&p.Task, p.prompt); err != nil {
			return []string{err.Error()}
		}
		w.parties[name] = p
	case "session":
		p := &party{name: name, prompt: number("tokens", 1)}
		p.Task = Task{Class: Urgent, Owner: p}
		w.parties[name] = p
		w.s.Ready(&p.Task, p.prompt, args["whole"] != "")
	case "stall":
		p.stalled = true
		w.s.Withdraw(&p.Task)
	case "resume":
		p.stalled = false
		w.next(p)
	case "leave":
		w.leave(p)
	case "step":
		n := 1
		if name != "" {
			n, _ = strconv.Atoi(name)
		}
		var out []string
		same := 1
		for range n {
			line := w.step(t)
			if len(out) > 0 && out[len(out)-1] == line {
				same++
				continue
			}
			if same > 1 {
				out[len(out)-1] += fmt.Sprintf(" (%d times)", same)
			}
			same = 1
			out = append(out, line)
		}
		if same > 1 {
			out[len(out)-1] += fmt.Sprintf(" (%d times)", same)
		}
		return out
	default:
		t.Fatalf("no command is called %s", words[0])
	}
	return nil
}

// next asks for the step that p needs.
func (w *world) next(p *party) {
	switch {
	case p.stalled:
	case p.prompt > 0:
		w.s.Ready(&p.Task, p.prompt, false)
	case p.answer > 0:
		w.s.Ready(&p.Task, 1+p.draft, true)
	}
}

func (w *world) leave(p *party) {
	w.s.Leave(&p.Task)
	if p.inside {
		w.memory += p.memory
	}
	delete(w.parties, p.name)
}

func (w *world) step(t *testing.T) string {
	t.Helper()
	var line []string
	for {
		task, err := w.s.Admit(func(t *Task) error {
			p := t.Owner.(*party)
			if p.memory > w.memory {
				return errors.New("no memory")
			}
			w.memory -= p.memory
			return nil
		})
		if task == nil {
			break
		}
		p := task.Owner.(*party)
		if err != nil {
			line = append(line, "-"+p.name)
			delete(w.parties, p.name)
			continue
		}
		p.inside = true
		line = append(line, "+"+p.name)
		w.next(p)
	}
	plan := w.s.Plan(nil)
	if len(plan) == 0 {
		return strings.Join(append(line, "nothing to do"), " ")
	}
	took, total := w.base, 0
	for i, piece := range plan {
		p := piece.Task.Owner.(*party)
		took += time.Duration(piece.Tokens) * w.token
		total += piece.Tokens
		mark := ""
		if p.Class == Urgent {
			mark = "*"
		}
		line = append(line, fmt.Sprintf("%s%s:%d", p.name, mark, piece.Tokens))
		if slices.ContainsFunc(plan[:i], func(q Piece) bool { return q.Task == piece.Task }) || piece.Tokens < 1 {
			t.Errorf("plan %v", line)
		}
	}
	if total > w.s.cfg.Tokens {
		t.Errorf("a step of %d tokens: %v", total, line)
	}
	w.s.Done(plan, took)
	line = append(line, took.String())
	for _, piece := range plan {
		p := piece.Task.Owner.(*party)
		if p.prompt > 0 {
			if p.prompt -= piece.Tokens; p.prompt > 0 {
				continue // its rest is still pending
			}
		} else {
			p.answer -= 1
		}
		if p.prompt == 0 && p.answer == 0 {
			line = append(line, p.name+" ends")
			w.leave(p)
			continue
		}
		w.next(p)
	}
	return strings.Join(line, " ")
}

// Whatever comes and goes, no step is empty while there is work, none is too
// long, everything ends, and nothing is left behind.
func TestRandomHistories(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		w := &world{parties: map[string]*party{}, base: time.Millisecond, token: time.Duration(1 + rng.IntN(2_000_000)), memory: 100}
		w.cfg = Config{Slots: 1 + rng.IntN(5), Queue: rng.IntN(10), Tokens: 32 << rng.IntN(4)}
		w.s = New(w.cfg)
		waits := map[string]int{}
		for n := range 600 {
			if n < 300 {
				name := fmt.Sprint("n", n)
				switch r := rng.IntN(10); {
				case r < 3:
					w.run(t, fmt.Sprintf("arrive %s group=%c prompt=%d answer=%d memory=%d draft=%d", name, 'a'+rng.IntN(3), 1+rng.IntN(300), 1+rng.IntN(20), rng.IntN(120), rng.IntN(4)))
				case r < 4:
					w.run(t, fmt.Sprintf("session %s tokens=%d", name, 1+rng.IntN(200)))
				case r < 5:
					w.run(t, fmt.Sprintf("session %s tokens=%d whole", name, 1+rng.IntN(w.cfg.Tokens)))
				case r < 6 && len(w.parties) > 0:
					w.run(t, "leave "+slices.Sorted(maps.Keys(w.parties))[0])
				}
			}
			work := w.s.Pending()
			line := w.step(t)
			if work && strings.Contains(line, "nothing") {
				t.Fatalf("seed %d: work is pending and %s", seed, line)
			}
			// Nobody who is ready waits for long.
			for name, p := range w.parties {
				waits[name]++
				if strings.Contains(line, name+":") || strings.Contains(line, name+"*:") || !p.inside && p.Class == Normal {
					waits[name] = 0
				}
				if p.whole && waits[name] > 30 || waits[name] > 250 {
					t.Fatalf("seed %d: %s has waited for %d steps", seed, name, waits[name])
				}
			}
		}
		for range 2000 {
			w.step(t)
		}
		if len(w.parties) != 0 || w.s.Waiting() != 0 || w.s.Inside() != 0 || w.s.Pending() || w.s.Answers() != 0 || len(w.s.groups) != 0 || w.memory != 100 {
			t.Fatalf("seed %d: %d parties, %d waiting, %d inside, %d groups, memory %d at the end", seed, len(w.parties), w.s.Waiting(), w.s.Inside(), len(w.s.groups), w.memory)
		}
	}
}

// A step is planned without allocating.
func TestPlanDoesNotAllocate(t *testing.T) {
	s := New(Config{Slots: 16})
	var tasks [16]Task
	for i := range tasks {
		tasks[i].Group = strconv.Itoa(i % 3)
		if err := s.Arrive(&tasks[i], 1); err != nil {
			t.Fatal(err)
		}
		if task, err := s.Admit(func(*Task) error { return nil }); task == nil || err != nil {
			t.Fatal(task, err)
		}
	}
	plan := make([]Piece, 0, 16)
	step := func() {
		for i := range tasks {
			s.Ready(&tasks[i], 1, true)
		}
		plan = s.Plan(plan[:0])
		s.Done(plan, time.Millisecond)
	}
	step()
	if n := testing.AllocsPerRun(100, step); n != 0 || len(plan) != 16 {
		t.Errorf("%v allocations for a step of %d", n, len(plan))
	}
}
