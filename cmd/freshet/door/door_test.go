package door_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/adapters/admin"
	"github.com/freshet-go/freshet/cmd/freshet/door"
	"github.com/freshet-go/freshet/store/memstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "a token of 24 characters"

// app is a running app with a door. It returns the app's URL, and a client of its door.
func app(t *testing.T) (site string, c *door.Client) {
	pages := memstore.New(1 << 20)
	watch := admin.NewWatch()
	cache := freshet.New(pages, freshet.Options{Observe: watch.Observe})
	mux := http.NewServeMux()
	mux.Handle("/door/", http.StripPrefix("/door", admin.New(cache, watch,
		admin.Options{Authenticate: admin.Tokens(token)})))
	mux.Handle("/", cache.With(freshet.Policy{TTL: time.Hour, MaxBody: 1 << 10})(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/private" {
				w.Header().Set("Cache-Control", "no-store")
			}
			fmt.Fprint(w, r.URL.Path)
		})))
	server := httptest.NewServer(cache.Root(mux))
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		http.DefaultClient.CloseIdleConnections()
		server.Close()
		cache.Shutdown(context.Background())
		pages.Close()
	})
	at, err := url.Parse(server.URL + "/door")
	if err != nil {
		t.Fatal(err)
	}
	return server.URL, &door.Client{At: at, Token: token, Transport: transport}
}

func visit(t *testing.T, url string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
}

// known reports what an answer has that its type does not.
func known(text []byte, to any) error {
	in := json.NewDecoder(bytes.NewReader(text))
	in.DisallowUnknownFields()
	return in.Decode(to)
}

// The types of this package have all that the door of an app answers.
func TestAnswersOfTheDoor(t *testing.T) {
	site, c := app(t)
	events, err := c.Events(t.Context(), url.Values{"reason": {"no-store"}})
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	for _, path := range []string{"/a", "/a", "/b", "/private"} {
		visit(t, site+path)
	}
	e, line, err := events.Next()
	if err != nil || e.Path != "/private" || e.Result != "unstored" || e.Status != 200 ||
		e.Fill <= 0 || e.Time.IsZero() {
		t.Errorf("%+v, %v", e, err)
	}
	if err := known(line, &door.Event{}); err != nil {
		t.Errorf("an event: %v: %s", err, line)
	}
	s, text, err := c.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := known(text, &door.Stats{}); err != nil {
		t.Errorf("stats: %v: %s", err, text)
	}
	if s.Times["fill"].Count != 3 || s.Times["hit"].Count != 1 || len(s.Series) != 3 ||
		len(s.Tiers) != 1 || s.Tiers[0].Entries != 2 {
		t.Errorf("%s", text)
	}
	top, text, err := c.Top(t.Context(), 2)
	if err != nil || known(text, &door.Top{}) != nil || len(top.Misses) != 2 {
		t.Errorf("%v, %s", err, text)
	}
	if _, _, err := c.Top(t.Context(), door.MaxPages+1); !door.Is(err, door.Wrong) ||
		!strings.Contains(err.Error(), "a number from 1 to 256") {
		t.Errorf("more pages than are ranked: %v", err)
	}
}

// answering is a transport that answers every request alike.
type answering func(*http.Request) (*http.Response, error)

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

func answer(status int, body string, fields ...string) answering {
	return func(r *http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i < len(fields); i += 2 {
			h.Set(fields[i], fields[i+1])
		}
		return &http.Response{StatusCode: status, Status: fmt.Sprint(status, " ",
			http.StatusText(status)), Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

// Whatever stands where a door should be is named in the error, and is of one kind.
func TestWhatIsNoDoor(t *testing.T) {
	const version = admin.VersionField
	at, _ := url.Parse("http://app.example/door")
	for _, c := range []struct {
		story string
		is    answering
		kind  door.Kind
		says  string
	}{
		{"nobody", func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF },
			door.Away, "did not answer"},
		{"a proxy without its app", answer(502, "<html>"), door.Away, "502 Bad Gateway"},
		{"another token", answer(401, "{}", version, "1"), door.Refused, "wants another token"},
		{"something before the door", answer(403, "no"), door.Refused, "(status 403)"},
		{"another app", answer(404, "not found"), door.NoDoor, "is not the admin door of a Freshet"},
		{"a page", answer(200, "<html>"), door.NoDoor, "is not the admin door of a Freshet"},
		{"a redirect", answer(301, "", "Location", "https://app.example/door/stats"), door.NoDoor,
			`redirects to "https://app.example/door/stats"`},
		{"a later version", answer(200, "{}", version, "2\x1b[2J"), door.NoDoor,
			`speaks version "2\x1b[2J", and this freshet version "1"`},
		{"no JSON", answer(200, "\x1b]0;x\a", version, "1"), door.NoDoor, `"\x1b]0;x\a"`},
		{"other JSON", answer(200, `{"now": 1}`, version, "1"), door.NoDoor, "does not understand"},
		{"no stats", answer(200, `{}`, version, "1"), door.NoDoor, "does not understand"},
		{"a problem", answer(503, `{"detail": "16 others listen already"}`, version, "1"), door.Wrong,
			`status 503: "16 others listen already"`},
		{"an answer without an end", func(r *http.Request) (*http.Response, error) {
			res, _ := answer(200, "", version, "1")(r)
			res.Body = io.NopCloser(io.LimitReader(spaces{}, 1<<30))
			return res, nil
		}, door.Wrong, "more than 16 MiB"},
	} {
		client := &door.Client{At: at, Token: token, Transport: c.is}
		_, _, err := client.Stats(t.Context())
		if !door.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) ||
			!strings.HasPrefix(err.Error(), "the door http://app.example/door ") {
			t.Errorf("%s: %v, want kind %d and %q", c.story, err, c.kind, c.says)
		}
		if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }) {
			t.Errorf("%s: the error has control characters: %q", c.story, err)
		}
	}
}

type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// streaming answers with a stream that the test writes.
func streaming() (answering, *io.PipeWriter) {
	from, to := io.Pipe()
	return func(r *http.Request) (*http.Response, error) {
		res, _ := answer(200, "", admin.VersionField, "1")(r)
		res.Body = from
		context.AfterFunc(r.Context(), func() { from.CloseWithError(r.Context().Err()) })
		return res, nil
	}, to
}

// A stream that is cut in the middle of a line, that ends, or that says nothing for 45 seconds is
// one whose app is away; its empty lines keep it alive.
func TestStreamsEnd(t *testing.T) {
	at, _ := url.Parse("http://app.example/door")
	const line = `{"time":"2026-11-29T10:00:00Z","path":"/a","result":"hit"}` + "\n"
	for _, c := range []struct {
		story string
		end   func(*io.PipeWriter)
		kind  door.Kind
		says  string
	}{
		{"ends", func(w *io.PipeWriter) { w.Close() }, door.Away, "the app ended it"},
		{"cut", func(w *io.PipeWriter) {
			io.WriteString(w, line[:20])
			w.CloseWithError(io.ErrUnexpectedEOF)
		}, door.Away, "unexpected EOF"},
		{"silent", func(*io.PipeWriter) {}, door.Away, "silent for too long"},
		{"no event", func(w *io.PipeWriter) { io.WriteString(w, "{}\n") }, door.NoDoor,
			"does not understand"},
	} {
		synctest.Test(t, func(t *testing.T) {
			transport, to := streaming()
			client := &door.Client{At: at, Transport: transport}
			events, err := client.Events(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				time.Sleep(40 * time.Second)
				io.WriteString(to, "\n")
				time.Sleep(40 * time.Second)
				io.WriteString(to, line)
				time.Sleep(40 * time.Second)
				c.end(to)
			}()
			if e, _, err := events.Next(); err != nil || e.Path != "/a" {
				t.Errorf("%s: %v, %v", c.story, e, err)
			}
			_, _, err = events.Next()
			if !door.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v, want kind %d and %q", c.story, err, c.kind, c.says)
			}
			events.Close()
			to.Close()
			synctest.Wait()
		})
	}
}
