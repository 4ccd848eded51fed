package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// The first PROPFIND tells Changes that there is WebDAV. Its answer goes through, however long it is.
func TestALongAnswerToPROPFINDGoesThroughChanges(t *testing.T) {
	page := strings.Repeat("x", 100<<10)
	for name, write := range map[string]func(w http.ResponseWriter){
		"Write":    func(w http.ResponseWriter) { io.WriteString(w, page) },
		"ReadFrom": func(w http.ResponseWriter) { w.(io.ReaderFrom).ReadFrom(strings.NewReader(page)) },
	} {
		t.Run(name, func(t *testing.T) {
			url, client := serve(t, newCache(t).Changes(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusMultiStatus)
				write(w)
			})), false)
			for range 2 {
				r, _ := http.NewRequest("PROPFIND", url, nil)
				res, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(res.Body)
				res.Body.Close()
				want(t, "bytes", len(got), len(page))
				want(t, "error", err, nil)
			}
		})
	}
}

// A server has collections, of which DELETE deletes the members too, when it answers a method of WebDAV's with success:
// no other answer tells that.
func TestWhatTellsChangesOfWebDAV(t *testing.T) {
	for _, s := range []struct {
		method  string
		status  int
		members int64 // how often the handler of a member runs, before and after a DELETE
	}{
		{"GET", http.StatusOK, 1},
		{"PROPFIND", http.StatusNotFound, 1},
		{"PROPFIND", http.StatusMultipleChoices, 1},
		{"PROPFIND", http.StatusMovedPermanently, 1},
		{"PROPFIND", http.StatusMultiStatus, 2},
	} {
		t.Run(fmt.Sprint(s.method, s.status), func(t *testing.T) {
			c := newCache(t)
			member := &origin{h: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page") }}
			mux := http.NewServeMux()
			mux.Handle("GET /notes/a", c.With(policy.Policy{TTL: time.Minute})(member))
			mux.HandleFunc("/probe", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(s.status) })
			mux.HandleFunc("DELETE /notes", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
			app := c.Changes(mux)
			do(app, s.method, "/probe")
			get(app, "/notes/a")
			do(app, "DELETE", "/notes")
			get(app, "/notes/a")
			want(t, "runs", member.runs.Load(), s.members)
		})
	}
}
