package router

import (
	"container/list"
	"sync"

	"github.com/sluice-ai/sluice/internal/llm"
)

// mostDecided bounds how many decisions feedback can still reach.
const mostDecided = 50_000

// Decided remembers the latest decisions, for the feedback that comes later. It
// holds no text. It outlives a reload, and is safe for concurrent use. A nil
// *Decided remembers nothing.
type Decided struct {
	mu   sync.Mutex
	by   map[string]*list.Element
	used *list.List // of *decided, the latest first
}

// decided is what feedback needs to know of a request.
type decided struct {
	id, tenant, target string
	assessment         llm.PolicyAssessment
	by, judge          string
	judged             bool // feedback has come
}

// NewDecided returns an empty memory.
func NewDecided() *Decided { return &Decided{by: map[string]*list.Element{}, used: list.New()} }

// Add remembers rec, if it is a request's that was answered.
func (d *Decided) Add(rec *llm.Record) {
	if d == nil || rec.Kind != "" || rec.Target == "" || rec.Status >= 400 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, twice := d.by[rec.ID]; twice {
		return
	}
	d.by[rec.ID] = d.used.PushFront(&decided{id: rec.ID, tenant: rec.Tenant, target: rec.Target, assessment: rec.Assessment, by: rec.AssessedBy, judge: rec.Judge})
	for d.used.Len() > mostDecided {
		e := d.used.Back()
		delete(d.by, e.Value.(*decided).id)
		d.used.Remove(e)
	}
}

// judge notes that feedback on a decision has come. It reports whether it is the first.
func (d *Decided) judge(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.by[id]
	if e == nil || e.Value.(*decided).judged {
		return false
	}
	e.Value.(*decided).judged = true
	return true
}

// find returns a decision of tenant's.
func (d *Decided) find(id, tenant string) (decided, bool) {
	if d == nil {
		return decided{}, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.by[id]
	if e == nil || e.Value.(*decided).tenant != tenant {
		return decided{}, false
	}
	return *e.Value.(*decided), true
}
