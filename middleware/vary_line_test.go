package middleware

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store/memstore"
)

func TestOneLine(t *testing.T) {
	long := strings.Repeat("X", 300)
	for _, test := range []struct{ lines, want []string }{
		{[]string{"Accept-Language", "Authorization, Cookie"}, []string{"Accept-Language, Authorization, Cookie"}},
		{[]string{"Cookie,Origin", "cookie , ORIGIN"}, []string{"Cookie, Origin"}},
		{[]string{"Origin", "a, *"}, []string{"*"}},
		{[]string{"", ","}, nil},
		{[]string{"A", "B", "C, A"}, []string{"A, B, C"}},
		{[]string{long, "A"}, []string{long + ", A"}},
	} {
		for range 2 { // the second time from the table
			if got := oneLine(test.lines); !slices.Equal(got, test.want) {
				t.Errorf("%q became %q, want %q", test.lines, got, test.want)
			}
		}
	}
	lines := []string{"Origin", "Authorization, Cookie"}
	if n := testing.AllocsPerRun(100, func() { oneLine(lines) }); n > 0 {
		t.Errorf("a hit takes memory for its Vary %v times", n)
	}
}

// What handlers say of Vary and what the cache adds go out as one line, when stored and on a hit.
func TestVaryIsOneLine(t *testing.T) {
	pages := memstore.New(64 << 20)
	defer pages.Close()
	c := New(pages, Options{})
	site := c.Root(c.With(policy.Policy{TTL: time.Minute})(http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Vary", "Accept-Language")
			w.Write([]byte("noswaith dda"))
		})))
	for _, want := range []string{"stored", "hit"} {
		w := httptest.NewRecorder()
		site.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if got := w.Result().Header; !slices.Equal(got["Vary"],
			[]string{"Accept-Language, Authorization, Cookie"}) ||
			!strings.Contains(got.Get("Cache-Status"), want) {
			t.Errorf("%q, %q; want it %s", got["Vary"], got["Cache-Status"], want)
		}
	}
}
