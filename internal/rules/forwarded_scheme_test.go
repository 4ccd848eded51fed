package rules

import (
	"net/http"
	"testing"

	"github.com/freshet-go/freshet/policy"
)

// A request that came by http, as the CDN in front tells, has another key than one that came by
// https: the handler redirects the one, and must not redirect the other for ever.
func TestSchemesThatCDNsTellAreInTheKey(t *testing.T) {
	for name, values := range map[string][2]string{
		"X-Forwarded-Proto":          {"http", "https"},
		"Cloudfront-Forwarded-Proto": {"http", "https"},
		"Cf-Visitor":                 {`{"scheme":"http"}`, `{"scheme":"https"}`},
		"X-Arr-Ssl":                  {"", "2048|256|CN=shop.example"},
		"Fastly-Ssl":                 {"0", "1"},
		"Front-End-Https":            {"off", "on"},
		"X-Forwarded-Https":          {"off", "on"},
		"X-Appservice-Proto":         {"http", "https"},
		"Fly-Forwarded-Proto":        {"http", "https"},
		"X-Forwarded-Hosts":          {"a.example", "b.example"},
		"Disguised-Host":             {"a.example", "b.example"},
		"X-Original-Proto":           {"http", "https"},
		"X-Ingress-Path":             {"/a", "/b"},
	} {
		var keys [2]string
		for i, value := range values {
			r := plainRequest()
			r.Header = http.Header{name: {value}}
			q, plan, why := ReadRequest(r, &policy.Policy{})
			if plan != PlanLookup {
				t.Fatalf("%s: plan %v, %s", name, plan, why)
			}
			keys[i] = q.Key
		}
		if keys[0] == keys[1] {
			t.Errorf("%s: %s and %s have the key %s", name, values[0], values[1], keys[0])
		}
	}
}
