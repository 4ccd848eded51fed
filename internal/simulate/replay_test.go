package simulate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/accesslog"
	"github.com/freshet-go/freshet/policy"
)

// logged is a log in JSON: a line each second, with what is different from GET / and 200.
func logged(lines ...string) string {
	var log strings.Builder
	at := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for i, line := range lines {
		fmt.Fprintf(&log, `{"time":%q,"method":"GET","status":200,"bytes":1000,"uri":"/"%s}`+"\n",
			at.Add(time.Duration(i)*time.Second).Format(time.RFC3339), line)
	}
	return log.String()
}

func TestStories(t *testing.T) {
	minute := Settings{Policy: policy.Policy{TTL: time.Minute}}
	none := Settings{}
	for _, tt := range []struct {
		story    string
		settings Settings
		lines    []string
		want     Counts
	}{
		{"a second request is a hit", minute, []string{"", ""}, Counts{Requests: 2, Hits: 1,
			Misses: 1, CacheBytes: 1000, OriginBytes: 1000}},
		{"without a lifetime there is none", none, []string{"", ""}, Counts{Requests: 2, Misses: 2,
			OriginBytes: 2000}},
		{"the log's Cache-Control is the response's", none,
			[]string{`,"sent_http_cache_control":"max-age=9"`, ""},
			Counts{Requests: 2, Hits: 1, Misses: 1, CacheBytes: 1000, OriginBytes: 1000}},
		{"... and goes before the TTL", minute, []string{`,"sent_http_cache_control":"no-store"`,
			""}, Counts{Requests: 2, Misses: 2, OriginBytes: 2000}},
		{"a user gets no page that lives by a TTL", minute, []string{"", `,"remote_user":"anna"`},
			Counts{Requests: 2, Misses: 2, OriginBytes: 2000}},
		{"... but one that says public", none,
			[]string{`,"sent_http_cache_control":"public, max-age=9"`, `,"remote_user":"anna"`},
			Counts{Requests: 2, Hits: 1, Misses: 1, CacheBytes: 1000, OriginBytes: 1000}},
		{"a cookie in the log counts", minute, []string{"", `,"http_cookie":"session=1"`},
			Counts{Requests: 2, Misses: 2, OriginBytes: 2000}},
		{"Set-Cookie keeps a page out", minute, []string{`,"sent_http_set_cookie":"a=b"`, ""},
			Counts{Requests: 2, Misses: 2, OriginBytes: 2000}},
		{"a 304 costs the client nothing, and the origin the whole page", minute,
			[]string{"", `,"status":304,"bytes":0`},
			Counts{Requests: 2, Hits: 1, Misses: 1, OriginBytes: 1000}},
		{"a 304 at first is of unknown size", minute, []string{`,"status":304,"bytes":0`, ""},
			Counts{Requests: 2, Hits: 1, Misses: 1}},
		{"a part of a page that is stored is a hit", minute,
			[]string{"", `,"status":206,"bytes":10`},
			Counts{Requests: 2, Hits: 1, Misses: 1, CacheBytes: 10, OriginBytes: 1000}},
		{"POST invalidates", minute, []string{"", `,"method":"POST","status":303,"bytes":0`, ""},
			Counts{Requests: 3, Misses: 2, Passed: 1, OriginBytes: 2000}},
		{"... unless it fails", minute, []string{"", `,"method":"POST","status":403,"bytes":0`, ""},
			Counts{Requests: 3, Hits: 1, Misses: 1, Passed: 1, CacheBytes: 1000,
				OriginBytes: 1000}},
		{"what is stale is validated", none,
			[]string{`,"sent_http_cache_control":"max-age=1","sent_http_etag":"x"`, "",
				`,"sent_http_etag":"x"`, `,"sent_http_etag":"y"`},
			Counts{Requests: 4, Misses: 4, Revalidated: 2, CacheBytes: 2000, OriginBytes: 2000}},
		{"an error is answered with what is stale", Settings{Policy: policy.Policy{TTL: time.Second,
			StaleIfError: time.Minute}}, []string{"", "", `,"status":503,"bytes":5`},
			Counts{Requests: 3, Misses: 3, StoodIn: 1, OriginBytes: 2005}},
		{"a client that insists gets a new one, once a second", minute,
			[]string{"", `,"http_cache_control":"no-cache"`},
			Counts{Requests: 2, Misses: 2, OriginBytes: 2000}},
		{"what is too large is not kept", Settings{Policy: policy.Policy{TTL: time.Minute,
			MaxBody: 999}}, []string{"", ""},
			Counts{Requests: 2, Misses: 2, OriginBytes: 2000}},
		{"heuristics: a document for a minute, a picture for longer",
			Settings{Unmodified: 240 * time.Hour, Policy: policy.Policy{Heuristic: true}},
			append([]string{"", `,"uri":"/a.png"`}, append(make([]string, 60),
				`,"uri":"/a.png"`)...),
			Counts{Requests: 63, Hits: 60, Misses: 3, Revalidated: 1, CacheBytes: 61_000,
				OriginBytes: 2000}},
	} {
		got := replay(t, logged(tt.lines...), tt.settings).Outcomes[0].Total
		if got != tt.want {
			t.Errorf("%s:\ngot  %+v\nwant %+v", tt.story, got, tt.want)
		}
	}
}

func TestWhatTheLogTells(t *testing.T) {
	r := replay(t, logged(`,"upstream_cache_status":"HIT"`, `,"upstream_cache_status":"MISS"`,
		`,"remote_user":"anna"`, `,"uri":"http://%zz/"`, `,"status":304`), Settings{})
	r2 := replay(t, logged("", `,"method":"PURGE"`, `,"method":"PURGE","uri":"http://a/"`,
		`,"method":"BAN","uri":"*"`, ""), Settings{Policy: policy.Policy{TTL: time.Minute}})
	want := Counts{Requests: 2, Hits: 1, Misses: 1, CacheBytes: 1000, OriginBytes: 1000}
	if r2.Purges != 3 || r2.Outcomes[0].Total != want || r2.Bytes != 2000 {
		t.Errorf("purges count as requests: %+v", r2)
	}
	if r.Logged != 2 || r.LoggedHits != 1 || r.Users != 1 || r.Unreadable != 1 ||
		r.To.Sub(r.From) != 4*time.Second || r.Knows != (Knows{}) {
		t.Errorf("%+v", r)
	}
}

// However many paths a log has, their groups are few, and so is what is held of them.
func TestReplayIsBounded(t *testing.T) {
	n := 0
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	next := func() (*accesslog.Record, error) {
		if n++; n > 20_000 {
			return nil, io.EOF
		}
		return &accesslog.Record{
			Time: time.Unix(int64(n), 0), Method: http.MethodGet, Target: fmt.Sprintf("/%d/", n),
			Status: 200, Bytes: 100_000,
		}, nil
	}
	result, err := Replay(t.Context(), next,
		[]Alternative{{"", Settings{Memory: 4 << 20, Policy: policy.Policy{TTL: time.Hour}}}},
		false)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if groups := len(result.Outcomes[0].Groups); groups != maxGroups+1 || result.Outcomes[0].Groups[maxGroups].Name != others {
		t.Errorf("%d groups", groups)
	}
	// the shared body among it
	if held := int64(after.HeapAlloc) - int64(before.HeapAlloc); held > 64<<20 {
		t.Errorf("%d MiB are held", held>>20)
	}
}

func TestReplayEndsWithItsContextAndWithErrors(t *testing.T) {
	endless := func() (*accesslog.Record, error) {
		return &accesslog.Record{Time: time.Unix(1, 0), Method: "GET", Target: "/", Status: 200},
			nil
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	left := errors.New("left")
	cancel(left)
	if _, err := Replay(ctx, endless, []Alternative{{}}, false); !errors.Is(err, left) {
		t.Errorf("a context that is done: %v", err)
	}
	broken := errors.New("broken")
	if _, err := Replay(t.Context(), func() (*accesslog.Record, error) { return nil, broken },
		[]Alternative{{}}, false); !errors.Is(err, broken) {
		t.Errorf("an error of reading: %v", err)
	}
}

// Whatever a log holds, replaying it ends, and each request is counted once.
func FuzzReplay(f *testing.F) {
	f.Add(logged("", `,"method":"PUT"`, `,"status":206`, `,"uri":"*","method":"OPTIONS"`,
		`,"uri":"a:1","method":"CONNECT"`, `,"uri":"http://a/b?c"`))
	f.Add(logged(`,"sent_http_vary":"*"`, `,"sent_http_vary":"A","http_a":"b"`,
		`,"http_host":"\u0000 /"`,
		`,"sent_http_cache_control":"max-age=1,stale-while-revalidate=9"`, "", ""))
	f.Add("a - b [28/Nov/2026:12:00:00 +0000] \"GET /%zz HTTP/1.1\" 200 5\n")
	f.Fuzz(func(t *testing.T, log string) {
		w := accesslog.NewWindow(accesslog.NewReader("log", strings.NewReader(log)).Next)
		read := int64(0)
		next := func() (*accesslog.Record, error) {
			rec, err := w.Next()
			if err == nil {
				read++
			}
			return rec, err
		}
		s := Settings{Policy: policy.Policy{TTL: 2 * time.Second, StaleWhileRevalidate: time.Second,
			Key: policy.KeyOptions{DropParams: []string{"a*"}}}}
		result, err := Replay(t.Context(), next, []Alternative{{"", s}}, false)
		if err != nil {
			t.Fatal(err)
		}
		c := result.Outcomes[0].Total
		if c.Requests != read-result.Unreadable || c.Hits+c.Misses+c.Passed != c.Requests ||
			c.Stale+c.Collapsed > c.Hits || c.OriginBytes < 0 && c.CacheBytes < 0 {
			t.Errorf("%d requests: %+v", read, c)
		}
		if err := (&Report{Result: result}).Text(io.Discard); err != nil {
			t.Error(err)
		}
	})
}

func ExampleReplay() {
	log := strings.NewReader(strings.Repeat(`192.0.2.1 - - [28/Nov/2026:12:00:00 +0000] "GET /news HTTP/1.1" 200 5120
`, 10))
	records := accesslog.NewWindow(accesslog.NewReader("access.log", log).Next)
	result, err := Replay(context.Background(), records.Next, []Alternative{
		{"no TTL", Settings{}},
		{"a minute", Settings{Policy: policy.Policy{TTL: time.Minute}}},
	}, false)
	if err != nil {
		panic(err)
	}
	for _, out := range result.Outcomes {
		fmt.Printf("%s: %.0f %% hits, the origin answers %d\n", out.Name, 100*out.Total.HitRatio(),
			out.Total.OriginRequests())
	}
	// Output:
	// no TTL: 0 % hits, the origin answers 10
	// a minute: 90 % hits, the origin answers 1
}
