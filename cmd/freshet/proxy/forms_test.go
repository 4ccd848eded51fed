package proxy_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/cmd/freshet/proxy"
	"github.com/freshet-go/freshet/internal/rawhttp"
)

// Upstreams make links of the host that they see, or, where the proxy replaces that, of
// X-Forwarded-Host. Who asks by a name that no browser uses fills no entry that browsers read, and
// reads none that they fill.
func TestHostFormsFillNoEntryOfBrowsers(t *testing.T) {
	for _, replace := range []bool{false, true} {
		for _, trust := range []bool{false, true} {
			for _, form := range rawhttp.PageForms {
				for _, first := range []string{"the attacker", "the browser"} {
					story := fmt.Sprintf("%s, ReplaceHost %v, TrustForwarded %v, %s first",
						form.Story,
						replace, trust, first)
					t.Run(story, func(t *testing.T) {
						s := serve(t, proxy.Options{ReplaceHost: replace, TrustForwarded: trust},
							func(w http.ResponseWriter, r *http.Request) {
								host := r.Host
								if replace {
									host = r.Header.Get("X-Forwarded-Host")
								}
								w.Header().Set("Cache-Control", "public, max-age=60")
								http.Redirect(w, r, "https://"+host+r.URL.Path,
									http.StatusMovedPermanently)
							})
						address := rawhttp.Serve(t, s.proxy)
						ask := []rawhttp.Form{form.Ask, rawhttp.Page}
						if first == "the browser" {
							ask[0], ask[1] = ask[1], ask[0]
						}
						ask[0](t, address)
						for range 2 {
							ask[1](t, address)
						}
						s.ran(2)
						got := rawhttp.Page(t, address)
						if l := got.Header.Get("Location"); l != "https://victim.example/page" ||
							!strings.Contains(got.Header.Get("Cache-Status"), "; hit") {
							t.Errorf("a browser is sent to %q [%s]", l,
								got.Header.Get("Cache-Status"))
						}
						s.ran(2)
					})
				}
			}
		}
	}
}
