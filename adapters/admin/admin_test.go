package admin_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/adapters/admin"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store/memstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "a token of 24 characters"

// site is an app with a door.
type site struct {
	*httptest.Server
	t    *testing.T
	mu   sync.Mutex
	runs map[string]int
	log  *lines
}

// lines is a log in memory.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newSite(t *testing.T, o admin.Options) *site {
	t.Helper()
	s := &site{t: t, runs: map[string]int{}, log: &lines{}}
	pages, watch := memstore.New(64<<20), admin.NewWatch()
	log := slog.New(slog.NewTextHandler(s.log, nil))
	cache := freshet.New(pages, freshet.Options{Observe: watch.Observe, Log: log})
	o.Authenticate, o.Log, o.Store = admin.Tokens(token), log, pages
	door := admin.New(cache, watch, o)
	mux := http.NewServeMux()
	mux.Handle("/__freshet__/", http.StripPrefix("/__freshet__", door))
	mux.Handle("/v1/__flush__", door.FlushHandler())
	mux.Handle("/", cache.With(freshet.Policy{TTL: time.Hour, Tags: []string{"pages"}})(
		http.HandlerFunc(s.page)))
	s.Server = httptest.NewServer(cache.Root(mux))
	t.Cleanup(func() {
		s.Close()
		http.DefaultClient.CloseIdleConnections()
		cache.Shutdown(context.Background())
		pages.Close()
	})
	return s
}

func (s *site) page(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.runs[r.URL.Path]++
	n := s.runs[r.URL.Path]
	s.mu.Unlock()
	fmt.Fprint(w, r.URL.Path, " ", n)
}

// ask sends a request with the token, and returns the status, the header and the body.
func (s *site) ask(method, path, body string, fields ...string) (int, http.Header, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(text)
}

// visit asks for a page, as anybody does.
func (s *site) visit(path string) string {
	s.t.Helper()
	res, err := http.Get(s.URL + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return string(text)
}

func TestNobodyEntersWithoutAToken(t *testing.T) {
	s := newSite(t, admin.Options{Flush: true})
	s.visit("/a")
	for name, value := range map[string]string{
		"none": "", "a wrong one": "Bearer another token of 24 characters", "a part": "Bearer " +
			token[:16],
		"one more byte": "Bearer " + token + "x", "oversized": "Bearer " + strings.Repeat("x",
			20_000),
		"another scheme": "Digest " + token, "no scheme": token, "Basic, wrong": "Basic YTpi",
		"Basic, broken": "Basic !",
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"/", "/page.js", "/stats", "/top", "/events", "/purge",
				"/__flush__", "/nothing"} {
				for _, method := range []string{"GET", "POST", "PURGE"} {
					status, header, body := s.ask(method, "/__freshet__"+path, `{"all": true}`,
						"Freshet-Door", "1", "Authorization", value)
					if status != http.StatusUnauthorized ||
						header.Get("Cache-Control") != "no-store" ||
						header.Get("Freshet-Door-Version") != "1" ||
						header.Get("Content-Type") != "application/problem+json" ||
						fmt.Sprint(header["Www-Authenticate"]) != `[Bearer realm="Freshet"]` {
						t.Errorf("%s %s: %d %v %s", method, path, status, header, body)
					}
				}
			}
		})
	}
	if got := s.visit("/a"); got != "/a 1" {
		t.Errorf("after all that the page is %q", got)
	}
}

// A browser asks its user for a password where the page is, and not for what the page asks.
func TestBrowsersAreAskedToLogIn(t *testing.T) {
	s := newSite(t, admin.Options{})
	_, header, _ := s.ask("GET", "/__freshet__/", "", "Authorization", "")
	if !strings.Contains(fmt.Sprint(header["Www-Authenticate"]), "Basic realm") {
		t.Errorf("the door asks for %q", header["Www-Authenticate"])
	}
}

func TestTokensAreForEveryClient(t *testing.T) {
	may := admin.Tokens("the first token of two", "the second token of two")
	for _, c := range []struct {
		set  func(*http.Request)
		want bool
	}{
		{func(r *http.Request) { r.Header.Set("Authorization", "Bearer the first token of two") },
			true},
		{func(r *http.Request) { r.Header.Set("Authorization", "bearer the second token of two") },
			true},
		{func(r *http.Request) { r.SetBasicAuth("anybody", "the second token of two") }, true},
		{func(r *http.Request) { r.SetBasicAuth("the second token of two", "") }, false},
		{func(r *http.Request) {
			r.Header.Add("Authorization", "Bearer the first token of two")
			r.Header.Add("Authorization", "Bearer another")
		}, false},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		c.set(r)
		if got := may(r); got != c.want {
			t.Errorf("%v: %v", r.Header, got)
		}
	}
}

func TestWhatIsWiredWronglyPanicsAtOnce(t *testing.T) {
	pages := memstore.New(1 << 20)
	defer pages.Close()
	cache := freshet.New(pages, freshet.Options{Log: slog.New(slog.DiscardHandler)})
	for want, wire := range map[string]func(){
		"Authenticate": func() { admin.New(cache, admin.NewWatch(), admin.Options{}) },
		"watch": func() {
			admin.New(cache, nil, admin.Options{Authenticate: admin.Tokens(token)})
		},
		"cache": func() {
			admin.New(nil, admin.NewWatch(), admin.Options{Authenticate: admin.Tokens(token)})
		},
		"16":       func() { admin.Tokens("short") },
		"no token": func() { admin.Tokens() },
	} {
		func() {
			defer func() {
				if v := fmt.Sprint(recover()); !strings.Contains(v, want) {
					t.Errorf("%q does not name %s", v, want)
				}
			}()
			wire()
		}()
	}
}

func TestPurges(t *testing.T) {
	door := "/__freshet__/purge"
	for name, c := range map[string]struct {
		method, path, body, field, value string
		status                           int
		a, b                             string // the pages afterwards
	}{
		"a URL":              {"POST", door, `{"url": "URL/a"}`, "", "", 200, "/a 2", "/b 1"},
		"a URL, as a method": {"PURGE", door + "?url=URL/a", "", "", "", 200, "/a 2", "/b 1"},
		"a prefix":           {"POST", door, `{"prefix": "URL/"}`, "", "", 200, "/a 2", "/b 2"},
		"tags": {"POST", door, `{"tags": ["none", "pages"]}`, "", "", 200, "/a 2",
			"/b 2"},
		"surrogate keys": {"PURGE", door, "", "Surrogate-Key", "none pages", 200, "/a 2", "/b 2"},
		"URLs":           {"POST", door, `{"urls": ["URL/a", "URL/c"]}`, "", "", 200, "/a 2", "/b 1"},
		"URLs, softly":   {"POST", door, `{"urls": ["URL/a"], "soft": true}`, "", "", 200, "/a 2", "/b 1"},
		"all":            {"POST", door, `{"all": true}`, "", "", 200, "/a 2", "/b 2"},
		"softly": {"POST", door, `{"url": "URL/a", "soft": true}`, "", "", 200, "/a 2",
			"/b 1"},
		"flush":           {"POST", "/__freshet__/__flush__", "", "", "", 202, "/a 2", "/b 2"},
		"flush, as Kinto": {"POST", "/v1/__flush__", "", "", "", 202, "/a 2", "/b 2"},
		"nothing":         {"POST", door, "", "", "", 400, "/a 1", "/b 1"},
		"no JSON":         {"POST", door, "{", "", "", 400, "/a 1", "/b 1"},
		"two at once": {"POST", door, `{"all": true, "tags": ["pages"]}`, "", "", 400, "/a 1",
			"/b 1"},
		"an unknown word": {"POST", door, `{"everything": true}`, "", "", 400, "/a 1", "/b 1"},
		"too long": {"POST", door, strings.Repeat(" ", 4<<20) + `{"all": true}`, "", "",
			400, "/a 1", "/b 1"},
		"a foreign host": {"POST", door, `{"url": "http://elsewhere.example/a"}`, "", "", 403,
			"/a 1", "/b 1"},
		"a foreign prefix": {"POST", door, `{"prefix": "http://elsewhere.example/"}`, "", "", 403,
			"/a 1", "/b 1"},
		"no URL":       {"POST", door, `{"url": "/a"}`, "", "", 400, "/a 1", "/b 1"},
		"an empty tag": {"POST", door, `{"tags": ["pages", ""]}`, "", "", 400, "/a 1", "/b 1"},
		"a tag with a line end": {"POST", door, `{"tags": ["pages", "a\nb"]}`, "", "", 400, "/a 1",
			"/b 1"},
		"a tag that is too long": {"POST", door, `{"tags": ["pages", "` + strings.Repeat("x", 1025) +
			`"]}`, "", "", 400, "/a 1", "/b 1"},
		"too many tags": {"POST", door, `{"tags": ["pages"` + strings.Repeat(`, "x"`, 256) + `]}`, "", "",
			400, "/a 1", "/b 1"},
		"no URLs": {"POST", door, `{"urls": []}`, "", "", 400, "/a 1", "/b 1"},
		"one of two URLs is none": {"POST", door, `{"urls": ["URL/a", "/b"]}`, "", "", 400, "/a 1",
			"/b 1"},
		"one of two URLs has a user": {"POST", door, `{"urls": ["URL/a", "http://x@` +
			`HOST/b"]}`, "", "", 422, "/a 1", "/b 1"},
		"one of two URLs is foreign": {"POST", door, `{"urls": ["URL/a", "http://elsewhere.example/"]}`,
			"", "", 403, "/a 1", "/b 1"},
		"too many URLs": {"POST", door, `{"urls": ["URL/a"` + strings.Repeat(`, "URL/x"`, 256) + `]}`,
			"", "", 400, "/a 1", "/b 1"},
		"a GET":          {"GET", door + "?url=URL/a", "", "", "", 405, "/a 1", "/b 1"},
		"a GET of flush": {"GET", "/__freshet__/__flush__", "", "", "", 405, "/a 1", "/b 1"},
		"from a form":    {"POST", door, `{"all": true}`, "Freshet-Door", "", 403, "/a 1", "/b 1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, admin.Options{Flush: true})
			s.visit("/a")
			s.visit("/b")
			fields := []string{"Freshet-Door", "1"}
			if c.field != "" {
				fields = append(fields, c.field, c.value)
			}
			status, header, body := s.ask(c.method, strings.ReplaceAll(c.path, "URL", s.URL),
				strings.NewReplacer("URL", s.URL, "HOST", strings.TrimPrefix(s.URL, "http://")).
					Replace(c.body), fields...)
			if status != c.status || header.Get("Cache-Control") != "no-store" ||
				header.Get("Freshet-Door-Version") != admin.Version {
				t.Errorf("%d %v %s", status, header, body)
			}
			if status >= 400 && (header.Get("Content-Type") != "application/problem+json" ||
				!strings.Contains(body, `"detail":"`)) {
				t.Errorf("%v %s", header, body)
			}
			if status == 405 && !strings.Contains(header.Get("Allow"), "POST") {
				t.Errorf("Allow: %q", header.Get("Allow"))
			}
			if a, b := s.visit("/a"), s.visit("/b"); a != c.a || b != c.b {
				t.Errorf("then the pages are %q and %q", a, b)
			}
			if logged := strings.Contains(s.log.String(), "door: "); logged != (status < 300) {
				t.Errorf("the log:\n%s", s.log.String())
			}
		})
	}
}

func TestFlushIsClosedByDefault(t *testing.T) {
	s := newSite(t, admin.Options{})
	s.visit("/a")
	for _, path := range []string{"/__freshet__/__flush__", "/v1/__flush__"} {
		if status, _, body := s.ask("POST", path, "", "Freshet-Door", "1"); status != 404 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if got := s.visit("/a"); got != "/a 1" {
		t.Errorf("then the page is %q", got)
	}
}

func TestHostsOfTheDoor(t *testing.T) {
	s := newSite(t, admin.Options{Hosts: []string{"www.example.com"}})
	if status, _, body := s.ask("POST", "/__freshet__/purge", `{"url": "http://WWW.example.com/a"}`,
		"Freshet-Door", "1"); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	if status, _, _ := s.ask("POST", "/__freshet__/purge", `{"url": "`+s.URL+`/a"}`, "Freshet-Door",
		"1"); status != 403 {
		t.Errorf("a host that is not listed: %d", status)
	}
}

// A filter or a URL that can match nothing is refused, with what is allowed.
func TestTheDoorSaysWhatIsAllowed(t *testing.T) {
	s := newSite(t, admin.Options{})
	host := strings.TrimPrefix(s.URL, "http://")
	for _, c := range []struct{ method, path, body, says string }{
		{"POST", "/purge", `{"url": "/page/1?a=b"}`,
			`"/page/1?a=b" is no absolute URL: allowed is one with its host, such as http://` + host +
				"/page/1?a=b"},
		{"POST", "/purge", `{"prefix": "/page/"}`, "such as http://" + host + "/page/"},
		{"POST", "/purge", `{"url": "//` + host + `/a"}`, "such as http://" + host + "/"},
		{"PURGE", "/purge?url=a", "", `"a" is no absolute URL`},
		{"GET", "/events?result=bogus", "",
			`result: there is no "bogus": allowed are collapsed, hit, miss, passed, refreshed, ` +
				"refused, revalidated, stale, stored, unstored"},
		{"GET", "/events?result=hit,", "", `result: there is no ""`},
		{"GET", "/events?reason=cookies", "", `reason: there is no "cookies": allowed are `},
	} {
		status, _, body := s.ask(c.method, "/__freshet__"+c.path, c.body, "Freshet-Door", "1")
		var problem struct{ Detail string }
		if err := json.Unmarshal([]byte(body), &problem); err != nil || status != 400 ||
			!strings.Contains(problem.Detail, c.says) {
			t.Errorf("%s %s %s: %d %s, want %q", c.method, c.path, c.body, status, body, c.says)
		}
	}
}

// A purge with check says what would be purged, or what is wrong with it, and purges nothing.
func TestAPurgeIsChecked(t *testing.T) {
	s := newSite(t, admin.Options{})
	s.visit("/a")
	for body, wanted := range map[string]string{
		`{"all": true, "soft": true, "check": true}`: `{"would_purge":"everything, softly"}`,
		`{"urls": ["URL/a"], "check": true}`:         `{"would_purge":"the URL URL/a"}`,
		`{"urls": ["URL/a?t=1", "URL/b?t=2", "URL/c?t=3"], "check": true}`: `{"would_purge":"3 URLs, ` +
			`from URL/a?… to URL/c?…"}`,
		`{"urls": ["URL/a", "http://elsewhere.example/"], "check": true}`: `the host \"elsewhere.example\" ` +
			`is none of this door's`,
		`{"urls": ["URL/a", "b"], "check": true}`: `\"b\" is no absolute URL`,
	} {
		_, _, got := s.ask("POST", "/__freshet__/purge", strings.ReplaceAll(body, "URL", s.URL),
			"Freshet-Door", "1")
		if !strings.Contains(got, strings.ReplaceAll(wanted, "URL/", s.URL+"/")) {
			t.Errorf("%s: %s, want %s", body, got, wanted)
		}
	}
	if got := s.visit("/a"); got != "/a 1" {
		t.Errorf("then the page is %q", got)
	}
}

// A door that is asked by a name of its own is for every host, if it says so.
func TestDoorForEveryHost(t *testing.T) {
	s := newSite(t, admin.Options{Hosts: []string{"*"}})
	for _, url := range []string{s.URL + "/a", "https://www.example.com/a"} {
		if status, _, body := s.ask("POST", "/__freshet__/purge", `{"url": "`+url+`"}`,
			"Freshet-Door", "1"); status != 200 {
			t.Errorf("%s: %d %s", url, status, body)
		}
	}
	if status, _, _ := s.ask("POST", "/__freshet__/purge", `{"url": "/a"}`, "Freshet-Door",
		"1"); status != 400 {
		t.Errorf("a URL without a host: %d", status)
	}
}

func TestStatsAndTop(t *testing.T) {
	s := newSite(t, admin.Options{})
	s.ask("GET", "/__freshet__/top", "") // somebody looks
	for range 40 {
		s.visit("/a?token=secret")
	}
	s.visit("/b")
	status, _, body := s.ask("GET", "/__freshet__/stats", "")
	var stats struct {
		Series []struct {
			Result   string
			Requests int
		}
		Times   map[string]struct{ Count int }
		Journal struct {
			Lag    float64
			MaxLag *float64 `json:"max_lag"`
		}
		Tiers []struct {
			Name    string
			Entries int
			Hits    int
			Faults  map[string]int `json:"encryption_faults"`
		}
	}
	if err := json.Unmarshal([]byte(body), &stats); err != nil || status != 200 {
		t.Fatalf("%d %v %s", status, err, body)
	}
	counted := map[string]int{}
	for _, one := range stats.Series {
		counted[one.Result] += one.Requests
	}
	if counted["hit"] != 39 || counted["stored"] != 2 || stats.Times["fill"].Count != 2 ||
		stats.Tiers[0].Entries != 2 ||
		stats.Tiers[0].Hits != -1 || len(stats.Tiers[0].Faults) != 4 || stats.Tiers[0].Faults["altered"] != -1 ||
		stats.Journal.MaxLag == nil {
		t.Errorf("%s", body)
	}
	_, _, body = s.ask("GET", "/__freshet__/top?n=1", "")
	var top struct{ Misses, Served []struct{ Page string } }
	if err := json.Unmarshal([]byte(body), &top); err != nil || len(top.Misses) != 1 ||
		len(top.Served) != 1 ||
		top.Served[0].Page != strings.TrimPrefix(s.URL, "http://")+"/a" {
		t.Errorf("%v %s", err, body)
	}
	if strings.Contains(body, "secret") {
		t.Error("the answer has a query:", body)
	}
	if status, _, body := s.ask("GET", "/__freshet__/top?n=many", ""); status != 400 {
		t.Errorf("%d %s", status, body)
	}
}

func TestEventsAsTheyCome(t *testing.T) {
	s := newSite(t, admin.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, "GET",
		s.URL+"/__freshet__/events?result=miss&path=^/api", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatal(res.Header)
	}
	for _, path := range []string{"/api/1", "/api/1", "/other", "/api/2"} {
		s.visit(path)
	}
	in := bufio.NewScanner(res.Body)
	var got []string
	for len(got) < 2 && in.Scan() {
		var e struct{ Path, Result, Cache, Key string }
		if err := json.Unmarshal(in.Bytes(), &e); err != nil {
			t.Fatalf("%v: %s", err, in.Text())
		}
		got = append(got, e.Path+" "+e.Result)
		if len(e.Key) != 16 || !strings.Contains(e.Cache, "fwd=uri-miss") {
			t.Errorf("%+v", e)
		}
	}
	if fmt.Sprint(got) != "[/api/1 stored /api/2 stored]" {
		t.Errorf("%q, %v", got, in.Err())
	}
	for query, want := range map[string]int{"path=(": 400, "colour=red": 400,
		"path=" + strings.Repeat("x", 300):                        400,
		"path=" + url.QueryEscape(strings.Repeat(".{0,999}", 20)): 400} {
		if status, _, body := s.ask("GET", "/__freshet__/events?"+query, ""); status != want {
			t.Errorf("%.20s: %d %s", query, status, body)
		}
	}
}

// Names of hosts are compared without regard to case (RFC 9110 section 4.2.3).
func TestEventsOfAHost(t *testing.T) {
	s := newSite(t, admin.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ask := func(ctx context.Context, path, host string) *http.Response {
		r, _ := http.NewRequestWithContext(ctx, "GET", s.URL+path, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Host = host
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	events := ask(ctx, "/__freshet__/events?host=a.example,shop.Example", "")
	defer events.Body.Close()
	for _, host := range []string{"other.example", "Shop.example", "shop.Example"} {
		ask(t.Context(), "/"+host, host).Body.Close()
	}
	var first struct{ Path string }
	if err := json.NewDecoder(events.Body).Decode(&first); err != nil || first.Path != "/Shop.example" {
		t.Errorf("%+v, %v", first, err)
	}
}

// A page of another site, in the browser of an operator whose password that keeps, takes no place
// of those who watch.
func TestNoOtherSiteListens(t *testing.T) {
	s := newSite(t, admin.Options{})
	listen := func(site string) int {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/__freshet__/events", nil)
		r.SetBasicAuth("anybody", token)
		if site != "" {
			r.Header.Set("Sec-Fetch-Site", site)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return res.StatusCode
	}
	for range 20 {
		for _, site := range []string{"cross-site", "same-site"} {
			if status := listen(site); status != http.StatusForbidden {
				t.Fatalf("from %s: %d", site, status)
			}
		}
	}
	for _, site := range []string{"", "same-origin", "none"} {
		if status := listen(site); status != http.StatusOK {
			t.Errorf("from %q: %d", site, status)
		}
	}
}

func TestListenersAreBoundedAndLeave(t *testing.T) {
	s := newSite(t, admin.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	listen := func() *http.Response {
		r, _ := http.NewRequestWithContext(ctx, "GET", s.URL+"/__freshet__/events", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	var open []*http.Response
	for range 16 {
		open = append(open, listen())
	}
	last := listen()
	if last.StatusCode != http.StatusServiceUnavailable || last.Header.Get("Retry-After") == "" {
		t.Errorf("the 17th: %s", last.Status)
	}
	last.Body.Close()
	open[0].Body.Close() // who leaves makes room, once the server has noticed
	for {
		again := listen()
		again.Body.Close()
		if again.StatusCode == 200 {
			break
		}
	}
}

// A listener that takes nothing holds a bounded part of what clients send, and not for ever.
func TestAListenerThatStalls(t *testing.T) {
	pages, watch := memstore.New(1<<20), admin.NewWatch()
	defer pages.Close()
	cache := freshet.New(pages, freshet.Options{})
	defer cache.Shutdown(context.Background())
	door := admin.New(cache, watch,
		admin.Options{Authenticate: admin.Tokens(token)})
	ctx, cancel := context.WithCancel(t.Context())
	r := httptest.NewRequestWithContext(ctx, "GET", "/events", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	stalled := &stalledClient{ResponseRecorder: httptest.NewRecorder(),
		flushed: make(chan struct{}), goOn: make(chan struct{}), wrote: make(chan int, 8)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		door.ServeHTTP(stalled, r)
	}()
	<-stalled.flushed
	long := "/" + strings.Repeat("x", 1<<20)
	watch.Observe(httptest.NewRequest("GET", long, nil), middleware.Event{})
	close(stalled.goOn)
	n := <-stalled.wrote
	cancel()
	<-ended
	if n < 1<<10 || n > 4<<10 {
		t.Errorf("an event of a long path takes %d bytes", n)
	}
	if len(stalled.deadlines) < 2 || stalled.deadlines[0].IsZero() {
		t.Errorf("the listener has the write deadlines %v", stalled.deadlines)
	}
}

// stalledClient takes nothing after the header, until it goes on.
type stalledClient struct {
	*httptest.ResponseRecorder
	flushed, goOn chan struct{}
	once          sync.Once
	wrote         chan int // the sizes of what it was sent
	deadlines     []time.Time
}

func (c *stalledClient) Write(p []byte) (int, error) {
	c.wrote <- len(p)
	return len(p), nil
}

func (c *stalledClient) SetWriteDeadline(t time.Time) error {
	c.deadlines = append(c.deadlines, t)
	return nil
}

func (c *stalledClient) FlushError() error {
	c.once.Do(func() { close(c.flushed) })
	<-c.goOn
	return nil
}

// A flood of pages takes no more memory than its bound, and hides no page that comes often.
func TestWhatComesOftenIsFoundInAFlood(t *testing.T) {
	watch := admin.NewWatch()
	pages := memstore.New(1 << 20)
	defer pages.Close()
	cache := freshet.New(pages, freshet.Options{Log: slog.New(slog.DiscardHandler)})
	door := admin.New(cache, watch, admin.Options{Authenticate: func(*http.Request) bool {
		return true
	}})
	for i := range 20_000 {
		path := fmt.Sprint("/flood/", i)
		if i%20 == 0 {
			path = "/dear"
		}
		watch.Observe(httptest.NewRequest("GET", path, nil), middleware.Event{Fill: time.Second})
	}
	w := httptest.NewRecorder()
	door.ServeHTTP(w, httptest.NewRequest("GET", "/top?n=256", nil))
	var top struct {
		Misses []struct {
			Page  string
			Count int
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &top); err != nil {
		t.Fatal(err)
	}
	if len(top.Misses) != 256 || top.Misses[0].Page != "example.com/dear" ||
		top.Misses[0].Count < 1000 {
		t.Errorf("%d pages, first %+v", len(top.Misses), top.Misses[0])
	}
}

// The page is served under a policy that lets nothing else run, and has nothing inline.
func TestThePageKeepsItsPolicy(t *testing.T) {
	s := newSite(t, admin.Options{})
	for path, want := range map[string]string{"/": "text/html; charset=utf-8",
		"/page.js": "text/javascript; charset=utf-8", "/page.css": "text/css; charset=utf-8",
		"/icon.svg": "image/svg+xml"} {
		status, header, body := s.ask("GET", "/__freshet__"+path, "")
		csp := header.Get("Content-Security-Policy")
		if status != 200 || header.Get("Content-Type") != want ||
			!strings.Contains(csp, "default-src 'none'") ||
			!strings.Contains(csp, "require-trusted-types-for 'script'") ||
			!strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: %d %v", path, status, header)
		}
		for _, bad := range []string{"innerHTML", "eval(", "style=\"", "onclick=", "http://",
			"https://"} {
			if rest := strings.ReplaceAll(body, "http://www.w3.org/2000/svg", ""); strings.Contains(rest, bad) {
				t.Errorf("%s has %s", path, bad)
			}
		}
	}
	if status, _, _ := s.ask("GET", "/__freshet__/nothing", ""); status != 404 {
		t.Errorf("nothing: %d", status)
	}
}

func TestWhyAPageIsCachedOrNot(t *testing.T) {
	s := newSite(t, admin.Options{})
	s.visit("/a")
	about := "/__freshet__/explain?url=" + s.URL + "/a"
	status, header, body := s.ask("GET", about, "")
	var x struct{ Request, Verdict, Outcome string }
	if err := json.Unmarshal([]byte(body), &x); err != nil || status != 200 ||
		header.Get("Cache-Control") != "no-store" ||
		x.Request != "GET "+s.URL+"/a" || !strings.HasPrefix(x.Outcome, "hit") {
		t.Errorf("%d %v %v %s", status, header, err, body)
	}
	status, _, text := s.ask("GET", about+"&format=text&header=Cookie:id=secret", "")
	if status != 200 || !strings.Contains(text, s.URL+"/a") || strings.Contains(text, "secret") {
		t.Errorf("%d %s", status, text)
	}
	if got := s.visit("/a"); got != "/a 1" {
		t.Errorf("a look ran the handler: %q", got)
	}
	// an image of another site can have the operator's browser ask this
	if status, _, body := s.ask("GET", about+"&fetch=1", ""); status != 403 ||
		!strings.Contains(body, "Freshet-Door") {
		t.Errorf("%d %s", status, body)
	}
	if status, _, body := s.ask("GET", about+"&fetch=1", "", "Freshet-Door", "1"); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	for query, want := range map[string]int{
		"":                                  400,
		"url=/a":                            400,
		"url=http://elsewhere.example/a":    403,
		"url=" + s.URL + "/a&method=A%20B":  400,
		"url=" + s.URL + "/a&header=Cookie": 400,
		"url=" + s.URL + "/a" + strings.Repeat("&header=X:1", 65): 400,
	} {
		if status, _, body := s.ask("GET", "/__freshet__/explain?"+query, ""); status != want {
			t.Errorf("%.60s: %d %s", query, status, body)
		}
	}
}
