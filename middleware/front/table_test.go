package front

import (
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/freshet-go/freshet/internal/cachetest"
	"github.com/freshet-go/freshet/middleware"
)

// The whole behaviour table holds for hits that are answered in front.
func TestTable(t *testing.T) {
	var caches sync.Map
	var mu sync.Mutex
	var fronts []*server
	t.Run("stories", func(t *testing.T) {
		mount := func(t *testing.T, s cachetest.Site) http.Handler {
			c := cachetest.NewCache(t, s)
			root := c.Root(c.Handler(s.Origin))
			caches.Store(root, c)
			return root
		}
		listen := func(srv *http.Server, root http.Handler, l net.Listener) net.Listener {
			c, _ := caches.Load(root)
			srv.Handler = root
			s, err := new(Front).prepare(srv, c.(*middleware.Cache))
			if err != nil {
				t.Error(err)
				return l
			}
			s.hits.LearnAtOnce()
			mu.Lock()
			fronts = append(fronts, s)
			mu.Unlock()
			return s.listen(l, nil)
		}
		cachetest.RunOn(t, mount, listen)
		cachetest.RunHandlersOn(t, mount, listen)
	})
	var hits uint64
	for _, s := range fronts {
		hits += s.answered()
	}
	t.Log(hits, "hits in front,", len(fronts), "stories")
	if hits < 300 {
		t.Errorf("%d hits were answered in front", hits)
	}
}
