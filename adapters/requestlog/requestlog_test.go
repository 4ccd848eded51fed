package requestlog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/adapters/requestlog"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/middleware/attacktest"
	"github.com/freshet-go/freshet/store/memstore"
)

// untimed leaves out what differs from run to run.
func untimed(_ []string, a slog.Attr) slog.Attr {
	switch a.Key {
	case slog.TimeKey, "took", "fill", "key", "age":
		return slog.Attr{}
	}
	return a
}

func Example() {
	pages := memstore.New(1 << 20)
	defer pages.Close()
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: untimed}))
	cache := freshet.New(pages, freshet.Options{Observe: requestlog.New(
		requestlog.Options{Log: log})})
	minute := cache.With(freshet.Policy{TTL: time.Minute, MaxBody: 1 << 10})
	page := minute(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cart" {
			w.Header().Set("Cache-Control", "no-store")
		}
		fmt.Fprintln(w, "a page")
	}))
	for _, path := range []string{"/", "/", "/cart?user=7"} {
		page.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
	}
	// Output:
	// level=INFO msg=request method=GET host=example.com path=/ status=200 bytes=7 cache=uri-miss
	// level=INFO msg=request method=GET host=example.com path=/ status=200 bytes=7 cache=hit lifetime=1m0s ttl=59s
	// level=INFO msg=request method=GET host=example.com path=/cart status=200 bytes=7 cache=uri-miss reason=no-store
}

func TestTheLineOfMozillasServices(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(requestlog.NewMozillaHandler(&out, "pages", nil))
	observe := requestlog.New(requestlog.Options{Log: log})
	observe(httptest.NewRequest("GET", "/v1/buckets?token=secret", nil), middleware.Event{
		Outcome: freshet.Outcome{Hit: true}, Status: 200, Bytes: 7, Took: 3500 * time.Microsecond,
		Lifetime: time.Minute, Resource: "record",
	})
	var line struct {
		Timestamp                          int64
		Type, Logger, Hostname, EnvVersion string
		Pid, Severity                      int
		Fields                             map[string]any
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	if line.Type != "request.summary" || line.Logger != "pages" || line.EnvVersion != "2.0" ||
		line.Severity != 6 || line.Pid != os.Getpid() || line.Timestamp <= 0 {
		t.Errorf("%+v", line)
	}
	for name, want := range map[string]any{
		"code": 200.0, "t": 3.0, "path": "/v1/buckets", "cache": "hit", "method": "GET",
		"bytes":    7.0,
		"lifetime": 60000.0, "resource": "record",
	} {
		if line.Fields[name] != want {
			t.Errorf("%s is %v, want %v", name, line.Fields[name], want)
		}
	}
	if strings.Contains(out.String(), "secret") {
		t.Error("the line has the query:", out.String())
	}
	out.Reset()
	log.WithGroup("store").With("kind", "redis").Error("is gone", "error", errors.New("refused"),
		"n", 3)
	for _, want := range []string{`"store.kind":"redis"`, `"store.error":"refused"`, `"store.n":3`,
		`"msg":"is gone"`, `"Severity":3`, `"Type":"app.log"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in %s", want, out.String())
		}
	}
}

// The handler is one by the rules of package slog, once its flat fields stand in their groups
// again.
func TestTheHandlerIsOneOfSlog(t *testing.T) {
	var out bytes.Buffer
	err := slogtest.TestHandler(requestlog.NewMozillaHandler(&out, "test", nil),
		func() []map[string]any {
			var all []map[string]any
			for line := range bytes.Lines(out.Bytes()) {
				var one struct {
					Timestamp int64
					Severity  int
					Fields    map[string]any
				}
				if err := json.Unmarshal(line, &one); err != nil {
					t.Fatal(err)
				}
				record := map[string]any{slog.LevelKey: one.Severity}
				if !bytes.Contains(line, []byte("zero time")) {
					record[slog.TimeKey] = one.Timestamp
				}
				for name, v := range one.Fields {
					nest(record, strings.Split(name, "."), v)
				}
				all = append(all, record)
			}
			return all
		})
	if err = withoutTime(err); err != nil {
		t.Error(err)
	}
}

// withoutTime leaves out the rule that a record without a time has none in its line: a line of
// MozLog always has one.
func withoutTime(err error) error {
	var left []error
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range joined.Unwrap() {
			if !strings.Contains(one.Error(), `unexpected key "time"`) {
				left = append(left, one)
			}
		}
	}
	return errors.Join(left...)
}

func nest(in map[string]any, path []string, v any) {
	for len(path) > 1 {
		inner, ok := in[path[0]].(map[string]any)
		if !ok {
			inner = map[string]any{}
			in[path[0]] = inner
		}
		in, path = inner, path[1:]
	}
	in[path[0]] = v
}

func TestTheHookHearsOfEachClassOnceInAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard []string
		log := slog.New(requestlog.OnError(slog.DiscardHandler, time.Minute,
			func(_ context.Context, r slog.Record) { heard = append(heard, r.Message) }))
		log = slog.New(enabled{log.Handler()}).With("part", "store")
		for range 3 {
			log.Error("the store fails", "try", 1)
			log.Error("the handler panicked")
			log.Warn("nothing grave")
		}
		time.Sleep(61 * time.Second)
		log.Error("the store fails", "try", 2)
		if got := strings.Join(heard, ", "); got != "the store fails, the handler panicked, the store fails" {
			t.Error(got)
		}
	})
}

// enabled is a handler that takes everything.
type enabled struct{ slog.Handler }

func (enabled) Enabled(context.Context, slog.Level) bool { return true }
func (e enabled) WithAttrs(a []slog.Attr) slog.Handler   { return enabled{e.Handler.WithAttrs(a)} }

func TestClassesOfFailureAreBounded(t *testing.T) {
	calls := 0
	log := slog.New(enabled{requestlog.OnError(slog.DiscardHandler, time.Hour,
		func(context.Context, slog.Record) { calls++ })})
	for i := range 5000 {
		log.Error(fmt.Sprint("failure ", i))
	}
	if calls != 1001 {
		t.Errorf("the hook was called %d times, want 1001", calls)
	}
}

// Whatever the attacks send, the log has no cookie, no credential, no query and no line of their
// own making.
func TestTheLogHasNoSecrets(t *testing.T) {
	for name, handler := range map[string]func(io.Writer) slog.Handler{
		"text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
		"JSON": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
		"Mozilla": func(w io.Writer) slog.Handler {
			return requestlog.NewMozillaHandler(w, "test", nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			pages := memstore.New(1 << 20)
			defer pages.Close()
			log := slog.New(handler(&out))
			cache := freshet.New(pages, freshet.Options{
				Log: log, Observe: requestlog.New(requestlog.Options{Log: log}),
			})
			app := cache.With(freshet.Policy{TTL: time.Minute, MaxBody: 1 << 10})(
				http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Set-Cookie", "id=SECRET-4")
					io.WriteString(w, r.URL.RawQuery)
				}))
			for _, path := range []string{"/page?key=SECRET-1", "/a\nmsg=SECRET-LINE",
				"/%0Amsg=request"} {
				r := httptest.NewRequest("GET", "/", nil)
				r.URL.Path, r.URL.RawQuery, _ = strings.Cut(path, "?")
				r.Header.Set("Cookie", "session=SECRET-2")
				r.Header.Set("Authorization", "Bearer SECRET-3")
				app.ServeHTTP(httptest.NewRecorder(), r)
			}
			for _, secret := range []string{"SECRET-1", "SECRET-2", "SECRET-3", "SECRET-4",
				"session=", "Bearer"} {
				if strings.Contains(out.String(), secret) {
					t.Errorf("the log has %s:\n%s", secret, out.String())
				}
			}
			requests := 0
			for line := range strings.Lines(out.String()) {
				if strings.HasPrefix(line, "msg=") {
					t.Errorf("a client wrote a line: %s", line)
				}
				if strings.Contains(line, "request") && strings.Contains(line, "uri-miss") {
					requests++
				}
			}
			if requests != 3 {
				t.Errorf("%d lines of requests:\n%s", requests, out.String())
			}
		})
	}
}

// What the attack corpus sends and gets as cookies and credentials is not in the log.
func TestTheAttacksLeaveNoSecretsInTheLog(t *testing.T) {
	out := &lines{}
	log := slog.New(slog.NewJSONHandler(out, nil))
	pages := memstore.New(64 << 20)
	defer pages.Close()
	cache := freshet.New(pages, freshet.Options{
		Policy:  func(*http.Request) *freshet.Policy { return &freshet.Policy{TTL: time.Minute} },
		Log:     log,
		Observe: requestlog.New(requestlog.Options{Log: log}),
	})
	defer cache.Shutdown(context.Background())
	origin := attacktest.NewOrigin()
	seen := &secrets{next: cache.Handler(origin), all: map[string]bool{}}
	site := attacktest.Site{Handler: seen, Origin: origin, Classes: []string{"cookies", "identity"}}
	if _, err := attacktest.Run(t.Context(), site); err != nil {
		t.Fatal(err)
	}
	if len(seen.all) < 5 {
		t.Fatalf("the attacks sent %d secrets", len(seen.all))
	}
	for secret := range seen.all {
		if bytes.Contains(out.text.Bytes(), []byte(secret)) {
			t.Errorf("the log has %q", secret)
		}
	}
	if !bytes.Contains(out.text.Bytes(), []byte(`"msg":"request"`)) {
		t.Error("nothing was logged")
	}
}

// lines is a log in memory.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// secrets notes the values of the cookies and credentials that come by.
type secrets struct {
	next http.Handler
	mu   sync.Mutex
	all  map[string]bool
}

func (s *secrets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	for _, name := range []string{"Cookie", "Authorization", "Proxy-Authorization", "X-Api-Key"} {
		for _, value := range r.Header.Values(name) {
			if len(value) >= 8 {
				s.all[value] = true
			}
		}
	}
	s.mu.Unlock()
	s.next.ServeHTTP(w, r)
}
