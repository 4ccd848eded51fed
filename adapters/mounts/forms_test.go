package mounts_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/mux"
	"github.com/labstack/echo/v4"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/freshet-go/freshet/middleware"
)

// reply is what a raw client got.
type reply struct {
	status string
	header http.Header
	body   string
}

func (r reply) String() string { return r.status + " " + r.header.Get("Location") + " " + r.body }

// rawHTTP1 sends a request as written, line by line.
func rawHTTP1(t *testing.T, address string, lines ...string) reply {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\nConnection: close\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{fmt.Sprint(res.StatusCode), res.Header, string(body)}
}

// rawHTTP2 sends the fields of a GET as they are, as no client of Go's would.
func rawHTTP2(t *testing.T, address string, fields ...string) (got reply) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range append([]string{":method: GET", ":scheme: http"}, fields...) {
		i := strings.Index(field[1:], ":") + 1
		encoder.WriteField(hpack.HeaderField{Name: field[:i], Value: strings.TrimPrefix(field[i+1:], " ")})
	}
	framer.WriteSettings()
	framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
	got.header = http.Header{}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			got.status = f.PseudoValue("status")
			for _, field := range f.RegularFields() {
				got.header.Add(field.Name, field.Value)
			}
		case *http2.DataFrame:
			got.body += string(f.Data())
		case *http2.RSTStreamFrame:
			t.Fatalf("the server refused %q: %v", fields, f.ErrCode)
		}
		if frame.Header().StreamID == 1 && frame.Header().Flags.Has(http2.FlagDataEndStream) {
			return got
		}
	}
}

// serveBoth serves HTTP/1.1 and HTTP/2 at one address.
func serveBoth(t *testing.T, h http.Handler) string {
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// hostForms are the ways in which no browser asks for http://victim.example/page, but an attacker may.
var hostForms = []struct {
	story string
	ask   func(t *testing.T, address string) reply
}{
	{"in capitals", http1("GET /page HTTP/1.1", "Host: VICTIM.EXAMPLE")},
	{"in some capitals", http1("GET /page HTTP/1.1", "Host: Victim.example")},
	{"with the default port", http1("GET /page HTTP/1.1", "Host: victim.example:80")},
	{"with zeros before it", http1("GET /page HTTP/1.1", "Host: victim.example:0080")},
	{"with an empty port", http1("GET /page HTTP/1.1", "Host: victim.example:")},
	{"as a full domain name", http1("GET /page HTTP/1.1", "Host: victim.example.")},
	{"as a full domain name with a port", http1("GET /page HTTP/1.1", "Host: victim.example.:80")},
	{"absolute", http1("GET http://victim.example/page HTTP/1.1", "Host: victim.example")},
	{"absolute, in capitals", http1("GET HTTP://VICTIM.EXAMPLE/page HTTP/1.1", "Host: victim.example")},
	{"absolute, with a port", http1("GET http://victim.example:80/page HTTP/1.1", "Host: victim.example")},
	{"absolute, of another scheme", http1("GET https://victim.example/page HTTP/1.1", "Host: victim.example")},
	{"absolute, of a scheme that is none", http1("GET evil://victim.example/page HTTP/1.1", "Host: victim.example")},
	{"absolute, with a user", http1("GET http://evil@victim.example/page HTTP/1.1", "Host: victim.example")},
	{"absolute, with another Host", http1("GET http://victim.example/page HTTP/1.1", "Host: evil.example")},
	{"HTTP/2, in capitals", asHTTP2(":path: /page", ":authority: VICTIM.EXAMPLE")},
	{"HTTP/2, with the default port", asHTTP2(":path: /page", ":authority: victim.example:80")},
	{"HTTP/2, as a full domain name", asHTTP2(":path: /page", ":authority: victim.example.")},
	{"HTTP/2, absolute", asHTTP2(":path: http://victim.example/page", ":authority: victim.example")},
	{"HTTP/2, absolute, elsewhere", asHTTP2(":path: http://evil.example/page", ":authority: victim.example")},
	{"HTTP/2, with another Host", asHTTP2(":path: /page", ":authority: victim.example", "host: evil.example")},
	{"HTTP/2, with Host alone", asHTTP2(":path: /page", "host: VICTIM.example")},
}

func http1(lines ...string) func(*testing.T, string) reply {
	return func(t *testing.T, address string) reply { return rawHTTP1(t, address, lines...) }
}

func asHTTP2(fields ...string) func(*testing.T, string) reply {
	return func(t *testing.T, address string) reply { return rawHTTP2(t, address, fields...) }
}

// hostApps tell hosts apart, each in its way. They answer what may be stored.
var hostApps = []struct {
	name  string
	build func() http.Handler
}{
	{"net/http's mux, a pattern with a host", func() http.Handler {
		m := http.NewServeMux()
		m.Handle("victim.example/page", says("the victim's"))
		m.Handle("/page", says("of any other host"))
		return m
	}},
	{"gorilla's Host", func() http.Handler {
		m := mux.NewRouter()
		m.Host("victim.example").Path("/page").Handler(says("the victim's"))
		m.Handle("/page", says("of any other host"))
		return m
	}},
	{"gorilla's Schemes", func() http.Handler {
		m := mux.NewRouter()
		m.Schemes("https").Path("/page").Handler(says("the secure one"))
		m.Handle("/page", says("the plain one"))
		return m
	}},
	{"echo's Host", func() http.Handler {
		e := echo.New()
		e.Host("victim.example").GET("/page", echo.WrapHandler(says("the victim's")))
		e.GET("/page", echo.WrapHandler(says("of any other host")))
		return e
	}},
	{"a redirect to the host", func() http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			http.Redirect(w, r, "https://"+r.Host+r.URL.Path, http.StatusMovedPermanently)
		})
	}},
	{"links to the host and the URL", func() http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			fmt.Fprint(w, r.Host, " ", r.URL, " ", r.RequestURI, " ", r.Header.Get("Host"))
		})
	}},
}

func says(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, text)
	})
}

// Who asks for a page by a name that no browser uses gets what the app says to that name, and fills no
// entry that browsers read; nor do they fill the attacker's.
func TestHostFormsFillNoEntryOfBrowsers(t *testing.T) {
	browsers := http1("GET /page HTTP/1.1", "Host: victim.example")
	for _, app := range hostApps {
		t.Run(app.name, func(t *testing.T) {
			bare := serveBoth(t, app.build())
			for _, form := range hostForms {
				for _, first := range []string{"attacker", "browser"} {
					c := newCache(t)
					cached := serveBoth(t, c.Handler(app.build()))
					ask := map[string]func(*testing.T, string) reply{"attacker": form.ask, "browser": browsers}
					second := map[string]string{"attacker": "browser", "browser": "attacker"}[first]
					for _, who := range []string{first, first, second, first, second} {
						if got, want := ask[who](t, cached), ask[who](t, bare); got.String() != want.String() {
							t.Errorf("%s, the %s first: the %s got %q, the app alone says %q", form.story, first, who, got, want)
						}
					}
					if got := browsers(t, cached).header.Get("Cache-Status"); !strings.Contains(got, "hit") {
						t.Errorf("%s: the browser's page is not stored: %s", form.story, got)
					}
				}
			}
		})
	}
}

// An invalidation of the URL, and a change of it by a browser, covers what is stored under every form.
func TestInvalidationsCoverHostForms(t *testing.T) {
	for _, change := range []struct {
		story string
		make  func(t *testing.T, c *middleware.Cache, address string)
	}{
		{"InvalidateURL", func(t *testing.T, c *middleware.Cache, _ string) {
			if err := c.InvalidateURL(t.Context(), "http://victim.example/page"); err != nil {
				t.Error(err)
			}
		}},
		{"InvalidateURL of another form", func(t *testing.T, c *middleware.Cache, _ string) {
			if err := c.InvalidateURL(t.Context(), "HTTP://Victim.Example.:80/page"); err != nil {
				t.Error(err)
			}
		}},
		{"PUT", func(t *testing.T, _ *middleware.Cache, address string) {
			rawHTTP1(t, address, "PUT /page HTTP/1.1", "Host: victim.example", "Content-Length: 0")
		}},
		{"PUT in another form", func(t *testing.T, _ *middleware.Cache, address string) {
			rawHTTP1(t, address, "PUT http://VICTIM.example:80/page HTTP/1.1", "Host: victim.example", "Content-Length: 0")
		}},
	} {
		for _, form := range hostForms {
			c := newCache(t)
			runs := 0
			address := serveBoth(t, c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "GET" {
					runs++
				}
				w.Header().Set("Cache-Control", "public, max-age=60")
				fmt.Fprint(w, runs)
			})))
			want(t, form.story+", asked", form.ask(t, address).body, "1")
			want(t, form.story+", asked again", form.ask(t, address).body, "1")
			change.make(t, c, address)
			want(t, form.story+", after "+change.story, form.ask(t, address).body, "2")
		}
	}
}
