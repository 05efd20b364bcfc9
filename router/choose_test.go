package router

import (
	"strings"
	"testing"
	"time"

	"github.com/sluice-ai/sluice/internal/llm"
)

// A world is a line of candidates: an id, then flags. "!" is unhealthy, "$n"
// its price (nano-dollars a token, in and out), "-chat", "+image" its abilities.
func world(t *testing.T, line string, named ...string) []Candidate {
	t.Helper()
	var out []Candidate
	for f := range strings.FieldsSeq(line) {
		id, flags, _ := strings.Cut(f, ":")
		c := Candidate{Healthy: true, Target: llm.Target{ID: id, Provider: strings.Split(id, "/")[0], Can: []string{"chat", "tools"}}}
		for flag := range strings.SplitSeq(flags, ",") {
			switch {
			case flag == "":
			case flag == "!":
				c.Healthy = false
			case flag == "-chat":
				c.Target.Can = []string{"judge"}
			case flag == "-fills":
				c.Target.Can = []string{"tools", "extraction", "json"}
			case flag[0] == '+':
				c.Target.Can = append(c.Target.Can, flag[1:])
			case flag[0] == '$':
				c.Target.Price = llm.Price{Known: true, Input: int64(len(flag)), Output: int64(len(flag))}
			default:
				t.Fatalf("no such flag %q", flag)
			}
		}
		for _, n := range named {
			c.Named = c.Named || n == id
		}
		out = append(out, c)
	}
	return out
}

// late gives candidates their latencies, in milliseconds.
func late(cs []Candidate, ms ...int) []Candidate {
	for i := range cs {
		cs[i].Latency = time.Duration(ms[i]) * time.Millisecond
	}
	return cs
}

func TestChoose(t *testing.T) {
	const all = "local/a c/1:$$$ c/2:$$"
	permit := func(ids ...string) llm.Decision {
		return llm.Decision{Allow: true, Targets: ids, Excluded: map[string][]string{"c/1": {"residency: acme stays in the EU"}}}
	}
	everything := permit("local/a", "local/b", "c/1", "c/2", "c/3")
	tests := []struct {
		name     string
		snapshot Snapshot
		order    string // ids; "~" before one that counts as degraded
		rejected string // "id: reason" lines, joined by " | "
	}{
		{"supported-goes-local",
			Snapshot{Assessment: llm.Assessment{Boundary: llm.Supported}, Decision: everything, Candidates: world(t, all)},
			"local/a c/2 c/1", ""},
		{"unsupported-goes-to-the-cheapest-cloud",
			Snapshot{Assessment: llm.Assessment{Boundary: llm.Unsupported}, Decision: everything, Candidates: world(t, all)},
			"c/2 c/1 ~local/a", ""},
		{"no-verdict-goes-cloud",
			Snapshot{Assessment: llm.Assessment{Boundary: llm.NoVerdict}, Decision: everything, Candidates: world(t, all)},
			"c/2 c/1 ~local/a", ""},
		{"health-before-price",
			Snapshot{Assessment: llm.Assessment{Boundary: llm.Uncertain}, Decision: everything, Candidates: world(t, "c/1:$$$ c/2:$$,!")},
			"c/1 c/2", ""},
		{"unknown-price-last",
			Snapshot{Decision: everything, Candidates: world(t, "c/3 c/1:$$$ c/2:$$")},
			"c/2 c/1 c/3", ""},
		{"policy-excludes-with-its-reason",
			Snapshot{Decision: permit("local/a", "c/2"), Candidates: world(t, all)},
			"c/2 ~local/a", "c/1: residency: acme stays in the EU"},
		{"local-only",
			Snapshot{Decision: llm.Decision{Allow: true, LocalOnly: true, Targets: []string{"local/a", "c/1"}}, Candidates: world(t, "local/a c/1")},
			"~local/a", "c/1: policy: the request must stay local"},
		{"denied",
			Snapshot{Decision: llm.Decision{}, Candidates: world(t, "c/1")},
			"", "c/1: policy: the request was denied"},
		{"asked-for-local",
			Snapshot{Want: WantLocal, Assessment: llm.Assessment{Boundary: llm.Unsupported}, Decision: everything, Candidates: world(t, "local/a local/b c/1", "local/b")},
			"local/b", "local/a: name: the client asked for another local model | c/1: name: the client asked for the local tier"},
		{"latency-breaks-a-tie",
			Snapshot{Decision: everything, Candidates: late(world(t, "c/1:$$ c/2:$$"), 900, 100)},
			"c/2 c/1", ""},
		{"named-keeps-its-order-whatever-the-price",
			Snapshot{Want: WantNamed, Decision: everything, Candidates: world(t, "c/1:$$$ c/2:$ c/3 local/a", "c/1", "c/2")},
			"c/1 c/2 ~local/a", "c/3: name: the client asked for another target"},
		{"a-named-local-target-keeps-its-place",
			Snapshot{Want: WantNamed, Decision: everything, Candidates: world(t, "c/1 local/b c/2 local/a", "c/1", "local/b", "c/2")},
			"c/1 local/b c/2 ~local/a", ""},
		{"named-but-sick-comes-after-the-other-named",
			Snapshot{Want: WantNamed, Decision: everything, Candidates: world(t, "c/1:! local/b local/a", "c/1", "local/b")},
			"local/b c/1 ~local/a", ""},
		{"no-degrade",
			Snapshot{Want: WantNamed, NoDegrade: true, Decision: everything, Candidates: world(t, "c/1 local/a", "c/1")},
			"c/1", "local/a: name: degrading to the local tier is switched off"},
		{"needs-an-image-reader",
			Snapshot{Needs: Needs{Modalities: []string{"text", "image"}}, Decision: everything, Candidates: world(t, "local/a c/1 c/2:+image")},
			"c/2", "local/a: ability: the model takes no image input | c/1: ability: the model takes no image input"},
		{"needs-one-that-takes-grammars",
			Snapshot{Needs: Needs{Form: true}, Decision: everything, Candidates: world(t, "c/1 c/2:+grammar")},
			"c/2", "c/1: ability: the model does not take structured_outputs, guided_… or grammar"},
		{"nano-does-not-chat",
			Snapshot{Assessment: llm.Assessment{Boundary: llm.Supported}, Decision: everything, Candidates: world(t, "local/a:-chat c/1")},
			"c/1", "local/a: ability: the model has no chat ability"},
		{"a-form-filler-for-those-who-ask-for-it",
			Snapshot{Want: WantLocal, Needs: Needs{Format: true}, Decision: everything, Candidates: world(t, "local/a:-fills local/b:-fills c/1", "local/b")},
			"local/b", "local/a: name: the client asked for another local model | c/1: name: the client asked for the local tier"},
		{"a-form-filler-after-a-model-that-chats",
			Snapshot{Want: WantLocal, Needs: Needs{Tools: true}, Decision: everything, Candidates: world(t, "local/a:-fills local/b:+tools", "local/a", "local/b")},
			"local/b local/a", ""},
		{"no-form-filler-unasked",
			Snapshot{Needs: Needs{Tools: true}, Assessment: llm.Assessment{Boundary: llm.Supported}, Decision: everything, Candidates: world(t, "local/a:-fills c/1:+tools")},
			"c/1", "local/a: ability: the model fills in forms, for those who ask for it by name"},
		{"a-form-filler-does-not-chat",
			Snapshot{Want: WantLocal, Decision: everything, Candidates: world(t, "local/a:-fills", "local/a")},
			"", "local/a: ability: the model has no chat ability; it answers requests with a JSON schema or tools"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			order, rejected := Choose(tt.snapshot)
			var got []string
			for _, c := range order {
				id := c.Target.ID
				if c.Degraded {
					id = "~" + id
				}
				got = append(got, id)
			}
			if o := strings.Join(got, " "); o != tt.order {
				t.Errorf("order = %q, want %q", o, tt.order)
			}
			got = nil
			for _, c := range rejected {
				got = append(got, c.Target.ID+": "+strings.Join(c.Why, ", "))
			}
			if r := strings.Join(got, " | "); r != tt.rejected {
				t.Errorf("rejected = %q\nwant       %q", r, tt.rejected)
			}
		})
	}
}

func TestResolve(t *testing.T) {
	targets := []llm.Target{
		{ID: "local/nano", Model: "nano"}, {ID: "openai/gpt@eu", Model: "gpt"}, {ID: "openai/gpt@us", Model: "gpt"}, {ID: "x/y/z", Model: "y/z"},
	}
	aliases := []Alias{{Name: "gpt-4o", To: []string{"auto"}}, {Name: "fast", To: []string{"x/y/z", "openai/gpt"}}, {Name: "mine", To: []string{"local/nano"}}}
	tests := []struct {
		name, want string
	}{
		{"auto", "0 "}, {"local", "1 "}, {"cloud", "2 "}, {"gpt-4o", "0 "},
		{"local/nano", "1 local/nano"}, {"mine", "1 local/nano"},
		{"openai/gpt", "3 openai/gpt@eu openai/gpt@us"}, {"openai/gpt@us", "3 openai/gpt@us"}, {"gpt", "3 openai/gpt@eu openai/gpt@us"},
		{"fast", "3 x/y/z openai/gpt@eu openai/gpt@us"}, {"y/z", "3 x/y/z"},
	}
	for _, tt := range tests {
		r, err := resolve(tt.name, aliases, targets)
		if got := string(rune('0'+r.Want)) + " " + strings.Join(r.Named, " "); err != nil || got != tt.want {
			t.Errorf("resolve(%q) = %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
	if _, err := resolve("gpt-9", aliases, targets); llm.KindOf(err) != llm.NotFound {
		t.Errorf("an unknown name: %v, want kind NotFound", err)
	}
	bad := []Alias{{Name: "auto", To: []string{"local"}}, {Name: "a"}, {Name: "b", To: []string{"nowhere"}}, {Name: "b", To: []string{"auto"}}, {To: []string{"auto"}}}
	if errs := ValidateAliases(bad, targets); len(errs) != 5 {
		t.Errorf("ValidateAliases found %d mistakes, want 5: %v", len(errs), errs)
	}
}
