package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// A field that gives a client a token keeps the response from others wherever it is set.
func TestAFieldThatGivesAnIdentity(t *testing.T) {
	field := func(w http.ResponseWriter, token string) { w.Header().Set("X-Auth-Token", token) }
	for name, sets := range map[string]func(w http.ResponseWriter, r *http.Request, token string){
		"in the header": func(w http.ResponseWriter, r *http.Request, token string) {
			field(w, token)
			io.WriteString(w, "page")
		},
		"of a stream": func(w http.ResponseWriter, r *http.Request, token string) {
			field(w, token)
			io.WriteString(w, strings.Repeat("page", 20<<10))
		},
		"in lower case": func(w http.ResponseWriter, r *http.Request, token string) {
			w.Header()["x-auth-token"] = []string{token}
			io.WriteString(w, "page")
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := &origin{}
			o.h = func(w http.ResponseWriter, r *http.Request) {
				sets(w, r, fmt.Sprint("token ", o.runs.Load()))
			}
			h := newCache(t).With(policy.Policy{TTL: time.Minute})(o)
			for i := range 2 {
				r := get(h, "/")
				token := r.Header.Get("X-Auth-Token") + strings.Join(r.Header["x-auth-token"], "")
				want(t, "token", token, fmt.Sprint("token ", i+1))
				if cs := r.Header.Get("Cache-Status"); !strings.HasSuffix(cs, "detail=set-identity") {
					t.Errorf("Cache-Status: %s", cs)
				}
				want(t, "Cache-Control", r.Header.Get("Cache-Control"), "no-cache, no-store")
			}
		})
	}
}

// Without public or s-maxage, such a response does not go into shared caches on its way either.
func TestWhatGivesAnIdentityIsPrivate(t *testing.T) {
	for says, status := range map[string]string{
		"max-age=60":         "Freshet; fwd=uri-miss; fwd-status=200; detail=set-identity",
		"public, max-age=60": "Freshet; fwd=uri-miss; fwd-status=200; stored",
	} {
		h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Auth-Token", "secret")
			w.Header().Set("Cache-Control", says)
			io.WriteString(w, "page")
		}))
		r := get(h, "/")
		want(t, "Cache-Status", r.Header.Get("Cache-Status"), status)
		if says == "max-age=60" {
			says = "private, max-age=60"
		}
		want(t, "Cache-Control", r.Header.Get("Cache-Control"), says)
	}
}

// A handler outside that gives a client a token has the request pass; one that says that there is
// nobody does not.
func TestAFieldThatGivesAnIdentityOutside(t *testing.T) {
	for value, status := range map[string]string{
		"secret": "Freshet; fwd=bypass; fwd-status=200; detail=set-identity",
		"":       "Freshet; hit; ttl=59", "anonymous": "Freshet; hit; ttl=59",
	} {
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page") }}
		inner := newCache(t).With(policy.Policy{TTL: time.Minute})(o)
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-User", value)
			inner.ServeHTTP(w, r)
		})
		get(h, "/")
		want(t, "Cache-Status beside "+value, get(h, "/").Header.Get("Cache-Status"), status)
	}
}

// A 304 that brings a token makes the stored page its client's.
func TestAnIdentityInA304(t *testing.T) {
	o := &origin{}
	o.h = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Cache-Control", "max-age=60")
		if r.Header.Get("If-None-Match") != "" {
			w.Header().Set("X-Auth-Token", fmt.Sprint("token ", o.runs.Load()))
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, "page")
	}
	h := newCache(t).Handler(o)
	get(h, "/")
	get(h, "/", "Cache-Control", "no-cache")
	if r := get(h, "/"); r.Header.Get("X-Auth-Token") == "token 2" {
		t.Errorf("another has the token of the 304: %v", r.Header)
	}
}

// A token in a trailer is not stored with the page.
func TestAnIdentityInATrailer(t *testing.T) {
	h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Trailer", "X-Session-Token, X-Sum")
		io.WriteString(w, "page")
		w.Header().Set("X-Session-Token", "secret")
		w.Header().Set("X-Sum", "42")
	}))
	srv := httptest.NewServer(h)
	defer srv.Close()
	for _, token := range []string{"secret", ""} {
		res, err := srv.Client().Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "page", body(res), "page")
		res.Body.Close()
		want(t, "token", res.Trailer.Get("X-Session-Token"), token)
		want(t, "sum", res.Trailer.Get("X-Sum"), "42")
	}
}
