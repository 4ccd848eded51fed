package cloudflare_test

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
	"github.com/freshet-go/freshet/adapters/cdn/cloudflare"
	"github.com/freshet-go/freshet/adapters/cdn/internal/failtest"
)

const token = "s3cret-token-of-cloudflare"

// fakeCloudflare answers as Cloudflare's API does, within its limits.
type fakeCloudflare struct {
	*httptest.Server
	mu    sync.Mutex
	calls []string
	lies  bool
}

func newFakeCloudflare(t *testing.T) *fakeCloudflare {
	f := &fakeCloudflare{}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Server.Close)
	return f
}

func (f *fakeCloudflare) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	answer := func(status int, text string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"success":%v,"errors":[{"code":1,"message":%q}],"result":null}`, text == "", text)
	}
	if r.Header.Get("Authorization") != "Bearer "+token {
		answer(403, "Authentication error")
		return
	}
	if r.URL.Path != "/client/v4/zones/zone1/purge_cache" {
		answer(404, "no such zone")
		return
	}
	var asked struct {
		Tags, Files, Prefixes []string
		Everything            bool `json:"purge_everything"`
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&asked); err != nil {
		answer(400, err.Error())
		return
	}
	if len(asked.Tags) > 100 || len(asked.Files) > 100 || len(asked.Prefixes) > 30 {
		answer(400, "too many")
		return
	}
	for _, tag := range asked.Tags {
		if strings.ContainsAny(tag, ", \n") || len(tag) > 1024 {
			answer(400, "a bad tag")
			return
		}
	}
	for _, prefix := range asked.Prefixes {
		if strings.Contains(prefix, "://") || strings.ContainsAny(prefix, "?#") ||
			strings.Count(prefix, "/") > 31 {
			answer(400, "a bad prefix")
			return
		}
	}
	call := fmt.Sprint(len(asked.Tags), len(asked.Files), len(asked.Prefixes))
	if few := append(append(asked.Tags, asked.Files...), asked.Prefixes...); len(few) < 5 {
		call = strings.Join(few, " ")
	}
	if asked.Everything {
		call += "EVERYTHING"
	}
	f.calls = append(f.calls, call)
	if f.lies {
		answer(200, "not this time")
		return
	}
	answer(200, "")
}

func target(t *testing.T, address string, client *http.Client, timeout time.Duration) cdn.Target {
	t.Helper()
	return planned(t, address, cloudflare.Options{Client: client, Timeout: timeout})
}

func planned(t *testing.T, address string, o cloudflare.Options) cdn.Target {
	t.Helper()
	o.Zone, o.Token, o.Address = "zone1", token, address
	v, err := cloudflare.New(o)
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
	deep := "http://a.example" + strings.Repeat("/d", 31)
	for want, p := range map[string]cdn.Purge{
		"100 0 0; 100 0 0; 50 0 0": {Tags: names(250, "tag ")},
		"0 100 0; 0 20 0; 0 0 30; 0 0 30; a.example/p60": {URLs: names(120, "http://a.example/u"),
			Prefixes: append(names(61, "http://a.example/p"), names(61, "https://a.example/p")...)},
		"Tag%20One %FF%2C; https://a.example/x?q=1 http://a.example/": {
			Tags: []string{"Tag One", "\xff,"}, Soft: true,
			URLs: []string{"https://A.example:443/x?q=1", "http://a.example"}},
		"a.example/b a.example/ " + deep[len("http://"):]: {Prefixes: []string{"http://a.example/b?x=",
			"http://a.example", "https://a.example/b", deep + "/e", deep}},
		"EVERYTHING": {All: true, Tags: []string{"a"}},
	} {
		f := newFakeCloudflare(t)
		err := target(t, f.URL, nil, 0).Purge(t.Context(), p)
		if got := strings.Join(f.calls, "; "); err != nil || got != want {
			t.Errorf("called %q, error %v; want %q", got, err, want)
		}
	}
}

// The target keeps its plan's rate by itself, and loses nothing.
func TestRate(t *testing.T) {
	for plan, want := range map[cloudflare.Plan]struct {
		tags  int
		after time.Duration
	}{
		cloudflare.Free:     {2500, 12 * time.Second},
		cloudflare.Pro:      {2500, 200 * time.Millisecond},
		cloudflare.Business: {5000, 100 * time.Millisecond},
	} {
		f := newFakeCloudflare(t)
		v := planned(t, f.URL, cloudflare.Options{Plan: plan})
		// those that come meanwhile are in the bucket, too
		err := v.Purge(t.Context(), cdn.Purge{Tags: names(2*want.tags, "tag-")})
		e, ok := errors.AsType[*cdn.Error](err)
		if !ok || e.Kind != cdn.KindPaced || e.RetryAfter > want.after+time.Millisecond ||
			len(e.Rest.Tags) > want.tags || len(f.calls)*100 != 2*want.tags-len(e.Rest.Tags) ||
			plan == cloudflare.Free && len(f.calls) != 25 {
			t.Errorf("plan %d: %v after %d calls, %d left", plan, err, len(f.calls), len(e.Rest.Tags))
		}
	}
	f := newFakeCloudflare(t)
	err := target(t, f.URL, nil, 0).Purge(t.Context(), cdn.Purge{URLs: names(3000, "http://a.example/")})
	if e, ok := errors.AsType[*cdn.Error](err); !ok || e.Kind != cdn.KindPaced || len(f.calls) < 8 ||
		len(f.calls) > 20 {
		t.Errorf("%v after %d calls", err, len(f.calls))
	}
}

func TestFailures(t *testing.T) {
	failtest.Run(t, target, cdn.Purge{Prefixes: []string{"http://a.example/"}},
		[]string{"Options.Token", "Options.Zone"}, token)
	f := newFakeCloudflare(t)
	f.lies = true
	err := target(t, f.URL, nil, 0).Purge(t.Context(), cdn.Purge{Tags: []string{"a"}})
	if err == nil || !strings.Contains(err.Error(), "not this time") {
		t.Errorf("no success: %v", err)
	}
}

func TestBadInput(t *testing.T) {
	failtest.Refused(t, target(t, "http://127.0.0.1:1", nil, 0), cdn.Purge{}, cdn.Purge{Tags: []string{""}},
		cdn.Purge{Tags: []string{strings.Repeat("ü", 200)}}, cdn.Purge{URLs: []string{"a.example/x"}})
	for _, o := range []cloudflare.Options{{Token: token}, {Zone: "x"}, {Zone: "x", Token: token + " "},
		{Zone: "x/y", Token: token}, {Zone: "x", Token: token, Plan: 4}, {Zone: "x", Token: token, Address: "a"}} {
		if _, err := cloudflare.New(o); err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// A client's request purges no shorter prefix than it names, and leaves calls to the app.
func TestClientsPurgedMore(t *testing.T) {
	f := newFakeCloudflare(t)
	v := target(t, f.URL, nil, 0)
	deep := "https://a.example/" + strings.Repeat("x/", 40)
	for _, prefix := range []string{"https://a.example/x?y=", deep} {
		failtest.Refused(t, v, cdn.Purge{ByRequest: true, Prefixes: []string{prefix}})
	}
	p := cdn.Purge{ByRequest: true, Prefixes: []string{"https://a.example/x/"}}
	calls := 0
	for ; calls < 25; calls++ {
		if v.Purge(t.Context(), p) != nil {
			break
		}
	}
	if calls < 10 || calls > 15 {
		t.Errorf("clients made %d of 25 calls", calls)
	}
	if p.ByRequest = false; v.Purge(t.Context(), p) != nil {
		t.Error("the app has no call left")
	}
}
