package middleware_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// A cache in front that is purged by tags has to know them.
func TestAdviceOnTagsForACacheInFront(t *testing.T) {
	tagged := policy.Policy{TTL: time.Minute, CDNTTL: time.Hour, Tags: []string{"posts"}}
	sends := tagged
	sends.SendTags = []string{"Xkey"}
	for _, s := range []struct {
		name  string
		p     policy.Policy
		front bool
		warns bool
	}{
		{"tags that stay inside", tagged, true, true},
		{"nobody is told of purges", tagged, false, false},
		{"tags that are sent", sends, true, false},
		{"no tags", policy.Policy{TTL: time.Minute, CDNTTL: time.Hour}, true, false},
	} {
		var log bytes.Buffer
		o := middleware.Options{Log: slog.New(slog.NewTextHandler(&log, nil))}
		if s.front {
			o.OnInvalidate = func(context.Context, middleware.Invalidation) func(context.Context) error {
				return nil
			}
		}
		newCache(t, o).With(s.p)(http.NotFoundHandler())
		if strings.Contains(log.String(), "SendTags") != s.warns {
			t.Errorf("%s: the log is\n%s", s.name, log.String())
		}
	}
}
