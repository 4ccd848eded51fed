package rules

import (
	"fmt"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// Jitter shortens a lifetime by up to its fraction of what is left, the same for the same response,
// spread evenly over keys, and the lifetime that clients see under an operator's agrees.
func TestJitter(t *testing.T) {
	received := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	for _, c := range []struct {
		name        string
		header      http.Header
		ttl         time.Duration
		jitter      float64
		least, most time.Duration
		announced   bool
	}{
		{"none", http.Header{}, time.Minute, 0, time.Minute, time.Minute, true},
		{"no number", http.Header{}, time.Minute, math.NaN(), time.Minute, time.Minute, true},
		{"an operator's", http.Header{}, time.Minute, 0.1, 54 * time.Second, time.Minute, true},
		{"the response's own", http.Header{"Cache-Control": {"max-age=60"}}, 0, 0.5, 30 * time.Second,
			time.Minute, false},
		{"a second always stays", http.Header{}, 2 * time.Second, 0.99, time.Second, 2 * time.Second,
			true},
		{"a second is not shortened", http.Header{}, time.Second, 0.9, time.Second, time.Second, true},
		{"what is old counts by what is left",
			http.Header{"Cache-Control": {"max-age=60"}, "Age": {"50"}}, 0, 0.5, 55 * time.Second,
			time.Minute, false},
		{"what is stale when it comes",
			http.Header{"Cache-Control": {"max-age=60"}, "Age": {"60"}, "Etag": {`"a"`}}, 0, 0.5,
			time.Minute, time.Minute, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			shortest, longest := time.Hour, time.Duration(0)
			for i := range 2000 {
				h := c.header.Clone()
				p := &policy.Policy{Jitter: c.jitter}
				req := Request{Key: fmt.Sprint("GET http://example.com/", i)}
				a := Admit(&req, 200, h, p, c.ttl, received, received)
				if again := Admit(&req, 200, h, p, c.ttl, received, received); again.Fresh != a.Fresh {
					t.Fatalf("%v, and judged again %v", a.Fresh, again.Fresh)
				}
				if a.Fresh+a.Jitter != c.most {
					t.Fatalf("%v and %v are not %v", a.Fresh, a.Jitter, c.most)
				}
				shortest, longest = min(shortest, a.Fresh), max(longest, a.Fresh)
				if Announce(h, p, a, &req, c.ttl, c.ttl > 0, received) != c.announced {
					t.Fatalf("announced is not %v", c.announced)
				}
				if said := h["Cache-Control"][0]; c.announced && said != MaxAge(a.Fresh) {
					t.Fatalf("clients see %s of %v", said, a.Fresh)
				}
				if said := h["Cache-Control"][0]; !c.announced && said != "max-age=60" {
					t.Fatalf("clients see %s", said)
				}
			}
			if shortest < c.least || longest > c.most {
				t.Errorf("from %v to %v, want %v to %v", shortest, longest, c.least, c.most)
			}
			if room := (c.most - c.least) / 20; shortest > c.least+room || longest < c.most-room {
				t.Errorf("from %v to %v only, of %v to %v", shortest, longest, c.least, c.most)
			}
		})
	}
}

// What is received at other times under one key is spread as well.
func TestJitterOfOneKey(t *testing.T) {
	at, sum := time.Unix(1700000000, 0), 0.0
	for i := range 1000 {
		n := spread("GET http://example.com/", at.Add(time.Duration(i)*time.Minute))
		if n < 0 || n >= 1 {
			t.Fatal(n)
		}
		sum += n
	}
	if mean := sum / 1000; math.Abs(mean-0.5) > 0.05 {
		t.Errorf("the mean is %v", mean)
	}
}
