package cdn

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/freshet-go/freshet/store"
)

// Options say how an [Outbox] works. In each field 0 is the default.
type Options struct {
	// Targets are the caches in front. Their names differ.
	Targets []Target
	// Hosts maps the hosts by which the app knows itself to the origins, scheme and host, by which
	// clients ask the caches in front:
	//
	//	{"app.internal:8080": {"https://www.example.com", "https://m.example.com"}}
	//
	// A host with an empty list stands for itself, as "www.example.com" would behind a CDN that
	// passes Host on. The host "*" is every other one. The origins' hosts are known besides. A
	// URL of any other host is left out of a purge, with an [ErrForeignHost]. Required.
	Hosts map[string][]string
	// Store keeps what is owed. It must be able to list keys and to give out leases
	// ([store.Lister], [store.Locker]), as the drivers of this repository are, and it should evict
	// nothing. Nil: memory, so that what is owed when the process ends is lost.
	Store store.Backend
	// Prefix begins the keys in the store. All processes with the same targets have the same one,
	// and it differs from that of the cached pages, whose flush would take it along. At most 100
	// bytes of [A-Za-z0-9_.:-]. Default "freshet-cdn:".
	Prefix string
	// Delay is how long a purge is held before it is sent: until other processes have heard of the
	// invalidation, so that what a cache in front fetches after the purge is new. Purges of that
	// time are sent together. Default 1 second, in which each process that is in touch with the
	// journal has heard; more than Options.MaxLag of the Cache (5 seconds) covers processes that
	// are cut off, too. Negative: none, for an app of one process.
	Delay time.Duration
	// MaxHeld bounds how long a purge is held whose invalidation the Cache's journal has not taken
	// (freshet.ErrUnsent): other processes would give a cache in front the old page again. When the
	// journal has taken it, it is sent after Delay. If that takes longer than MaxHeld, it is sent
	// after MaxHeld and Delay, and once more when the journal has taken it. A process that takes
	// over what another one has left holds it for MaxHeld. Default 10 seconds: when the journal is
	// away for all, no process uses anything stored by then (Options.MaxLag of the Cache, 5
	// seconds). Negative: such a purge is sent after Delay, and once more.
	MaxHeld time.Duration
	// Timeout bounds each call to the store. After one that took so long in vain purges do not wait
	// for the store, and are in memory alone, until it has answered: it is asked once a second.
	// Default 1 second.
	Timeout time.Duration
	// SendTimeout bounds each Target.Purge. What is not done by then is a failure, and goes on
	// from where it was. Default 1 minute.
	SendTimeout time.Duration
	// MinPause is the pause after a first failure; each further one doubles it, up to MaxPause,
	// until the target takes something. What fails while the target takes other purges waits by
	// itself. The last half of each pause is left to chance. A target that says Retry-After
	// decides itself, up to an hour. Defaults 1 second and 5 minutes.
	MinPause, MaxPause time.Duration
	// MaxOwed bounds how many tags, URLs and prefixes wait for one target. Past it they become one
	// purge of everything there, and the log says so. It bounds by themselves the URLs and prefixes
	// that clients' requests have changed, and the tags of these requests; what is past it is left
	// out. Default 10,000.
	MaxOwed int
	// Keep bounds how long the store keeps a purge: as long as a cache in front may keep a
	// response. Default 31 days.
	Keep time.Duration
	// Takeover is after how long a process that was not heard of counts as gone; another process
	// with the same store then sends what it owed. A process notes in the store three times as
	// often that it lives, and one of all processes looks for what others have left as often, by
	// listing Prefix. At least 3 seconds. Default 1 minute.
	Takeover time.Duration
	// Log gets failures. Nil: slog.Default().
	Log *slog.Logger
}

const (
	defaultPrefix   = "freshet-cdn:"
	maxPrefix       = 100
	maxRetryAfter   = time.Hour
	minTakeover     = 3 * time.Second
	defaultMaxHeld  = 10 * time.Second
	defaultTakeover = time.Minute
)

// complete returns o with its defaults, or an error that says what in it cannot work.
func (o Options) complete() (Options, error) {
	if len(o.Targets) == 0 {
		return o, errors.New("cdn: New: Options.Targets is empty: name the caches in front")
	}
	names := map[string]bool{}
	for _, t := range o.Targets {
		switch {
		case t == nil:
			return o, errors.New("cdn: New: Options.Targets has a nil target: leave it out")
		case t.Name() == "" || names[t.Name()]:
			return o, fmt.Errorf("cdn: New: two targets, or one without a name, are called %q: "+
				"give each its own name, by which the store knows what it is owed", t.Name())
		}
		names[t.Name()] = true
	}
	if o.Prefix == "" {
		o.Prefix = defaultPrefix
	}
	if len(o.Prefix) > maxPrefix {
		return o, fmt.Errorf("cdn: New: Options.Prefix has %d bytes: at most %d are allowed",
			len(o.Prefix), maxPrefix)
	}
	if err := store.CheckKey(o.Prefix); err != nil {
		return o, fmt.Errorf("cdn: New: Options.Prefix %q: %w", o.Prefix, err)
	}
	for _, each := range []struct {
		name      string
		value     *time.Duration
		byDefault time.Duration
	}{
		{"Timeout", &o.Timeout, time.Second}, {"SendTimeout", &o.SendTimeout, time.Minute},
		{"MinPause", &o.MinPause, time.Second}, {"MaxPause", &o.MaxPause, 5 * time.Minute},
		{"Keep", &o.Keep, 31 * 24 * time.Hour}, {"Takeover", &o.Takeover, defaultTakeover},
	} {
		if *each.value < 0 {
			return o, fmt.Errorf("cdn: New: Options.%s is %v, and there must be a bound: set a "+
				"positive one, or 0 for the default of %v", each.name, *each.value, each.byDefault)
		}
		if *each.value == 0 {
			*each.value = each.byDefault
		}
	}
	if o.Takeover < minTakeover {
		return o, fmt.Errorf("cdn: New: Options.Takeover is %v: at least %v are allowed",
			o.Takeover, minTakeover)
	}
	if o.MaxOwed < 0 {
		return o, fmt.Errorf("cdn: New: Options.MaxOwed is %d, and there must be a bound: set a "+
			"positive one, or 0 for the default", o.MaxOwed)
	}
	if o.MaxOwed == 0 {
		o.MaxOwed = 10_000
	}
	o.MaxPause = max(o.MaxPause, o.MinPause)
	switch {
	case o.Delay == 0:
		o.Delay = time.Second
	case o.Delay < 0:
		o.Delay = 0
	}
	if o.MaxHeld == 0 {
		o.MaxHeld = defaultMaxHeld
	}
	o.MaxHeld = max(o.MaxHeld, 0)
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o, nil
}
