package notices

import (
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func get(h http.Handler, path string, fields ...string) *httptest.ResponseRecorder {
	return send(h, "GET", path, fields...)
}

func send(h http.Handler, method, path string, fields ...string) *httptest.ResponseRecorder {
	w, r := httptest.NewRecorder(), httptest.NewRequest(method, "http://app.example"+path, nil)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	h.ServeHTTP(w, r)
	return w
}

// field is a field of the header as it was sent, or "-" without.
func field(w *httptest.ResponseRecorder, name string) string {
	if v := w.Result().Header[name]; len(v) > 0 {
		return strings.Join(v, " and ")
	}
	return "-"
}

func want(t *testing.T, what, got, wanted string) {
	t.Helper()
	if got != wanted {
		t.Errorf("%s: %s, want %s", what, got, wanted)
	}
}

func set(t *testing.T, b *Board, f Fields) {
	t.Helper()
	if err := b.Set(f); err != nil {
		t.Fatal(err)
	}
}

func answer(status int, fields ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(fields); i += 2 {
			w.Header().Set(fields[i], fields[i+1])
		}
		w.WriteHeader(status)
	})
}

func TestBackoff(t *testing.T) {
	var b Board
	ok := b.Handler(answer(200))
	want(t, "by default", field(get(ok, "/"), "Backoff"), "-")
	set(t, &b, Fields{Backoff: new(10 * time.Second)})
	for _, status := range []int{200, 304, 404, 500, 503} {
		want(t, http.StatusText(status), field(get(b.Handler(answer(status)), "/"), "Backoff"),
			"10")
	}
	set(t, &b, Fields{Backoff: new(time.Duration(0))})
	want(t, "0 seconds are a value", field(get(ok, "/"), "Backoff"), "0")
	set(t, &b, Fields{Backoff: new(10 * time.Second), BackoffPercentage: 50})
	for _, each := range []struct {
		draw float64
		want string
	}{{0, "10"}, {40, "10"}, {49.9, "10"}, {50, "-"}, {60, "-"}} {
		b.draw = func() float64 { return each.draw }
		want(t, "of 50 percent", field(get(ok, "/"), "Backoff"), each.want)
	}
	set(t, &b, Fields{Backoff: new(10 * time.Second), BackoffPercentage: -1})
	b.draw = func() float64 { return 0 }
	want(t, "never", field(get(ok, "/"), "Backoff"), "-")
	set(t, &b, Fields{Backoff: new(10 * time.Second)})
	b.draw = func() float64 { return math.Nextafter(100, 0) }
	want(t, "always", field(get(ok, "/"), "Backoff"), "10")
	b.draw = nil
	seen := map[string]bool{}
	set(t, &b, Fields{Backoff: new(10 * time.Second), BackoffPercentage: 50})
	for range 200 { // that all come out alike has a probability of 2 in 2^200
		seen[field(get(ok, "/"), "Backoff")] = true
	}
	if len(seen) != 2 {
		t.Errorf("by lot, at 50 percent: %v", seen)
	}
}

func TestRetryAfter(t *testing.T) {
	var b Board
	busy, later := b.Handler(answer(503)), b.Handler(answer(503, "Retry-After", "7"))
	want(t, "by default", field(get(busy, "/"), "Retry-After"), "30")
	set(t, &b, Fields{RetryAfter: 3 * time.Second})
	want(t, "a 503", field(get(busy, "/"), "Retry-After"), "3")
	want(t, "a 503 that has one", field(get(later, "/"), "Retry-After"), "7")
	for _, status := range []int{200, 429, 500, 504} {
		want(t, http.StatusText(status), field(get(b.Handler(answer(status)), "/"), "Retry-After"),
			"-")
	}
	hinted := b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	server := httptest.NewServer(hinted)
	defer server.Close()
	answer, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	want(t, "after a hint", answer.Header.Get("Retry-After"), "3")
	server.Client().CloseIdleConnections()
	set(t, &b, Fields{RetryAfter: -1})
	want(t, "none", field(get(busy, "/"), "Retry-After"), "-")
}

// OnHeader does what Handler's writer does, without one.
func TestOnHeader(t *testing.T) {
	var b Board
	field := func(status int, before ...string) string {
		h := http.Header{}
		if before != nil {
			h["Retry-After"] = before
		}
		b.OnHeader(status, h)
		return h.Get("Retry-After")
	}
	want(t, "by default", field(503), "30")
	want(t, "a 503 that has one", field(503, "7"), "7")
	want(t, "a 500", field(500), "")
	set(t, &b, Fields{RetryAfter: 3 * time.Second, Backoff: new(time.Second)})
	want(t, "changed", field(503), "3")
	set(t, &b, Fields{RetryAfter: -1})
	want(t, "none", field(503), "")
	bare := true
	b.Outer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, bare = w.(*httptest.ResponseRecorder)
	})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if !bare {
		t.Error("Outer puts a ResponseWriter around the client's")
	}
}

// A panic that something outside turns into a 500 has the fields, too.
func TestPanic(t *testing.T) {
	var b Board
	set(t, &b, Fields{Backoff: new(10 * time.Second)})
	app := b.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("oh") }))
	outer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			recover()
			http.Error(w, "sorry", 500)
		}()
		app.ServeHTTP(w, r)
	})
	want(t, "a 500", field(get(outer, "/"), "Backoff"), "10")
}

func TestEndOfService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b Board
		runs := 0
		app := b.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { runs++ }))
		want(t, "by default", field(get(app, "/"), "Alert"), "-")
		end := time.Now().Add(time.Hour)
		set(t, &b, Fields{EOS: end})
		want(t, "without more", field(get(app, "/"), "Alert"), `{"code":"soft-eol"}`)
		set(t, &b, Fields{EOS: end, EOSMessage: `Wir ziehen um: "größer" 🚀` + "\x7f\n",
			EOSURL: "https://example.com/?a=1&b=<2>"})
		w := get(app, "/")
		want(t, "with both", field(w, "Alert"), `{"code":"soft-eol",`+
			`"message":"Wir ziehen um: \"gr\u00f6\u00dfer\" \ud83d\ude80\u007f\n","url":"https://example.com/?a=1&b=<2>"}`)
		var told map[string]string
		if err := json.Unmarshal([]byte(field(w, "Alert")), &told); err != nil || told["message"] != b.Fields().EOSMessage {
			t.Errorf("read again the message is %q: %v", told["message"], err)
		}
		time.Sleep(time.Hour - 1)
		if w := get(app, "/"); w.Code != 200 {
			t.Errorf("a moment before: %d", w.Code)
		}
		time.Sleep(1)
		set(t, &b, Fields{EOS: end, EOSURL: "https://example.com/", Backoff: new(time.Minute)})
		runs = 0
		for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS"} {
			w := send(app, method, "/")
			if w.Code != 410 {
				t.Errorf("%s at the date: %d, want 410", method, w.Code)
			}
			want(t, "Alert", field(w, "Alert"), `{"code":"hard-eol","url":"https://example.com/"}`)
			want(t, "Backoff", field(w, "Backoff"), "60")
			want(t, "Cache-Control", field(w, "Cache-Control"), "no-store")
			want(t, "Content-Type", field(w, "Content-Type"), "application/json")
			want(t, "body", w.Body.String(), `{"code":410,"errno":202,"error":"Gone","message":`+
				`"The service you are trying to connect no longer exists at this location."}`)
		}
		if runs != 0 {
			t.Errorf("the handler ran %d times after the end", runs)
		}
		set(t, &b, Fields{})
		if w := get(app, "/"); w.Code != 200 || field(w, "Alert") != "-" {
			t.Errorf("revoked: %d, Alert %s", w.Code, field(w, "Alert"))
		}
	})
}

// What is refused changes nothing, and says what is wrong and what is allowed.
func TestSetRefuses(t *testing.T) {
	var b Board
	set(t, &b, Fields{Backoff: new(time.Second)})
	for _, each := range []struct {
		fields Fields
		words  []string
	}{
		{Fields{Backoff: new(-time.Second)}, []string{"Backoff is -1s", "from 0 to 2147483648"}},
		{Fields{Backoff: new(1500 * time.Millisecond)}, []string{"Backoff is 1.5s"}},
		{Fields{Backoff: new(maxSeconds + time.Second)}, []string{"Backoff"}},
		{Fields{BackoffPercentage: 100.5}, []string{"BackoffPercentage is 100.5", "up to 100"}},
		{Fields{BackoffPercentage: math.NaN()}, []string{"BackoffPercentage is NaN"}},
		{Fields{RetryAfter: time.Millisecond}, []string{"RetryAfter is 1ms",
			"whole number of seconds"}},
		{Fields{EOSMessage: strings.Repeat("x", 1025)}, []string{"EOSMessage", "1024"}},
		{Fields{EOSMessage: "\xff"}, []string{"EOSMessage", "UTF-8"}},
		{Fields{EOSURL: "/moved"}, []string{"EOSURL", `"/moved"`, "absolute"}},
		{Fields{EOSURL: "javascript:alert(1)"}, []string{"EOSURL"}},
		{Fields{EOSURL: "https://\r\nX: y/"}, []string{"EOSURL"}},
		{Fields{Backoff: new(-time.Second), RetryAfter: 1}, []string{"Backoff", "RetryAfter"}},
	} {
		err := b.Set(each.fields)
		for _, word := range each.words {
			if err == nil || !strings.Contains(err.Error(), word) {
				t.Errorf("%+v: the error %v does not say %q", each.fields, err, word)
			}
		}
		want(t, "Backoff", field(get(b.Handler(answer(200)), "/"), "Backoff"), "1")
	}
}

// The caller's Backoff, and the one that Fields returned, are not the Board's.
func TestFieldsAreCopies(t *testing.T) {
	var b Board
	mine := new(time.Second)
	set(t, &b, Fields{Backoff: mine})
	*mine = time.Hour
	*b.Fields().Backoff = time.Hour
	if got := *b.Fields().Backoff; got != time.Second {
		t.Errorf("the Board's Backoff became %v", got)
	}
}

func TestWriterKeepsAbilities(t *testing.T) {
	var b Board
	server := httptest.NewServer(b.Handler(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		if _, ok := w.(http.Flusher); !ok {
			t.Error("it is no http.Flusher")
		}
		c := http.NewResponseController(w)
		if err := c.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Errorf("SetWriteDeadline: %v", err)
		}
		if err := c.Flush(); err != nil {
			t.Errorf("Flush: %v", err)
		}
		if r.URL.Path == "/hijack" {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Errorf("Hijack: %v", err)
				return
			}
			conn.Close()
		}
	})))
	defer server.Close()
	defer server.Client().CloseIdleConnections()
	if answer, err := server.Client().Get(server.URL); err != nil {
		t.Error(err)
	} else {
		answer.Body.Close()
	}
	if answer, err := server.Client().Get(server.URL + "/hijack"); err == nil {
		answer.Body.Close()
	}
}
