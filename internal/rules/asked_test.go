package rules

import (
	"net/http"
	"testing"

	"github.com/freshet-go/freshet/policy"
)

func TestAnswersRange(t *testing.T) {
	for _, c := range []struct {
		asked, got string
		want       bool
	}{
		{"bytes=0-4", "bytes 0-4/10", true},
		{"bytes=0-4", "bytes 1-3/10", true},
		{"bytes=0-4", "bytes 0-5/10", false},
		{"bytes=1-4", "bytes 0-4/10", false},
		{"bytes=0-4", "bytes 5-9/10", false},
		{"bytes=0-4", "bytes 0-9/10", false},
		{"bytes=0-4", "bytes 0-4/*", false},
		{"bytes=0-4", "", false},
		{"", "bytes 0-4/10", false},
		{"items=0-4", "bytes 0-4/10", false},
		{"bytes=4-0", "bytes 0-4/10", false},
		{"bytes=5-", "bytes 5-9/10", true},
		{"bytes=5-", "bytes 4-9/10", false},
		{"bytes=-3", "bytes 7-9/10", true},
		{"bytes=-3", "bytes 6-9/10", false},
		{"bytes=-30", "bytes 0-9/10", true},
		{"bytes=0-99", "bytes 0-9/10", true},
		{"bytes=20-30", "bytes 0-9/10", false},
		{"bytes=0-1,3-4", "bytes 0-4/10", true},
		{"bytes=3-4,0-1", "bytes 0-4/10", true},
		{"bytes=0-1,500-501", "bytes 0-501/1000", false},
		{"bytes=0-1,500-501", "bytes 500-501/1000", true},
	} {
		h := http.Header{}
		if c.got != "" {
			h.Set("Content-Range", c.got)
		}
		if got := AnswersRange(c.asked, h); got != c.want {
			t.Errorf("Range: %s, Content-Range: %s: %t, want %t", c.asked, c.got, got, c.want)
		}
	}
}

func TestReadRequestSaysWhatWasAsked(t *testing.T) {
	for _, c := range []struct {
		method string
		lines  []string
		want   string
	}{
		{"GET", []string{"bytes=0-4"}, "bytes=0-4"},
		{"GET", nil, ""},
		{"GET", []string{"bytes=0-4", "bytes=5-9"}, ""},
		{"HEAD", []string{"bytes=0-4"}, ""},
	} {
		r, _ := http.NewRequest(c.method, "http://a/", nil)
		r.Header["Range"] = c.lines
		if req, _, _ := ReadRequest(r, &policy.Policy{}); req.Asked != c.want {
			t.Errorf("%s with %q asked for %q, want %q", c.method, c.lines, req.Asked, c.want)
		}
	}
}
