package fill

import (
	"slices"
	"sync"
	"time"

	"github.com/freshet-go/freshet/internal/stall"
)

// Pins counts the bodies that clients read, once each, however many read it. The store may let a
// body go that a client still reads, and then what lasts is in no other bound. It is for long
// bodies: a short one takes no lock.
type Pins struct {
	limit int64
	// the very body is in the memory that the store counts
	stored func(key string, body []byte) bool

	mu   sync.Mutex
	used int64
	pins map[*byte]*Pin // by where the body lies
}

// Pin is one body that is being read.
type Pin struct {
	key     string // under which it may be stored
	body    []byte
	refs    int
	clients map[*stall.Watch]bool // those of its readers that can be cut off
	others  int                   // ... that cannot
	counted bool                  // it is in used: it was not in the store when last looked at
}

// stalledFor is how long a client must have taken nothing to be cut off when room is needed.
const stalledFor = time.Second

// Hold counts a body for one more reader. When that would take the bodies that the store does not
// have past the bound, it returns nil, and cuts off clients that have stalled, to make room for
// later readers.
func (r *Pins) Hold(key string, body []byte, s *stall.Watch) *Pin {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.pins[&body[0]]
	if p == nil {
		size := int64(cap(body))
		if r.used+size > r.limit {
			r.audit()
			if over := r.used + size - r.limit; over > 0 {
				r.cut(over)
				return nil
			}
		}
		p = &Pin{key: key, body: body, counted: true, clients: map[*stall.Watch]bool{}}
		r.used += size
		r.pins[&body[0]] = p
	}
	p.refs++
	p.join(s)
	return p
}

func (p *Pin) join(s *stall.Watch) {
	if s != nil {
		p.clients[s] = true
	} else {
		p.others++
	}
}

// Leave takes a reader's client away, which holds no more of the body.
func (r *Pins) Leave(p *Pin, s *stall.Watch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.leave(s)
}

func (p *Pin) leave(s *stall.Watch) {
	if s == nil {
		p.others--
	}
	delete(p.clients, s)
}

// Join adds the client of one more reader, as Leave takes one away.
func (r *Pins) Join(p *Pin, s *stall.Watch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.join(s)
}

// Release undoes Hold, but for the client.
func (r *Pins) Release(p *Pin) {
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
func (r *Pins) audit() {
	r.used = 0
	for _, p := range r.pins {
		if p.counted = !r.stored(p.key, p.body); p.counted {
			r.used += int64(cap(p.body))
		}
	}
}

// cut cuts off the clients that have stalled for longest, until so many bytes will be free. mu is
// held.
func (r *Pins) cut(need int64) {
	type victim struct {
		p    *Pin
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
			s.CutAfter(stalledFor)
		}
		need -= int64(cap(v.p.body))
	}
}

// stalled returns for how long no reader of the body has taken any of it.
func (p *Pin) stalled(now time.Time) time.Duration {
	if p.others > 0 || len(p.clients) == 0 {
		return 0
	}
	least := time.Duration(1<<63 - 1)
	for s := range p.clients {
		least = min(least, s.Lasts(now))
	}
	return least
}

// Audit counts the bodies anew that the store does not have, and returns how many bytes they hold.
func (r *Pins) Audit() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.audit()
	return r.used
}

// Used returns how many bytes are held of bodies that the store did not have when it was asked
// last.
func (r *Pins) Used() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.used
}

// Len returns how many bodies are held.
func (r *Pins) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.pins)
}
