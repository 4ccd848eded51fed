package bench

import (
	"io"
	"net/http"
	"runtime"
	"testing"

	"github.com/freshet-go/freshet/adapters/admin"
	"github.com/freshet-go/freshet/adapters/requestlog"
	"github.com/freshet-go/freshet/metrics"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store/memstore"
)

// BenchmarkObserved measures a hit of 1 KiB that somebody observes beside the same hit that nobody
// does: by what the collector for Prometheus reads, by a log as JSON with a line for each request,
// and by the door of an app at which nobody looks.
func BenchmarkObserved(b *testing.B) {
	uris := targets(1)
	hit := func(b *testing.B, observe func(*http.Request, middleware.Event)) http.Handler {
		s := memstore.New(64 << 20)
		b.Cleanup(s.Close)
		return filled(middleware.New(s, middleware.Options{Observe: observe}).Handler(
			origin(1<<10)), uris)
	}
	plain := hit(b, nil)
	for _, o := range []struct {
		name    string
		observe func(*http.Request, middleware.Event)
	}{
		{"prometheus", metrics.New().Observe},
		{"json-log", requestlog.New(requestlog.Options{JSON: io.Discard})},
		{"door", admin.NewWatch().Observe},
	} {
		b.Run(o.name, func(b *testing.B) {
			observed := hit(b, o.observe)
			b.Run("serial", func(b *testing.B) {
				beside(b, 1, asking(plain, uris), asking(observed, uris))
			})
			b.Run("parallel", func(b *testing.B) {
				beside(b, runtime.GOMAXPROCS(0), asking(plain, uris), asking(observed, uris))
			})
		})
	}
}
