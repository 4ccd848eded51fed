package reload

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Run reloads when a file changes and at Options.Signals, until ctx is done. A change is noticed at
// once where the system announces changes of the file's folder, so that a file may be replaced by
// another, as editors and Kubernetes do; and within Options.Every in any case. Nothing that goes
// wrong ends Run: the log says it. Call it once, in a goroutine of its own.
func (w *Watcher) Run(ctx context.Context) {
	signals := make(chan os.Signal, 1)
	if len(w.o.Signals) > 0 {
		signal.Notify(signals, w.o.Signals...)
		defer signal.Stop(signals)
	}
	a := w.listen()
	defer a.close()
	timers := newTimers(w.o)
	defer timers.stop()
	if w.changed() { // between Open and now
		timers.arm()
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
			w.Reload()
		case name := <-a.events:
			if w.concerns(name) {
				timers.arm()
			}
		case err := <-a.errors:
			w.o.Log.Warn("freshet: changes of settings files may be noticed late", "error", err,
				"every", w.o.Every)
			timers.arm() // events may be lost
		case <-timers.tick:
			a.follow(w.folders()) // one that was made anew
			if w.changed() {
				timers.arm()
			}
		case <-timers.settled:
			timers.disarm()
			if w.check() {
				timers.arm()
			}
		}
	}
}

// listen starts to follow the files' folders.
func (w *Watcher) listen() *announcer {
	if len(w.files()) == 0 {
		return &announcer{}
	}
	a, err := w.announce(w.folders())
	if err != nil {
		w.o.Log.Warn("freshet: the system announces no changes of the settings' folders, so that "+
			"changes are noticed late",
			"error", err, "every", w.o.Every)
		return &announcer{}
	}
	return a
}

// folders are those of the files.
func (w *Watcher) folders() []string {
	var folders []string
	for _, name := range w.files() {
		if folder := filepath.Dir(name); !slices.Contains(folders, folder) {
			folders = append(folders, folder)
		}
	}
	return folders
}

// concerns reports whether an event in a folder may be about one of the files: it names one, or one
// looks otherwise, as when a symbolic link on the way to it was replaced.
func (w *Watcher) concerns(event string) bool {
	return slices.ContainsFunc(w.files(), func(name string) bool {
		return filepath.Base(name) == filepath.Base(event)
	}) ||
		w.changed()
}

// longest is how long files that never rest hold up a load.
const longest = 2 * time.Second

// timers say when to look at files.
type timers struct {
	settle  time.Duration
	tick    <-chan time.Time
	ticker  *time.Ticker
	settled <-chan time.Time
	timer   *time.Timer
	since   time.Time // of the first change that is not dealt with
}

func newTimers(o Options) *timers {
	t := &timers{settle: max(o.Settle, 10*time.Millisecond)}
	if o.Every > 0 {
		t.ticker = time.NewTicker(o.Every)
		t.tick = t.ticker.C
	}
	return t
}

// arm has settled tell when the files have been left alone for long enough, or are never.
func (t *timers) arm() {
	now := time.Now()
	if t.settled == nil {
		t.since = now
	} else {
		t.timer.Stop()
	}
	t.timer = time.NewTimer(min(t.settle, max(longest-now.Sub(t.since), 0)))
	t.settled = t.timer.C
}

func (t *timers) disarm() { t.settled = nil }

func (t *timers) stop() {
	if t.ticker != nil {
		t.ticker.Stop()
	}
	if t.timer != nil {
		t.timer.Stop()
	}
}

// announcer announces changes in folders. The zero value announces none.
type announcer struct {
	events chan string // names
	errors <-chan error
	watch  *fsnotify.Watcher
	done   chan struct{}
	ended  chan struct{}
}

// announceChanges has the system announce changes.
func announceChanges(folders []string) (*announcer, error) {
	watch, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	for _, folder := range folders {
		if err := watch.Add(folder); err != nil {
			watch.Close()
			return nil, err
		}
	}
	a := &announcer{events: make(chan string), errors: watch.Errors, watch: watch,
		done: make(chan struct{}), ended: make(chan struct{})}
	go a.pass()
	return a, nil
}

// pass passes on what changes a file: all but its mode.
func (a *announcer) pass() {
	defer close(a.ended)
	for e := range a.watch.Events {
		if e.Op == fsnotify.Chmod {
			continue
		}
		select {
		case a.events <- e.Name:
		case <-a.done:
			return
		}
	}
}

// follow follows the folders again, which may be others by the same names.
func (a *announcer) follow(folders []string) {
	if a.watch == nil {
		return
	}
	for _, folder := range folders {
		a.watch.Add(folder) // one that is not there yet may be at the next tick
	}
}

func (a *announcer) close() {
	if a.watch == nil {
		return
	}
	close(a.done)
	a.watch.Close()
	<-a.ended
}
