package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

// net/http's server removes the files that a handler had it read a form into, of the request that
// it made itself: so what a handler has read is found there, whatever stands around the handler.
func TestTheServerFindsTheFormItMustRemove(t *testing.T) {
	reads := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(1 << 10); err != nil {
			t.Error(err)
		}
		panic(http.ErrAbortHandler)
	})
	c := newCache(t, middleware.Options{DebugKey: []byte(strings.Repeat("k", 32))})
	off, passes := policy.Policy{Off: true}, policy.Policy{PassCookies: []string{"id"}}
	for name, s := range map[string]struct {
		h      http.Handler
		method string
		fields []string
	}{
		"Root":                      {c.Root(reads), "POST", nil},
		"a mount that is off":       {c.With(off)(reads), "GET", nil},
		"a mount that keeps apart":  {c.With(passes)(reads), "OPTIONS", nil},
		"a mount that is explained": {c.With(minute)(reads), "POST", []string{"Freshet-Debug", "x"}},
		"a mount":                   {c.With(minute)(reads), "POST", nil},
	} {
		t.Run(name, func(t *testing.T) {
			form := "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--x--\r\n"
			r := httptest.NewRequest(s.method, "/", strings.NewReader(form))
			r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
			for i := 0; i < len(s.fields); i += 2 {
				r.Header.Set(s.fields[i], s.fields[i+1])
			}
			func() {
				defer func() { recover() }()
				s.h.ServeHTTP(httptest.NewRecorder(), r)
			}()
			if r.MultipartForm == nil || r.MultipartForm.Value["a"][0] != "b" {
				t.Errorf("the server's own request has the form %v", r.MultipartForm)
			}
		})
	}
}
