//go:build apps

package realapps

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Visitor is a browser with cookies of its own. It asks Addr for a site whose host is Host.
type Visitor struct {
	t      *testing.T
	addr   string
	host   string
	client *http.Client
}

// NewVisitor returns one who asks a proxy at addr for the site of host.
func NewVisitor(t *testing.T, addr, host string) *Visitor {
	jar, _ := cookiejar.New(nil)
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return &Visitor{t, addr, host, &http.Client{
		Jar: jar, Transport: transport, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}}
}

// Page is what a visitor got.
type Page struct {
	Status int
	Header http.Header
	Body   string
}

// Hit reports whether the page came from the cache.
func (p Page) Hit() bool { return strings.HasPrefix(p.Header.Get("Cache-Status"), "Freshet; hit") }

// Has reports whether the page has a text.
func (p Page) Has(text string) bool { return strings.Contains(p.Body, text) }

// Get asks for a path.
func (v *Visitor) Get(path string, header ...string) Page {
	v.t.Helper()
	return v.do(http.MethodGet, path, "", header...)
}

// Post sends a form.
func (v *Visitor) Post(path string, form url.Values, header ...string) Page {
	v.t.Helper()
	return v.do(http.MethodPost, path, form.Encode(), append(header, "Content-Type",
		"application/x-www-form-urlencoded")...)
}

// Do sends a request of any method with content.
func (v *Visitor) Do(method, path, content string, header ...string) Page {
	v.t.Helper()
	return v.do(method, path, content, header...)
}

func (v *Visitor) do(method, path, content string, header ...string) Page {
	v.t.Helper()
	page, err := v.try(method, path, content, header...)
	if err != nil {
		v.t.Fatalf("%s %s: %v", method, path, err)
	}
	return page
}

func (v *Visitor) try(method, path, content string, header ...string) (Page, error) {
	r, err := http.NewRequest(method, "http://"+v.addr+path, strings.NewReader(content))
	if err != nil {
		return Page{}, err
	}
	r.Host = v.host
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := v.client.Do(r)
	if err != nil {
		return Page{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return Page{res.StatusCode, res.Header, string(body)}, err
}

var link = regexp.MustCompile(`(?:href|src)=["']([^"'#]+)`)

// Crawl follows the links from some paths to pages and files of the site, to at most so many, and
// returns the paths that were answered 200 and how many of them were hits.
func (v *Visitor) Crawl(most int, leave *regexp.Regexp, from ...string) (paths []string, hits int) {
	v.t.Helper()
	asked := map[string]bool{}
	for queue := slices.Clone(from); len(queue) > 0 && len(paths) < most; {
		path := queue[0]
		if queue = queue[1:]; asked[path] {
			continue
		}
		asked[path] = true
		page := v.Get(path)
		if page.Status != http.StatusOK {
			continue
		}
		paths = append(paths, path)
		if page.Hit() {
			hits++
		}
		if !strings.HasPrefix(page.Header.Get("Content-Type"), "text/html") {
			continue
		}
		for _, found := range link.FindAllStringSubmatch(page.Body, -1) {
			u, err := url.Parse(strings.ReplaceAll(found[1], "&amp;", "&"))
			if err != nil || u.Host != "" && u.Host != v.host || u.Host == "" &&
				!strings.HasPrefix(found[1], "/") {
				continue
			}
			if next := u.RequestURI(); !leave.MatchString(next) {
				queue = append(queue, next)
			}
		}
	}
	return paths, hits
}

// Rate has eight visitors without cookies ask for some paths n times together, and returns how many
// requests were answered in a second.
func Rate(t *testing.T, addr, host string, paths []string, n int) float64 {
	t.Helper()
	v := NewVisitor(t, addr, host)
	v.client.Jar = nil
	var next atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	for range 8 {
		all.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				path := paths[int(i)%len(paths)]
				if page, err := v.try(http.MethodGet, path, ""); err != nil || page.Status != http.StatusOK {
					t.Errorf("%s: %d, %v", path, page.Status, err)
				}
			}
		})
	}
	all.Wait()
	return float64(n) / time.Since(began).Seconds()
}
