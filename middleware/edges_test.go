package middleware_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// A stream that an invalidation overtakes has said that it is stored; the observer learns that it
// is not.
func TestAStreamThatIsOvertakenIsObservedAsNotStored(t *testing.T) {
	var seen policy.Outcome
	c := newCache(t, middleware.Options{Observe: func(_ *http.Request, o middleware.Event) {
		seen = o.Outcome
	}})
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.(http.Flusher).Flush()
		if _, err := c.InvalidateURL(context.Background(), "http://example.com/"); err != nil {
			t.Error(err)
		}
		io.WriteString(w, "page")
	}))
	want(t, "body", body(get(h, "http://example.com/")), "page")
	want(t, "stored", seen.Stored, false)
	want(t, "detail", seen.Detail, policy.Reason("outdated"))
}

// A request that runs the handler by itself validates what is stored only where the handler's 304
// would be an answer to it, and where it may be stored.
func TestWhoRunsTheHandlerAloneAndValidates(t *testing.T) {
	for _, s := range []struct {
		name, method string
		header       []string
	}{
		{"HEAD", "HEAD", nil},
		{"a client that wants nothing stored", "GET", []string{"Cache-Control", "no-store"}},
	} {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCache(t)
				asked := "nothing"
				h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					asked = r.Header.Get("If-None-Match")
					w.Header().Set("Cache-Control", "max-age=60")
					w.Header().Set("ETag", `"a"`)
					io.WriteString(w, "page")
				}))
				get(h, "/")
				time.Sleep(70 * time.Second)
				do(h, s.method, "/", s.header...)
				want(t, "If-None-Match of the handler's request", asked, "")
			})
		})
	}
}

// An inner mount whose resource a setting has switched off is off, whatever its handler says.
func TestASettingSwitchesAnInnerMountOff(t *testing.T) {
	expires, err := policy.NewExpires([]string{"drafts"}, policy.ExpirySetting{Name: "drafts",
		Origin: "a test"})
	if err != nil {
		t.Fatal(err)
	}
	c := newCache(t, middleware.Options{Expires: expires})
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "page")
	}}
	h := c.Handler(c.With(policy.Policy{Resource: "drafts"})(o))
	for range 2 {
		r := get(h, "/")
		want(t, "body", body(r), "page")
		want(t, "Cache-Control", r.Header.Get("Cache-Control"), "no-cache, no-store")
	}
	want(t, "runs", o.runs.Load(), int64(2))
}

// The lifetime of an inner mount is that of its own request, which knows its route.
func TestASettingForTheRouteOfAnInnerMount(t *testing.T) {
	expires, err := policy.NewExpires([]string{"record"},
		policy.ExpirySetting{Name: "record", TTL: time.Hour, Origin: "a test"},
		policy.ExpirySetting{Name: "blog.record", TTL: time.Minute, Origin: "a test"})
	if err != nil {
		t.Fatal(err)
	}
	c := newCache(t, middleware.Options{Expires: expires})
	route := c.With(policy.Policy{Resource: "record",
		Scope: func(r *http.Request) []string { return []string{r.PathValue("bucket")} }})
	mux := http.NewServeMux()
	mux.Handle("/{bucket}",
		route(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "page")
		})))
	want(t, "Cache-Control", get(c.Handler(mux), "/blog").Header.Get("Cache-Control"), "max-age=60")
}

// heldStore is a store outside of this process whose Set waits.
type heldStore struct {
	store.Store
	set chan struct{}
}

func (s *heldStore) Set(ctx context.Context, key string, e *store.Entry, ttl time.Duration) error {
	<-s.set
	return s.Store.Set(ctx, key, e, ttl)
}

// A client of a page that is held back to its end need not wait until a server has stored it.
func TestAPageOfTheGreatestHeldLengthIsNotKeptFromItsClient(t *testing.T) {
	kept := memstore.New(1 << 20)
	defer kept.Close()
	s := &heldStore{kept, make(chan struct{})}
	c := middleware.New(s, middleware.Options{Log: discard})
	defer c.Shutdown(context.Background())
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, strings.Repeat("x", middleware.HoldBack))
	}))
	served := httptest.NewServer(h)
	defer served.Close()
	res, err := http.Get(served.URL)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(body(res)); n != middleware.HoldBack {
		t.Errorf("the client got %d bytes before the page was stored", n)
	}
	close(s.set)
}

// A key that the operator makes is shared by several URLs. A change of one of them is a change for
// the run that another has begun: who comes after it does not read along.
func TestAChangeOvertakesARunUnderAnOperatorsKey(t *testing.T) {
	c := newCache(t)
	begun, release := make(chan struct{}), make(chan struct{})
	first := true
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if r.Method == "GET" && first {
			first = false
			close(begun)
			<-release
			io.WriteString(w, "old")
			return
		}
		io.WriteString(w, "new")
	}}
	h := c.With(policy.Policy{Key: policy.KeyOptions{Replace: func(*http.Request) string {
		return "one"
	}}})(o)
	done := make(chan struct{})
	go func() { defer close(done); get(h, "/a") }()
	<-begun
	do(h, "POST", "/b")
	want(t, "after the change", body(get(h, "/c")), "new")
	close(release)
	<-done
}
