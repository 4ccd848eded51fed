package requestlog

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

// The lines of Options.JSON are those of slog's handler, byte for byte but for the time.
func TestLinesOfJSONAreThoseOfSlog(t *testing.T) {
	var ours, theirs bytes.Buffer
	direct := New(Options{JSON: &ours, Level: slog.LevelWarn})
	through := New(Options{Log: slog.New(slog.NewJSONHandler(&theirs, nil)), Level: slog.LevelWarn})
	m := memstore.New(1 << 20)
	defer m.Close()
	cache := middleware.New(m, middleware.Options{Observe: middleware.Observers(direct, through)})
	h := cache.With(policy.Policy{TTL: time.Minute, MaxBody: 1 << 10})(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ten bytes.") }))
	for _, path := range []string{"/", "/", "/a%22%5C%0A%01", "/<&>", "/ä%E2%80%A8", "/%ff%fe", "/%7f"} {
		for _, method := range []string{"GET", "POST"} {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, path, nil))
		}
	}
	for _, e := range []middleware.Event{
		{},
		{Outcome: policy.Outcome{Hit: true, Stale: true, HasTTL: true, TTL: -1500 * time.Millisecond},
			Resource: `page "1"`, Status: 200, Bytes: 10, Took: time.Hour, Age: time.Second,
			Lifetime: time.Minute, Backend: 3},
		{Outcome: policy.Outcome{Collapsed: true, Detail: "lost"}, Fill: time.Second, Bytes: -1},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		direct(r, e)
		through(r, e)
	}
	one, other := decoded(t, &ours), decoded(t, &theirs)
	if len(one) != 17 {
		t.Errorf("%d lines", len(one))
	}
	for i := range one {
		if !reflect.DeepEqual(one[i], other[i]) {
			t.Errorf("ours:  %s\nslog's: %s", one[i], other[i])
		}
	}
}

// decoded returns the lines without their times, after a look at those.
func decoded(t *testing.T, text *bytes.Buffer) (all []string) {
	t.Helper()
	for line := range bytes.Lines(text.Bytes()) {
		var says struct{ Time time.Time }
		if err := json.Unmarshal(line, &says); err != nil || says.Time.IsZero() {
			t.Fatalf("%s: %v", line, err)
		}
		_, rest, _ := bytes.Cut(line, []byte(","))
		all = append(all, string(rest))
	}
	return all
}

func TestSkippedRequestsHaveNoLineOfJSON(t *testing.T) {
	var text bytes.Buffer
	observe := New(Options{JSON: &text, Skip: func(*http.Request, middleware.Event) bool {
		return true
	}})
	observe(httptest.NewRequest("GET", "/", nil), middleware.Event{})
	if text.Len() > 0 {
		t.Error(text.String())
	}
}

func TestALineOfJSONAllocatesNothing(t *testing.T) {
	l := newLines(io.Discard, 0)
	r := httptest.NewRequest("GET", "/a/page", nil)
	e := middleware.Event{Outcome: policy.Outcome{Hit: true}, Status: 200, Took: 1234,
		Lifetime: time.Minute}
	var room [1 << 10]byte
	now := time.Now()
	if n := testing.AllocsPerRun(100, func() { l.line(room[:0], now, r, &e) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestTimesAreThoseOfTheStandardLibrary(t *testing.T) {
	l := newLines(io.Discard, 0)
	at := time.Date(2026, 11, 29, 23, 59, 59, 0, time.FixedZone("", -3*3600-1800))
	for _, later := range []time.Duration{0, 1, 10, 120_000, 999_999_999, time.Second, 0,
		time.Hour + 5*time.Millisecond} {
		now := at.Add(later)
		if got, want := string(l.appendTime(nil, now)), now.Format(time.RFC3339Nano); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
