package cachekitstore

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/cachekitserver"
)

// heard keeps what a server is asked, and passes it on.
type heard struct {
	mu    sync.Mutex
	lines []string
	last  http.Header
	next  http.Handler
}

func (h *heard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	line := r.Method + " " + r.RequestURI
	for _, name := range []string{"Content-Type", "X-CacheKit-TTL", "X-TTL", "X-CacheKit-Stale-TTL",
		"X-CacheKit-Lock-Id"} {
		if text := r.Header.Get(name); text != "" {
			line += " " + name + "=" + text
		}
	}
	if len(body) > 0 {
		line += " " + string(body)
	}
	h.mu.Lock()
	h.lines, h.last = append(h.lines, line), r.Header.Clone()
	h.mu.Unlock()
	h.next.ServeHTTP(w, r)
}

// said returns what the server was asked since the last call.
func (h *heard) said() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	lines := strings.Join(h.lines, "\n")
	h.lines = nil
	return lines
}

// Each call makes these requests and no others.
func TestRequests(t *testing.T) {
	h := &heard{next: cachekitserver.New(secretKey)}
	b := unasked(t, patient(t, served(t, h)))
	ctx, want := t.Context(), func(call, lines string) {
		t.Helper()
		if got := h.said(); got != lines {
			t.Errorf("%s asks\n%s\nwant\n%s", call, got, lines)
		}
	}
	const octets, asJSON = " Content-Type=application/octet-stream", " Content-Type=application/json"
	b.Get(ctx, "a:b")
	want("Get", "GET /v1/cache/a%3Ab")
	for ttl, sent := range map[time.Duration]string{1: "1", time.Second: "1", time.Second + 1: "2",
		time.Hour: "3600", 30 * 24 * time.Hour: "2592000", 31 * 24 * time.Hour: "2592000",
		1<<63 - 1: "2592000"} {
		mustSet(t, b, "k", "v", ttl)
		want(fmt.Sprint("Set for ", ttl), "PUT /v1/cache/k"+octets+" X-CacheKit-TTL="+sent+" X-TTL="+sent+" v")
	}
	mustSet(t, b, "k", "v", 0)
	want("Set for 0", "DELETE /v1/cache/k")
	b.Exists(ctx, "k")
	want("Exists", "HEAD /v1/cache/k")
	b.Delete(ctx, "k")
	want("Delete", "HEAD /v1/cache/k\nDELETE /v1/cache/k")
	b.TTL(ctx, "k")
	want("TTL", "GET /v1/cache/k/ttl")
	b.Expire(ctx, "k", time.Minute)
	want("Expire of nothing", "HEAD /v1/cache/k")
	mustSet(t, b, "k", "v", time.Hour)
	h.said()
	b.Expire(ctx, "k", time.Minute+1)
	want("Expire", "HEAD /v1/cache/k\nPATCH /v1/cache/k/ttl"+asJSON+` {"ttl":61}`)
	b.Health(ctx)
	want("Health", "GET /v1/cache/health")
	l, ok, err := b.TryLock(ctx, "a:b", time.Minute+1)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	want("TryLock", "POST /v1/cache/a%3Ab/lock"+asJSON+` {"timeout_ms":60001}`)
	l.Unlock(ctx)
	want("Unlock", "DELETE /v1/cache/a%3Ab/lock X-CacheKit-Lock-Id="+l.(*lease).id)
	l.Unlock(ctx)
	want("a second Unlock", "")
	if _, ok, err := b.TryLock(ctx, "long", 1<<63-1); !ok || err != nil {
		t.Errorf("TryLock for long: %t, %v", ok, err)
	}
	want("TryLock for long", "POST /v1/cache/long/lock"+asJSON+` {"timeout_ms":2592000000}`)
}

// Every request tells the service what it wants to know, and the key in Authorization alone.
func TestTelemetry(t *testing.T) {
	h := &heard{next: cachekitserver.New(secretKey)}
	c := patient(t, served(t, h))
	began := time.Now().UnixMilli()
	b := unasked(t, c)
	fields := func() string {
		all := ""
		for _, name := range []string{"L1-Status", "L1-Hits", "L2-Hits", "Misses", "L1-Hit-Rate"} {
			all += h.last.Get("X-CacheKit-"+name) + " "
		}
		return all
	}
	for call, err := range everyCall(t.Context(), b) {
		if err != nil && call != "ttl" && call != "get" {
			t.Errorf("%s: %v", call, err)
		}
	}
	session, start := h.last.Get("X-CacheKit-Session-ID"), h.last.Get("X-CacheKit-Session-Start")
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	if !uuid.MatchString(session) {
		t.Errorf("session %q is no UUID", session)
	}
	if got := fmt.Sprint(began); start < got || start > fmt.Sprint(time.Now().UnixMilli()) {
		t.Errorf("the session began at %s, and not after %s", start, got)
	}
	if got := h.last.Get("Authorization"); got != "Bearer "+secretKey {
		t.Errorf("Authorization: %q", got)
	}
	if got := h.last.Get("User-Agent"); got != "freshet-cachekitstore" {
		t.Errorf("User-Agent: %q", got)
	}
	if got := fields(); got != "disabled 0 0 1 0.000 " {
		t.Errorf("after a miss: %s", got)
	}

	c.NearHits = func() uint64 { return 5 }
	b = unasked(t, c)
	mustSet(t, b, "k", "v", time.Hour)
	get(t, b, "k")
	get(t, b, "none")
	get(t, b, "k")
	if got := fields(); got != "miss 5 1 1 0.714 " {
		t.Errorf("with a tier before: %s", got)
	}
	if got := h.last.Get("X-CacheKit-Session-ID"); got == session {
		t.Error("two backends are one session")
	}
}

// Each Backend has its own key, host and time-out.
func TestEachConfigHasItsClient(t *testing.T) {
	one, other := cachekitserver.New("one"), cachekitserver.New("other")
	c := patient(t, served(t, one))
	c.APIKey = "one"
	d := patient(t, served(t, other))
	d.APIKey = "other"
	a, b := unasked(t, c), unasked(t, d)
	mustSet(t, a, "k", "of one", time.Hour)
	mustSet(t, b, "k", "of the other", time.Hour)
	if x, y := get(t, a, "k"), get(t, b, "k"); x != "of one" || y != "of the other" {
		t.Errorf("%s, %s", x, y)
	}
	a.Close()
	if got := get(t, b, "k"); got != "of the other" {
		t.Errorf("after Close of another: %s", got)
	}
}
