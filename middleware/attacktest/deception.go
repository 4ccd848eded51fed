package attacktest

import (
	"fmt"
	"strings"
)

// deceptions: the victim follows a link to his own page under a name that looks static, and the
// attacker then asks for that name.
func deceptions() (all []Attack) {
	for _, form := range []string{
		"%s/x.css", "%s/x.js", "%s/logo.png", "%s/favicon.ico", "%s.css", "%s/robots.txt",
		"%s;x.css", "%s%%3bx.css", "%s%%2fx.css", "%s%%23x.css",
		"%s%%3fx.css", "%s%%00.css", "%s%%0a.css", "%s%%09.css", "%s%%20.css", "%s?x.css",
		"%s?.css", "%s/..%%2fstatic/x.css", "%s/%%2e%%2e/static/x.css",
		"/static/..%s", "/static/%%2e%%2e%s", "/assets/..%%2f..%s", "//static%s", "%s//x.css",
		"%s/.css", "%s/x.woff2", "%s/manifest.json", "%s/x.avif",
	} {
		all = append(all, Attack{Class: "deception", Name: fmt.Sprintf(form, "/mail"),
			needs: aPersonalPage, run: func(a *arena) string {
				cookie, secret := a.login()
				link := fmt.Sprintf(form, a.personal())
				a.get(link, cookie)
				return a.finds(secret, link, strings.ToUpper(link[:1])+link[1:])
			}})
	}
	for _, fields := range []string{
		"Accept: text/css", "Sec-Fetch-Dest: style", "X-Requested-With: XMLHttpRequest",
		"Range: bytes=0-", "If-None-Match: \"x\"",
		"Cache-Control: max-stale", "Cache-Control: only-if-cached", "Accept-Encoding: identity",
		"Connection: Cookie",
	} {
		all = append(all, Attack{Class: "deception", Name: "asked with " + fields,
			needs: aPersonalPage, run: func(a *arena) string {
				cookie, secret := a.login()
				link := a.personal()
				a.get(link, cookie)
				a.get(link, cookie, fields)
				for range 2 {
					if got := a.get(link, fields); got.has(secret) {
						return "the attacker got " + got.String()
					}
				}
				return a.finds(secret, link)
			}})
	}
	return all
}

// finds asks as the attacker and says whether the victim's secret came.
func (a *arena) finds(secret string, links ...string) string {
	for _, link := range links {
		for _, method := range []string{"GET", "GET", "HEAD"} {
			if got := a.do(method, link); got.has(secret) {
				return "the attacker got the victim's page: " + got.String()
			}
		}
	}
	return ""
}
