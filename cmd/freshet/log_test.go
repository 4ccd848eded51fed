package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/adapters/admin"
	"github.com/freshet-go/freshet/cmd/freshet/door"
)

func TestFilters(t *testing.T) {
	for _, c := range []struct {
		words []string
		query string // of the door
		says  string // an error
	}{
		{nil, "", ""},
		{[]string{"result=miss", "path~^/api"}, "path=^/api&result=miss", ""},
		{[]string{"result=hit,stale", "host=a.example:80,b", "reason=cookie,no-store"},
			"host=a.example:80,b&reason=cookie,no-store&result=hit,stale", ""},
		{[]string{"path=/a.b=c~d"}, `path=^/a\.b=c~d$`, ""},
		{[]string{"path~a=b"}, "path=a=b", ""},
		{[]string{"path=*", "host=[::1]:80,Www.Example"}, `host=[::1]:80,Www.Example&path=^\*$`, ""},
		{[]string{"path~^(cart|/)"}, "path=^(cart|/)", ""},
		{[]string{"path~cart"}, "path=cart", ""},
		{[]string{"miss"}, "", `the filter "miss": allowed are result=WORDS, reason=WORDS, host=HOSTS, ` +
			"path=PATH and path~REGEXP; result=miss was meant?"},
		{[]string{"cookie"}, "", "; reason=cookie was meant?"},
		{[]string{"/cart"}, "", "; path=/cart was meant?"},
		{[]string{"resutl=hit"}, "", "; result=hit was meant?"},
		{[]string{"result~miss"}, "", `the filter "result~miss": allowed are`},
		{[]string{"status=200"}, "", `the filter "status=200": allowed are`},
		{[]string{"result=mis"}, "", `there is no "mis": allowed are hit, stale, collapsed`},
		{[]string{"result=mis"}, "", `, miss; "miss" was meant?`},
		{[]string{"result=hit,"}, "", `there is no "": allowed are hit`},
		{[]string{"reason=no-stroe"}, "", `there is no "no-stroe": allowed are authorization, body`},
		{[]string{"reason=no-stroe"}, "", `"no-store" was meant?`},
		{[]string{"host="}, "", "a value is missing"},
		{[]string{"host=a", "host=b"}, "", "there is another one of its kind"},
		{[]string{"host=http://a/"}, "", `"http://a/" is no host: allowed are hosts as requests name them`},
		{[]string{"host=a,,b"}, "", `"" is no host`},
		{[]string{"host=a b"}, "", `"a b" is no host`},
		{[]string{"path=/a", "path~b"}, "", "there is another one of its kind"},
		{[]string{"path=cart"}, "", `the filter "path=cart": a path begins with /, such as path=/cart`},
		{[]string{"path=/x?y"}, "", "a path has no query and no fragment: say path=/x; path~ takes"},
		{[]string{"path=/x#y"}, "", "say path=/x; "},
		{[]string{"path=/caf%C3%A9"}, "", "paths are compared without their escapes: say path=/café; "},
		{[]string{"path~^cart"}, "", "a path begins with /, such as path~^/cart"},
		{[]string{"path~("}, "", "allowed is a regular expression of Go's: error parsing"},
		{[]string{"path=/" + strings.Repeat("x", 198)}, "", "201 bytes: at most 200 are allowed"},
	} {
		query, err := readFilters(c.words)
		got, _ := url.QueryUnescape(query.Encode())
		if c.says == "" && (err != nil || got != c.query) ||
			c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%q: %q, %v, want %q, %q", c.words, got, err, c.query, c.says)
		}
	}
}

// appOf is a running app as a transport: each request gets the next of its streams, or an error
// where there is none.
type appOf struct {
	mu      sync.Mutex
	streams []*io.PipeReader // nil: nobody answers
	queries []string
}

func (a *appOf) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queries = append(a.queries, r.URL.Path+"?"+r.URL.RawQuery)
	if len(a.streams) == 0 {
		return nil, errors.New("connection refused")
	}
	from := a.streams[0]
	a.streams = a.streams[1:]
	if from == nil {
		return nil, errors.New("connection refused")
	}
	context.AfterFunc(r.Context(), func() { from.CloseWithError(r.Context().Err()) })
	return &http.Response{StatusCode: 200, Body: from,
		Header: http.Header{admin.VersionField: {admin.Version}}}, nil
}

const hitOfA = `{"time":"2026-11-29T10:00:00Z","method":"GET","host":"a","path":"/a","status":200,` +
	`"took":0.001,"result":"hit"` // more may stand behind it

// following runs freshet log against an app, and returns what it printed when ctx has ended.
func following(ctx context.Context, app *appOf, asJSON bool) (out, errs *bytes.Buffer, err error) {
	out, errs = new(bytes.Buffer), new(bytes.Buffer)
	at, _ := url.Parse("http://app.example/door")
	f := &watchedLog{client: &door.Client{At: at, Transport: app}, out: newOutlet(out), stderr: errs,
		json: asJSON, filter: url.Values{"result": {"hit"}}}
	err = f.follow(ctx)
	if f.lost > 0 {
		fmt.Fprintf(errs, "lost %d of %d\n", f.lost, f.shown+f.lost)
	}
	return out, errs, err
}

// The app is started anew in the middle, and stays away for a while: the log goes on with what
// comes then, with the same filter, and says what happened. Ctrl-C ends it without an error.
func TestLogOutlivesTheApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := make(chan *io.PipeWriter, 1), make(chan *io.PipeWriter, 1)
		app := &appOf{}
		for _, to := range []chan *io.PipeWriter{first, nil, nil, second} {
			if to == nil {
				app.streams = append(app.streams, nil)
				continue
			}
			r, w := io.Pipe()
			app.streams = append(app.streams, r)
			to <- w
		}
		ctx, interrupt := context.WithCancel(t.Context())
		go func() {
			w := <-first
			io.WriteString(w, hitOfA+"}\n")
			w.Close()
			w = <-second
			io.WriteString(w, hitOfA+`,"dropped":7}`+"\n")
			time.Sleep(time.Second)
			interrupt()
		}()
		began := time.Now()
		out, errs, err := following(ctx, app, false)
		line := time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC).Local().Format("15:04:05.000") +
			"  200  hit           1.0 ms        0 B  –                 GET  a/a\n"
		if want := line + "… 7 events came too fast and were dropped\n" + line; err != nil ||
			out.String() != want {
			t.Errorf("%v\n%s\nwant\n%s", err, out, want)
		}
		if want := "freshet log: the door http://app.example/door sends no more events: the app " +
			"ended it (since " + began.Local().Format(time.TimeOnly) + "); it is asked again\n" +
			"freshet log: it answers again, after 1.6s; what came meanwhile is missing\n" +
			"lost 7 of 9\n"; errs.String() != want {
			t.Errorf("it says\n%s\nwant\n%s", errs, want)
		}
		if got := strings.Join(app.queries, " "); got != strings.TrimSpace(
			strings.Repeat("/door/events?result=hit ", 4)) {
			t.Errorf("asked %s", got)
		}
	})
}

// As JSON the lines come as they are, but for what a terminal would act on.
func TestLogAsJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		ctx, interrupt := context.WithCancel(t.Context())
		go func() {
			io.WriteString(w, hitOfA+"}\n\n"+hitOfA+",\"resource\":\"\u009b2J\u202e\"}\n")
			time.Sleep(time.Second)
			interrupt()
		}()
		out, errs, err := following(ctx, &appOf{streams: []*io.PipeReader{r}}, true)
		if want := hitOfA + "}\n" + hitOfA + `,"resource":"\u009b2J\u202e"}` + "\n"; err != nil ||
			errs.Len() > 0 || out.String() != want {
			t.Errorf("%v, %s\n%s\nwant\n%s", err, errs, out, want)
		}
	})
}

// At the start nobody is asked twice; afterwards only what time can mend.
func TestLogThatCannotBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := &appOf{}
		if _, _, err := following(t.Context(), app, false); !door.Is(err, door.Away) ||
			len(app.queries) != 1 {
			t.Errorf("%v, asked %d times", err, len(app.queries))
		}
		r, w := io.Pipe()
		go func() { io.WriteString(w, "{}\n") }()
		app = &appOf{streams: []*io.PipeReader{r}}
		if _, _, err := following(t.Context(), app, false); !door.Is(err, door.NoDoor) ||
			len(app.queries) != 1 {
			t.Errorf("%v, asked %d times", err, len(app.queries))
		}
		w.Close()
	})
}
