package middleware_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
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

// Keys of rows stand in the tags that go out, which clients may see: texts never do by default, and
// none does with a key. A purge reaches each page all the same.
func TestRowKeysInTagsForACacheInFront(t *testing.T) {
	const uuid = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
	key := bytes.Repeat([]byte("k"), 16)
	hide := func(tag string) string { return policy.HiddenTag(key, tag) }
	ann, row := "users:ann%40example.com", "order:42"
	for _, s := range []struct {
		name       string
		key        []byte
		read       []any // a key of users, after order 42
		words      []string
		sent       string
		invalidate string // of Invalidation.Tags, by InvalidateRow; "": by InvalidateTag of words[0]
	}{
		{"a number", nil, []any{7}, nil, "order order:42 users users:7", "users:7 users:*"},
		{"numbers", nil, []any{7, 8}, nil, "order order:42 users users:7:8", "users:7:8 users:*"},
		{"a UUID", nil, []any{uuid}, nil, "order order:42 users users:" + uuid, "users:" + uuid + " users:*"},
		{"an address", nil, []any{"ann@example.com"}, nil, "order order:42 users users:*", ann + " users:*"},
		{"a hash", nil, []any{strings.Repeat("x", 300)}, nil, "order order:42 users users:*", "users:#*"},
		{"words of the app's", nil, nil, []string{"post:hello", "post", "ünder"},
			"order order:42 post post:hello users users:* %C3%BCnder", ""},
		{"a key", key, []any{"ann@example.com"}, []string{"post:hello"},
			strings.Join([]string{"order", hide(row), hide("post:hello"), "users", hide(ann)}, " "),
			hide(ann) + " users:*"},
	} {
		var log bytes.Buffer
		var got []string
		c := newCache(t, middleware.Options{TagKey: s.key, Log: slog.New(slog.NewTextHandler(&log, nil)),
			OnInvalidate: func(_ context.Context, what middleware.Invalidation) func(context.Context) error {
				got = append(got, what.Tags...)
				return nil
			}})
		h := c.With(policy.Policy{TTL: time.Minute, SendTags: []string{"Surrogate-Key"}})(http.HandlerFunc(
			func(w http.ResponseWriter, r *http.Request) {
				middleware.Reads(r.Context(), "order", 42)
				middleware.Reads(r.Context(), "users", s.read...)
				middleware.FromContext(r.Context()).Tag(s.words...)
			}))
		for range 2 { // a miss, then a hit
			if sent := get(h, "/").Header.Get("Surrogate-Key"); sorted(sent) != sorted(s.sent) {
				t.Errorf("%s: the tags are %q, want %q", s.name, sent, s.sent)
			}
		}
		purges := s.invalidate
		if purges == "" {
			c.InvalidateTag(t.Context(), s.words[0])
			purges = "post:hello post:*" // it could have gone out as either
		} else {
			c.InvalidateRow(t.Context(), "users", s.read...)
		}
		if purges == "users:#*" {
			purges = policy.RowTag("users", s.read...) + " users:*"
		}
		if fmt.Sprint(got) != fmt.Sprint(strings.Fields(purges)) {
			t.Errorf("%s: purges %q, want %q", s.name, got, purges)
		}
		if coarse := s.name == "an address" || s.name == "a hash"; strings.Contains(log.String(), "TagKey") != coarse {
			t.Errorf("%s: the log is\n%s", s.name, log.String())
		}
	}
	defer func() {
		if v, _ := recover().(string); !strings.HasPrefix(v, "freshet: New: Options.TagKey has 3 bytes") {
			t.Errorf("New with a short key: %q", v)
		}
	}()
	newCache(t, middleware.Options{TagKey: []byte("key")})
}

// A part of a page that came from the store has read rows, too.
func TestRowKeysOfAPartForACacheInFront(t *testing.T) {
	c := newCache(t, middleware.Options{})
	part := c.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			middleware.Reads(r.Context(), "users", "ann@example.com")
		}))
	page := c.With(policy.Policy{TTL: time.Minute, SendTags: []string{"Xkey"}})(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			inner := r.Clone(r.Context())
			inner.URL.Path = "/part"
			part.ServeHTTP(&discards{http.Header{}}, inner)
		}))
	for _, path := range []string{"/1", "/2"} {
		if sent := get(page, path).Header.Get("Xkey"); sorted(sent) != "users users:*" {
			t.Errorf("%s: the tags are %q", path, sent)
		}
	}
}

// discards is a client of a part.
type discards struct{ h http.Header }

func (d *discards) Header() http.Header         { return d.h }
func (d *discards) Write(p []byte) (int, error) { return len(p), nil }
func (d *discards) WriteHeader(int)             {}

func sorted(list string) string {
	words := strings.Fields(list)
	slices.Sort(words)
	return strings.Join(words, " ")
}
