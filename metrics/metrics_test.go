package metrics_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/metrics"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

func Example() {
	pages := memstore.New(1 << 20)
	defer pages.Close()
	meter := metrics.New()
	expires, err := policy.NewExpires([]string{"page"})
	if err != nil {
		panic(err)
	}
	cache := freshet.New(pages, freshet.Options{Expires: expires, Observe: meter.Observe})
	minute := cache.With(freshet.Policy{TTL: time.Minute, Resource: "page", MaxBody: 1 << 10})
	page := minute(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "ten bytes.")
	}))
	for range 3 {
		page.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}
	for _, s := range meter.Snapshot().Series {
		fmt.Println(s.Resource, s.Result, s.Requests, "requests,", s.Bytes, "bytes")
	}
	// Output:
	// page hit 2 requests, 20 bytes
	// page stored 1 requests, 10 bytes
}

func TestEachOutcomeHasOneResult(t *testing.T) {
	for _, s := range []struct {
		outcome policy.Outcome
		want    metrics.Result
	}{
		{policy.Outcome{Hit: true}, metrics.Hit},
		{policy.Outcome{Hit: true, Stale: true}, metrics.Stale},
		{policy.Outcome{Fwd: policy.FwdStale, Stale: true, Detail: "lost"}, metrics.Stale},
		{policy.Outcome{Fwd: policy.FwdURIMiss, Collapsed: true}, metrics.Collapsed},
		{policy.Outcome{Fwd: policy.FwdURIMiss, Stored: true, FwdStatus: 200}, metrics.Stored},
		{policy.Outcome{Fwd: policy.FwdStale, Stored: true, FwdStatus: 304}, metrics.Revalidated},
		{policy.Outcome{Fwd: policy.FwdURIMiss, Detail: "no-store"}, metrics.Unstored},
		{policy.Outcome{Fwd: policy.FwdBypass, Detail: "off"}, metrics.Passed},
		{policy.Outcome{Fwd: policy.FwdMethod}, metrics.Passed},
		{policy.Outcome{Detail: "only-if-cached"}, metrics.Refused},
	} {
		e := middleware.Event{Outcome: s.outcome}
		if got := metrics.ResultOf(&e); got != s.want {
			t.Errorf("%+v: %q, want %q", s.outcome, got, s.want)
		}
		if e.Refresh = true; metrics.ResultOf(&e) != metrics.Refreshed {
			t.Errorf("%+v, of a refresh: %q", s.outcome, metrics.ResultOf(&e))
		}
	}
}

func TestWhatIsCounted(t *testing.T) {
	m := metrics.New()
	hit := middleware.Event{
		Outcome: policy.Outcome{Hit: true}, Resource: "page", Bytes: 7, Took: 20 * time.Microsecond,
		Age: 3 * time.Second, Saved: time.Second, Backend: 2 * time.Millisecond,
	}
	miss := middleware.Event{
		Outcome: policy.Outcome{Fwd: policy.FwdURIMiss, Detail: "no-store"}, Resource: "page",
		Took: 40 * 24 * time.Hour, Fill: time.Second, Queued: time.Minute,
	}
	m.Observe(nil, hit)
	m.Observe(nil, hit)
	m.Observe(nil, miss)
	all := m.Snapshot().Series
	if len(all) != 2 || all[0].Result != metrics.Hit || all[1].Reason != "no-store" {
		t.Fatalf("%+v", all)
	}
	h, u := all[0], all[1]
	if h.Requests != 2 || h.Bytes != 14 || h.Saved != 2*time.Second || h.Age.Count != 2 ||
		h.Age.Sum != 6*time.Second || h.Took.Quantile(0.5) != 25*time.Microsecond ||
		h.Backend.Quantile(1) != 2500*time.Microsecond || h.Fill.Count != 0 {
		t.Errorf("%+v", h)
	}
	if u.Queued.Count != 1 || u.Queued.Sum != time.Minute || h.Queued.Count != 0 {
		t.Errorf("waits for a place: %+v, and of hits %+v", u.Queued, h.Queued)
	}
	if u.Requests != 1 || u.Saved != 0 || u.Age.Count != 0 || u.Fill.Count != 1 ||
		u.Took.Buckets[len(metrics.Bounds)] != 1 {
		t.Errorf("%+v", u)
	}
}

// Whatever the policies are called, the series are bounded and no request is lost.
func TestSeriesAreBounded(t *testing.T) {
	m := metrics.New()
	const resources = 3 * metrics.MaxSeries
	for i := range resources {
		m.Observe(nil, middleware.Event{Outcome: policy.Outcome{Hit: true},
			Resource: fmt.Sprint(i)})
	}
	all, requests := m.Snapshot().Series, uint64(0)
	for _, s := range all {
		requests += s.Requests
	}
	if len(all) > metrics.MaxSeries+1 || requests != resources {
		t.Errorf("%d series, %d requests", len(all), requests)
	}
}

// A million paths, hosts, resources and words that look like reasons make no more series than there
// may be, in bounded memory, and no request is lost.
func TestAFloodOfLabels(t *testing.T) {
	m := metrics.New()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const many = 1_000_000
	r := httptest.NewRequest("GET", "/", nil)
	for i := range many {
		name := strconv.Itoa(i)
		r.Host, r.URL.Path, r.URL.RawQuery = name, "/"+name, name
		m.Observe(r, middleware.Event{Resource: name, Outcome: policy.Outcome{
			Hit: i%2 == 0, Detail: policy.Reason(name)}})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	all, requests := m.Snapshot().Series, uint64(0)
	for _, s := range all {
		requests += s.Requests
	}
	if len(all) > 2*metrics.MaxSeries+8 || requests != many {
		t.Errorf("%d series, %d requests", len(all), requests)
	}
	if more := int64(after.HeapAlloc) - int64(before.HeapAlloc); more > 64<<20 {
		t.Errorf("%d MiB more", more>>20)
	}
	runtime.KeepAlive(m)
}

func TestConcurrentRequestsAreAllCounted(t *testing.T) {
	m := metrics.New()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 1000 {
				m.Observe(nil, middleware.Event{Resource: fmt.Sprint((i + j) % 5), Bytes: 1})
			}
		})
	}
	all.Wait()
	requests, bytes := uint64(0), uint64(0)
	for _, s := range m.Snapshot().Series {
		requests += s.Requests
		bytes += s.Bytes
	}
	if requests != 8000 || bytes != 8000 {
		t.Errorf("%d requests, %d bytes", requests, bytes)
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	m := metrics.New()
	e := middleware.Event{Outcome: policy.Outcome{Hit: true}, Resource: "page",
		Took: time.Millisecond}
	m.Observe(nil, e)
	if n := testing.AllocsPerRun(100, func() { m.Observe(nil, e) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	m := metrics.New()
	e := middleware.Event{Outcome: policy.Outcome{Hit: true}, Resource: "page",
		Took: 5 * time.Microsecond}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Observe(nil, e)
		}
	})
}

func TestAQuantileOfNothing(t *testing.T) {
	var h, other metrics.Histogram
	if h.Quantile(0.5) != 0 {
		t.Error(h.Quantile(0.5))
	}
	other.Count, other.Sum, other.Buckets[2] = 3, time.Second, 3
	h.Add(&other)
	h.Add(&other)
	if h.Count != 6 || h.Sum != 2*time.Second || h.Buckets[2] != 6 {
		t.Errorf("%+v", h)
	}
}
