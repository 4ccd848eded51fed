package servertest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/testserver"
)

// Five processes with near tiers share a Redis, and get requests meanwhile. One purges a page, and
// soon no other one uses it. FRESHET_TEST_SOAK says how soon, beside what the server and its bare
// client need for a message:
//
//	FRESHET_TEST_SOAK=1 go test ./store/open/servertest -run TestPurgeUntilGone -v
func TestPurgeUntilGone(t *testing.T) {
	purges, rate := 5, 50
	if os.Getenv("FRESHET_TEST_SOAK") != "" {
		purges, rate = 500, 400
	}
	server := testserver.Redis(t)
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	defer client.CloseIdleConnections()
	var apps []*testserver.Server
	for range 5 {
		apps = append(apps, testserver.App(t, goneStore+"="+server.URL+"?near=16MiB&timeout=1m&guard_timeout=1m",
			goneRedis+"="+server.Addr, fmt.Sprint(goneRate, "=", rate)))
	}
	began := time.Now()
	before := goneLoads(t, client, apps)
	var sent, purged, floor []time.Duration // until the last of the others has it
	for i := range purges {
		at, page := i%len(apps), fmt.Sprint("/pages/purged-", i)
		for _, app := range apps {
			if err := goneGet(client.Transport, app.URL, page); err != nil {
				t.Fatal(err)
			}
		}
		purge, gone := goneRound(t, client, apps, at, "/purge?page="+page, "/watch?page="+page)
		sent = append(sent, time.Duration(gone-purge.Began))
		purged = append(purged, max(time.Duration(gone-purge.Ended), 0))
		message := fmt.Sprint("?message=", i)
		publish, heard := goneRound(t, client, apps, at, "/publish"+message, "/heard"+message)
		floor = append(floor, time.Duration(heard-publish.Began))
	}
	took := time.Since(began)
	after := goneLoads(t, client, apps)
	if after.failed > 0 {
		t.Errorf("%d of %d requests failed", after.failed, after.made)
	}
	for _, all := range [][]time.Duration{sent, purged, floor} {
		slices.Sort(all)
	}
	at := func(all []time.Duration, percent int) time.Duration { return all[len(all)*percent/100] }
	t.Logf("%d purges, %d processes, %.0f requests a second in all, %d cores, load %s", purges, len(apps),
		float64(after.made-before.made)/took.Seconds(), runtime.NumCPU(), loadAverage())
	for _, p := range []int{50, 99} {
		t.Logf("p%d: purge returned, gone at the other four: %v; from its call: %v; a bare PUBLISH, from its "+
			"call until the four have it: %v; from call to call %.1f times that", p, at(purged, p), at(sent, p),
			at(floor, p), float64(at(sent, p))/float64(at(floor, p)))
	}
	t.Log("the figures are of this machine and its load: compare those of a machine that does nothing else")
}

// goneRound has an app act, and the others wait for what comes of it. It returns when the action
// began and ended, and when the last of the others had it.
func goneRound(
	t *testing.T, client *http.Client, apps []*testserver.Server, at int, act, wait string,
) (acted span, last int64) {
	t.Helper()
	var work, ready sync.WaitGroup
	var mu sync.Mutex
	for i, app := range apps {
		if i == at {
			continue
		}
		ready.Add(1)
		work.Go(func() {
			had, err := goneAsk(client, "GET", app.URL+wait, ready.Done)
			if err != nil {
				t.Errorf("process %d: %v", i, err)
			}
			mu.Lock()
			defer mu.Unlock()
			last = max(last, had.Ended)
		})
	}
	ready.Wait()
	acted, err := goneAsk(client, "POST", apps[at].URL+act, func() {})
	if err != nil {
		t.Errorf("process %d: %v", at, err)
	}
	work.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return acted, last
}

// goneAsk has an app do something. It calls ready once, when the app has begun to answer.
func goneAsk(client *http.Client, method, url string, ready func()) (s span, err error) {
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		ready()
		return s, err
	}
	res, err := client.Do(r)
	ready()
	if err != nil {
		return s, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return s, fmt.Errorf("%s: %s %w", res.Status, text, err)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("%s: %w", text, err)
	}
	return s, nil
}

type goneLoad struct{ made, failed int }

// goneLoads returns the requests of all apps' loads so far.
func goneLoads(t *testing.T, client *http.Client, apps []*testserver.Server) (all goneLoad) {
	t.Helper()
	for _, app := range apps {
		res, err := client.Get(app.URL + "/load")
		if err != nil {
			t.Fatal(err)
		}
		var one goneLoad
		if _, err := fmt.Fscan(res.Body, &one.made, &one.failed); err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		all.made, all.failed = all.made+one.made, all.failed+one.failed
	}
	return all
}

// loadAverage is that of the last minute, where the system tells.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Fields(string(text))[0]
}
