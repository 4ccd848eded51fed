package cdn_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/adapters/cdn"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store/memstore"
)

// posted is what a Cache tells of a POST to a URL.
func posted(url string) middleware.Invalidation {
	return middleware.Invalidation{URLs: []string{"https://a.example/" + url}, ByRequest: true}
}

// POSTs to made-up URLs neither become a purge of everything, nor hold up what the app asks for,
// nor another path's purges, at a target that takes a URL in 20 ms.
func TestClientsFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		edge := &fakeTarget{name: "edge"}
		edge.set(func(p cdn.Purge) error {
			time.Sleep(time.Duration(len(p.URLs)) * 20 * time.Millisecond)
			return nil
		})
		b := open(t, cdn.Options{Targets: []cdn.Target{edge}, Delay: -1, MaxOwed: 1000,
			Log: slog.New(slog.NewTextHandler(&log, nil))})
		var wait func(context.Context) error
		for i := range 1100 {
			wait = b.OnInvalidate(t.Context(), posted(fmt.Sprint("search?junk=", i)))
		}
		if err := wait(t.Context()); !strings.Contains(fmt.Sprint(err), `edge: too much that requests have changed`) {
			t.Errorf("the error of a URL that was left out is %v", err)
		}
		for i := range 1100 {
			b.OnInvalidate(t.Context(), posted(fmt.Sprint("made/up/", i)))
		}
		start := time.Now()
		if err := b.Wait(t.Context(), purge(t, b, tags("takedown"))); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("a takedown waited for %v behind clients' URLs", took)
		}
		time.Sleep(5 * time.Second) // until there is room
		b.OnInvalidate(t.Context(), posted("posts/1?page=2"))
		if err := b.Wait(t.Context(), b.Last()); err != nil || !strings.HasSuffix(edge.has(), "posts/1?page=2") {
			t.Errorf("a request's own ticket does not wait for its URLs: %v", err)
		}
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
		all := edge.has()
		if strings.Contains(all, "ALL") || strings.Count(all, "junk=") < 100 || strings.Count(all, "junk=") > 200 ||
			strings.Count(all, "made/up") < 700 || !strings.HasSuffix(all, "posts/1?page=2") {
			t.Errorf("taken: %d made-up queries, %d made-up paths, %.2000s", strings.Count(all, "junk="),
				strings.Count(all, "made/up"), all)
		}
		if n := strings.Count(log.String(), "\n"); n != 1 {
			t.Errorf("the log has %d lines, want one a minute:\n%.2000s", n, &log)
		}
	})
}

// What the app purges by itself is bounded by a purge of everything, as ever, and makes a URL that a
// client has changed its own.
func TestAppOwnURLs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edge := &fakeTarget{name: "edge", fails: down}
		b := open(t, cdn.Options{Targets: []cdn.Target{edge}, MaxOwed: 300})
		b.OnInvalidate(t.Context(), posted("x?q"))
		ticket := purge(t, b, cdn.Purge{URLs: []string{"https://a.example/x?q"}})
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if b.Wait(gone, ticket) == nil {
			t.Error("the app's own URL counts as a client's")
		}
		for i := range 299 {
			purge(t, b, cdn.Purge{URLs: []string{fmt.Sprint("https://a.example/y?q=", i)}})
		}
		for i := range 400 { // beside them
			b.OnInvalidate(t.Context(), posted(fmt.Sprint("made/up/", i)))
		}
		if owed, _ := b.Owed(t.Context()); len(owed) != 1 || owed[0].Count != 600 {
			t.Errorf("owed: %+v, want 300 names of the app's and 300 of clients'", owed)
		}
		edge.set(nil)
		if time.Sleep(5 * time.Second); strings.Count(edge.has(), "?q") != 300 {
			t.Errorf("taken %q", edge.has())
		}
	})
}

// URLs that clients have changed stay such for the process that takes them over.
func TestClientsTakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := memstore.NewBackend(64 << 20)
		defer backend.Close()
		edge := []cdn.Target{&fakeTarget{name: "edge", fails: down}}
		first := open(t, cdn.Options{Targets: edge, Store: backend})
		b := func() *cdn.Outbox {
			for i := range 50 {
				first.OnInvalidate(t.Context(), posted(fmt.Sprint(i)))
			}
			gone, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			first.Close(gone)
			return open(t, cdn.Options{Targets: edge, Store: backend, MaxOwed: 20})
		}()
		synctest.Wait()
		if owed, err := b.Owed(t.Context()); err != nil || len(owed) != 1 || owed[0].Count != 50 {
			t.Errorf("owed: %+v, %v; want 50 URLs, not everything", owed, err)
		}
	})
}
