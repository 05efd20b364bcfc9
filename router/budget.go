package router

import (
	"fmt"
	"sync"
	"time"

	"github.com/sluice-ai/sluice/internal/llm"
)

// A Budget is how much a tenant may spend in a calendar month (UTC).
type Budget struct {
	Tenant string  `yaml:"tenant"`
	USD    float64 `yaml:"usd_per_month"`
}

// Budgets counts what tenants spend. It is safe for concurrent use. A nil
// *Budgets knows no limits.
type Budgets struct {
	limits map[string]float64 // dollars

	mu    sync.Mutex
	month string           // "2006-01"
	spent map[string]int64 // nano-dollars in month
	now   func() time.Time
}

// NewBudgets returns the budgets, or every mistake in them.
func NewBudgets(list []Budget) (*Budgets, error) {
	b := &Budgets{limits: map[string]float64{}, spent: map[string]int64{}, now: time.Now}
	b.turn()
	for i, l := range list {
		if _, twice := b.limits[l.Tenant]; twice || l.Tenant == "" || l.USD < 0 {
			return nil, fmt.Errorf("budgets[%d]: each needs its own tenant and an amount of at least 0", i)
		}
		b.limits[l.Tenant] = l.USD
	}
	return b, nil
}

// Of returns the budget of tenant as policy sees it.
func (b *Budgets) Of(tenant string) llm.Budget {
	if b == nil {
		return llm.Budget{}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn()
	out := llm.Budget{SpentUSD: float64(b.spent[tenant]) / 1e9}
	if limit, ok := b.limits[tenant]; ok {
		left := max(limit-out.SpentUSD, 0)
		out.RemainingUSD = &left
	}
	return out
}

// Spend adds to what tenant has spent this month.
func (b *Budgets) Spend(tenant string, nanoUSD int64) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn()
	b.spent[tenant] += nanoUSD
}

// turn starts a new month with nothing spent. The caller holds mu.
func (b *Budgets) turn() {
	if m := b.now().UTC().Format("2006-01"); m != b.month {
		b.month = m
		clear(b.spent)
	}
}
