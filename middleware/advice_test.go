package middleware_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

// The log says what is wired in a way that hardly anybody means, once, with what to do; and nothing
// of what is right.
func TestAdvice(t *testing.T) {
	settings := func(name string) *policy.Expires {
		x, err := policy.NewExpires([]string{"record", "note"},
			policy.ExpirySetting{Name: name, TTL: time.Minute, Origin: "test"})
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	const some, narrow, scored = "record", "blog.record", "blog_record"
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("page"))
	})
	for _, s := range []struct {
		name    string
		bytes   int64
		p       policy.Policy
		expires *policy.Expires
		rooted  bool
		says    string // what a line has; empty: no line
	}{
		{"obey", 64 << 20, policy.Policy{}, nil, false, ""},
		{"a minute", 64 << 20, policy.Policy{TTL: time.Minute}, nil, false, ""},
		{"stale, with a root", 64 << 20,
			policy.Policy{TTL: time.Minute, StaleWhileRevalidate: time.Minute}, nil, true, ""},
		{"stale, without", 64 << 20, policy.Policy{TTL: time.Minute,
			StaleWhileRevalidate: time.Minute}, nil,
			false, "Cache.Root"},
		{"a negative TTL", 64 << 20, policy.Policy{TTL: -time.Minute}, nil, false, "-1m0s"},
		{"a TTL without a unit", 64 << 20, policy.Policy{TTL: 60}, nil, false, "60 * time.Second"},
		{"shared", 64 << 20, policy.Policy{TTL: time.Minute, Shared: true}, nil, false, ""},
		{"stored cookies", 64 << 20, policy.Policy{TTL: time.Minute, StoreCookies: true}, nil,
			false, ""},
		{"shared, and stored cookies", 64 << 20, policy.Policy{TTL: time.Minute, Shared: true,
			StoreCookies: true}, nil,
			false, "StoreCookies"},
		{"a resource", 64 << 20, policy.Policy{Resource: "record"}, settings(some), false, ""},
		{"a resource under some parents", 64 << 20, policy.Policy{Resource: "record"},
			settings(narrow), false, ""},
		{"a resource under some parents, with underscores", 64 << 20,
			policy.Policy{Resource: "record"},
			settings(scored), false, ""},
		{"a resource without settings, and a TTL", 64 << 20, policy.Policy{Resource: "note",
			TTL: time.Minute},
			settings(some), false, ""},
		{"a resource without settings", 64 << 20, policy.Policy{Resource: "note"}, settings(some),
			false,
			"note_cache_expires_seconds"},
		{"a resource that is misspelt", 64 << 20, policy.Policy{Resource: "recrod"}, settings(some),
			false, "recrod"},
		{"a resource, and nothing that sets it", 64 << 20, policy.Policy{Resource: "record"}, nil,
			false,
			"Options.Expires is nil"},
		{"a store of one page", 64 << 20, policy.Policy{MaxBody: 16 << 20}, nil, false, ""},
		{"a store of less than one page", 8 << 20, policy.Policy{MaxBody: 4 << 20}, nil, false,
			"MaxBody is 4194304 bytes:"},
		{"a small store", 16 << 20, policy.Policy{}, nil, false, ""},
		{"a small store, and the default said aloud", 16 << 20,
			policy.Policy{MaxBody: rules.DefaultMaxBody}, nil, false, ""},
		{"a store for less than common pages", 1 << 20, policy.Policy{}, nil, false,
			"MaxBody is 16777216 bytes, the default"},
		{"a store that is no store", 64, policy.Policy{}, nil, false, "MaxBody"},
		{"a small store for small pages", 1 << 20, policy.Policy{MaxBody: 100 << 10}, nil, false,
			""},
	} {
		for _, how := range []string{"With", "Policy"} {
			if how == "With" && strings.Contains(s.name, "misspelt") {
				continue // which panics
			}
			t.Run(s.name+", "+how, func(t *testing.T) {
				kept := memstore.New(s.bytes)
				defer kept.Close()
				var log bytes.Buffer
				o := middleware.Options{Log: slog.New(slog.NewTextHandler(&log, nil)),
					Expires: s.expires}
				if how != "With" {
					o.Policy = func(*http.Request) *policy.Policy { return &s.p }
				}
				c := middleware.New(kept, o)
				defer c.Shutdown(context.Background())
				var h http.Handler
				if how == "With" {
					first, second := c.With(s.p), c.With(s.p)
					if s.says != "" && s.says != "Cache.Root" && !strings.Contains(log.String(),
						s.says) {
						t.Errorf("nothing is said at start: %s", &log)
					}
					h = first(page)
					get(second(page), "/2")
				} else {
					h = c.Handler(page)
				}
				if s.rooted {
					c.Root(h)
				}
				if how == "With" && s.rooted {
					log.Reset() // the second mount had its request before
				}
				for range 3 {
					get(h, "/")
					get(h, "/a")
				}
				lines := strings.Count(log.String(), "level=WARN")
				if s.says == "" && lines > 0 ||
					s.says != "" && (lines != 1 || !strings.Contains(log.String(), s.says)) {
					t.Errorf("the log has %d lines of advice, want %q:\n%s", lines, s.says, &log)
				}
			})
		}
	}
}

type (
	gzipWriter     struct{ http.ResponseWriter }
	compressWriter struct{ http.ResponseWriter }
	wrappedWriter  struct{ http.ResponseWriter }
)

func (w wrappedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// A compressor around the cache is known by its writer, however deep it lies, and the log says that
// it costs.
func TestAdviceOnACompressorsWriter(t *testing.T) {
	for _, s := range []struct {
		wrap  func(http.ResponseWriter) http.ResponseWriter
		lines int
	}{
		{func(w http.ResponseWriter) http.ResponseWriter { return wrappedWriter{w} }, 0},
		{func(w http.ResponseWriter) http.ResponseWriter { return gzipWriter{w} }, 1},
		{func(w http.ResponseWriter) http.ResponseWriter { return compressWriter{w} }, 1},
		{func(w http.ResponseWriter) http.ResponseWriter {
			return wrappedWriter{wrappedWriter{gzipWriter{w}}}
		}, 1},
	} {
		var log bytes.Buffer
		c := newCache(t, middleware.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		inner := c.With(policy.Policy{TTL: time.Minute})(
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Write([]byte("page"))
			}))
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			inner.ServeHTTP(s.wrap(w), r)
		})
		for range 3 {
			get(h, "/")
		}
		if lines := strings.Count(log.String(), "compressor, which"); lines != s.lines {
			t.Errorf("%T: %d lines, want %d: %s", s.wrap(nil), lines, s.lines, &log)
		}
	}
}

// timeoutWriter is none of net/http's.
type timeoutWriter struct{ http.ResponseWriter }

// What stands around the cache can hide the cookies of sessions from it, if no Guard stands around
// both. The log says that of compressors and of net/http's time limit, and of no other writer.
func TestAdviceOnGuard(t *testing.T) {
	plain := func(h http.Handler) http.Handler { return h }
	limited := func(h http.Handler) http.Handler {
		return http.TimeoutHandler(h, time.Minute, "late")
	}
	within := func(wrap func(http.ResponseWriter) http.ResponseWriter) func(
		http.Handler) http.Handler {
		return func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h.ServeHTTP(wrap(w), r)
			})
		}
	}
	for _, s := range []struct {
		name               string
		wrap               func(http.Handler) http.Handler
		says               string
		guarded, unguarded int // lines
	}{
		{"nothing", plain, "the cache is mounted inside", 0, 0},
		{"a compressor", within(func(w http.ResponseWriter) http.ResponseWriter {
			return gzipWriter{w}
		}),
			"inside a compressor", 1, 1},
		{"a time limit", limited, "inside http.TimeoutHandler", 0, 1},
		{"a writer of that name", within(func(w http.ResponseWriter) http.ResponseWriter {
			return timeoutWriter{w}
		}),
			"the cache is mounted inside", 0, 0},
	} {
		for _, guarded := range []bool{true, false} {
			var log bytes.Buffer
			c := newCache(t, middleware.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
			h := s.wrap(c.With(minute)(says("page")))
			lines, advised := s.unguarded, s.unguarded
			if guarded {
				h = c.Guard(h)
				lines, advised = s.guarded, 0
			}
			server := httptest.NewServer(h)
			r, err := server.Client().Get(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			want(t, "page", body(r), "page")
			r.Body.Close()
			server.Close()
			what := fmt.Sprint(s.name, ", guarded=", guarded, ": ")
			want(t, what+"lines", strings.Count(log.String(), s.says), lines)
			want(t, what+"advice", strings.Count(log.String(), "serve the app through Cache.Root"),
				advised)
		}
	}
}

// The log says why requests pass beside what a handler outside sets, where somebody can do
// something about it.
func TestAdviceOnWhatIsSetOutside(t *testing.T) {
	for _, s := range []struct {
		field, value string
		ignored      []string
		says         string
	}{
		{"Set-Cookie", "shop=1; Path=/", []string{"shop"}, `the cookie \"shop\"`},
		{"Set-Cookie", "shop=1; Path=/", []string{"other"}, ""},
		{"Set-Cookie", "shop=1; Path=/", nil, ""},
		{"Content-Security-Policy", "script-src 'nonce-abc'", nil, "with a nonce"},
	} {
		var log bytes.Buffer
		c := newCache(t, middleware.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		h := outside(c.With(policy.Policy{TTL: time.Minute, IgnoreCookies: s.ignored})(
			says("page")),
			func(*http.Request) (name, value string) { return s.field, s.value })
		for range 2 {
			get(h, "/")
		}
		lines := 0
		if s.says != "" {
			lines = 1
		}
		if strings.Count(log.String(), "\n") != lines || !strings.Contains(log.String(), s.says) {
			t.Errorf("%s, ignored %q: the log is %q, want a line with %q", s.field, s.ignored, &log,
				s.says)
		}
	}
}

// Of a field that comes as the header is written, the log advises Guard where there is none, and is
// calm where there is one.
func TestAdviceOnFieldsThatComeLate(t *testing.T) {
	for _, guarded := range []bool{true, false} {
		var log bytes.Buffer
		c := newCache(t, middleware.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		page := c.With(policy.Policy{TTL: time.Minute, IgnoreCookies: []string{"session"}})(
			says("page"))
		var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			page.ServeHTTP(setsCookieLate{w}, r)
		})
		level := "level=WARN"
		if guarded {
			h, level = c.Guard(h), "level=INFO"
		}
		for range 2 {
			get(h, "/")
		}
		what := fmt.Sprint("guarded=", guarded, ": ")
		want(t, what+"lines", strings.Count(log.String(), "changed the header of a response "+
			"while it was written"), 1)
		want(t, what+level, strings.Count(log.String(), level), 1)
		want(t, what+"advice", strings.Contains(log.String(), "Cache.Root"), !guarded)
		want(t, what+"what else is ignored", strings.Count(log.String(), `the cookie \"session\"`),
			1)
	}
}

// The log has one line about a handler that writes nothing at all: its empty page is not stored.
func TestAdviceOnAHandlerThatWritesNothing(t *testing.T) {
	var log bytes.Buffer
	c := newCache(t, middleware.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	h := c.With(minute)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for range 2 {
		status(t, get(h, "/"), "detail=empty")
	}
	want(t, "lines", strings.Count(log.String(), "without having written anything"), 1)
}

// With refuses a resource that the settings do not know, and nothing else of a Cache that has
// settings.
func TestWithKnowsItsResources(t *testing.T) {
	settings, err := policy.NewExpires([]string{"record"},
		policy.ExpirySetting{Name: "record", TTL: time.Minute, Origin: "test"})
	if err != nil {
		t.Fatal(err)
	}
	for resource, panics := range map[string]bool{"": false, "record": false, "recrod": true} {
		c := newCache(t, middleware.Options{Expires: settings})
		func() {
			defer func() { want(t, resource+": panics", recover() != nil, panics) }()
			c.With(policy.Policy{Resource: resource, TTL: time.Minute})
		}()
	}
}

// A change reaches what each of 64 functions makes keys of. Of more the log says, once, that it
// does not.
func TestMoreFunctionsOfKeysThanAreKnown(t *testing.T) {
	var log strings.Builder
	c := newCache(t, middleware.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	var mounts []http.Handler
	mount := func(n int) {
		key := fmt.Sprint("key ", n)
		p := policy.Policy{TTL: time.Minute,
			Key: policy.KeyOptions{Replace: func(*http.Request) string { return key }}}
		mounts = append(mounts,
			c.With(p)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Write([]byte(key))
			})))
	}
	for n := range 64 {
		mount(n)
	}
	want(t, "lines for 64 functions", strings.Count(log.String(), "Key.Replace"), 0)
	for _, h := range mounts {
		get(h, "/")
		status(t, get(h, "/"), "hit")
	}
	if _, err := c.InvalidateURL(t.Context(), "http://example.com/"); err != nil {
		t.Fatal(err)
	}
	for _, h := range mounts {
		status(t, get(h, "/"), "uri-miss")
	}
	mount(64)
	mount(65)
	want(t, "lines for more", strings.Count(log.String(), "Key.Replace"), 1)
}

// The writers of a few clients are looked at, and no more: it would cost all who come after.
func TestOfHowManyClientsTheWritersAreLookedAt(t *testing.T) {
	for before, lines := range map[int]int{63: 1, 64: 0, 200: 0} {
		var log bytes.Buffer
		c := newCache(t, middleware.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		inner := c.With(policy.Policy{TTL: time.Minute})(
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Write([]byte("page"))
			}))
		for i := range before {
			get(inner, fmt.Sprint("/", i))
		}
		get(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			inner.ServeHTTP(gzipWriter{w}, r)
		}), "/")
		want(t, fmt.Sprint("advice after ", before), strings.Count(log.String(),
			"compressor, which"), lines)
	}
}

// A cookie that the app sets on a route of its own, as a login does, and that a policy ignores is
// told once; one that a handler outside of that policy's mount sets is told as an error alone.
func TestAdviceOnAnIgnoredCookieOfALogin(t *testing.T) {
	for _, s := range []struct {
		name, sets string
		outside    bool
		level      string // of the one line; "": none
	}{
		{"a login's", "sid", false, "INFO"},
		{"another one", "other", false, ""},
		{"of a handler outside the mount", "sid", true, "ERROR"},
	} {
		t.Run(s.name, func(t *testing.T) {
			var log bytes.Buffer
			c := newCache(t, middleware.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
			page := c.With(policy.Policy{TTL: time.Minute, IgnoreCookies: []string{"s*"}})(
				http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Write([]byte("page"))
				}))
			sets := func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					http.SetCookie(w, &http.Cookie{Name: s.sets, Value: "1"})
					next.ServeHTTP(w, r)
				})
			}
			mux := http.NewServeMux()
			mux.Handle("/page", page)
			login := sets(http.RedirectHandler("/page", http.StatusSeeOther))
			if s.outside {
				login = sets(page)
			}
			mux.Handle("/login", login)
			app := c.Root(mux)
			for range 3 {
				get(app, "/login")
				get(app, "/page")
			}
			lines := strings.Split(strings.TrimSpace(log.String()), "\n")
			if s.level == "" {
				want(t, "the log", log.String(), "")
			} else if len(lines) != 1 || !strings.Contains(lines[0], "level="+s.level) ||
				!strings.Contains(lines[0], `cookie \"sid\"`) {
				t.Errorf("want one line of level %s: %s", s.level, &log)
			}
		})
	}
}
