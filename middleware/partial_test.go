package middleware_test

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
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

// Several ranges of a stored page are parts of one content, each with its place and the type of the whole, if that has
// one (RFC 9110 section 15.3.7.2).
func TestSeveralRangesOfAStoredPage(t *testing.T) {
	for _, typed := range []bool{true, false} {
		h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header()["Content-Type"] = nil
			if typed {
				w.Header().Set("Content-Type", "text/x")
			}
			io.WriteString(w, strings.Repeat("0123456789", 100))
		}))
		get(h, "/")
		r := get(h, "/", "Range", "bytes=0-1, 707-708") // far apart, or else they would be one
		status(t, r, "hit")
		want(t, "status", r.StatusCode, http.StatusPartialContent)
		_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil {
			t.Fatal(err)
		}
		whole := body(r)
		want(t, "Content-Length", r.Header.Get("Content-Length"), fmt.Sprint(len(whole)))
		parts := multipart.NewReader(strings.NewReader(whole), params["boundary"])
		for _, s := range []struct{ place, bytes string }{{"bytes 0-1/1000", "01"}, {"bytes 707-708/1000", "78"}} {
			part, err := parts.NextPart()
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(part)
			want(t, "part", string(got), s.bytes)
			want(t, "Content-Range", part.Header.Get("Content-Range"), s.place)
			want(t, "a part's type", part.Header.Get("Content-Type") == "text/x", typed)
			want(t, "fields", len(part.Header) == 2, typed)
		}
		if _, err := parts.NextPart(); err != io.EOF {
			t.Errorf("behind the last part: %v", err)
		}
	}
}
