package cdn_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/adapters/cdn"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store/memstore"
)

// goesWithin reports a purge of the app's that a target has not taken after some time.
func goesWithin(t *testing.T, b *cdn.Outbox, p cdn.Purge, most time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), most)
	defer cancel()
	if err := b.Wait(ctx, purge(t, b, p)); err != nil {
		t.Error(err)
	}
}

// failsWith fails each purge that has a name.
func failsWith(name string, err error) func(cdn.Purge) error {
	return func(p cdn.Purge) error {
		for _, each := range slices.Concat(p.URLs, p.Tags) {
			if strings.Contains(each, name) {
				return err
			}
		}
		return nil
	}
}

// A URL that a client's POST has changed and that the target does not take, holds up neither what
// the app asks for, nor for long what other clients have changed.
func TestOnePOSTStoppedAllPurges(t *testing.T) {
	for kind, err := range map[string]error{"down": errDown,
		"busy":           &cdn.Error{Status: 503, RetryAfter: time.Minute},
		"not authorized": &cdn.Error{Kind: cdn.KindAuthentication, Status: 403},
		"refused":        &cdn.Error{Kind: cdn.KindPermanent, Status: 400}} {
		synctest.Test(t, func(t *testing.T) {
			edge := &fakeTarget{name: "edge", fails: failsWith("report", err)}
			b := open(t, cdn.Options{Targets: []cdn.Target{edge}, Delay: -1})
			for i := range 8 {
				b.OnInvalidate(t.Context(), posted(fmt.Sprint("report", i)))
				time.Sleep(time.Second)
			}
			goesWithin(t, b, tags("news"), time.Millisecond)
			b.OnInvalidate(t.Context(), posted("comments"))
			goesWithin(t, b, tags("news"), time.Millisecond)
			if time.Sleep(70 * time.Minute); !strings.Contains(edge.has(), "comments") {
				t.Errorf("%s: another client's URL was not sent in 70 minutes: %s", kind, edge.has())
			}
		})
	}
}

// A call for what clients have changed that hangs does not hold up the app.
func TestHangingClientBatchHeldUpTheApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hung atomic.Int32
		edge := &fakeTarget{name: "edge"}
		edge.set(func(p cdn.Purge) error {
			if !p.ByRequest {
				return nil
			}
			hung.Add(1)
			time.Sleep(time.Minute)
			return context.DeadlineExceeded
		})
		b := open(t, cdn.Options{Targets: []cdn.Target{edge}, Delay: -1})
		b.OnInvalidate(t.Context(), posted("slow"))
		if synctest.Wait(); hung.Load() != 1 {
			t.Fatal("the client's URL was not sent")
		}
		goesWithin(t, b, tags("takedown"), time.Millisecond)
		edge.set(nil)
		time.Sleep(time.Minute) // the call ends
	})
}

// Names that a target never takes do not hold up those that are sent with them, whether the app or
// a request asks for them, whether or not others come all the time.
func TestOneBadNameHeldUpItsBatch(t *testing.T) {
	for _, byRequest := range []bool{false, true} {
		for _, busy := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				edge := &fakeTarget{name: "edge", fails: failsWith("bad", errDown)}
				b := open(t, cdn.Options{Targets: []cdn.Target{edge}})
				for i := range 90 {
					name := fmt.Sprintf("good%02d.", i)
					if i%30 == 0 {
						name = fmt.Sprint("bad", i)
					}
					purge(t, b, cdn.Purge{URLs: []string{"https://a.example/" + name}, ByRequest: byRequest})
				}
				for i := range 150 {
					if time.Sleep(2 * time.Second); busy {
						purge(t, b, cdn.Purge{URLs: []string{fmt.Sprint("https://a.example/more", i)},
							ByRequest: byRequest})
					}
				}
				if n := strings.Count(edge.has(), "good"); n != 87 {
					t.Errorf("by request %t, busy %t: %d of 87 names were taken in 5 minutes, the target was "+
						"asked %d times", byRequest, busy, n, len(edge.at))
				}
				if n := strings.Count(edge.has(), "good01."); n != 1 {
					t.Errorf("one was taken %d times", n)
				}
			})
		}
	}
}

// When a target is back after an hour, all that it is owed goes soon, in few calls.
func TestOutageEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edge := &fakeTarget{name: "edge", fails: down}
		b := open(t, cdn.Options{Targets: []cdn.Target{edge}, Delay: -1})
		for i := range 5000 {
			purge(t, b, tags(fmt.Sprint("t", i, ".")))
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		edge.set(nil)
		tries := len(edge.at)
		if err := b.Wait(t.Context(), b.Last()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		var took time.Duration
		if took = edge.at[len(edge.at)-1].Sub(edge.at[tries]); took > time.Second || len(edge.at)-tries > 30 ||
			tries > 40 {
			t.Errorf("%d calls in an hour, then %d within %v", tries, len(edge.at)-tries, took)
		}
		all := edge.has()
		for i := range 5000 {
			if !strings.Contains(all, fmt.Sprint("t", i, ".")) {
				t.Fatalf("t%d was not taken", i)
			}
		}
	})
}

// What is left of a purge that was taken in part does not stand for the whole, when that is asked
// for again.
func TestRestCoveredTheWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edge := &fakeTarget{name: "edge"}
		rest := tags("b")
		edge.set(func(p cdn.Purge) error { return &cdn.Error{RetryAfter: time.Minute, Rest: &rest} })
		b := open(t, cdn.Options{Targets: []cdn.Target{edge}, Delay: -1})
		purge(t, b, tags("a", "b"))
		synctest.Wait()
		edge.set(nil)
		if err := b.Wait(t.Context(), purge(t, b, tags("a", "b"))); err != nil {
			t.Error(err)
		}
		if all := edge.has(); !strings.Contains(all, "a") || strings.Count(all, "b") > 2 {
			t.Errorf("taken %q", all)
		}
	})
}

// A target that says of a rest what was not asked for has taken nothing, for all that is known.
func TestStrangeRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edge := &fakeTarget{name: "edge"}
		rest := tags("b", "other")
		edge.set(func(p cdn.Purge) error { return &cdn.Error{Rest: &rest} })
		b := open(t, cdn.Options{Targets: []cdn.Target{edge}, Delay: -1})
		ticket := purge(t, b, tags("a"))
		purge(t, b, tags("b"))
		synctest.Wait()
		edge.set(nil)
		if err := b.Wait(t.Context(), ticket); err != nil || !strings.Contains(edge.has(), "a") {
			t.Errorf("taken %q, error %v", edge.has(), err)
		}
	})
}

// Prefixes and tags of clients' requests count as the clients': more of them than MaxOwed are left
// out, and what the app asks for beside them does not become everything.
func TestClientsPrefixesEmptiedTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edge := &fakeTarget{name: "edge", fails: down}
		b := open(t, cdn.Options{Targets: []cdn.Target{edge}, MaxOwed: 100})
		for i := range 300 {
			b.OnInvalidate(t.Context(), middleware.Invalidation{ByRequest: true,
				Tags:     []string{fmt.Sprint("post-", i)},
				Prefixes: []string{fmt.Sprintf("https://a.example/files/%d/", i)}})
		}
		for i := range 100 {
			purge(t, b, tags(fmt.Sprint("own-", i)))
		}
		if owed, err := b.Owed(t.Context()); err != nil || len(owed) != 1 || owed[0].Count != 300 {
			t.Errorf("owed: %+v, %v; want 100 tags of the app's, and 100 tags and 100 prefixes of clients'",
				owed, err)
		}
		edge.set(nil)
		if err := b.Close(t.Context()); err != nil || strings.Contains(edge.has(), "ALL") {
			t.Errorf("error %v, taken %.200s", err, edge.has())
		}
	})
}

// A client's purge says that it is one, in a process that takes it over, too, and what a target
// refuses for it is left out, counted, and in the log once a minute, apart from what it refuses of
// the app's. A purge of everything or of a whole host is never a client's.
func TestClientsPurgesAreKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		backend := memstore.NewBackend(64 << 20)
		defer backend.Close()
		edge := &fakeTarget{name: "edge", fails: down, check: func(p cdn.Purge) error {
			if p.ByRequest && strings.Contains(fmt.Sprint(p), "wide") || strings.Contains(fmt.Sprint(p), "odd") {
				return errors.New("cdn: edge: too wide")
			}
			return nil
		}}
		b := open(t, cdn.Options{Targets: []cdn.Target{edge}, Store: backend, Delay: -1,
			Log: slog.New(slog.NewTextHandler(&log, nil))})
		for range 5 {
			b.OnInvalidate(t.Context(), posted("wide"))
			b.OnInvalidate(t.Context(), middleware.Invalidation{All: true, ByRequest: true})
			b.OnInvalidate(t.Context(), middleware.Invalidation{ByRequest: true,
				Prefixes: []string{"https://a.example/", "https://a.example//"}})
		}
		b.OnInvalidate(t.Context(), middleware.Invalidation{Tags: []string{"odd"}})
		time.Sleep(time.Minute)
		b.OnInvalidate(t.Context(), posted("wide"))
		b.OnInvalidate(t.Context(), posted("x"))
		synctest.Wait()
		if text := log.String(); strings.Count(text, "too wide") != 3 || !strings.Contains(text, "more_since_last=14") {
			t.Errorf("the log has\n%s", text)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		b.Close(gone)
		edge.set(func(p cdn.Purge) error {
			if !p.ByRequest {
				return errors.New("it is the app's")
			}
			return nil
		})
		open(t, cdn.Options{Targets: []cdn.Target{edge}, Store: backend})
		if time.Sleep(2 * time.Minute); edge.has() != "https://a.example/x" {
			t.Errorf("taken %q", edge.has())
		}
	})
}

// Clients' purges that a target refuses do not fill the log.
func TestClientsFailuresFilledTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		edge := &fakeTarget{name: "edge", fails: failsWith("bad", &cdn.Error{Kind: cdn.KindPermanent})}
		b := open(t, cdn.Options{Targets: []cdn.Target{edge}, Delay: -1,
			Log: slog.New(slog.NewTextHandler(&log, nil))})
		for i := range 200 {
			b.OnInvalidate(t.Context(), posted(fmt.Sprint("bad", i)))
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		n := strings.Count(log.String(), "\n")
		if n < 1 || n > 10 || !strings.Contains(log.String(), "more_since_last=") {
			t.Errorf("the log has %d lines in 10 minutes", n)
		}
	})
}

// A path or a host with a segment "." or ".." leads a call with credentials elsewhere: it is
// refused, however it is written.
func TestDotsLedElsewhere(t *testing.T) {
	for _, rest := range []string{"a.example/x/../y", "a.example/..", "a.example/./x", "a.example/x/%2e%2E/y",
		"a.example/x%2f..%2fy", "a.example/x%5c..%5Cy", `a.example/x\..\y`, "a.example/%252e%252e/y",
		"a.example/..;a/y", "a.example/%zz/..", "a.example/%25zz/%2e%2e", "a.example/%25252525252e/y", "../x", "./x",
		"..", ".a/x", "a..b/x"} {
		for _, p := range []cdn.Purge{{URLs: []string{"https://" + rest}}, {Prefixes: []string{"https://" + rest}}} {
			if got, err := p.Clean(); err == nil {
				t.Errorf("%s became %v", rest, got)
			}
		}
	}
	for _, rest := range []string{"a.example/.well-known/x", "a.example/...", "a.example/a..b", "a.example/a%2Fb",
		"a.example/?x=/../y", "a.example./x", "a.example/100%25", "a.example/..a/b.."} {
		if _, err := (cdn.Purge{URLs: []string{"https://" + rest}}).Clean(); err != nil {
			t.Error(err)
		}
	}
}
