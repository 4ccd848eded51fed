package main

import (
	"strings"
	"testing"
	"time"
)

const wrkSaid = `Running 5s test @ http://127.0.0.1:8080/articles/1?page=1
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.20ms    2.10ms  41.53ms   93.69%
    Req/Sec    12.21k     1.07k   14.00k    86.54%
  Latency Distribution
     50%  912.00us
     75%    1.49ms
     90%    1.70ms
     99%    5.80ms
  61087 requests in 5.03s, 76.10MB read
Requests/sec:  12147.36
Transfer/sec:     15.13MB
`

func TestParseWrk(t *testing.T) {
	usual := load{requests: 61087, took: 5030 * time.Millisecond, perSecond: 12147.36,
		p50: 912 * time.Microsecond, p99: 5800 * time.Microsecond}
	slow := usual
	slow.p50, slow.p99, slow.took = 1500*time.Millisecond, 90*time.Second, 2*time.Minute
	hours := usual
	hours.p99, hours.took = 30*time.Minute, 90*time.Minute
	failing := usual
	failing.errors, failing.non2xx = 1+2+3+4, 7
	for _, c := range []struct {
		name string
		said string
		want load
	}{
		{"microseconds and milliseconds", wrkSaid, usual},
		{"seconds and minutes", replaced("912.00us", "1.50s", "5.80ms", "1.50m", "in 5.03s",
			"in 2.00m"), slow},
		{"hours", replaced("5.80ms", "0.50h", "in 5.03s", "in 1.50h"), hours},
		{"errors", replaced("Requests/sec:", "  Socket errors: connect 1, read 2, write 3, "+
			"timeout 4\n  Non-2xx or 3xx responses: 7\nRequests/sec:"), failing},
	} {
		got, err := parseWrk(c.said)
		if err != nil || got != c.want {
			t.Errorf("%s: got %+v, %v; want %+v", c.name, got, err, c.want)
		}
	}
}

// What wrk does not say is an error that shows what it said, never a zero in the report.
func TestParseWrkOfNoReport(t *testing.T) {
	for name, said := range map[string]string{
		"refused": "unable to connect to 127.0.0.1:1 Connection refused",
		"no latency": strings.Split(wrkSaid, "  Latency Distribution")[0] +
			"  1 requests in 1.00s, 1KB read\nRequests/sec: 1.00\n",
		"no requests a second": strings.Split(wrkSaid, "Requests/sec")[0],
		"a unit unheard of":    replaced("5.80ms", "5.80parsecs"),
	} {
		if got, err := parseWrk(said); err == nil {
			t.Errorf("%s: got %+v and no error", name, got)
		}
	}
	if _, err := parseWrk("unable to connect"); err == nil || !strings.Contains(err.Error(), "unable to connect") {
		t.Errorf("the error does not show what wrk said: %v", err)
	}
}

func replaced(oldnew ...string) string { return strings.NewReplacer(oldnew...).Replace(wrkSaid) }
