// Package reload loads settings anew while a program runs: when their file changes, and when the
// program is asked to, as by SIGHUP. New settings count as a whole or not at all: when something is
// wrong with them, the old ones stay, and the log says why.
//
//	w, err := reload.Open(reload.Options{
//		Loader: settings.Loader{Resources: []string{"record"}}, File: "freshet.ini", Environ: os.Environ(),
//		Signals: []os.Signal{syscall.SIGHUP},
//	})
//	if err != nil {
//		return err
//	}
//	cache := freshet.New(pages, freshet.Options{Expires: w.Settings().Expires()})
//	w.OnChange(func(s *settings.Settings) error { return cache.SetExpires(s.Expires()) })
//	go w.Run(ctx)
package reload

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/settings"
)

// Options say which settings to keep current. File or Environ, and Loader, are required in
// practice.
type Options struct {
	// Loader says which settings the program has.
	Loader settings.Loader
	// File is the settings file. Empty: none, and nothing to follow; Reload applies the environment
	// again.
	File string
	// Environ is the environment, as os.Environ returns it. It is read once: no other process can
	// change it.
	Environ []string
	// Also are further files whose changes count like File's, such as certificates: what OnChange
	// was given reads them.
	Also []string
	// Live are the keys of Loader.Keys that functions of OnChange apply. A change of another key is
	// logged with the advice to restart. Expiry settings are always live.
	Live []string
	// Overridden are the keys of Loader.Keys in whose place something else counts, such as flags of
	// the command line. A change of one is logged as such, whether or not it is in Live.
	Overridden []string
	// Secrets are the keys whose values the log leaves out. Passwords in URLs are masked in any
	// case.
	Secrets []string
	// Signals are those at which Run reloads. Default: none.
	Signals []os.Signal
	// Settle is how long the files must be left alone before they are read, since editors write in
	// several steps; a folder that never rests holds a load up for 2 seconds at most. Default 200
	// milliseconds, at least 10.
	Settle time.Duration
	// Every is how often Run looks at the files besides, for changes that no event announces: those
	// of network file systems, and of a file that a symbolic link elsewhere names. Default 10
	// seconds; negative: never.
	Every time.Duration
	// Log hears of each change and of each error. Default: slog.Default().
	Log *slog.Logger
}

// Watcher holds the settings as they are now. It is safe for concurrent use.
type Watcher struct {
	o   Options
	now atomic.Pointer[settings.Settings]
	// those of the start, which count for what is not Live
	first *settings.Settings

	mu    sync.Mutex // one load at a time
	hooks []func(*settings.Settings) error
	seen  sight // what the last load saw, whether or not it was applied

	followed bool // Options.File is a file that can be read anew
	announce func(folders []string) (*announcer, error)
}

// Open loads the settings for the first time. The error is that of settings.Loader.Load.
func Open(o Options) (*Watcher, error) {
	if o.Settle == 0 {
		o.Settle = 200 * time.Millisecond
	}
	if o.Every == 0 {
		o.Every = 10 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	w := &Watcher{o: o, announce: announceChanges, followed: isRegular(o.File)}
	w.seen = w.look()
	if w.seen.wrong != nil {
		return nil, w.seen.wrong
	}
	first, err := o.Loader.Parse(o.File, w.seen.text, o.Environ)
	if err != nil {
		return nil, err
	}
	w.first = first
	w.now.Store(first)
	return w, nil
}

// Settings returns the settings as they are now.
func (w *Watcher) Settings() *settings.Settings { return w.now.Load() }

// OnChange has Reload and Run call apply with each new settings, one call at a time, in the order
// of the calls to OnChange. When apply returns an error, nothing changes: those that were called
// before it are called with the old settings again. apply must check everything before it changes
// anything, and must not call w.
func (w *Watcher) OnChange(apply func(*settings.Settings) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hooks = append(w.hooks, apply)
}

// Reload loads the settings anew and applies them, also where the file has not changed. When it
// returns an error, the old settings stay. The log hears of both.
func (w *Watcher) Reload() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.load(w.look())
}

// check is Reload where something has changed since the last load. It reports whether a file was
// being written.
func (w *Watcher) check() (unsettled bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.look()
	if errors.Is(now.wrong, errUnsettled) {
		return true
	}
	if !now.same(w.seen) {
		w.load(now)
	}
	w.seen = now
	return false
}

// load applies what was seen, or keeps the old settings and says why. w.mu is held.
func (w *Watcher) load(now sight) error {
	w.seen = now
	next, err := w.parse(now)
	if err == nil {
		err = w.apply(next)
	}
	if err != nil {
		w.o.Log.Error("freshet: the settings could not be loaded anew: the old ones stay", "file",
			w.o.File, "error", err)
		return err
	}
	old := w.now.Swap(next)
	w.report(old, next)
	return nil
}

// parse reads what was seen. A file that looks cut off is an error.
func (w *Watcher) parse(now sight) (*settings.Settings, error) {
	if now.wrong != nil {
		return nil, now.wrong
	}
	switch _, old := w.now.Load().File(); {
	case now.text == "" && strings.TrimSpace(old) != "":
		return nil, fmt.Errorf("settings: %s is empty, as if it was cut off: to have no "+
			"settings, leave a comment in it", w.o.File)
	case strings.HasSuffix(old, "\n") && !strings.HasSuffix(now.text, "\n"):
		return nil, fmt.Errorf("settings: %s: its last line has no end, as if the file was cut "+
			"off: end it with a line end", w.o.File)
	}
	return w.o.Loader.Parse(w.o.File, now.text, w.o.Environ)
}

// apply calls the functions of OnChange, all or none.
func (w *Watcher) apply(next *settings.Settings) error {
	for i, apply := range w.hooks {
		err := apply(next)
		if err == nil {
			continue
		}
		old := w.now.Load()
		for _, back := range slices.Backward(w.hooks[:i]) {
			if late := back(old); late != nil {
				err = errors.Join(err, fmt.Errorf("and the old settings were refused as well: %w",
					late))
			}
		}
		return err
	}
	return nil
}

// report logs what is otherwise than before. That nothing is may be since it is a function of
// OnChange that reads what has changed, or a comment has.
func (w *Watcher) report(old, next *settings.Settings) {
	const most = 20
	changes := old.Changes(next, w.o.Secrets...)
	shown := changes
	if len(shown) > most {
		shown = append(slices.Clip(shown[:most]), fmt.Sprintf("and %d more", len(changes)-most))
	}
	w.o.Log.Info("freshet: settings were loaded anew", "file", w.o.File, "changes", len(changes),
		"which", strings.Join(shown, "; "))
	for _, warning := range next.Warnings() {
		if !slices.Contains(old.Warnings(), warning) {
			w.o.Log.Warn("freshet: settings: " + warning)
		}
	}
	waiting := w.first.Changed(next)
	for _, key := range old.Changed(next) {
		switch {
		case slices.Contains(w.o.Overridden, key):
			w.o.Log.Info("freshet: a setting has changed that the command line overrides: it does not "+
				"count", "setting", key)
		case slices.Contains(w.o.Live, key):
		case !slices.Contains(waiting, key):
			w.o.Log.Info("freshet: a setting is what it was at the start again: it needs no restart",
				"setting", key)
		default:
			w.o.Log.Warn("freshet: a setting has changed that is read at the start alone: "+
				"restart to use it", "setting", key)
		}
	}
}
