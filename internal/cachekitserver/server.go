// Package cachekitserver is a server of our own that answers as CachekitIO's specification says,
// for our tests: values with a lifetime and a stale one, locks, lifetimes and health under
// /v1/cache/. It keeps everything in memory.
package cachekitserver

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// What the specification allows.
const (
	MaxTTL   = 2_592_000 // seconds, the stale ones included
	MaxValue = 25_000_000
	maxKey   = 400

	root = "/v1/cache/"
)

// Server answers the requests of one tenant: those that carry its key. It is safe for concurrent
// use.
type Server struct {
	key string

	mu     sync.Mutex
	values map[string]value
	locks  map[string]lock
}

// value ends at freshUntil, and is stale until evictAt. Both are zero for one without an end.
type value struct {
	bytes               []byte
	freshUntil, evictAt time.Time
	staleTTL            time.Duration
}

type lock struct {
	id   string
	ends time.Time
}

// New returns an empty server that wants the key.
func New(key string) *Server {
	return &Server{key: key, values: make(map[string]value), locks: make(map[string]lock)}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Vary", "Authorization")
	rest, ours := strings.CutPrefix(r.URL.EscapedPath(), root)
	switch {
	case r.Header.Get("Authorization") != "Bearer "+s.key:
		refuse(w, http.StatusUnauthorized, "the key is unknown")
	case strings.HasPrefix(s.key, "ck_sdk_") && r.Header.Get("X-CacheKit-L1-Status") == "":
		refuse(w, http.StatusBadRequest, "X-CacheKit-L1-Status is missing")
	case !ours:
		refuse(w, http.StatusNotFound, "no such route")
	case rest == "health" && r.Method == http.MethodGet:
		s.health(w)
	default:
		s.route(w, r, rest)
	}
}

func (s *Server) route(w http.ResponseWriter, r *http.Request, rest string) {
	name, about, _ := strings.Cut(rest, "/")
	key, err := url.PathUnescape(name)
	if err != nil || !allowed(key) {
		refuse(w, http.StatusBadRequest, "the key is not allowed")
		return
	}
	serve := map[string]func(call) reply{
		"GET ": s.get, "HEAD ": s.head, "PUT ": s.put, "DELETE ": s.remove,
		"POST lock": s.lock, "DELETE lock": s.unlock, "GET ttl": s.ttl, "PATCH ttl": s.patch,
	}[r.Method+" "+about]
	if serve == nil {
		refuse(w, http.StatusMethodNotAllowed, "no such method here")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxValue))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, "the value is too large")
		return
	}
	s.mu.Lock() // not while a client sends or reads
	a := serve(call{key, r.Header, body})
	s.mu.Unlock()
	a.write(w)
}

// call is a request for a key.
type call struct {
	key    string
	header http.Header
	body   []byte
}

// reply is the answer to one: bytes, or what becomes JSON.
type reply struct {
	status int
	header map[string]string
	bytes  []byte
	json   any
}

func (a reply) write(w http.ResponseWriter) {
	for name, text := range a.header {
		w.Header().Set(name, text)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if a.json != nil {
		w.Header().Set("Content-Type", "application/json")
		a.bytes, _ = json.Marshal(a.json)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(a.bytes)))
	w.WriteHeader(a.status)
	w.Write(a.bytes)
}

func ok(body any) reply { return reply{status: http.StatusOK, json: body} }

var done = ok(map[string]bool{"success": true})

func failed(status int, why string) reply {
	return reply{status: status, json: map[string]string{"error": why}}
}

// allowed reports whether the specification allows a key.
func allowed(key string) bool {
	switch key {
	case "", ".", "health", "ttl", "lock":
		return false
	}
	return len(key) <= maxKey && !strings.Contains(key, "..") && !strings.ContainsFunc(key, func(c rune) bool {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		return !letter && !('0' <= c && c <= '9') && !strings.ContainsRune("_.:-", c)
	})
}

func refuse(w http.ResponseWriter, status int, why string) { failed(status, why).write(w) }

func (s *Server) health(w http.ResponseWriter) {
	s.mu.Lock()
	a := ok(map[string]any{"version": "1.0.0", "status": "healthy", "cache_entries": len(s.values),
		"active_locks": len(s.locks)})
	s.mu.Unlock()
	a.write(w)
}

// found returns the value under key, unless its time is over.
func (s *Server) found(key string) (v value, fresh, found bool) {
	v, found = s.values[key]
	if found && !v.evictAt.IsZero() && !time.Now().Before(v.evictAt) {
		delete(s.values, key)
		return value{}, false, false
	}
	return v, found && (v.freshUntil.IsZero() || time.Now().Before(v.freshUntil)), found
}

func (s *Server) get(c call) reply {
	v, fresh, found := s.found(c.key)
	if !found {
		return failed(http.StatusNotFound, "no such key")
	}
	label, left := "stale", int64(0)
	if fresh {
		label, left = "fresh", int64(time.Until(v.freshUntil)/time.Second)
	}
	a := reply{http.StatusOK, map[string]string{"X-CacheKit-Freshness": label}, v.bytes, nil}
	if !v.freshUntil.IsZero() {
		a.header["X-CacheKit-Fresh-For"] = strconv.FormatInt(left, 10)
	}
	return a
}

// head has no remaining freshness.
func (s *Server) head(c call) reply {
	a := s.get(c)
	delete(a.header, "X-CacheKit-Fresh-For")
	return a
}

func (s *Server) put(c call) reply {
	text := c.header.Get("X-CacheKit-TTL")
	if text == "" {
		text = c.header.Get("X-TTL")
	}
	stale := c.header.Get("X-CacheKit-Stale-TTL")
	kept := value{bytes: c.body}
	if text != "" || stale != "" {
		ttl, allowed := seconds(text, 1)
		if allowed && stale != "" {
			kept.staleTTL, allowed = seconds(stale, 0)
		}
		if !allowed || ttl+kept.staleTTL > MaxTTL*time.Second {
			return failed(http.StatusBadRequest, "the lifetime is not allowed")
		}
		kept.freshUntil = time.Now().Add(ttl)
		kept.evictAt = kept.freshUntil.Add(kept.staleTTL)
	}
	s.values[c.key] = kept
	return done
}

// seconds reads a lifetime.
func seconds(text string, least int64) (time.Duration, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least || n > MaxTTL {
		return 0, false
	}
	return time.Duration(n) * time.Second, true
}

// remove says that it has removed something, also where there was nothing.
func (s *Server) remove(c call) reply {
	delete(s.values, c.key)
	return done
}

func (s *Server) lock(c call) reply {
	var asked struct {
		Timeout int64 `json:"timeout_ms"`
	}
	err := json.Unmarshal(c.body, &asked)
	if err != nil || asked.Timeout < 1 || asked.Timeout > MaxTTL*1000 {
		return failed(http.StatusBadRequest, "timeout_ms is not allowed")
	}
	if held, there := s.locks[c.key]; there && time.Now().Before(held.ends) {
		return ok(map[string]any{"lock_id": nil})
	}
	l := lock{rand.Text(), time.Now().Add(time.Duration(asked.Timeout) * time.Millisecond)}
	s.locks[c.key] = l
	return ok(map[string]any{"lock_id": l.id})
}

// unlock takes the lock's id from its header. It says that all is well also where another holds the
// lock.
func (s *Server) unlock(c call) reply {
	id := strings.TrimSpace(c.header.Get("X-CacheKit-Lock-Id"))
	if id == "" {
		return failed(http.StatusBadRequest, "X-CacheKit-Lock-Id is missing")
	}
	if s.locks[c.key].id == id {
		delete(s.locks, c.key)
	}
	return done
}

func (s *Server) ttl(c call) reply {
	v, _, found := s.found(c.key)
	switch {
	case !found:
		return failed(http.StatusNotFound, "no such key")
	case v.evictAt.IsZero():
		return ok(map[string]any{"ttl": nil})
	}
	left := time.Until(v.evictAt)
	return ok(map[string]int64{"ttl": int64((left + time.Second - 1) / time.Second)})
}

// patch does nothing where there is no value, and says that all is well.
func (s *Server) patch(c call) reply {
	var asked struct {
		TTL json.Number `json:"ttl"`
	}
	err := json.Unmarshal(c.body, &asked)
	ttl, allowed := seconds(asked.TTL.String(), 1)
	v, fresh, found := s.found(c.key)
	switch {
	case err != nil || !allowed || found && ttl+v.staleTTL > MaxTTL*time.Second:
		return failed(http.StatusBadRequest, "the lifetime is not allowed")
	case found && !fresh:
		return failed(http.StatusConflict, "the value is stale")
	case found:
		v.freshUntil = time.Now().Add(ttl)
		v.evictAt = v.freshUntil.Add(v.staleTTL)
		s.values[c.key] = v
	}
	return done
}
