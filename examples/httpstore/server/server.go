// Package server keeps values for others over HTTP: what a store/httpstore asks for, and no more.
//
//	PUT    /{key}   stores the body; the lifetime, in whole seconds, is in Freshet-TTL or in ?ttl=
//	GET    /{key}   returns it, or a part of it
//	HEAD   /{key}   reports whether it is there
//	DELETE /{key}   removes it
//
// A key may have slashes, so that the base of a store's URL may have any path.
package server

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store"
)

// Options say who may use a server, and how much of it. The zero value is usable.
type Options struct {
	// Token is what clients send as Authorization: Bearer Token. Default: anybody may do anything.
	Token string
	// MaxValue is the longest body of a PUT, in bytes. Default 64 MiB.
	MaxValue int64
}

const (
	defaultMaxValue = 64 << 20
	maxKey          = 1 << 10 // bytes
)

// New returns a server of what b keeps, which bounds it: a memstore.NewBackend has as many bytes as
// it is given. It is safe for concurrent use.
func New(b store.Backend, o Options) http.Handler {
	if o.MaxValue <= 0 {
		o.MaxValue = defaultMaxValue
	}
	return &server{b, o}
}

type server struct {
	values  store.Backend
	options Options
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	switch {
	case !s.allows(r):
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, "the token is missing or wrong", http.StatusUnauthorized)
	case name == "" || len(name) > maxKey || strings.HasSuffix(name, "/"):
		http.Error(w, "the path of a value has at most 1024 bytes, and no slash at its end",
			http.StatusNotFound)
	default:
		s.serve(w, r, store.Options{}.BackendKey(name))
	}
}

// allows reports whether a request has the token.
func (s *server) allows(r *http.Request) bool {
	got := sha256.Sum256([]byte(r.Header.Get("Authorization")))
	want := sha256.Sum256([]byte("Bearer " + s.options.Token))
	return s.options.Token == "" || subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

func (s *server) serve(w http.ResponseWriter, r *http.Request, key string) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		s.get(w, r, key)
	case http.MethodPut:
		s.put(w, r, key)
	case http.MethodDelete:
		existed, err := s.values.Delete(r.Context(), key)
		if err == nil && !existed {
			err = store.ErrNotFound
		}
		answer(w, err)
	default:
		w.Header().Set("Allow", "GET, HEAD, PUT, DELETE")
		http.Error(w, "GET, HEAD, PUT and DELETE are allowed", http.StatusMethodNotAllowed)
	}
}

func (s *server) get(w http.ResponseWriter, r *http.Request, key string) {
	value, err := s.values.Get(r.Context(), key)
	if err != nil {
		answer(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(value))
}

func (s *server) put(w http.ResponseWriter, r *http.Request, key string) {
	text := r.Header.Get("Freshet-TTL")
	if text == "" {
		text = r.URL.Query().Get("ttl")
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 1 {
		http.Error(w, "Freshet-TTL or ttl: a whole number of seconds, 1 or more, is needed",
			http.StatusBadRequest)
		return
	}
	value, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.options.MaxValue))
	if _, long := errors.AsType[*http.MaxBytesError](err); long {
		err = store.ErrTooLarge
	}
	if err == nil {
		const most = int64(1<<63-1) / int64(time.Second)
		err = s.values.Set(r.Context(), key, value, time.Duration(min(seconds, most))*time.Second)
	}
	answer(w, err)
}

// answer says how a call ended that has no body to return.
func answer(w http.ResponseWriter, err error) {
	switch {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case errors.Is(err, store.ErrNotFound):
		http.Error(w, "no such value", http.StatusNotFound)
	case errors.Is(err, store.ErrTooLarge):
		http.Error(w, "the value is too large", http.StatusRequestEntityTooLarge)
	default:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "the values cannot be reached", http.StatusServiceUnavailable)
	}
}
