package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet-go/freshet/store"
)

// The deadline of a call to a dead server, and how much later than that the call may return.
const (
	deadline = 500 * time.Millisecond
	lateness = 5 * time.Second
)

// RunDead tests the errors of a driver whose server does not answer: it refuses connections, was
// killed, or accepts and stays silent. newBackend returns a backend with such a server for each
// rule; one whose constructor asks the server must make it before the server dies. Each error must
// be a *store.Error that names the operation, is of store.KindTransient or KindTimeout, and comes
// within the call's deadline.
func RunDead(t *testing.T, newBackend func(t *testing.T) store.Backend, o ...Options) {
	run(t, deadRules, newBackend, options(o))
}

var deadRules = []rule[store.Backend]{{
	name: "every method fails, in time, and says what it was doing",
	why: "a dead server that looks like an empty one is never repaired; one that takes long " +
		"takes the site with it",
	check: func(ctx context.Context, b store.Backend, _ Options) error {
		for op, call := range map[string]func(context.Context) error{
			"get": func(ctx context.Context) error { return second(b.Get(ctx, deadKey)) },
			"set": func(ctx context.Context) error {
				return b.Set(ctx, deadKey, []byte(deadValue), time.Hour)
			},
			"delete": func(ctx context.Context) error { return second(b.Delete(ctx, deadKey)) },
			"exists": func(ctx context.Context) error { return second(b.Exists(ctx, deadKey)) },
			"health": func(ctx context.Context) error { return second(b.Health(ctx)) },
		} {
			said, err := failsInTime(ctx, op, call)
			if err != nil {
				return err
			}
			if said.Op != op {
				return fmt.Errorf("%s: the error %w names the operation %q", op, said, said.Op)
			}
		}
		_, err := failsInTime(ctx, "set for 0", func(ctx context.Context) error {
			return b.Set(ctx, deadKey, nil, 0)
		})
		return err
	},
}, {
	name: "every ability fails, in time, and says what it was doing",
	why: "a flush or a migration that reports success must have happened; a lock that nobody " +
		"gave out is none",
	check: func(ctx context.Context, b store.Backend, _ Options) error {
		for name, call := range abilityCalls(b, deadKey, deadKey[:20]) {
			if _, err := failsInTime(ctx, name, call); err != nil {
				return err
			}
		}
		return nil
	},
}, {
	name: "a journal fails, in time; a Watch says so once and ends",
	why:  "a node that no longer hears of purges must know it, and stop trusting its near copies",
	check: func(ctx context.Context, b store.Backend, _ Options) error {
		journaler, ok := store.As[store.Journaler](b)
		if !ok {
			return nil
		}
		j := journaler.Journal("dead:")
		for call, do := range map[string]func(context.Context) error{
			"Append of nothing": func(ctx context.Context) error { return second(j.Append(ctx)) },
			"Append": func(ctx context.Context) error {
				return second(j.Append(ctx, store.Mark{Kind: store.MarkTag, Name: "tag"}))
			},
			"Since": func(ctx context.Context) error {
				_, _, err := j.Since(ctx, 0)
				return err
			},
		} {
			if _, err := failsInTime(ctx, call, do); err != nil {
				return err
			}
		}
		return watchDead(ctx, j)
	},
}, {
	name: "a journal's list of members fails, in time, and says what it was doing",
	why:  "an empty list says that there is nobody to wait for",
	check: func(ctx context.Context, b store.Backend, _ Options) error {
		journaler, ok := store.As[store.Journaler](b)
		if !ok {
			return nil
		}
		m, ok := store.As[store.Membership](journaler.Journal("dead:"))
		if !ok {
			return nil
		}
		for op, call := range map[string]func(context.Context) error{
			"renew": func(ctx context.Context) error {
				return m.Renew(ctx, store.Member{ID: "a", Name: "secret"})
			},
			"members": func(ctx context.Context) error { return second(m.Members(ctx)) },
			"leave":   func(ctx context.Context) error { return m.Leave(ctx, "a") },
		} {
			said, err := failsInTime(ctx, op, call)
			if err != nil {
				return err
			}
			if said.Op != op {
				return fmt.Errorf("%s: the error %w names the operation %q", op, said, said.Op)
			}
		}
		return nil
	},
}, {
	name:  "every probe fails",
	why:   "a health page that says well half of the time sends requests to what is dead",
	check: probeDead,
}, {
	name: "what no server would take is refused without asking it",
	why:  "a call that will always fail must not count as a sign of a sick server, nor wait for one",
	check: func(ctx context.Context, b store.Backend, o Options) error {
		for _, key := range refusedKeys {
			for name, call := range map[string]func(context.Context) error{
				"Get": func(ctx context.Context) error { return second(b.Get(ctx, key)) },
				"Set": func(ctx context.Context) error {
					return b.Set(ctx, key, []byte("v"), time.Hour)
				},
				"Set for 0": func(ctx context.Context) error { return b.Set(ctx, key, nil, 0) },
				"Delete":    func(ctx context.Context) error { return second(b.Delete(ctx, key)) },
				"Exists":    func(ctx context.Context) error { return second(b.Exists(ctx, key)) },
			} {
				err := inTime(ctx, call)
				if kind := store.KindOf(err); err == nil || errors.Is(err, store.ErrNotFound) ||
					kind != store.KindPermanent {
					return fmt.Errorf("%s(%.50q): error %v, kind %v; want a %v error", name, key,
						err, kind, store.KindPermanent)
				}
			}
		}
		return nil
	},
}}

// The ends of these must not be seen in an error.
var (
	deadKey   = "key-of-a-dead-server-" + strings.Repeat("0123456789", 10) + "-secret"
	deadValue = strings.Repeat("value ", 100) + "secret"
)

// inTime makes one call with the deadline, and does not wait for ever.
func inTime(ctx context.Context, call func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	returned := make(chan error, 1)
	go func() { returned <- call(limited) }()
	select {
	case err := <-returned:
		return err
	case <-time.After(deadline + lateness):
		return fmt.Errorf("not returned %v after its deadline of %v", lateness, deadline)
	}
}

// failsInTime makes a call that must fail, and returns what it says.
func failsInTime(
	ctx context.Context, name string, call func(context.Context) error,
) (*store.Error, error) {
	err := inTime(ctx, call)
	var e *store.Error
	switch {
	case err == nil:
		return nil, fmt.Errorf("%s: no error", name)
	case errors.Is(err, store.ErrNotFound):
		return nil, fmt.Errorf("%s: %w", name, err)
	case !errors.As(err, &e):
		return nil, fmt.Errorf("%s: %w, a %T; want a *store.Error in its chain", name, err, err)
	case e.Kind != store.KindTransient && e.Kind != store.KindTimeout:
		return nil, fmt.Errorf("%s: %w, of the kind %v; want %v or %v", name, err, e.Kind,
			store.KindTransient, store.KindTimeout)
	case e.Backend == "" || e.Op == "" || e.Op != strings.ToLower(e.Op) || e.Err == nil:
		return nil, fmt.Errorf("%s: %w: backend %q, operation %q, cause %v; want all three, the "+
			"operation in lower case", name, err, e.Backend, e.Op, e.Err)
	case strings.Contains(err.Error(), "secret"):
		return nil, fmt.Errorf("%s: the error shows the whole key or the value: %.1000q", name, err)
	}
	return e, nil
}

// probeDead probes 20 times, a few at once, for each may take its whole deadline and a second to
// clean up.
func probeDead(ctx context.Context, b store.Backend, _ Options) error {
	const at, times = 4, 5
	var all sync.WaitGroup
	errs := make([]error, at)
	for w := range at {
		all.Go(func() {
			for range times {
				if err := inTime(ctx, func(ctx context.Context) error {
					return second(store.Probe(ctx, b, "probe:"))
				}); err == nil {
					errs[w] = errors.New("a probe found the backend well")
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// watchDead reports whether a Watch yields one error and ends.
func watchDead(ctx context.Context, j store.Journal) error {
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	heard := make(chan error, 1)
	go func() {
		errs := 0
		for n, err := range j.Watch(watching, 0) {
			if err == nil {
				heard <- fmt.Errorf("Watch yielded %+v", n)
				return
			}
			errs++
		}
		if errs != 1 {
			heard <- fmt.Errorf("Watch yielded %d errors; want one, and the end", errs)
			return
		}
		heard <- nil
	}()
	select {
	case err := <-heard:
		return err
	case <-time.After(3 * patience):
		return fmt.Errorf("Watch has said nothing for %v", 3*patience)
	}
}
