package cdn

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store"
)

// keeper keeps in the store what this process owes, one record for each purge and target, under
// keys of this process's own:
//
//	freshet-cdn:owed.<process>.<target>.<number>
//
// so that nobody else writes them while the process lives. That it lives it notes under
//
//	freshet-cdn:alive.<process>
//
// for Takeover at a time. Who finds records of a process that does not live any more takes the
// lease "adopt.<process>" and makes them its own.
type keeper struct {
	out    *Outbox
	store  store.Backend
	lister store.Lister
	locker store.Locker
	node   string

	beaten  time.Time       // when the store last began to take that this process lives
	doubts  int             // see doubtful
	strange map[string]bool // names of targets that are not ours and that the log has
	later   bool            // the log has that there are records of a later version
	failing bool            // the log has that the store fails
	hung    *hung
}

func newKeeper(b *Outbox) (*keeper, error) {
	k := &keeper{out: b, store: b.options.Store, strange: map[string]bool{},
		hung: newHung()}
	var lists, locks bool
	k.lister, lists = store.As[store.Lister](k.store)
	k.locker, locks = store.As[store.Locker](k.store)
	if !lists || !locks {
		return nil, fmt.Errorf("cdn: New: Options.Store is a %T, which cannot list keys and give "+
			"out leases (store.Lister, store.Locker): take a backend that can, as those of files, "+
			"Redis and PostgreSQL, or none, to keep what is owed in memory", k.store)
	}
	node := make([]byte, 8)
	rand.Read(node)
	k.node = hex.EncodeToString(node)
	return k, nil
}

func (k *keeper) prefix() string { return k.out.options.Prefix + "owed." }

func (k *keeper) key(lane string, number uint64) string {
	return fmt.Sprintf("%s%s.%s.%016x", k.prefix(), k.node, lane, number)
}

func (k *keeper) alive(node string) string { return k.out.options.Prefix + "alive." + node }

// parts returns what a key says, or false for one of somebody else's.
func (k *keeper) parts(key string) (node, lane string, number uint64, ok bool) {
	rest, found := strings.CutPrefix(key, k.prefix())
	words := strings.Split(rest, ".")
	if !found || len(words) != 3 {
		return "", "", 0, false
	}
	number, err := strconv.ParseUint(words[2], 16, 64)
	return words[0], words[1], number, err == nil
}

func (k *keeper) set(ctx context.Context, key string, what owing) error {
	value := what.encode()
	return k.call(ctx, func(ctx context.Context) error {
		return k.store.Set(ctx, key, value, k.out.options.Keep)
	})
}

func (k *keeper) delete(ctx context.Context, key string) error {
	return k.call(ctx, func(ctx context.Context) error {
		_, err := k.store.Delete(ctx, key)
		return err
	})
}

// run notes that this process lives, and looks for what others have left.
func (k *keeper) run(ctx context.Context) {
	defer func() {
		last, cancel := context.WithTimeout(context.Background(), k.out.options.Timeout)
		defer cancel()
		k.store.Delete(last, k.alive(k.node)) // or else it ends by itself
	}()
	every := k.out.options.Takeover / 3
	tick := time.NewTicker(every)
	defer tick.Stop()
	for first := true; ; first = false {
		k.report(errors.Join(k.beat(ctx), k.keepAgain(ctx), k.sweep(ctx, first, every)))
		if !k.rest(ctx, tick.C) {
			return
		}
	}
}

// rest waits for the next round, and asks a store that hangs each second whether it is back. It
// reports false when ctx is done.
func (k *keeper) rest(ctx context.Context, next <-chan time.Time) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-next:
			return true
		case <-k.hung.again.C:
			err := k.beat(ctx)
			if err == nil {
				err = k.keepAgain(ctx)
			}
			k.report(err)
		}
	}
}

// report has the log say when the store begins to fail, and when it is well again.
func (k *keeper) report(err error) {
	switch {
	case k.out.stop.Err() != nil:
	case err != nil && !k.failing:
		k.out.options.Log.Error("cdn: the store of what is owed to caches in front fails: what "+
			"this process owes is lost if it ends", "error", err)
		k.failing = true
	case err == nil && k.failing:
		k.out.options.Log.Info("cdn: the store of what is owed to caches in front is well again")
		k.failing = false
	}
}

// beat notes that this process lives.
func (k *keeper) beat(ctx context.Context) error {
	began := time.Now()
	err := k.probe(ctx, func(ctx context.Context) error {
		return k.store.Set(ctx, k.alive(k.node), []byte{1}, k.out.options.Takeover)
	})
	if err != nil {
		return err
	}
	k.out.mu.Lock()
	defer k.out.mu.Unlock()
	if now := time.Now(); !k.fresh(now) {
		k.doubts++
		for _, l := range k.out.lanes {
			for i := range l.items() {
				if i.ready { // or else it is being written, and looks itself
					l.doubt(i, now)
				}
			}
		}
	}
	k.beaten = began
	return nil
}

// fresh reports whether nobody can have taken over this process's records by now. The Outbox's
// mutex is held. Without a store nobody can.
func (k *keeper) fresh(now time.Time) bool {
	return k == nil || now.Before(k.beaten.Add(k.out.options.Takeover))
}

// doubtful returns how often this process's records were in doubt. The Outbox's mutex is held.
func (k *keeper) doubtful() int {
	if k == nil {
		return 0
	}
	return k.doubts
}

// keepAgain writes the records that the store did not take.
func (k *keeper) keepAgain(ctx context.Context) error {
	for _, l := range k.out.lanes {
		k.out.mu.Lock()
		var unkept []*item
		for i := range l.items() {
			if i.ready && !i.kept {
				unkept = append(unkept, i)
			}
		}
		k.out.mu.Unlock()
		for _, i := range unkept {
			if err := l.keepAgain(ctx, i); err != nil {
				return err
			}
		}
	}
	return nil
}

// sweep makes what gone processes have left this process's own. One process does it at a time, but
// for the first time of each.
func (k *keeper) sweep(ctx context.Context, first bool, every time.Duration) error {
	if !first {
		bounded, cancel := context.WithTimeout(ctx, k.out.options.Timeout)
		_, ok, err := k.locker.TryLock(bounded, k.out.options.Prefix+"sweep", every*9/10)
		cancel()
		if err != nil || !ok {
			return err
		}
	}
	left, err := k.list(ctx)
	for node, keys := range left {
		if err == nil {
			err = k.adopt(ctx, node, keys)
		}
	}
	return err
}

// list returns the keys of other processes' records, by process.
func (k *keeper) list(ctx context.Context) (map[string][]string, error) {
	ctx, cancel := context.WithTimeout(ctx, k.out.options.SendTimeout)
	defer cancel()
	left := map[string][]string{}
	for key, err := range k.lister.List(ctx, k.prefix()) {
		if err != nil {
			return nil, err
		}
		if node, _, _, ok := k.parts(key); ok && node != k.node {
			left[node] = append(left[node], key)
		}
	}
	return left, nil
}

func (k *keeper) adopt(ctx context.Context, node string, keys []string) error {
	ctx, cancel := context.WithTimeout(ctx, k.out.options.Takeover)
	defer cancel()
	lease, ok, err := k.locker.TryLock(ctx, k.out.options.Prefix+"adopt."+node,
		k.out.options.Takeover)
	if err != nil || !ok {
		return err
	}
	defer lease.Unlock(ctx)
	if alive, err := k.store.Exists(ctx, k.alive(node)); alive || err != nil {
		return err
	}
	slices.SortFunc(keys, func(a, b string) int { // by number, which begin at the same place
		_, _, x, _ := k.parts(a)
		_, _, y, _ := k.parts(b)
		return cmp.Compare(x, y)
	})
	taken := 0
	for _, key := range keys {
		i, l, err := k.take(ctx, key)
		if err != nil {
			return err
		}
		if i != nil {
			taken++
			l.keep(ctx, i)
		}
	}
	if taken > 0 {
		k.out.options.Log.Info("cdn: sends what a process that is gone has left", "purges", taken)
	}
	return nil
}

// take puts another process's record into a lane, as an item that is to be kept.
func (k *keeper) take(ctx context.Context, key string) (*item, *lane, error) {
	b, err := k.store.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, nil // somebody else has
	}
	if err != nil {
		return nil, nil, err
	}
	o, err := decode(b)
	if err == errLater {
		if !k.later {
			k.out.options.Log.Warn("cdn: the store has purges that a process of a later version has "+
				"left: they stay for one of that version", "key", key)
			k.later = true
		}
		return nil, nil, nil
	}
	if err != nil {
		k.out.options.Log.Error("cdn: the store has a record of a purge that cannot be read, and "+
			"loses it: purge what you know of by hand", "key", key, "error", err)
		_, err = k.store.Delete(ctx, key)
		return nil, nil, err
	}
	at := slices.IndexFunc(k.out.lanes, func(l *lane) bool {
		return l.target.Name() == o.target && l.byRequest == o.purge.ByRequest
	})
	if at < 0 {
		if !k.strange[o.target] {
			k.out.options.Log.Warn("cdn: the store has purges for a target that is none of ours, "+
				"and keeps them", "target", o.target)
			k.strange[o.target] = true
		}
		return nil, nil, nil
	}
	l := k.out.lanes[at]
	k.out.mu.Lock()
	defer k.out.mu.Unlock()
	i, mine := l.adopt(o, time.Now())
	if !mine { // another covers it, which is kept or is going to be
		if i.kept {
			l.waste(key)
			l.rouse()
		} else {
			i.covers = append(i.covers, key)
		}
		return nil, nil, nil
	}
	i.covers = append(i.covers, key)
	return i, l, nil
}

// owed adds to what this process owes what others do.
func (k *keeper) owed(ctx context.Context, all []Owed) ([]Owed, error) {
	left, err := k.list(ctx)
	if err != nil {
		return all, fmt.Errorf("cdn: Owed: %w", err)
	}
	for _, keys := range left {
		for _, key := range keys {
			b, err := k.store.Get(ctx, key)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return all, fmt.Errorf("cdn: Owed: %w", err)
			}
			left, err := decode(b)
			if err != nil && err != errLater {
				continue // the log gets it when it is taken over
			}
			at := slices.IndexFunc(all, func(o Owed) bool { return o.Target == left.target })
			if at < 0 {
				at = len(all)
				all = append(all, Owed{Target: left.target, Since: left.since})
			}
			if all[at].Count += max(left.purge.Len(), 1); left.since.Before(all[at].Since) {
				all[at].Since = left.since
			}
		}
	}
	return all, nil
}
