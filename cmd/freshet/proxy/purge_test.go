package proxy_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/cmd/freshet/proxy"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/policy"
)

var loopback = proxy.Purge{From: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("::1/128")}}

// pages answers each URL with a page that lives an hour, in two variants, with the tags that its
// query names.
func pages(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "max-age=3600, stale-while-revalidate=3600")
	h.Set("Vary", "Accept-Language")
	if tags := r.URL.Query().Get("tags"); tags != "" {
		h.Set("Surrogate-Key", tags)
	}
	if tags := r.URL.Query().Get("xkey"); tags != "" {
		h.Add("Xkey", tags)
	}
	fmt.Fprintf(w, "%s%s in %s", r.Host, r.RequestURI, r.Header.Get("Accept-Language"))
}

// wire sends lines of a request as they are, and returns the answer and its body.
func (s *setup) wire(lines ...string) (*http.Response, string) {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.server.Listener.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\nConnection: close\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	return res, string(body)
}

// The keys of what the tests below ask for.
type page struct{ host, path, language string }

// fill asks for pages, and returns those that were no hits.
func (s *setup) fill(pages []page) (missed []page) {
	s.t.Helper()
	for _, p := range pages {
		got := s.get(p.path, "Host", p.host, "Accept-Language", p.language)
		if !strings.HasPrefix(got.cache(), "hit; ttl=3") {
			missed = append(missed, p)
		}
	}
	return missed
}

func TestWhatPurgesCover(t *testing.T) {
	all := []page{
		{"a.example", "/", "en"}, {"a.example", "/x", "en"}, {"a.example", "/x", "de"},
		{"A.Example:80", "/x", "en"},
		{"a.example", "/x?q=1", "en"}, {"a.example", "/x%7Ey", "en"},
		{"a.example", "/blog/1?tags=one+two", "en"},
		{"a.example", "/blog/2?xkey=two,three", "en"}, {"a.example", "/a*b", "en"},
		{"b.example", "/x", "en"},
		{"b.example", "/blog/1?tags=one", "en"}, {"a.example:8080", "/x", "en"},
	}
	of := func(indices ...int) (some []page) {
		for _, i := range indices {
			some = append(some, all[i])
		}
		return some
	}
	for _, c := range []struct {
		lines  []string
		hosts  []string
		gone   []page
		answer string
	}{
		{[]string{"PURGE /x HTTP/1.1", "Host: a.example"}, nil, of(1, 2, 3),
			`{"invalidated":"url","url":"http://a.example/x","soft":false,"number":`},
		{[]string{"PURGE /x HTTP/1.1", "Host: A.EXAMPLE:80"}, nil, of(1, 2, 3), ""},
		// as MediaWiki does
		{[]string{"PURGE http://a.example/x HTTP/1.1", "Host: 127.0.0.1:6081"}, nil, of(1, 2, 3),
			""},
		{[]string{"PURGE https://a.example:443/x HTTP/1.1", "Host: a.example"}, nil, of(1, 2, 3),
			""},
		{[]string{"PURGE /x HTTP/1.0", "Host: a.example"}, nil, of(1, 2, 3), ""},
		{[]string{"PURGE /x?q=1 HTTP/1.1", "Host: a.example"}, nil, of(4), ""},
		{[]string{"PURGE /x~y HTTP/1.1", "Host: a.example"}, nil, of(5), ""},
		{[]string{"PURGE /x HTTP/1.1", "Host: a.example:8080"}, nil, of(11), ""},
		{[]string{"PURGE /a*b HTTP/1.1", "Host: a.example"}, nil, of(8), ""},
		{[]string{"PURGE /x#y HTTP/1.1", "Host: a.example"}, nil, nil,
			`"url":"http://a.example/x%23y"`},
		{[]string{"PURGE / HTTP/1.1", "Host: nobody.example", "Surrogate-Key: one"}, nil, of(6, 10),
			`{"invalidated":"tags","tags":["one"],"soft":false,"number":`},
		{[]string{"PURGE / HTTP/1.1", "Host: a.example", "Xkey: two, four"}, nil, of(6, 7), ""},
		{[]string{"PURGE / HTTP/1.1", "Host: a.example", "Surrogate-Key: one three"}, nil,
			of(6, 7, 10), ""},
		{[]string{"BAN /blog/* HTTP/1.1", "Host: a.example"}, nil, of(6, 7),
			`{"invalidated":"prefix","url":"http://a.example/blog/"`},
		{[]string{"BAN http://a.example/blog/* HTTP/1.1", "Host: x"}, nil, of(6, 7), ""},
		{[]string{"BAN /x?* HTTP/1.1", "Host: a.example"}, nil, of(4), ""},
		{[]string{"BAN /* HTTP/1.1", "Host: b.example"}, nil, of(9, 10), ""},
		{[]string{"BAN / HTTP/1.1", "Host: b.example"}, nil, of(9, 10), ""},
		{[]string{"BAN http://b.example HTTP/1.1", "Host: b.example"}, nil, of(9, 10), ""},
		{[]string{"BAN * HTTP/1.1", "Host: 127.0.0.1:8080"}, nil, all,
			`{"invalidated":"all","soft":false,"number":`},
		{[]string{"PURGE /x HTTP/1.1", "Host: B.example:80"}, []string{"b.example"}, of(9), ""},
		{[]string{"BAN * HTTP/1.1", "Host: 127.0.0.1"}, []string{"b.example", "a.example:8080"},
			of(9, 10, 11),
			`{"invalidated":"hosts","hosts":["b.example","a.example:8080"]`},
	} {
		may := loopback
		may.Hosts = c.hosts
		s := serve(t, proxy.Options{Purge: may}, pages)
		s.fill(all)
		if missed := s.fill(all); missed != nil {
			t.Fatalf("%v are no hits at first", missed)
		}
		before := s.runs.Load()
		res, body := s.wire(c.lines...)
		if res.StatusCode != 200 || res.Header.Get("Content-Type") != "application/json" ||
			!strings.Contains(body, c.answer) {
			t.Errorf("%q: %d %v %s", c.lines, res.StatusCode, res.Header, body)
		}
		var receipt struct{ Number uint64 }
		if err := json.Unmarshal([]byte(body), &receipt); err != nil || receipt.Number == 0 {
			t.Errorf("%q: no receipt in %s, %v", c.lines, body, err)
		}
		s.ran(before) // nothing was forwarded
		if missed := s.fill(all); fmt.Sprint(missed) != fmt.Sprint(c.gone) {
			t.Errorf("%q purged\n%v, want\n%v", c.lines, missed, c.gone)
		}
	}
}

// What is under other policies and other forms of a key is purged by its URL, too.
func TestPurgeOfFoldedKeys(t *testing.T) {
	usual := policy.Policy{Key: policy.KeyOptions{DropParams: []string{"utm_*"}, SortQuery: true}}
	s := serve(t, proxy.Options{Purge: loopback, Cache: middleware.Options{
		Policy: func(*http.Request) *policy.Policy { return &usual }}}, pages)
	for _, named := range []string{"/x?b=2&a=1&utm_source=y", "/x?a=1&b=2",
		"/x?a=1&b=2&utm_medium=z"} {
		s.get("/x?a=1&b=2&utm_source=x")
		s.do("PURGE", named)
		if got := s.get("/x?a=1&b=2&utm_source=x"); !strings.HasPrefix(got.cache(), "fwd") {
			t.Errorf("PURGE %s left [%s]", named, got.cache())
		}
	}
}

func TestSoftPurge(t *testing.T) {
	for _, field := range []string{"Soft-Purge", "Fastly-Soft-Purge"} {
		for method, target := range map[string]string{"PURGE": "/x", "BAN": "/*"} {
			s := serve(t, proxy.Options{Purge: loopback}, pages)
			s.get("/x")
			if got := s.do(method, target, field, "1"); got.status != 200 || !strings.Contains(got.body, `"soft":true`) {
				t.Errorf("%s: %d %s", field, got.status, got.body)
			}
			if got := s.get("/x"); !strings.HasPrefix(got.cache(), "hit; ttl=0") &&
				!strings.HasPrefix(got.cache(), "hit; ttl=-") {
				t.Errorf("%s %s softly: [%s], want what is stale", method, target, got.cache())
			}
		}
	}
	s := serve(t, proxy.Options{Purge: loopback}, pages)
	s.get("/x?tags=a")
	s.do("PURGE", "/", "Soft-Purge", "1", "Surrogate-Key", "a")
	if got := s.get("/x?tags=a"); !strings.HasPrefix(got.cache(), "hit; ttl=0") &&
		!strings.HasPrefix(got.cache(), "hit; ttl=-") {
		t.Errorf("a tag softly: [%s], want what is stale", got.cache())
	}
}

// A response with more tags than an entry may carry is not stored: a purge by one of them would
// miss it.
func TestTooManyTags(t *testing.T) {
	s := serve(t, proxy.Options{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Surrogate-Key", strings.Repeat("a-tag-of-some-length ", 1000))
	})
	s.get("/")
	if got := s.get("/"); strings.HasPrefix(got.cache(), "hit") {
		t.Errorf("[%s]", got.cache())
	}
}

// A client that may not purge gets an error; nothing is purged and nothing reaches the upstream.
func TestWhoMayPurge(t *testing.T) {
	inside := proxy.Purge{From: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"),
		netip.MustParsePrefix("2001:db8::/32")}}
	hosts := inside
	hosts.Hosts = []string{"a.example"}
	for _, c := range []struct {
		story   string
		may     proxy.Purge
		trusted bool
		address string
		fields  []string
		target  string
		status  int
	}{
		{"nobody may", proxy.Purge{}, false, "127.0.0.1:1", nil, "http://a.example/x", 405},
		{"an address inside", inside, false, "10.1.2.3:1", nil, "http://a.example/x", 200},
		{"one inside by IPv6", inside, false, "[2001:db8::9]:1", nil, "http://a.example/x", 200},
		{"one inside by IPv4 within IPv6", inside, false, "[::ffff:10.1.2.3]:1", nil,
			"http://a.example/x", 200},
		{"an address outside", inside, false, "10.2.0.1:1", nil, "http://a.example/x", 403},
		{"none", inside, false, "@", nil, "http://a.example/x", 403},
		{"one outside that says it is inside", inside, false, "192.0.2.1:1",
			[]string{"X-Forwarded-For", "10.1.2.3"}, "http://a.example/x", 403},
		{"by other fields", inside, false, "192.0.2.1:1", []string{"Forwarded", "for=10.1.2.3",
			"X-Real-Ip", "10.1.2.3", "Client-Ip", "10.1.2.3"}, "http://a.example/x", 403},
		{"a client of a proxy inside", inside, false, "10.1.2.3:1", []string{"X-Forwarded-For",
			"192.0.2.1"}, "http://a.example/x", 403},
		{"a client of a proxy inside that says Via", inside, false, "10.1.2.3:1",
			[]string{"Via", "1.1 varnish"}, "http://a.example/x", 403},
		{"a page in a browser inside", inside, false, "10.1.2.3:1", []string{"Origin",
			"https://evil.example"}, "http://a.example/x", 403},
		{"a sandboxed page in a browser inside", inside, false, "10.1.2.3:1", []string{"Origin",
			"null"}, "http://a.example/x", 403},
		{"trusted: inside by the field", inside, true, "192.0.2.1:1", []string{"X-Forwarded-For",
			"10.1.2.3"}, "http://a.example/x", 200},
		{"trusted: outside by the field", inside, true, "10.1.2.3:1", []string{"X-Forwarded-For",
			"192.0.2.1"}, "http://a.example/x", 403},
		{"trusted: the client wrote the beginning", inside, true, "10.1.2.3:1",
			[]string{"X-Forwarded-For", "10.1.2.3, 192.0.2.1"}, "http://a.example/x", 403},
		{"trusted: the client wrote a line", inside, true, "10.1.2.3:1", []string{"X-Forwarded-For",
			"10.1.2.3", "X-Forwarded-For", "192.0.2.1"}, "http://a.example/x", 403},
		{"trusted: the client wrote Forwarded", inside, true, "192.0.2.1:1", []string{"Forwarded",
			"for=10.1.2.3"}, "http://a.example/x", 403},
		{"trusted: what is no address", inside, true, "10.1.2.3:1", []string{"X-Forwarded-For",
			"unknown"}, "http://a.example/x", 403},
		{"trusted: an empty last one", inside, true, "10.1.2.3:1", []string{"X-Forwarded-For",
			"10.1.2.3,"}, "http://a.example/x", 403},
		{"trusted: an app beside the proxy", inside, true, "10.1.2.3:1", nil, "http://a.example/x",
			200},
		{"a host of ours", hosts, false, "10.1.2.3:1", nil, "http://A.example:80/x", 200},
		{"a host that is not ours", hosts, false, "10.1.2.3:1", nil, "http://b.example/x", 403},
		{"a host with ours before it", hosts, false, "10.1.2.3:1", nil,
			"http://a.example.evil.example/x", 403},
		{"ours, at another port", hosts, false, "10.1.2.3:1", nil, "http://a.example:8080/x", 403},
		{"a user", inside, false, "10.1.2.3:1", nil, "http://u:p@a.example/x", 400},
		{"a host in letters that no client sends", inside, false, "10.1.2.3:1", nil,
			"http://ä.example/x", 400},
		{"no host", inside, false, "10.1.2.3:1", nil, "/x", 400},
		{"another scheme", inside, false, "10.1.2.3:1", nil, "ftp://a.example/x", 400},
	} {
		t.Run(c.story, func(t *testing.T) {
			var log bytes.Buffer
			s := serve(t, proxy.Options{Purge: c.may, TrustForwarded: c.trusted,
				Log: slog.New(slog.NewTextHandler(&log, nil))}, pages)
			for _, host := range []string{"a.example", "b.example"} {
				s.get("/x", "Host", host)
			}
			before := s.runs.Load()
			for _, method := range []string{"BAN", "PURGE"} {
				r := httptest.NewRequest(method, "http://none/", nil)
				target, err := r.URL.Parse(c.target)
				if err != nil {
					t.Fatal(err)
				}
				r.RequestURI, r.RemoteAddr = c.target, c.address
				if r.URL, r.Host = target, target.Host; strings.HasPrefix(c.target, "/") {
					r.URL.Scheme, r.URL.Host, r.Host = "", "", ""
				}
				if method == "BAN" {
					r.RequestURI += "*"
				}
				for i := 0; i < len(c.fields); i += 2 {
					r.Header.Add(c.fields[i], c.fields[i+1])
				}
				w := httptest.NewRecorder()
				s.proxy.ServeHTTP(w, r)
				if w.Code != c.status {
					t.Errorf("%s: %d %s, want %d", method, w.Code, w.Body, c.status)
				}
				if w.Code != 200 {
					checkProblem(t, w)
				}
				if said := "msg=\"freshet proxy: purged\""; strings.Contains(log.String(), said) != (c.status == 200) {
					t.Errorf("the log says %s", &log)
				}
				if strings.Count(log.String(), "\n") != 1 {
					t.Errorf("%d lines of the log:\n%s", strings.Count(log.String(), "\n"), &log)
				}
				log.Reset()
			}
			s.ran(before) // nothing is forwarded
			for _, host := range []string{"a.example", "b.example"} {
				want := "hit"
				if c.status == 200 && host == "a.example" {
					want = "fwd"
				}
				if got := s.get("/x", "Host", host); !strings.HasPrefix(got.cache(), want) {
					t.Errorf("afterwards %s/x is [%s], want %s", host, got.cache(), want)
				}
			}
		})
	}
}

// By HTTP/2 a request may name one host, and an absolute URL of another one as its path: the URL is
// what counts.
func TestAnotherHostsURLAsThePathOfAPurge(t *testing.T) {
	s := serve(t, proxy.Options{Log: slog.New(slog.DiscardHandler), Purge: proxy.Purge{
		From: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, Hosts: []string{"a.example"}}}, pages)
	s.get("/x", "Host", "b.example")
	for method, target := range map[string]string{"PURGE": "http://b.example/x", "BAN": "http://b.example/*"} {
		r := httptest.NewRequest(method, "http://a.example/", nil)
		r.RequestURI, r.RemoteAddr = target, "10.1.2.3:1"
		w := httptest.NewRecorder()
		s.proxy.ServeHTTP(w, r)
		if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "b.example") {
			t.Errorf("%s: %d %s", method, w.Code, w.Body)
		}
	}
	if got := s.get("/x", "Host", "b.example"); !strings.HasPrefix(got.cache(), "hit") {
		t.Errorf("afterwards [%s]", got.cache())
	}
}

// checkProblem checks that an answer is as RFC 9457 has it.
func checkProblem(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	var said struct {
		Title, Detail string
		Status        int
	}
	err := json.Unmarshal(w.Body.Bytes(), &said)
	if err != nil || said.Status != w.Code || said.Title != http.StatusText(w.Code) ||
		said.Detail == "" ||
		w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %v %s, %v", w.Code, w.Header(), w.Body, err)
	}
	if (w.Code == 405) != (w.Header().Get("Allow") != "") {
		t.Errorf("%d with Allow: %s", w.Code, w.Header().Get("Allow"))
	}
}

func TestPurgesThatNameNothing(t *testing.T) {
	s := serve(t, proxy.Options{Purge: loopback}, pages)
	s.get("/x", "Host", "a.example")
	for _, line := range []string{
		"BAN /x", "BAN /?", "BAN http://a.example/x", "PURGE *", "BAN /a%*", "BAN http://*",
		"PURGE ftp://a.example/x",
		"PURGE http:x", "BAN http://a.example?x",
	} {
		if res, body := s.wire(line+" HTTP/1.1", "Host: a.example"); res.StatusCode != 400 {
			t.Errorf("%s: %d %s, want 400", line, res.StatusCode, body)
		}
	}
	if res, body := s.wire("BAN /x* HTTP/1.1", "Host: a.example", "Xkey: a"); res.StatusCode != 400 {
		t.Errorf("BAN of a tag: %d %s, want 400", res.StatusCode, body)
	}
	if got := s.get("/x", "Host", "a.example"); !strings.HasPrefix(got.cache(), "hit") {
		t.Errorf("afterwards [%s], want a hit", got.cache())
	}
	s.ran(1)
}

// A purge beats a fill that is under way: what was made before it is not stored.
func TestPurgeDuringAFill(t *testing.T) {
	asked, answer := make(chan bool), make(chan bool)
	s := serve(t, proxy.Options{Purge: loopback}, func(w http.ResponseWriter, r *http.Request) {
		asked <- true
		<-answer
		pages(w, r)
	})
	for range 2 {
		done := make(chan bool)
		go func() { s.get("/x"); close(done) }()
		<-asked
		if got := s.do("PURGE", "/x"); got.status != 200 {
			t.Errorf("%d %s", got.status, got.body)
		}
		answer <- true
		<-done
	}
	s.ran(2)
}
