package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// rewriters are what handlers outside of a mount do to a request, with what is then known of it
// inside.
var rewriters = map[string]func(r *http.Request) *http.Request{
	"a slash more": func(r *http.Request) *http.Request { // as echo's AddTrailingSlash
		r.URL.Path += "/"
		r.RequestURI = r.URL.RequestURI()
		return r
	},
	"a slash more in a copy": func(r *http.Request) *http.Request {
		r2 := r.WithContext(r.Context())
		u := *r.URL
		r2.URL = &u
		r2.URL.Path += "/"
		r2.RequestURI = r2.URL.RequestURI()
		return r2
	},
	"a proxy's host": func(r *http.Request) *http.Request { // as gorilla's ProxyHeaders
		r.Host, r.URL.Scheme = "www.example.org", "https"
		return r
	},
	"a proxy's host in a clone": func(r *http.Request) *http.Request {
		r = r.Clone(r.Context())
		r.Host = "www.example.org"
		return r
	},
}

// A change of the URL that clients ask for, or an invalidation of it, covers what the mount knows by
// another URL, because a handler outside of it has changed the request.
func TestRequestsThatHandlersChange(t *testing.T) {
	under := map[string]policy.Policy{
		"plain":  {TTL: time.Minute},
		"sorted": {TTL: time.Minute, Key: policy.KeyOptions{SortQuery: true, DropParams: []string{"utm"}}},
	}
	for name, rewrite := range rewriters {
		for of, p := range under {
			for _, change := range []string{"PUT beside", "PUT by the mount", "InvalidateURL",
				"InvalidatePrefix", "InvalidateURL of the sorted one"} {
				if change == "InvalidateURL of the sorted one" && of != "sorted" {
					continue
				}
				t.Run(strings.Join([]string{name, of, change}, ", "), func(t *testing.T) {
					c := newCache(t)
					runs := 0
					var page http.Handler = http.HandlerFunc(
						func(w http.ResponseWriter, r *http.Request) {
							if r.Method == "GET" {
								runs++
							}
							fmt.Fprint(w, "run ", runs)
						})
					beside := page
					page = c.With(p)(page)
					app := c.Root(c.Changes(http.HandlerFunc(
						func(w http.ResponseWriter, r *http.Request) {
							r = rewrite(r)
							if change == "PUT beside" && r.Method == "PUT" {
								beside.ServeHTTP(w, r)
								return
							}
							page.ServeHTTP(w, r)
						})))
					const url = "http://a.example/notes?b=2&a=1"
					want(t, "first", body(get(app, url)), "run 1")
					want(t, "second", body(get(app, url)), "run 1")
					var err error
					switch change {
					case "InvalidateURL":
						_, err = c.InvalidateURL(context.Background(), url)
					case "InvalidateURL of the sorted one":
						_, err = c.InvalidateURL(context.Background(),
							"http://a.example/notes?a=1&b=2&utm=3")
					case "InvalidatePrefix":
						_, err = c.InvalidatePrefix(context.Background(), "http://a.example/notes?")
					default:
						do(app, "PUT", url)
					}
					if err != nil {
						t.Fatal(err)
					}
					want(t, "after the change", body(get(app, url)), "run 2")
					want(t, "and then", body(get(app, url)), "run 2")
				})
			}
		}
	}
}

// A change by a request that handlers have changed is one of the URL that its client asked for.
func TestChangesByRequestsThatHandlersChange(t *testing.T) {
	for name, rewrite := range rewriters {
		c := newCache(t)
		runs := 0
		page := c.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(
			func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "GET" {
					runs++
				}
				fmt.Fprint(w, "run ", runs)
			}))
		app := c.Root(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "PUT" {
				r = rewrite(r)
			}
			page.ServeHTTP(w, r)
		}))
		want(t, name, body(get(app, "http://a.example/notes")), "run 1")
		do(app, "PUT", "http://a.example/notes")
		want(t, "after a change, with "+name, body(get(app, "http://a.example/notes")), "run 2")
	}
}

// A request that waits is not answered by a run that began before a change of its URL.
func TestNoWaitForARunBeforeAChange(t *testing.T) {
	c := newCache(t)
	begun, end := make(chan bool, 2), make(chan bool, 2)
	page := c.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			begun <- true
			<-end
			fmt.Fprint(w, "a page")
		}))
	app := c.Root(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page.ServeHTTP(w, rewriters["a slash more"](r))
	}))
	done := make(chan bool)
	ask := func() { get(app, "http://a.example/notes"); done <- true }
	go ask()
	<-begun
	if _, err := c.InvalidateURL(context.Background(), "http://a.example/notes"); err != nil {
		t.Fatal(err)
	}
	go ask()
	<-begun // a run of its own
	end <- true
	end <- true
	<-done
	<-done
}

// An Authorization that a handler outside takes off the request is one all the same, also where
// handlers have changed all that tells the request from one that a handler makes.
func TestAuthorizationTakenOff(t *testing.T) {
	for name, take := range takers {
		for _, rewritten := range []string{"", "a slash more in a copy", "no RequestURI"} {
			for _, shared := range []bool{false, true} {
				t.Run(fmt.Sprint(name, ", ", rewritten, ", shared=", shared), func(t *testing.T) {
					c := newCache(t)
					page := take(c.With(policy.Policy{TTL: time.Minute, Shared: shared})(ofUser))
					app := c.Root(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if rewrite := rewriters[rewritten]; rewrite != nil {
							r = rewrite(r)
						}
						if rewritten == "no RequestURI" {
							r.RequestURI = ""
						}
						page.ServeHTTP(w, r)
					}))
					want(t, "one", body(get(app, "/", "Authorization", "one")), "of one")
					other := map[bool]string{false: "of two", true: "of one"}[shared]
					want(t, "two", body(get(app, "/", "Authorization", "two")), other)
				})
			}
		}
	}
}

type userKey struct{}

// What handlers change of a request is no cause to keep anything apart, nor to run them again.
func TestChangedRequestsShare(t *testing.T) {
	for name, rewrite := range rewriters {
		c := newCache(t, middleware.Options{})
		runs := 0
		page := c.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(
			func(w http.ResponseWriter, r *http.Request) { runs++; fmt.Fprint(w, "a page") }))
		app := c.Root(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			page.ServeHTTP(w, rewrite(r))
		}))
		for range 5 {
			get(app, "http://a.example/notes")
		}
		want(t, "runs with "+name, runs, 1)
		if _, err := c.InvalidateURL(context.Background(), "http://a.example/other"); err != nil {
			t.Fatal(err)
		}
		get(app, "http://a.example/notes")
		want(t, "runs after another URL's invalidation, with "+name, runs, 1)
	}
}
