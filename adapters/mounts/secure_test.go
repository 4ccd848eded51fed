package mounts_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/unrolled/secure"

	"github.com/freshet-go/freshet/policy"
)

// unrolled/secure redirects what came by http, as the field of a CDN tells. Who came by https does
// not get that redirect, which would lead to itself.
func TestARedirectToHTTPSByUnrolledSecure(t *testing.T) {
	for field, says := range map[string][2]string{
		"X-Forwarded-Proto":          {"http", "https"},
		"Cloudfront-Forwarded-Proto": {"http", "https"},
		"Cf-Visitor":                 {`{"scheme":"http"}`, `{"scheme":"https"}`},
		"X-Arr-Ssl":                  {"0", "1"},
		"Fastly-Ssl":                 {"0", "1"},
	} {
		s := secure.New(secure.Options{SSLRedirect: true, SSLHost: "shop.example",
			SSLProxyHeaders: map[string]string{field: says[1]}})
		page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "page")
		})
		h := newCache(t).With(policy.Policy{TTL: time.Minute})(s.Handler(page))
		want(t, "by http, of "+field, get(h, "/", field, says[0]).Code,
			http.StatusMovedPermanently)
		want(t, "by https, of "+field, get(h, "/", field, says[1]).Code, http.StatusOK)
	}
}
