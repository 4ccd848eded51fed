package memcachestore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/fault"
)

const (
	// seatPatience is how long the journal's server has not answered before the journal moves.
	seatPatience = 2 * time.Second
	// termStep is by how much a journal begins above all numbers that are known: another process may
	// still append where it was, and must not give out the same numbers.
	termStep = 1_000_000
	// proposalLife is how long processes that find the same server silent agree on one seat.
	proposalLife = 10 * time.Second
	// maxRounds is how often to look anew, because others have moved the journal meanwhile.
	maxRounds = 8
)

// quorum is how many servers must answer, and have a copy of the seat, for it to count: of three or
// more so many that any two processes have one in common, which tells the later of the other's seat.
// Of two it is one: or else neither might go.
func quorum(servers int) int {
	if servers <= 2 {
		return 1
	}
	return servers/2 + 1
}

// answer is what a server says of the seat.
type answer struct {
	server *server
	item   *memcache.Item // the copy as it was read; nil: there is none
	seat   *seat          // ... and what it says
	head   *memcache.Item // of the journal, where that is to be on the server
	err    error          // it did not answer
}

// found is a journal that was found where it is, with its newest number.
type found struct {
	place
	number uint64
}

// find asks all servers where the journal is, moves it or begins it where it must, and returns it: by
// then every copy that answers is the newest. What was appended before the call and acknowledged is in
// the journal that it returns, or before its beginning. Servers that are left out are not waited for.
func (j *journal) find(ctx context.Context, op string) (found, error) {
	for range maxRounds {
		known := j.known()
		all := j.askAll(ctx, op, known)
		best, gone, err := j.decide(op, known, all)
		if err == nil && !gone {
			var more bool
			if more, err = j.publish(ctx, op, best, all); err == nil && !more && best.over(known) > 0 {
				more, err = true, j.moveTo(ctx, op, best)
			}
			if more {
				continue
			}
		}
		if err != nil {
			return found{}, err
		}
		if !gone {
			at := j.at(best)
			number, lost, err := at.numberIn(op, all)
			if err == nil && !lost {
				return found{at, number}, nil
			}
			if err != nil && !j.mayLeave(best) {
				return found{}, err
			}
		}
		if err := j.begin(ctx, op, best, all); err != nil {
			return found{}, err
		}
	}
	return found{}, driver.Fail(op, j.prefix, store.KindTransient,
		errors.New("the servers lose the journal as soon as it is set"))
}

// askAll asks each server, for up to half of the time that is left, so that there is some to go on.
func (j *journal) askAll(ctx context.Context, op string, known *seat) []answer {
	servers := j.backend.servers.all
	all := make([]answer, len(servers))
	if len(servers) == 1 {
		all[0] = j.askOne(ctx, op, servers[0], known)
		return all
	}
	wait := j.backend.config.Timeout
	if end, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(end)/2)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var asking sync.WaitGroup
	for i, s := range servers {
		asking.Go(func() { all[i] = j.askOne(ctx, op, s, known) })
	}
	asking.Wait()
	return all
}

func (j *journal) askOne(ctx context.Context, op string, s *server, known *seat) answer {
	a := answer{server: s}
	keys := []string{j.seatKey()}
	if known != nil && known.server == s.address {
		keys = append(keys, j.at(known).key("head"))
	}
	var items map[string]*memcache.Item
	a.err = j.backend.callAt(ctx, op, keys[0], s, repeated, func(c *memcache.Client) (err error) {
		items, err = c.GetMulti(keys)
		return err
	})
	if a.err != nil {
		return a
	}
	if a.item = items[keys[0]]; a.item != nil {
		var ok bool
		if a.seat, ok = parseSeat(a.item.Value); !ok || a.item.Flags != seatItem {
			a.err = driver.Refuse(op, j.prefix, "what server %s has in place of where the journal is "+
				"is not ours: another program has written there", s)
		}
	}
	if len(keys) > 1 {
		a.head = items[keys[1]]
	}
	return a
}

// decide returns the newest seat that is known, and whether the journal must begin anew after it,
// because those who may know of a newer one have lost it or are away.
func (j *journal) decide(op string, known *seat, all []answer) (best *seat, gone bool, err error) {
	best = known
	heard, copies, alone := 0, 0, false
	var away *server
	for _, a := range all {
		if a.err != nil {
			if err == nil || store.KindOf(err).Sick() {
				err = a.err
			}
			away = a.server
			continue
		}
		heard++
		if a.seat != nil {
			copies++
			alone = a.seat.alone
		}
		if a.seat.over(best) > 0 {
			best = a.seat
		}
	}
	n := len(all)
	switch need := quorum(n); {
	case err != nil && !store.KindOf(err).Sick():
		return nil, false, err
	case heard < need:
		return nil, false, j.few(op, need, heard, n, err)
	case n == 2 && known == nil && heard == 1 && !alone:
		if away.health.silent() < j.backend.patience {
			return nil, false, err
		}
		gone = true
	case best == nil, n > 2 && copies < need, n == 2 && known == nil && copies < heard:
		gone = true
	}
	return best, gone, nil
}

// few returns the error of a journal of which too few servers answer.
func (j *journal) few(op string, need, heard, all int, err error) error {
	if all == 1 {
		return err
	}
	return &store.Error{Backend: string(driver), Op: op, Key: j.prefix, Kind: store.KindOf(err),
		Err: fmt.Errorf("of the journal's %d servers %d answer, and %d are needed: %w", all, heard,
			need, err)}
}

// publish writes the seat to all servers that answer and have an older copy or none. It reports true
// where a copy has changed meanwhile: then all is to be asked anew.
func (j *journal) publish(ctx context.Context, op string, s *seat, all []answer) (more bool, err error) {
	heard, have, alone := 0, 0, false
	for _, a := range all {
		if a.err != nil {
			continue
		}
		heard++
		if a.seat.over(s) == 0 {
			have++
			alone = alone || a.seat.alone
		}
	}
	copied := *s
	copied.alone = len(all) == 2 && heard == 1
	for _, a := range all {
		newest := a.seat.over(s) == 0
		if a.err != nil || newest && !(have == len(all) && a.seat.alone) {
			continue
		}
		switch written, err := j.raise(ctx, op, a, &copied); {
		case err != nil && fault.Made(err) && len(all) > 1:
			continue // it counts as away
		case err != nil:
			return false, err
		case !written:
			return true, nil
		case !newest:
			have++
		}
	}
	if need := quorum(len(all)); have < need {
		return false, driver.Fail(op, j.prefix, store.KindTransient, fmt.Errorf("of the journal's %d "+
			"servers %d know where it is, and %d are needed", len(all), have, need))
	}
	return false, nil
}

// raise replaces the copy of a server as it was read, and reports false if that has changed.
func (j *journal) raise(ctx context.Context, op string, a answer, s *seat) (written bool, err error) {
	item := a.item
	if item == nil {
		item = &memcache.Item{Key: j.seatKey(), Flags: seatItem}
	}
	item.Value = appendSeat(nil, s)
	err = j.backend.callAt(ctx, op, item.Key, a.server, once, func(c *memcache.Client) error {
		if a.item == nil {
			return c.Add(item)
		}
		return c.CompareAndSwap(item)
	})
	if fault.Made(err) {
		return false, err
	}
	return err == nil, nil
}

// mayLeave reports whether the journal may move from where it is: its server has not answered for long
// enough, or is none of ours.
func (j *journal) mayLeave(from *seat) bool {
	at := j.at(from)
	silent := at.on == nil || at.on.health.silent() >= j.backend.patience
	return silent && j.stayed() >= max(from.hold, j.backend.patience)
}

// begin has the journal begin on the first server for it that answers.
func (j *journal) begin(ctx context.Context, op string, from *seat, all []answer) error {
	heard, hold := map[*server]bool{}, time.Duration(0)
	if from != nil {
		hold = holdAfter(from.hold, j.stayed())
	}
	for _, a := range all {
		if a.err != nil {
			continue
		}
		heard[a.server] = true
		if from != nil && a.server.address == from.server { // it was lost there, and does not flee
			hold = from.hold
		}
	}
	to := j.backend.servers.best(j.seatKey(), func(s *server) bool { return heard[s] })
	next := &seat{term: j.termAfter(from), server: to.address, hold: hold,
		alone: len(all) == 2 && len(heard) == 1}
	next, err := j.propose(ctx, op, to, from, next)
	if err != nil {
		return err
	}
	if err := j.at(next).open(ctx, op); err != nil {
		return err
	}
	_, err = j.publish(ctx, op, next, all)
	return err
}

// termAfter returns the number at which a journal begins that comes after a seat: that of the clock,
// in microseconds, or one that is far enough above all that are known.
func (j *journal) termAfter(from *seat) uint64 {
	term := j.highest.Load()
	if from != nil {
		term = max(term, from.term)
	}
	clock := uint64(time.Now().UnixMicro())
	if term == 0 {
		return clock
	}
	return max(clock, term+termStep)
}

// propose returns the seat that the processes agree on which find at the same time that the journal
// must begin on a server: the first one's.
func (j *journal) propose(
	ctx context.Context, op string, to *server, from, next *seat,
) (*seat, error) {
	key := j.key("next")
	if from != nil {
		key += from.name()
	}
	item := &memcache.Item{Key: key, Flags: seatItem, Value: appendSeat(nil, next),
		Expiration: int32(proposalLife.Seconds())}
	var theirs *memcache.Item
	err := j.backend.callAt(ctx, op, key, to, once, func(c *memcache.Client) (err error) {
		if err = c.Add(item); err == memcache.ErrNotStored {
			theirs, err = c.Get(key)
		}
		return err
	})
	if err != nil && fault.Made(err) {
		return nil, err
	}
	if theirs == nil {
		return next, nil
	}
	other, ok := parseSeat(theirs.Value)
	if !ok || other.server != to.address || other.over(from) <= 0 ||
		other.term <= j.highest.Load() {
		return next, nil
	}
	return other, nil
}

// open begins the counter of a new journal. The number at which it begins is that of a record that
// says that all before is forgotten.
func (p place) open(ctx context.Context, op string) error {
	item := &memcache.Item{Key: p.key("head"), Flags: headItem,
		Value: strconv.AppendUint(nil, p.seat.term, 10)}
	err := p.call(ctx, op, once, func(c *memcache.Client) error { return c.Add(item) })
	if err == memcache.ErrNotStored {
		return nil
	}
	if err != nil {
		return err
	}
	return p.write(ctx, op, p.seat.term, forgottenRecord())
}

// numberIn returns the journal's newest number from what the servers have said, or that its server has
// lost it.
func (p place) numberIn(op string, all []answer) (number uint64, lost bool, err error) {
	for _, a := range all {
		switch {
		case a.server != p.on:
		case a.err != nil:
			return 0, false, a.err
		case a.head == nil:
			return 0, true, nil
		default:
			number, err = p.number(op, a.head)
			return number, false, err
		}
	}
	return 0, false, driver.Refuse(op, p.prefix, "the journal is on server %.100q, which is not one of "+
		"this process's: give all that share the servers the same ones", p.seat.server)
}
