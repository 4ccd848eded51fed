package main

import (
	"fmt"
	"net/http"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/metrics"
)

// counters tells Prometheus what matters most, in its text format, so that this example needs no
// module besides Freshet. An app takes adapters/prometheus, which tells all.
func counters(meter *metrics.Meter, cache *freshet.Cache) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		fmt.Fprint(w, "# HELP freshet_requests_total Requests, by what became of them.\n"+
			"# TYPE freshet_requests_total counter\n")
		for _, s := range meter.Snapshot().Series { // their words need no escaping
			fmt.Fprintf(w, "freshet_requests_total{resource=%q,result=%q,reason=%q} %d\n",
				s.Resource, s.Result, s.Reason, s.Requests)
		}
		now := cache.Stats()
		fmt.Fprintf(w, "# HELP freshet_fills Runs of handlers under way.\n"+
			"# TYPE freshet_fills gauge\nfreshet_fills %d\n", now.Fills)
		fmt.Fprintf(w, "# HELP freshet_journal_number The number of the last invalidation.\n"+
			"# TYPE freshet_journal_number gauge\nfreshet_journal_number %d\n", now.Journal.Number)
	})
}
