package middleware_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

// panics returns the text that does panics with, or "".
func panics(does func()) (text string) {
	defer func() {
		if v := recover(); v != nil {
			text = fmt.Sprint(v)
		}
	}()
	does()
	return ""
}

// writing makes a Cache that reads writes, with an option changed.
func writing(change func(*middleware.ReadYourWrites)) func() {
	return func() {
		o := middleware.ReadYourWrites{Keys: slices.Clone(writeKeys.Keys)}
		change(&o)
		s := memstore.New(1 << 20)
		defer s.Close()
		middleware.New(s, middleware.Options{ReadYourWrites: o})
	}
}

// Wrong wiring fails at New with a sentence that says what to do.
func TestNewRefusesWhatCannotWork(t *testing.T) {
	s := memstore.New(1 << 20)
	defer s.Close()
	var none *memstore.Store
	for _, test := range []struct {
		name    string
		does    func()
		says    string
		because string
	}{
		{"no store", func() { middleware.New(nil, middleware.Options{}) }, "the store is nil",
			"memstore.New"},
		{"a nil pointer to a store", func() { middleware.New(none, middleware.Options{}) },
			"the store is nil", "memstore.New"},
		{"MaxLag", func() { middleware.New(s, middleware.Options{MaxLag: -1}) },
			"Options.MaxLag is -1ns", "0 for the default of 5s"},
		{"StoreTimeout", func() {
			middleware.New(s, middleware.Options{StoreTimeout: -time.Second})
		},
			"Options.StoreTimeout is -1s", "0 for the default of 250ms"},
		{"MaxFillBytes", func() { middleware.New(s, middleware.Options{MaxFillBytes: -1}) },
			"Options.MaxFillBytes is -1", "0 for the default of 268435456"},
		{"MaxReadBytes", func() { middleware.New(s, middleware.Options{MaxReadBytes: -1}) },
			"Options.MaxReadBytes is -1", "0 for the default of 268435456"},
		{"ReadYourWrites, a short key", writing(func(o *middleware.ReadYourWrites) {
			o.Keys = append(o.Keys, []byte("short"))
		}), "Options.ReadYourWrites.Keys[1] has 5 bytes", "allowed are 16 or more"},
		{"ReadYourWrites, too many keys", writing(func(o *middleware.ReadYourWrites) {
			o.Keys = slices.Repeat(o.Keys, 9)
		}), "Options.ReadYourWrites.Keys has 9 keys", "allowed are 1 to 8"},
		{"ReadYourWrites, no keys", writing(func(o *middleware.ReadYourWrites) {
			o.Keys, o.Cookie = nil, "own"
		}), "Options.ReadYourWrites has no Keys", "or leave all of it out"},
		{"ReadYourWrites, a cookie and a field", writing(func(o *middleware.ReadYourWrites) {
			o.Cookie, o.Field = "own", "Own"
		}), `the Cookie "own" and the Field "Own"`, "leave the other out"},
		{"ReadYourWrites.Cookie", writing(func(o *middleware.ReadYourWrites) {
			o.Cookie = "my own"
		}), `Options.ReadYourWrites.Cookie is "my own"`, "allowed are letters"},
		{"ReadYourWrites.Field", writing(func(o *middleware.ReadYourWrites) {
			o.Field = "set-cookie"
		}), `Options.ReadYourWrites.Field is "set-cookie"`, "such as App-Written"},
		{"ReadYourWrites.Life, short", writing(func(o *middleware.ReadYourWrites) {
			o.Life = time.Second
		}), "Options.ReadYourWrites.Life is 1s", "5s, up to 1h0m0s"},
		{"ReadYourWrites.Life, long", writing(func(o *middleware.ReadYourWrites) {
			o.Life = 2 * time.Hour
		}), "Options.ReadYourWrites.Life is 2h0m0s", "0 for the default"},
		{"LeaveOut", func() {
			middleware.New(s, middleware.Options{LeaveOut: []string{"metrics"}})
		},
			`Options.LeaveOut: "metrics" is no path`, "begin with a slash"},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := panics(test.does)
			if !strings.HasPrefix(text, "freshet: New: ") || !strings.Contains(text, test.says) ||
				!strings.Contains(text, test.because) {
				t.Errorf("New panics with %q, want it to say %q and %q", text, test.says,
					test.because)
			}
		})
	}
}

// A mount without a handler, or of a Cache that New has not made, fails when it is made, and not at
// its first request.
func TestMountsRefuseWhatCannotWork(t *testing.T) {
	c := newCache(t)
	var none http.HandlerFunc
	page := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for name, does := range map[string]func(){
		"Handler: the handler":     func() { c.Handler(nil) },
		"With: the handler":        func() { c.With(policy.Policy{})(nil) },
		"Changes: the handler":     func() { c.Changes(nil) },
		"Guard: the app":           func() { c.Guard(nil) },
		"Root: the app":            func() { c.Root(nil) },
		"Handler: the handler ":    func() { c.Handler(none) },
		"With: the handler ":       func() { c.With(policy.Policy{})(none) },
		"Changes: the handler ":    func() { c.Changes(none) },
		"Guard: the app ":          func() { c.Guard(none) },
		"Root: the app ":           func() { c.Root(none) },
		"the Cache has no store":   func() { new(middleware.Cache).Handler(page) },
		"the Cache has no store: ": func() { new(middleware.Cache).Mount("m", nil) },
	} {
		if text := panics(does); !strings.Contains(text, strings.TrimSpace(name)) {
			t.Errorf("%q: panics with %q", name, text)
		}
	}
}

// A negative MaxRefreshes is none: the first client that finds a page stale waits for the new one,
// as it does without Root, and the log has no advice about what was meant.
func TestNoRefreshesInTheBackground(t *testing.T) {
	for _, s := range []struct {
		most   int
		rooted bool
		gets   string // the client that finds the page stale
	}{{-1, true, "run 2"}, {-1, false, "run 2"}, {0, true, "run 1"}, {1, true, "run 1"}} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			c := newCache(t, middleware.Options{MaxRefreshes: s.most,
				Log: slog.New(slog.NewTextHandler(&log, nil))})
			o := &origin{}
			o.h = func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, "run ", o.runs.Load())
			}
			app := c.With(policy.Policy{TTL: time.Second, StaleWhileRevalidate: time.Hour})(o)
			if s.rooted {
				app = c.Root(app)
			}
			get(app, "/")
			time.Sleep(2 * time.Second)
			want(t, fmt.Sprint("at most ", s.most), body(get(app, "/")), s.gets)
			synctest.Wait()
			want(t, "runs", o.runs.Load(), int64(2))
			want(t, "the log", log.String(), "")
		})
	}
}
