package akamai_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet-go/freshet/adapters/cdn"
	"github.com/freshet-go/freshet/adapters/cdn/akamai"
	"github.com/freshet-go/freshet/adapters/cdn/internal/failtest"
)

var secrets = []string{"s3cret-client-token", "s4cret-client-secret", "s5cret-access-token"}

// fakeAkamai answers as the Fast Purge API does, within its limits. What is signed the tests of
// EdgeGrid look at.
type fakeAkamai struct {
	*httptest.Server
	mu    sync.Mutex
	calls []string
	busy  bool
	lies  bool
}

func newFakeAkamai(t *testing.T) *fakeAkamai {
	f := &fakeAkamai{}
	f.Server = httptest.NewTLSServer(f)
	t.Cleanup(f.Server.Close)
	return f
}

var (
	signed = regexp.MustCompile(`^EG1-HMAC-SHA256 client_token=s3cret-client-token;access_token=s5cret-access-token;` +
		`timestamp=\d{8}T\d\d:\d\d:\d\d\+0000;nonce=\w{20,};signature=[\w+/]{43}=$`)
	allowed = regexp.MustCompile("^[A-Za-z0-9!#$%'+./^_`|~-]{1,128}$")
)

func (f *fakeAkamai) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	answer := func(status int) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"httpStatus":%d,"detail":"…","estimatedSeconds":5,"purgeId":"1"}`, status)
	}
	body, _ := io.ReadAll(r.Body)
	var asked struct{ Objects []any }
	err := json.Unmarshal(body, &asked)
	switch {
	case !signed.MatchString(r.Header.Get("Authorization")):
		answer(401)
		return
	case len(body) > 50_000:
		answer(413)
		return
	case f.busy:
		answer(429)
		return
	case err != nil || len(asked.Objects) == 0:
		answer(400)
		return
	}
	for _, object := range asked.Objects {
		if strings.Contains(r.URL.Path, "/tag/") && !allowed.MatchString(fmt.Sprint(object)) {
			answer(400)
			return
		}
	}
	if f.calls = append(f.calls, fmt.Sprint(strings.TrimPrefix(r.URL.Path, "/ccu/v3/"), " ", len(asked.Objects),
		" ", asked.Objects[0])); f.lies {
		answer(200)
		return
	}
	answer(201)
}

func target(t *testing.T, address string, client *http.Client, timeout time.Duration) cdn.Target {
	t.Helper()
	return with(t, address, akamai.Options{Client: client, Timeout: timeout})
}

func with(t *testing.T, address string, o akamai.Options) cdn.Target {
	t.Helper()
	o.Host, o.ClientToken, o.ClientSecret, o.AccessToken = address, secrets[0], secrets[1], secrets[2]
	v, err := akamai.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func names(n int, before string) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint(before, i))
	}
	return all
}

func TestPurge(t *testing.T) {
	long := strings.Repeat("x&", 4000)
	for want, p := range map[string]cdn.Purge{
		"delete/tag/staging 381 %5Bl%5D:0; delete/tag/staging 19 x": {Tags: names(400, "[l]\":")},
		"invalidate/tag/staging 2 a%3A1; invalidate/url/staging 6 http://a.example/" + long + "0; " +
			"invalidate/url/staging 1 http://a.example/" + long + "6": {Tags: []string{"a:1", "\xff, b"},
			URLs: names(7, "http://a.example/"+long), Soft: true},
		"delete/cpcode/staging 2 12345": {All: true},
		"invalidate/cpcode/staging 2 12345": {Prefixes: []string{"http://a.example/x"}, Tags: []string{"a"},
			Soft: true},
	} {
		want = strings.ReplaceAll(want, "%5Bl%5D:0; delete/tag/staging 19 x",
			"%5Bl%5D%22%3A0; delete/tag/staging 19 %5Bl%5D%22%3A381")
		f := newFakeAkamai(t)
		err := with(t, f.URL, akamai.Options{Client: f.Client(), Staging: true, CPCodes: []int{12345, 6}}).Purge(
			t.Context(), p)
		if got := strings.Join(f.calls, "; "); err != nil || got != want {
			t.Errorf("called %.300q, error %v; want %.300q", got, err, want)
		}
	}
}

func TestRate(t *testing.T) {
	f := newFakeAkamai(t)
	err := target(t, f.URL, f.Client(), 0).Purge(t.Context(), cdn.Purge{Tags: names(6000, "tag-")})
	e, ok := errors.AsType[*cdn.Error](err)
	if !ok || e.Kind != cdn.KindPaced || len(e.Rest.Tags) > 1100 || len(e.Rest.Tags) < 500 ||
		e.RetryAfter > time.Minute {
		t.Errorf("%v, %d left", err, len(e.Rest.Tags))
	}
	f.busy = true
	err = target(t, f.URL, f.Client(), 0).Purge(t.Context(), cdn.Purge{Tags: []string{"a"}})
	if e, ok = errors.AsType[*cdn.Error](err); !ok || e.Status != 429 || e.RetryAfter != 5*time.Second {
		t.Errorf("%v", err)
	}
}

func TestFailures(t *testing.T) {
	failtest.Run(t, target, cdn.Purge{URLs: []string{"http://a.example/"}},
		[]string{"Options.Host", "ClientToken", "ClientSecret", "AccessToken"}, secrets...)
	f := newFakeAkamai(t)
	f.lies = true
	err := target(t, f.URL, f.Client(), 0).Purge(t.Context(), cdn.Purge{Tags: []string{"a"}})
	if err == nil || !strings.Contains(err.Error(), "does not say that the purge was taken") {
		t.Errorf("%v", err)
	}
}

func TestBadInput(t *testing.T) {
	failtest.Refused(t, target(t, "127.0.0.1:1", nil, 0), cdn.Purge{}, cdn.Purge{Tags: []string{""}},
		cdn.Purge{Tags: []string{strings.Repeat("ü", 25)}}, cdn.Purge{URLs: []string{"a.example/x"}},
		cdn.Purge{All: true}, cdn.Purge{Prefixes: []string{"http://a.example"}})
	for _, o := range []akamai.Options{{}, {Host: "a", ClientToken: "b", ClientSecret: "c"},
		{Host: "a/b", ClientToken: secrets[0], ClientSecret: secrets[1], AccessToken: secrets[2]},
		{Host: "a", ClientToken: secrets[0], ClientSecret: secrets[1] + "\n", AccessToken: secrets[2]}} {
		_, err := akamai.New(o)
		if err == nil || strings.Contains(err.Error(), "cret-") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// A client's request never purges CP codes.
func TestClientsPurgedCPCodes(t *testing.T) {
	v := with(t, "127.0.0.1:1", akamai.Options{CPCodes: []int{12345}})
	failtest.Refused(t, v, cdn.Purge{ByRequest: true, Prefixes: []string{"https://a.example/x/"}},
		cdn.Purge{ByRequest: true, All: true})
}
