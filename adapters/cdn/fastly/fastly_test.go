package fastly_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet-go/freshet/adapters/cdn"
	"github.com/freshet-go/freshet/adapters/cdn/fastly"
	"github.com/freshet-go/freshet/adapters/cdn/internal/failtest"
)

const token = "s3cret-token-of-fastly"

// fakeFastly answers as Fastly's API does, within its limits.
type fakeFastly struct {
	*httptest.Server
	mu    sync.Mutex
	calls []string
	rate  int // calls that are left; after that 429
	lies  bool
}

func newFakeFastly(t *testing.T) *fakeFastly {
	f := &fakeFastly{rate: 1000}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Server.Close)
	return f
}

func (f *fakeFastly) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Header.Get("Fastly-Key") != token {
		http.Error(w, `{"msg":"Provided credentials are missing or invalid"}`, 401)
		return
	}
	if f.rate--; f.rate < 0 {
		w.Header().Set("Fastly-RateLimit-Remaining", "0")
		w.Header().Set("Fastly-RateLimit-Reset", fmt.Sprint(time.Now().Add(time.Hour).Unix()))
		http.Error(w, `{"msg":"Too many requests"}`, 429)
		return
	}
	call := r.Method + " " + r.URL.RequestURI()
	if r.Header.Get("Fastly-Soft-Purge") == "1" {
		call = "soft " + call
	}
	answer := map[string]string{"status": "ok", "id": "1-2-3"}
	if strings.HasSuffix(r.URL.Path, "/purge") {
		var asked struct {
			Keys []string `json:"surrogate_keys"`
		}
		err := json.NewDecoder(r.Body).Decode(&asked)
		if err != nil || len(asked.Keys) > 256 || len(asked.Keys) == 0 {
			http.Error(w, `{"msg":"Bad request"}`, 400)
			return
		}
		call += " " + fmt.Sprint(len(asked.Keys), " ", asked.Keys[0])
		answer = map[string]string{}
		for _, key := range asked.Keys {
			if strings.ContainsAny(key, " \n") || len(key) > 1024 {
				http.Error(w, `{"msg":"Bad key"}`, 400)
				return
			}
			answer[key] = "1-2-3"
		}
	}
	if f.calls = append(f.calls, call); f.lies {
		answer = map[string]string{}
	}
	json.NewEncoder(w).Encode(answer)
}

func target(t *testing.T, address string, client *http.Client, timeout time.Duration) cdn.Target {
	t.Helper()
	v, err := fastly.New(fastly.Options{Service: "SU1Z0", Token: token, Address: address, Client: client,
		Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestPurge(t *testing.T) {
	var many []string
	for i := range 600 {
		many = append(many, fmt.Sprint("tag ", i))
	}
	for want, p := range map[string]cdn.Purge{
		"POST /service/SU1Z0/purge 256 tag%200; POST /service/SU1Z0/purge 256 tag%20256; " +
			"POST /service/SU1Z0/purge 88 tag%20512": {Tags: many},
		"soft POST /service/SU1Z0/purge 2 a,b; soft POST /purge/a.example/x%20y?q=1": {Tags: []string{"a,b", "\xff"},
			URLs: []string{"http://a.example/x y?q=1", "https://a.example/x y?q=1"}, Soft: true},
		"POST /purge/a.example/; POST /purge/a.example:8080/%2F?": {
			URLs: []string{"https://a.example", "http://A.example:8080/%2F?"}},
		"POST /service/SU1Z0/purge_all":  {Tags: []string{"a"}, Prefixes: []string{"https://a.example/x"}},
		"POST /service/SU1Z0/purge_all ": {All: true, Soft: true},
	} {
		f := newFakeFastly(t)
		err := target(t, f.URL, nil, 0).Purge(t.Context(), p)
		if got := strings.Join(f.calls, "; "); err != nil || got != strings.TrimSpace(want) {
			t.Errorf("called %q, error %v; want %q", got, err, want)
		}
	}
}

// What was taken before the rate was used up is not left.
func TestRate(t *testing.T) {
	f := newFakeFastly(t)
	f.rate = 2
	err := target(t, f.URL, nil, 0).Purge(t.Context(), cdn.Purge{Tags: []string{"a"}, Soft: true,
		URLs: []string{"http://a.example/1", "http://a.example/2", "http://a.example/3"}})
	e, ok := errors.AsType[*cdn.Error](err)
	if !ok || e.Status != 429 || e.RetryAfter < 59*time.Minute || fmt.Sprint(*e.Rest) !=
		"{[] [http://a.example/2 http://a.example/3] [] false true false}" {
		t.Errorf("%v, left %v", err, e.Rest)
	}
}

func TestFailures(t *testing.T) {
	options := []string{"Options.Token", "Options.Service"}
	failtest.Run(t, target, cdn.Purge{Tags: []string{"a"}}, options, token)
	failtest.Run(t, target, cdn.Purge{URLs: []string{"http://a.example/"}}, options, token)
	f := newFakeFastly(t)
	f.lies = true
	for _, p := range []cdn.Purge{{All: true}, {Tags: []string{"a"}}, {URLs: []string{"http://a.example/"}}} {
		if err := target(t, f.URL, nil, 0).Purge(t.Context(), p); err == nil {
			t.Errorf("%v: an answer that names no purge is taken for one", p)
		}
	}
}

func TestBadInput(t *testing.T) {
	failtest.Refused(t, target(t, "http://127.0.0.1:1", nil, 0), cdn.Purge{}, cdn.Purge{Tags: []string{""}},
		cdn.Purge{Tags: []string{strings.Repeat("ü", 200)}}, cdn.Purge{URLs: []string{"http://a.example/\r\n"}},
		cdn.Purge{URLs: []string{"http://a.example/" + strings.Repeat("x", 7500)}})
	for _, o := range []fastly.Options{{Token: token}, {Service: "x"}, {Service: "x", Token: token + "\n"},
		{Service: "x/y", Token: token}, {Service: "x", Token: token, Address: "api.fastly.com"}} {
		if _, err := fastly.New(o); err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// A client's request never purges everything, and a URL never leads the call with the token
// elsewhere.
func TestClientsLedTheToken(t *testing.T) {
	f := newFakeFastly(t)
	failtest.Refused(t, target(t, f.URL, nil, 0),
		cdn.Purge{ByRequest: true, Prefixes: []string{"https://a.example/users/me/note.txt/"}},
		cdn.Purge{ByRequest: true, All: true},
		cdn.Purge{URLs: []string{"https://a.example/x/../../../service/SU1Z0/purge_all"}},
		cdn.Purge{URLs: []string{"https://a.example/x/%2e%2e/..%2f%2E./service/SU1Z0/purge_all"}},
		cdn.Purge{URLs: []string{"https://../service/SU1Z0/purge_all"}})
	if len(f.calls) > 0 {
		t.Errorf("called %q", f.calls)
	}
}

// Clients' URLs leave room in what Fastly allows: the outbox sends the others later.
func TestClientsUsedUpTheRate(t *testing.T) {
	f := newFakeFastly(t)
	v := target(t, f.URL, nil, 0)
	p := cdn.Purge{ByRequest: true}
	for i := range 300 {
		p.URLs = append(p.URLs, fmt.Sprint("https://a.example/", i))
	}
	e, ok := errors.AsType[*cdn.Error](v.Purge(t.Context(), p))
	if !ok || e.Kind != cdn.KindPaced || !e.Rest.ByRequest || len(e.Rest.URLs)+len(f.calls) != 300 {
		t.Errorf("%v after %d calls", e, len(f.calls))
	}
	p.ByRequest = false
	if err := v.Purge(t.Context(), p); err != nil {
		t.Errorf("the app's: %v", err)
	}
}
