package middleware_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A part of a page is stored, used, added to, and completed by the one part that lacks, however large the
// page is (RFC 9111 sections 3.3 and 3.4).
func TestPartsAreStoredUsedCombinedAndCompleted(t *testing.T) {
	for name, page := range map[string]string{"small": strings.Repeat("0123456789", 10), "large": strings.Repeat("0123456789", 10_000)} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			var asked []string
			o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				asked = append(asked, r.Header.Get("Range"))
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("ETag", `"1"`)
				http.ServeContent(w, r, "page.txt", time.Time{}, bytes.NewReader([]byte(page)))
			}}
			h := c.Handler(o)
			part := func(want2, contains, header string) {
				t.Helper()
				r := get(h, "/", "Range", "bytes="+header)
				want(t, "status of "+header, r.StatusCode, 206)
				want(t, "body of "+header, body(r), want2)
				status(t, r, contains)
			}
			part(page[0:20], "fwd=uri-miss", "0-19")
			part(page[5:10], "hit", "5-9")
			part(page[20:40], "fwd=partial", "20-39")
			part(page[10:30], "hit", "10-29")
			r := get(h, "/")
			want(t, "status", r.StatusCode, 200)
			want(t, "whole", body(r) == page, true)
			r = get(h, "/")
			status(t, r, "hit")
			want(t, "whole again", body(r) == page, true)
			want(t, "asked", strings.Join(asked, " "), "bytes=0-19 bytes=20-39 bytes=40-")
		})
	}
}
