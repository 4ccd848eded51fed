package middleware_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
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
