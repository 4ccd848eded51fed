package middleware_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// A handler that says again what a handler outside has said of Vary says it of its own page.
func TestVarySaidAgain(t *testing.T) {
	for _, s := range []struct{ field, allow string }{{"Origin", "https://a"}, {"Accept-Encoding",
		""}} {
		t.Run(s.field, func(t *testing.T) {
			c := newCache(t)
			o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Vary", s.field)
				io.WriteString(w, "for "+r.Header.Get(s.field))
			}}
			inner := c.With(policy.Policy{TTL: time.Minute})(o)
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Vary", s.field)
				if s.allow != "" {
					w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
				}
				inner.ServeHTTP(w, r)
			})
			for range 2 {
				for _, v := range []string{"a", "b"} {
					want(t, "the page", body(get(h, "/", s.field, v)), "for "+v)
				}
			}
			want(t, "runs", o.runs.Load(), int64(2))
		})
	}
}

// An answer to a POST that names itself the page is stored for GETs, and Cache-Status says so where
// its length tells beforehand that it will be. No other method's answer is (RFC 9110 section 9.3),
// nor one that its client wants unstored.
func TestWhichAnswersToChangesAreStored(t *testing.T) {
	for _, s := range []struct {
		story, method, length string
		fields                []string
		says, stored          bool
	}{
		{"a POST", "POST", "4", nil, true, true},
		{"an empty answer", "POST", "0", nil, true, true},
		{"of no declared length", "POST", "", nil, false, true},
		{"of the greatest length", "POST", "50", nil, true, true},
		{"too long by a byte", "POST", "51", nil, false, false},
		{"too long", "POST", "100", nil, false, false},
		{"a PUT", "PUT", "4", nil, false, false},
		{"a PATCH", "PATCH", "4", nil, false, false},
		{"a client that says no-store", "POST", "4", []string{"Cache-Control", "no-store"}, false,
			false},
	} {
		t.Run(s.story, func(t *testing.T) {
			c := newCache(t)
			o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Location", "/page")
				w.Header().Set("Cache-Control", "max-age=60")
				if s.length != "" {
					w.Header().Set("Content-Length", s.length)
				}
				n, _ := strconv.Atoi(s.length)
				if s.length == "" {
					n = 4
				}
				io.WriteString(w, strings.Repeat("x", n))
			}}
			h := c.With(policy.Policy{MaxBody: 50})(o)
			r := do(h, s.method, "/page", s.fields...)
			want(t, "Cache-Status says stored", strings.Contains(r.Header.Get("Cache-Status"),
				"stored"), s.says)
			get(h, "/page")
			want(t, "the GET is a hit", o.runs.Load() == 1, s.stored)
		})
	}
}

// A client's writer gets an answer to a POST in the pieces in which its handler wrote it, and
// nothing empty between.
func TestAPostIsWrittenInNoEmptyPieces(t *testing.T) {
	h := newCache(t).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Location", "/page")
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Length", "4")
		io.WriteString(w, "pa")
		io.WriteString(w, "ge")
	}))
	inner := httptest.NewRecorder()
	w := &countsWrites{ResponseWriter: inner}
	h.ServeHTTP(w, httptest.NewRequest("POST", "/page", nil))
	want(t, "body", inner.Body.String(), "page")
	want(t, "empty writes", w.empty, 0)
}

// A change invalidates what its answer names, in either field.
func TestAChangeInvalidatesWhatItsAnswerNames(t *testing.T) {
	for _, fields := range [][]string{{"Location"}, {"Content-Location"},
		{"Location", "Content-Location"}} {
		o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "POST" {
				for _, name := range fields {
					w.Header().Set(name, "/new")
				}
				w.WriteHeader(http.StatusCreated)
				return
			}
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, "page")
		}}
		h := newCache(t).Handler(o)
		get(h, "/new")
		do(h, "POST", "/list")
		get(h, "/new")
		want(t, fmt.Sprint("runs with ", fields), o.runs.Load(), int64(3))
	}
}

// An answer to a POST that is stored has its handler's own Date and type; where there are none, the
// Date of the moment, and a type that its bytes tell if they are not encoded. One that is not as
// long as it says is not stored.
func TestTheFieldsOfAnAnswerToPOST(t *testing.T) {
	const own = "Mon, 02 Jan 2006 15:04:05 GMT"
	for _, s := range []struct {
		story  string
		header http.Header
		body   string
		stored bool
		typed  string
	}{
		{"nothing", http.Header{}, "<html>", true, "text/html; charset=utf-8"},
		{"a type", http.Header{"Content-Type": {"text/x"}}, "<html>", true, "text/x"},
		{"a type, encoded", http.Header{"Content-Type": {"text/x"}, "Content-Encoding": {"x"}},
			"<html>", true, "text/x"},
		{"encoded", http.Header{"Content-Encoding": {"x"}}, "<html>", true, ""},
		{"empty", http.Header{}, "", true, ""},
		{"empty, of a type", http.Header{"Content-Type": {"text/x"}}, "", true, "text/x"},
		{"a date", http.Header{"Date": {own}}, "<html>", true, "text/html; charset=utf-8"},
		{"longer than it says", http.Header{"Content-Length": {"0"}}, "<html>", false, ""},
		{"shorter than it says", http.Header{"Content-Length": {"7"}}, "<html>", false, ""},
	} {
		t.Run(s.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
					maps.Copy(w.Header(), s.header)
					w.Header().Set("Content-Location", "/page")
					w.Header().Set("Cache-Control", "max-age=6000000000")
					io.WriteString(w, s.body)
				}}
				h := newCache(t).Handler(o)
				date := time.Now().UTC().Format(http.TimeFormat)
				if s.header["Date"] != nil {
					date = own
				}
				do(h, "POST", "/page")
				time.Sleep(10 * time.Second)
				r := get(h, "/page")
				want(t, "the GET is a hit", o.runs.Load() == 1, s.stored)
				if s.stored {
					want(t, "body", body(r), s.body)
					want(t, "Content-Type", r.Header.Get("Content-Type"), s.typed)
					want(t, "Date", r.Header.Get("Date"), date)
				}
			})
		})
	}
}

// An answer to a POST that its handler copies is stored like one that it writes, and one of no
// declared length up to MaxBody.
func TestAnAnswerToPOSTThatIsCopied(t *testing.T) {
	for size, stored := range map[int]bool{0: true, 50: true, 51: false} {
		for _, copies := range []bool{false, true} {
			o := &origin{h: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Location", "/page")
				w.Header().Set("Cache-Control", "max-age=60")
				page := strings.Repeat("x", size)
				if copies {
					io.Copy(w, struct{ io.Reader }{strings.NewReader(page)})
				} else {
					io.WriteString(w, page)
				}
			}}
			h := newCache(t).With(policy.Policy{MaxBody: 50})(o)
			do(h, "POST", "/page")
			get(h, "/page")
			want(t, fmt.Sprint(size, " bytes are stored, copied=", copies), o.runs.Load() == 1,
				stored)
		}
	}
}
