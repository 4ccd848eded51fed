package middleware_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// A Scope that asks the router before it has chosen a route gets empty names, and a setting of 0 is
// lost. The log says so.
func TestTheLogTellsOfAScopeWithoutNames(t *testing.T) {
	bucket := func(r *http.Request) []string {
		return []string{r.PathValue("bucket"), r.PathValue("collection")}
	}
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "page")
	})
	for name, s := range map[string]struct {
		setting string
		outside bool // of the router
		says    int
	}{
		"on the route":                  {"blog.record", false, 0},
		"outside of the router":         {"blog.record", true, 1},
		"outside, and no setting below": {"record", true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			x, err := policy.NewExpires([]string{"record"}, policy.ExpirySetting{Name: s.setting,
				TTL: 0, Origin: "test"})
			if err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			c := newCache(t, middleware.Options{Log: slog.New(slog.NewTextHandler(&log, nil)),
				Expires: x})
			cached := c.With(policy.Policy{Resource: "record", Scope: bucket, TTL: time.Minute})
			mux := http.NewServeMux()
			h := http.Handler(mux)
			if s.outside {
				mux.Handle("/{bucket}", page)
				h = cached(mux)
			} else {
				mux.Handle("/{bucket}", cached(page))
			}
			for range 3 {
				get(h, "/blog")
			}
			want(t, "lines of the log", strings.Count(log.String(), "names no parent"), s.says)
		})
	}
}
