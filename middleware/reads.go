package middleware

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/freshet-go/freshet/store"
)

// reads counts the bodies that clients read, once each, however many read it. The store may let a body go that a client
// still reads, and what lasts is then in nobody's bound but this. Bodies of bigBody bytes and less are not
// counted: hits
// that short take no lock. It is asked for longer ones only.
type reads struct {
	c     *Cache
	limit int64

	mu   sync.Mutex
	used int64
	pins map[*byte]*pin // by where the body lies
}

// pin is one body that is being read.
type pin struct {
	key     string // under which it may be stored
	body    []byte
	refs    int
	clients map[*stall]bool // those of its readers that can be cut off
	others  int             // ... that cannot
	counted bool            // it is in used: it was not in the store when last looked at
}

// stalledFor is how long a client must have taken nothing to be cut off when room is needed.
const stalledFor = time.Second

// hold counts a body for one more reader. It fails when that would take all of them past the bound, which the store's
// own are not in; then it cuts off clients that have stalled, for those who come next.
func (r *reads) hold(key string, body []byte, s *stall, force bool) *pin {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.pins[&body[0]]
	if p == nil {
		size := int64(cap(body))
		if !force && r.used+size > r.limit {
			r.audit()
			if over := r.used + size - r.limit; over > 0 {
				r.cut(over)
				return nil
			}
		}
		p = &pin{key: key, body: body, counted: true, clients: map[*stall]bool{}}
		r.used += size
		r.pins[&body[0]] = p
	}
	p.refs++
	p.join(s)
	return p
}

func (p *pin) join(s *stall) {
	if s != nil {
		p.clients[s] = true
	} else {
		p.others++
	}
}

// leave takes a reader's client away, which holds no more of the body.
func (r *reads) leave(p *pin, s *stall) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.leave(s)
}

func (p *pin) leave(s *stall) {
	if s == nil {
		p.others--
	}
	delete(p.clients, s)
}

// join adds the client of one more reader, as leave takes one away.
func (r *reads) join(p *pin, s *stall) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.join(s)
}

// release undoes hold, but for the client.
func (r *reads) release(p *pin) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.refs--; p.refs > 0 {
		return
	}
	delete(r.pins, &p.body[0])
	if p.counted {
		r.used -= int64(cap(p.body))
	}
}

// audit counts the bodies anew that the store does not have. mu is held.
func (r *reads) audit() {
	r.used = 0
	for _, p := range r.pins {
		if p.counted = !r.stored(p); p.counted {
			r.used += int64(cap(p.body))
		}
	}
}

// stored reports whether the very body is in the memory that the store counts.
func (r *reads) stored(p *pin) bool {
	var e *store.Entry
	switch {
	case r.c.near != nil:
		e = r.c.near.GetNear(p.key)
	case r.c.local:
		e, _ = r.c.Store.Get(context.Background(), p.key)
	}
	return e != nil && len(e.Body) > 0 && &e.Body[0] == &p.body[0]
}

// cut cuts off the clients that have stalled for longest, until so many bytes will be free. mu is held.
func (r *reads) cut(need int64) {
	type victim struct {
		p    *pin
		last time.Duration
	}
	var victims []victim
	now := time.Now()
	for _, p := range r.pins {
		if last := p.stalled(now); p.counted && last >= stalledFor {
			victims = append(victims, victim{p, last})
		}
	}
	slices.SortFunc(victims, func(a, b victim) int { return int(b.last - a.last) })
	for _, v := range victims {
		if need <= 0 {
			return
		}
		for s := range v.p.clients {
			s.cutAfter(stalledFor)
		}
		need -= int64(cap(v.p.body))
	}
}

// stalled returns for how long no reader of the body has taken any of it.
func (p *pin) stalled(now time.Time) time.Duration {
	if p.others > 0 || len(p.clients) == 0 {
		return 0
	}
	least := time.Duration(1<<63 - 1)
	for s := range p.clients {
		least = min(least, s.lasts(now))
	}
	return least
}
