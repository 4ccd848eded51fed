package middleware_test

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// A part of a page is stored, used, added to, and completed by the one part that lacks, however
// large the page is (RFC 9111 sections 3.3 and 3.4).
func TestPartsAreStoredUsedCombinedAndCompleted(t *testing.T) {
	for name, page := range map[string]string{"small": strings.Repeat("0123456789", 10),
		"large": strings.Repeat("0123456789", 10_000)} {
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

// Several ranges of a stored page are parts of one content, each with its place and the type of the
// whole, if that has one (RFC 9110 section 15.3.7.2).
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
		for _, s := range []struct{ place, bytes string }{{"bytes 0-1/1000", "01"},
			{"bytes 707-708/1000", "78"}} {
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

// Parts are stored as one up to the bound of a body, however many clients ask for.
func TestPartsTogetherAreNoLongerThanABody(t *testing.T) {
	text := strings.Repeat("0123456789", 300)
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Etag", `"1"`)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(text))
	}}
	h := newCache(t).With(policy.Policy{MaxBody: 1000})(o)
	part := func(first, last int) *http.Response {
		r := get(h, "/", "Range", fmt.Sprintf("bytes=%d-%d", first, last))
		want(t, "a part", body(r), text[first:last+1])
		return r
	}
	for first := 0; first < 3000; first += 500 {
		status(t, part(first, first+499), "stored")
	}
	status(t, part(2000, 2999), "hit")
	status(t, part(1900, 1999), "fwd=partial")
	runs := o.runs.Load()
	r := get(h, "/")
	want(t, "the whole", body(r), text)
	status(t, r, "detail=too-large")
	want(t, "its runs", o.runs.Load()-runs, int64(1))
}

// Parts that are as long together as a body may be are one. One byte more that completes the page
// stands for itself, and one that does not leaves them as they are; a page that is just as long is
// completed by what it lacks, and a longer one is made anew.
func TestPartsAsLongAsABody(t *testing.T) {
	for _, s := range []struct {
		length int
		asked  string // for the whole, when its first half is stored
		joined string // what 1000 bytes are when one more has come
	}{
		{1000, "bytes=500-", ""}, {1001, "", "fwd=partial"}, {2000, "", "hit"},
	} {
		text := strings.Repeat("x", s.length)
		asked := ""
		h := newCache(t).With(policy.Policy{MaxBody: 1000})(
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = r.Header.Get("Range")
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("Etag", `"1"`)
				http.ServeContent(w, r, "", time.Time{}, strings.NewReader(text))
			}))
		part := func(url, field string) *http.Response {
			return get(h, url, "Range", "bytes="+field)
		}
		part("/", "0-499")
		want(t, "length of the whole", len(body(get(h, "/"))), s.length)
		want(t, fmt.Sprint("asked for the whole of ", s.length), asked, s.asked)
		if s.joined == "" {
			continue
		}
		part("/parts", "0-499")
		part("/parts", "500-999")
		status(t, part("/parts", "0-999"), "hit")
		part("/parts", "1000-1000")
		status(t, part("/parts", "0-999"), s.joined)
	}
}

// What lacks of a stored page is asked for without the client's conditions, and so is all of it
// when the part is stale. They are of the whole, and the answer is for all.
func TestAPageIsCompletedWithoutTheClientsConditions(t *testing.T) {
	for age, sent := range map[time.Duration]string{0: "bytes=500-", 2 * time.Minute: ""} {
		synctest.Test(t, func(t *testing.T) {
			text := strings.Repeat("0123456789", 100)
			asked := ""
			h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = r.Header.Get("Range") + r.Header.Get("If-None-Match") +
					r.Header.Get("If-Modified-Since")
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("Etag", `"1"`)
				http.ServeContent(w, r, "", time.Time{}, strings.NewReader(text))
			}))
			get(h, "/", "Range", "bytes=0-499")
			time.Sleep(age)
			r := get(h, "/", "If-None-Match", `"2"`, "If-Modified-Since",
				"Sat, 01 Jan 2000 00:00:00 GMT")
			want(t, "the page", body(r), text)
			want(t, fmt.Sprint("asked after ", age), asked, sent)
		})
	}
}

// A client that stalls on one part holds that part, and not all that are stored.
func TestAClientOfAPartHoldsNoMore(t *testing.T) {
	const clients = 24
	text := strings.Repeat("x", 16<<20)
	stored := 512 << 10
	c := newCache(t)
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Etag", `"1"`)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(text))
	}))
	status(t, get(h, "/", "Range", fmt.Sprintf("bytes=0-%d", stored-1)), "fwd=uri-miss")
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	var all sync.WaitGroup
	free := make(chan bool)
	for range clients {
		first := stored
		stored += stored/8 + 1 // enough that it is joined
		last := stored - 1
		w := &stalled{ResponseRecorder: httptest.NewRecorder(), free: free, began: make(chan bool)}
		all.Go(func() {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", first, last))
			h.ServeHTTP(w, r)
		})
		<-w.began
		for get(h, "/", "Range", fmt.Sprintf("bytes=0-%d", last),
			"Cache-Control", "only-if-cached").StatusCode != 206 {
			runtime.Gosched() // until it is stored
		}
	}
	if held := heap() - before; held > 40<<20 {
		t.Errorf("%d clients of %d bytes in all hold %d", clients, stored, held)
	}
	close(free)
	all.Wait()
}

// stalled is a client that takes nothing until it is free.
type stalled struct {
	*httptest.ResponseRecorder
	free, began chan bool
	once        sync.Once
}

func (w *stalled) Write(p []byte) (int, error) {
	w.once.Do(func() { close(w.began) })
	<-w.free
	return w.ResponseRecorder.Write(p)
}

// A part never takes the place of a whole, not even a user's of a page that is everybody's.
func TestAUsersPartLeavesEverybodysPage(t *testing.T) {
	page := strings.Repeat("0123456789", 10)
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cookie") != "" {
			w.Header().Set("Cache-Control", "public, max-age=60")
		}
		w.Header().Set("ETag", `"1"`)
		http.ServeContent(w, r, "page.txt", time.Time{}, strings.NewReader(page))
	}}
	h := newCache(t).With(policy.Policy{TTL: time.Minute})(o)
	get(h, "/")
	r := get(h, "/", "Cookie", "user=a", "Range", "bytes=0-9")
	want(t, "the user's part", body(r), page[:10])
	want(t, "it is said to be stored", strings.Contains(r.Header.Get("Cache-Status"), "stored"),
		false)
	r = get(h, "/")
	status(t, r, "hit")
	want(t, "page", body(r), page)
	want(t, "runs", o.runs.Load(), int64(2))
}

// A part of a stored page has no digest of the whole page's content, and a page that is made of
// parts has none of a part's (RFC 9530 section 2). What speaks of the representation stays.
func TestAPartHasNoDigestOfTheWhole(t *testing.T) {
	page := strings.Repeat("0123456789", 10)
	o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "max-age=60")
		h.Set("ETag", `"1"`)
		for _, name := range []string{"Content-Digest", "Content-MD5", "Signature",
			"Signature-Input", "Repr-Digest", "Digest"} {
			h.Set(name, "of "+r.Header.Get("Range"))
		}
		http.ServeContent(w, r, "page.txt", time.Time{}, strings.NewReader(page))
	}}
	h := newCache(t).Handler(o)
	says := func(when, of string, r *http.Response) {
		t.Helper()
		for name, want := range map[string]string{"Content-Digest": of, "Content-MD5": of,
			"Signature": of, "Signature-Input": of} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %s: %q, want %q", when, name, got, want)
			}
		}
		for _, name := range []string{"Repr-Digest", "Digest"} {
			if !strings.HasPrefix(r.Header.Get(name), "of ") {
				t.Errorf("%s: %s is lost", when, name)
			}
		}
	}
	get(h, "/whole")
	says("the whole", "of ", get(h, "/whole"))
	says("a part", "", get(h, "/whole", "Range", "bytes=5-9"))
	says("two parts", "", get(h, "/whole", "Range", "bytes=0-1, 98-99"))
	get(h, "/parts", "Range", "bytes=0-49")
	says("a part of a part", "", get(h, "/parts", "Range", "bytes=5-9"))
	get(h, "/parts", "Range", "bytes=50-99")
	r := get(h, "/parts")
	says("of two parts", "", r)
	want(t, "body", body(r), page)
	want(t, "runs", o.runs.Load(), int64(3))
}
