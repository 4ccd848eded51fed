package reload

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/settings"
)

// running has Run follow w, and returns what OnChange is called with and what ends it.
func running(t *testing.T, w *Watcher) (loads <-chan *settings.Settings, end func()) {
	t.Helper()
	all := make(chan *settings.Settings, 100)
	w.OnChange(func(s *settings.Settings) error { all <- s; return nil })
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); w.Run(ctx) }()
	return all, func() { cancel(); <-ended }
}

// However a file is changed, the system announces it, and the new settings are loaded.
func TestChangesThatTheSystemAnnounces(t *testing.T) {
	const five = "record_cache_expires_seconds = 5\n"
	for _, c := range []struct {
		story  string
		change func(t *testing.T, file string)
	}{
		{"written in place", func(t *testing.T, file string) { write(t, file, five) }},
		{"written in place, as long as before", func(t *testing.T, file string) {
			write(t, file, "record_cache_expires_seconds = 05\n")
		}},
		{"replaced, as editors do", func(t *testing.T, file string) {
			write(t, file+"~", five)
			if err := os.Rename(file+"~", file); err != nil {
				t.Fatal(err)
			}
		}},
		{"removed and made anew", func(t *testing.T, file string) {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			write(t, file, five)
		}},
	} {
		t.Run(c.story, func(t *testing.T) {
			w, file, _ := watched(t, minute, Options{Every: -1})
			loads, end := running(t, w)
			defer end()
			c.change(t, file)
			for s := range loads {
				if ttl(s) == 5*time.Second {
					break
				}
			}
		})
	}
}

// Kubernetes changes a mounted ConfigMap by a symbolic link to another folder.
func TestAConfigMap(t *testing.T) {
	folder := t.TempDir()
	version := func(name, text string) {
		if err := os.Mkdir(filepath.Join(folder, name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, name, "freshet.ini"), text)
		if err := errors.Join(os.Symlink(name, filepath.Join(folder, "..tmp")),
			os.Rename(filepath.Join(folder, "..tmp"), filepath.Join(folder,
				"..data"))); err != nil {
			t.Fatal(err)
		}
	}
	version("..1", minute)
	file := filepath.Join(folder, "freshet.ini")
	if err := os.Symlink("..data/freshet.ini", file); err != nil {
		t.Fatal(err)
	}
	w, err := Open(Options{Loader: records, File: file, Every: -1})
	if err != nil {
		t.Fatal(err)
	}
	loads, end := running(t, w)
	defer end()
	version("..2", "record_cache_expires_seconds = 5\n")
	if got := ttl(<-loads); got != 5*time.Second {
		t.Errorf("records live %v", got)
	}
}

// A file that goes, or becomes wrong, is an error in the log, once; when it is back, so are its
// settings.
func TestAFileThatGoesAndComesBack(t *testing.T) {
	w, file, n := watched(t, minute, Options{Every: -1})
	loads, end := running(t, w)
	defer end()
	if err := os.Rename(file, file+".away"); err != nil {
		t.Fatal(err)
	}
	n.until("no such file")
	write(t, file, "record_cache_expires_seconds = x\n")
	n.until("allowed is a whole number")
	if got := ttl(w.Settings()); got != time.Minute {
		t.Errorf("meanwhile records live %v", got)
	}
	if err := os.Rename(file+".away", file); err != nil {
		t.Fatal(err)
	}
	if got := ttl(<-loads); got != time.Minute {
		t.Errorf("records live %v", got)
	}
	n.until("loaded anew")
}

func TestAChangeBetweenOpenAndRun(t *testing.T) {
	w, file, _ := watched(t, minute, Options{Every: -1})
	w.announce = func([]string) (*announcer, error) { return &announcer{}, nil }
	write(t, file, "record_cache_expires_seconds = 5\n")
	loads, end := running(t, w)
	defer end()
	if got := ttl(<-loads); got != 5*time.Second {
		t.Errorf("records live %v", got)
	}
}

func TestSignals(t *testing.T) {
	w, _, n := watched(t, minute, Options{Signals: []os.Signal{syscall.SIGHUP}})
	// so that one which comes before Run listens does not end the process
	keep := make(chan os.Signal, 1)
	signal.Notify(keep, syscall.SIGHUP)
	defer signal.Stop(keep)
	loads, end := running(t, w)
	defer end()
	for {
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		select {
		case <-loads:
			n.until("changes=0")
			return
		case <-keep: // Run did not listen yet, or is about to load
		}
	}
}

// Where the system announces nothing, Run looks by itself: a file on a network, or behind a link to
// elsewhere.
func TestWithoutAnnouncements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, file, n := watched(t, minute, Options{})
		w.announce = func([]string) (*announcer, error) {
			return nil, errors.New("too many watchers")
		}
		also := filepath.Join(filepath.Dir(file), "also")
		w.o.Also = []string{also}
		w.seen = w.look()
		loads, end := running(t, w)
		defer end()
		synctest.Wait()
		if !strings.Contains(n.String(), "too many watchers") {
			t.Errorf("the log says %q", n)
		}
		write(t, file, "record_cache_expires_seconds = 5\n")
		start := time.Now()
		if got := ttl(<-loads); got != 5*time.Second {
			t.Errorf("records live %v", got)
		}
		if took := time.Since(start); took != 10*time.Second+200*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		write(t, also, "a certificate")
		<-loads
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(loads) > 0 {
			t.Errorf("%d loads of what has not changed", len(loads))
		}
		touched := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
		if err := os.Chtimes(file, touched, touched); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(loads) > 0 || w.changed() {
			t.Errorf("%d loads of a file that was touched, and it is read again and again: %t",
				len(loads), w.changed())
		}
	})
}

// A load waits until the files are left alone, but not for ever.
func TestAFolderThatNeverRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, file, _ := watched(t, minute, Options{Every: -1})
		a := &announcer{events: make(chan string)}
		w.announce = func([]string) (*announcer, error) { return a, nil }
		loads, end := running(t, w)
		defer end()
		synctest.Wait()
		write(t, file, "record_cache_expires_seconds = 5\n")
		start := time.Now()
		for len(loads) == 0 {
			a.events <- filepath.Join(filepath.Dir(file), "a neighbour")
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
		}
		if took := time.Since(start); took < 2*time.Second || took > 2*time.Second+
			100*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		<-loads
		for range 10 { // of neighbours alone
			a.events <- filepath.Join(filepath.Dir(file), "a neighbour")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(loads) > 0 {
			t.Error("what a neighbour does is no change")
		}
	})
}
