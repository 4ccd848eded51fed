package middleware_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/internal/memjournal"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/memstore"
)

// full is a journal that keeps a list of its members, and takes no marks while it is full.
type full struct {
	*memjournal.Journal
	full atomic.Bool
}

func (j *full) Append(ctx context.Context, what ...store.Mark) (uint64, error) {
	if j.full.Load() {
		return 0, errors.New("no space left on device")
	}
	return j.Journal.Append(ctx, what...)
}

// waitFor waits for a receipt for up to d.
func waitFor(d time.Duration, r middleware.Receipt) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return r.Wait(ctx)
}

// A receipt's wait ends when all processes have applied the invalidation, or says who has not, and
// since when.
func TestAReceiptIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &full{Journal: memjournal.NewAfter(10)}
		entries := memstore.New(1 << 20)
		t.Cleanup(entries.Close)
		var posted middleware.Receipt
		var got []middleware.Receipt
		cache := func(name string) (*middleware.Cache, http.Handler) {
			c := newCacheOn(t, entries, middleware.Options{Journal: j, ProcessName: name, Log: discard,
				Observe: func(r *http.Request, e middleware.Event) {
					if got = append(got, e.Receipt); r.Method == http.MethodPost {
						posted = e.Receipt
					}
				}})
			return c, c.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("Cache-Tag", "news")
			}))
		}
		a, ha := cache("A")
		_, hb := cache("B")
		get(ha, "/page")
		status(t, get(hb, "/page"), "hit")

		receipt, err := a.InvalidateTag(t.Context(), "news")
		if err != nil || receipt.Number == 0 {
			t.Fatalf("%+v, %v", receipt, err)
		}
		began := time.Now()
		if err := waitFor(time.Second, receipt); err != nil || time.Since(began) > 20*time.Millisecond {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		status(t, get(hb, "/page"), "fwd=uri-miss")
		do(ha, "POST", "/page")
		if err := waitFor(time.Second, posted); err != nil || posted.Number <= receipt.Number {
			t.Errorf("the POST's receipt is %+v: %v", posted, err)
		}
		want(t, "a GET's receipt", got[0], middleware.Receipt{})

		j.Renew(t.Context(), store.Member{ID: "x", Name: "web-2:17", Applied: receipt.Number})
		later, _ := a.InvalidateAll(t.Context())
		err = waitFor(2*time.Second, later)
		var behind *middleware.BehindError
		if !errors.As(err, &behind) || !errors.Is(err, context.DeadlineExceeded) || len(behind.Members) != 1 ||
			!strings.Contains(err.Error(), "1 process has not applied number ") ||
			!strings.Contains(err.Error(), ": web-2:17 (at ") ||
			!strings.Contains(err.Error(), "s ago): context deadline exceeded") {
			t.Errorf("one is behind: %v", err)
		}
		j.Leave(t.Context(), "x")
		if err := waitFor(time.Second, later); err != nil {
			t.Errorf("it has left: %v", err)
		}

		j.full.Store(true)
		unsent, err := a.InvalidateTag(t.Context(), "news")
		if err := errors.Join(err, waitFor(time.Second, unsent)); !errors.Is(err, middleware.ErrUnsent) ||
			!strings.Contains(err.Error(), "the journal has not taken the invalidation yet") {
			t.Errorf("the journal is full: %v", err)
		}
		j.full.Store(false)
		if err := waitFor(5*time.Second, unsent); err != nil {
			t.Errorf("the journal has room: %v", err)
		}
		stats := a.Stats().Journal
		if len(stats.Members) != 2 || stats.Behind != 0 || stats.Applied != stats.Number {
			t.Errorf("the stats are %+v", stats)
		}
	})
}

// A text names ten processes, those that were heard longest ago.
func TestManyAreBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := memjournal.New()
		entries := memstore.New(1 << 20)
		t.Cleanup(entries.Close)
		c := newCacheOn(t, entries, middleware.Options{Journal: j, Log: discard})
		for i := range 12 {
			id := string(rune('a' + i))
			j.Renew(t.Context(), store.Member{ID: id, Name: strings.Repeat(id, 3)})
			time.Sleep(time.Second)
		}
		r, _ := c.InvalidateAll(t.Context())
		err := waitFor(time.Millisecond, r)
		if text := err.Error(); !strings.Contains(text, "12 processes have not applied number 1: aaa (at 0, ") ||
			!strings.Contains(text, "jjj") || strings.Contains(text, "kkk") || !strings.Contains(text, "and 2 others") {
			t.Error(text)
		}
	})
}

func TestReceiptsThatNeedNoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alone := memstore.New(1 << 20)
		t.Cleanup(alone.Close)
		r, err := newCacheOn(t, alone, middleware.Options{}).InvalidateAll(t.Context())
		want(t, "without a shared journal", errors.Join(err, waitFor(time.Second, r)), nil)

		s := newServer(t)
		r, _ = newCacheOn(t, s, middleware.Options{Log: discard}).InvalidateAll(t.Context())
		if err := waitFor(time.Second, r); !errors.Is(err, errors.ErrUnsupported) ||
			!strings.Contains(err.Error(), "keeps no list of the processes") {
			t.Errorf("a journal without a list: %v", err)
		}
		r, _ = newCacheOn(t, s, middleware.Options{ReadOnly: true, Log: discard}).InvalidateAll(t.Context())
		if err := waitFor(time.Second, r); !errors.Is(err, middleware.ErrReadOnly) {
			t.Errorf("a cache that only reads: %v", err)
		}
		r, _ = newCacheOn(t, s, middleware.Options{Log: discard}).InvalidateURL(t.Context(), "/page")
		if err := waitFor(time.Second, r); err == nil || r != (middleware.Receipt{}) {
			t.Errorf("a call that was refused: %+v, %v", r, err)
		}
	})
}
