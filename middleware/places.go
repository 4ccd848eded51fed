package middleware

import "sync"

// maxBeside is how many who have waited too long for the runs of one key may run the handler by
// themselves at once.
const maxBeside = 4

// besides holds the places beside the runs of those keys for which requests have waited too long. A
// key has them for all of its runs together, so that runs which follow on each other, as Timeout
// frees the key again and again, do not add up. A place is taken until the handler returns.
type besides struct {
	mu sync.Mutex
	m  map[string]*places
}

// places are those of one key.
type places struct {
	key   string
	taken chan struct{} // has one element for each place that is taken
	users int           // how many requests wait for a place, or have one
}

func (b *besides) init() { b.m = map[string]*places{} }

// of returns the places of a key. The request must leave them.
func (b *besides) of(key string) *places {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.m[key]
	if p == nil {
		p = &places{key: key, taken: make(chan struct{}, maxBeside)}
		b.m[key] = p
	}
	p.users++
	return p
}

// leave ends what of began, and frees the place that the request took, if it did. p may be nil.
func (b *besides) leave(p *places, took bool) {
	if p == nil {
		return
	}
	if took {
		<-p.taken
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.users--; p.users == 0 {
		delete(b.m, p.key)
	}
}

// take takes a place, if one is free.
func (p *places) take() bool {
	select {
	case p.taken <- struct{}{}:
		return true
	default:
		return false
	}
}

// free takes a place by being sent to, as soon as one is free. p may be nil: then there is none.
func (p *places) free() chan<- struct{} {
	if p == nil {
		return nil
	}
	return p.taken
}
