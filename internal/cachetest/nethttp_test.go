package cachetest_test

import (
	"net/http"
	"testing"

	"go.uber.org/goleak"

	"github.com/freshet-go/freshet/internal/cachetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func mount(t *testing.T, s cachetest.Site) http.Handler {
	c := cachetest.NewCache(t, s)
	return c.Root(c.Handler(s.Origin))
}

func TestNetHTTP(t *testing.T) {
	cachetest.Run(t, mount)
	cachetest.RunHandlers(t, mount)
}
