package browsertest

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store/guardstore"
	"github.com/freshet-go/freshet/store/open"
)

// troubled waits for a warning at the top of the page, and in its title.
func (o *operator) troubled(warning string) {
	o.t.Helper()
	o.reads("#state .warn", warning)
	o.waits("document.body.dataset.state === 'warn' && document.title.startsWith('! ')")
	o.contrasts()
}

func TestTheHitRatioFalls(t *testing.T) {
	t.Parallel()
	s := newSite(t, freshet.Options{}, nil)
	for range 500 {
		s.visit("/a")
	}
	o := visitDoor(t, s, 1280, "light")
	o.reads("#state", "All is well")
	for i := range 60 {
		s.visit(fmt.Sprint("/new/", i))
	}
	o.troubled("The hit ratio fell to 0.0 %. It is 89.1 % in all.")
	o.behaves(s)
}

func TestHandlersAreSlow(t *testing.T) {
	t.Parallel()
	s := newSite(t, freshet.Options{}, nil)
	for i := range 500 {
		s.visit(fmt.Sprint("/old/", i))
	}
	o := visitDoor(t, s, 360, "dark")
	o.reads("#state", "All is well")
	o.reads("#tiles", "mean of the last minute; 99 % within")
	o.reads("#times thead", "Mean, last minute")
	s.takes = 300 * time.Millisecond
	for i := range 6 {
		s.visit(fmt.Sprint("/new/", i))
	}
	o.troubled("Handlers are slow: their mean is ")
	o.behaves(s)
}

// The journal is in touch, but has not answered for most of MaxLag.
func TestTheJournalIsLate(t *testing.T) {
	t.Parallel()
	s := newSite(t, freshet.Options{}, nil)
	o := visitDoor(t, s, 360, "dark")
	for lag, late := range map[string]bool{"3.7, max_lag: 5": false, "3.8, max_lag: 5": true, "9": false} {
		o.waits(`samples.length > 0 && ` + fmt.Sprint(late) + ` === troubles({...samples[samples.length - 1].stats,
			journal: {shared: true, in_touch: true, unsent: 0, lag: ` + lag + `}}, samples[samples.length - 1].sum
			).some(([kind, what]) => kind === 'warn' && what === 'The journal of invalidations is late.')`)
	}
	o.behaves(s)
}

func TestTheStoreFailsNowAndThen(t *testing.T) {
	t.Parallel()
	server := testserver.Redis(t)
	proxy := testserver.Proxy(t, server.Addr)
	log := slog.New(slog.DiscardHandler)
	pages, err := open.URL(t.Context(), "redis://"+proxy.Addr, open.Options{
		Guard: guardstore.Options{Timeout: patience, SetTimeout: patience, Failures: -1}, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pages.Close() })
	s := newSite(t, freshet.Options{MaxLag: time.Hour}, pages)
	o := visitDoor(t, s, 1280, "dark")
	o.reads("#state", "All is well")
	proxy.Refuse()
	proxy.Drop()
	s.visit("/a", "/b")
	proxy.Pass()
	o.troubled("redis fails now and then.")
	o.behaves(s)
}
