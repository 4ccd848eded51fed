package middleware

import (
	"sync"

	"github.com/freshet-go/freshet/internal/fill"
	"github.com/freshet-go/freshet/internal/invalidation"
	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/store"
)

// parts holds new parts of responses, by their keys, that are small beside the part that is stored.
// To join one rewrites all that is stored, so they wait until they are worth it together: what the
// store is given in all stays within a constant of what clients were sent, however small the parts
// are that they ask for. What waits is in no answer; it is lost with the process.
//
// Their memory is taken of the fills' budget, at most an eighth of it. Where that lacks, others'
// parts go.
type parts struct {
	budget *fill.Budget
	limit  int64 // in bytes

	mu   sync.Mutex
	held int64
	m    map[string][]*store.Entry // each at least twice as long as the next, but for the last
}

func (p *parts) init(budget *fill.Budget, most int64) {
	p.budget, p.limit, p.m = budget, most/8, map[string][]*store.Entry{}
}

// add returns what is to be joined to old, which is stored: e, with what waited for it; or nil when
// e waits now. What covered reports as invalidated goes.
func (p *parts) add(
	old, e *store.Entry, covered func(*store.Entry) invalidation.Coverage,
) *store.Entry {
	waiting := p.take(e.Key)
	if !rules.Combinable(old, e) {
		return e
	}
	for _, w := range waiting {
		if covered(w) != invalidation.CoverageNone || !rules.Combinable(w, e) {
			waiting = nil
			break
		}
	}
	waiting = append(waiting, e)
	if size := sizeOf(waiting); rules.WorthJoining(old, waiting) || size > p.limit/2 {
		return merged(waiting, func(_, _ *store.Entry) bool { return true })[0]
	}
	p.put(e.Key, merged(waiting, func(last, one *store.Entry) bool {
		return len(last.Body) < 2*len(one.Body)
	}))
	return nil
}

// merged merges the last two parts for as long as they are to be, so that to add a part copies each
// byte only a few times. Two that do not go together are the newer one.
func merged(all []*store.Entry, together func(last, one *store.Entry) bool) []*store.Entry {
	for n := len(all); n > 1 && together(all[n-2], all[n-1]); n-- {
		both, ok := rules.Combine(rules.Unannounced(all[n-2]), all[n-1])
		if !ok {
			both = all[n-1]
		}
		all = append(all[:n-2], both)
	}
	return all
}

func sizeOf(all []*store.Entry) (size int64) {
	for _, e := range all {
		size += e.Size()
	}
	return size
}

// take returns what waits under key, and has it wait no more.
func (p *parts) take(key string) []*store.Entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.drop(key)
}

// drop is take. mu is held.
func (p *parts) drop(key string) []*store.Entry {
	all := p.m[key]
	delete(p.m, key)
	size := sizeOf(all)
	p.held -= size
	p.budget.Give(size)
	return all
}

// put has parts wait under key, if there is room for them.
func (p *parts) put(key string, all []*store.Entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all = append(p.drop(key), all...) // with what came meanwhile
	size := sizeOf(all)
	for other := range p.m {
		if p.held+size <= p.limit {
			break
		}
		p.drop(other)
	}
	if p.held+size <= p.limit && p.budget.Take(size) {
		p.held += size
		p.m[key] = all
	}
}
