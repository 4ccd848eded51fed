package cachekitserver

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// ask sends a request with header fields as "name: text", and returns the status and the body.
func ask(t *testing.T, s *Server, method, path, body string, fields ...string) (string, *httptest.ResponseRecorder) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer ck_sdk_a")
	r.Header.Set("X-CacheKit-L1-Status", "disabled")
	for _, field := range fields {
		name, text, _ := strings.Cut(field, ": ")
		r.Header.Set(name, text)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if h := w.Header(); h.Get("Cache-Control") != "no-store" || h.Get("Vary") != "Authorization" {
		t.Errorf("%s %s: the header is %v", method, path, h)
	}
	return fmt.Sprint(w.Code, " ", strings.TrimSpace(w.Body.String())), w
}

// What the specification says of each request.
func TestRequests(t *testing.T) {
	s := New("ck_sdk_a")
	const ttl, stale = "X-CacheKit-TTL: ", "X-CacheKit-Stale-TTL: "
	success := `200 {"success":true}`
	for i, tt := range []struct {
		method, path, body string
		fields             []string
		want               string // the beginning of status and body
	}{
		{"GET", "/v1/cache/k", "", []string{"Authorization: Bearer ck_sdk_b"}, "401"},
		{"GET", "/v1/cache/health", "", []string{"Authorization: Bearer "}, "401"},
		{"GET", "/v1/cache/k", "", []string{"X-CacheKit-L1-Status: "}, "400"},
		{"GET", "/v1/cache/k", "", nil, "404"},
		{"GET", "/v2/cache/k", "", nil, "404"},
		{"PUT", "/v1/cache/k", "v", []string{ttl + "0"}, "400"},
		{"PUT", "/v1/cache/k", "v", []string{ttl + "-1"}, "400"},
		{"PUT", "/v1/cache/k", "v", []string{ttl + "1.5"}, "400"},
		{"PUT", "/v1/cache/k", "v", []string{ttl + "2592001"}, "400"},
		{"PUT", "/v1/cache/k", "v", []string{stale + "1"}, "400"},
		{"PUT", "/v1/cache/k", "v", []string{ttl + "2592000", stale + "1"}, "400"},
		{"PUT", "/v1/cache/k", "v", []string{ttl + "1", stale + "-1"}, "400"},
		{"PUT", "/v1/cache/k", strings.Repeat("v", MaxValue+1), []string{ttl + "1"}, "413"},
		{"GET", "/v1/cache/k/ttl", "", nil, "404"},
		{"PUT", "/v1/cache/k", "v", []string{ttl + "2592000"}, success},
		{"GET", "/v1/cache/k/ttl", "", nil, `200 {"ttl":2592000}`},
		{"PUT", "/v1/cache/k", "v", []string{"X-TTL: 60"}, success},
		{"PUT", "/v1/cache/k", "v", []string{"X-TTL: 0", ttl + "60"}, success},
		{"GET", "/v1/cache/k", "", nil, "200 v"},
		{"PUT", "/v1/cache/e", "", nil, success},
		{"GET", "/v1/cache/e/ttl", "", nil, `200 {"ttl":null}`},
		{"PATCH", "/v1/cache/e/ttl", `{"ttl":9}`, nil, success},
		{"GET", "/v1/cache/e/ttl", "", nil, `200 {"ttl":9}`},
		{"PATCH", "/v1/cache/e/ttl", `{"ttl":0}`, nil, "400"},
		{"PATCH", "/v1/cache/e/ttl", `{"ttl":2592001}`, nil, "400"},
		{"PATCH", "/v1/cache/e/ttl", `9`, nil, "400"},
		{"PATCH", "/v1/cache/none/ttl", `{"ttl":9}`, nil, success},
		{"GET", "/v1/cache/none/ttl", "", nil, "404"},
		{"DELETE", "/v1/cache/k", "", nil, success},
		{"DELETE", "/v1/cache/k", "", nil, success},
		{"HEAD", "/v1/cache/k", "", nil, "404"},
		{"GET", "/v1/cache/health", "", nil,
			`200 {"active_locks":0,"cache_entries":1,"status":"healthy","version":"1.0.0"}`},
		{"PUT", "/v1/cache/health", "v", nil, "400"}, {"GET", "/v1/cache/ttl", "", nil, "400"},
		{"GET", "/v1/cache/lock", "", nil, "400"}, {"GET", "/v1/cache/%2E", "", nil, "400"},
		{"GET", "/v1/cache/a..b", "", nil, "400"}, {"GET", "/v1/cache/a%2Fb", "", nil, "400"},
		{"GET", "/v1/cache/a~b", "", nil, "400"}, {"GET", "/v1/cache/", "", nil, "400"},
		{"GET", "/v1/cache/" + strings.Repeat("k", 401), "", nil, "400"},
		{"PUT", "/v1/cache/" + strings.Repeat("k", 400), "", nil, success},
		{"POST", "/v1/cache/k", "", nil, "405"}, {"GET", "/v1/cache/k/other", "", nil, "405"},
		{"POST", "/v1/cache/k/lock", `{"timeout_ms":0}`, nil, "400"},
		{"POST", "/v1/cache/k/lock", ``, nil, "400"},
		{"POST", "/v1/cache/k/lock", `{"timeout_ms":60000}`, nil, `200 {"lock_id":"`},
		{"POST", "/v1/cache/k/lock", `{"timeout_ms":60000}`, nil, `200 {"lock_id":null}`},
		{"DELETE", "/v1/cache/k/lock", "", nil, "400"},
		{"DELETE", "/v1/cache/k/lock?lock_id=a", "", nil, "400"},
		{"DELETE", "/v1/cache/k/lock", "", []string{"X-CacheKit-Lock-Id: another's"}, success},
		{"POST", "/v1/cache/k/lock", `{"timeout_ms":60000}`, nil, `200 {"lock_id":null}`},
	} {
		if got, _ := ask(t, s, tt.method, tt.path, tt.body, tt.fields...); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%d: %s %.40s: %.100s; want %s", i, tt.method, tt.path, got, tt.want)
		}
	}
}

// A value is fresh, then stale, then gone.
func TestWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New("ck_sdk_a")
		ask(t, s, "PUT", "/v1/cache/k", "v", "X-CacheKit-TTL: 10", "X-CacheKit-Stale-TTL: 5")
		for _, want := range []string{"200 fresh 10 15", "200 fresh 6 11", "200 fresh 2 7", "200 stale 0 3",
			"404   "} {
			got, w := ask(t, s, "GET", "/v1/cache/k", "")
			left, _ := ask(t, s, "GET", "/v1/cache/k/ttl", "")
			status, _, _ := strings.Cut(got, " ")
			left = strings.TrimSuffix(strings.TrimPrefix(left, `200 {"ttl":`), "}")
			if status == "404" {
				left = ""
			}
			got = strings.Join([]string{status, w.Header().Get("X-CacheKit-Freshness"),
				w.Header().Get("X-CacheKit-Fresh-For"), left}, " ")
			if got != want {
				t.Errorf("%q; want %q", got, want)
			}
			patched, _ := ask(t, s, "PATCH", "/v1/cache/k/ttl", `{"ttl":4}`)
			if stale := strings.Contains(want, "stale"); stale != strings.HasPrefix(patched, "409") {
				t.Errorf("PATCH of %s: %s", want, patched)
			} else if !stale && status == "200" { // as it was
				ask(t, s, "PUT", "/v1/cache/k", "v", "X-CacheKit-TTL: "+w.Header().Get("X-CacheKit-Fresh-For"),
					"X-CacheKit-Stale-TTL: 5")
			}
			_, w = ask(t, s, "HEAD", "/v1/cache/k", "")
			if w.Header().Get("X-CacheKit-Fresh-For") != "" {
				t.Error("HEAD tells the remaining freshness")
			}
			time.Sleep(4 * time.Second)
		}
	})
}
