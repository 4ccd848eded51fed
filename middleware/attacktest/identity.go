package attacktest

import (
	"fmt"
	"strings"
)

// identities: fields by which clients and the gateways before an app say who asks. A page made for
// one of them is nobody else's under a lifetime of the operator's.
func identities() (all []Attack) {
	for _, field := range []string{
		"Authorization: Bearer %s", "Cookie: session=%s", "Cookie: a=1; sid=%s",
		"Proxy-Authorization: %s", "X-Api-Key: %s", "X-Auth-Token: %s",
		"Client-Cert: %s", "Client-Cert-Chain: %s", "X-Forwarded-Client-Cert: %s",
		"X-Client-Cert: %s", "Ssl-Client-Cert: %s", "X-Ssl-Client-Cert: %s",
		"X-Ssl-Client-S-Dn: auth=%s",
		"X-Forwarded-User: %s", "X-Forwarded-Email: user=%s", "X-Forwarded-Preferred-Username: %s",
		"X-Forwarded-Access-Token: %s", "X-Auth-Request-User: %s", "X-Auth-Request-Email: %s",
		"X-Auth-Request-Access-Token: %s", "X-Remote-User: %s", "Remote-User: %s", "X-User: %s",
		"X-User-Id: %s", "X-Username: %s", "X-Authenticated-User: %s", "X-Authenticated-Userid: %s",
		"Cf-Access-Jwt-Assertion: %s", "Cf-Access-Authenticated-User-Email: %s",
		"X-Goog-Iap-Jwt-Assertion: %s", "X-Goog-Authenticated-User-Email: %s",
		"X-Goog-Authenticated-User-Id: %s",
		"X-Amzn-Oidc-Data: %s", "X-Amzn-Oidc-Accesstoken: %s", "X-Amzn-Oidc-Identity: %s",
		"X-Ms-Client-Principal: %s", "X-Ms-Client-Principal-Name: %s",
		"X-Ms-Token-Aad-Access-Token: %s",
		"X-Access-Token: %s", "X-Session-Id: %s", "X-Session-Token: %s", "X-Csrf-Token: %s",
		"X-Xsrf-Token: %s", "Api-Key: %s", "Apikey: %s", "X-Gitlab-Token: %s", "Private-Token: %s",
		"X-Jwt-Token: %s", "X-Jwt: %s", "Token: %s", "X-Vault-Token: %s",
		"X-Credential-Identifier: %s", "X-Consumer-Username: %s", "X-Principal: %s",
		"X-Identity: %s", "Dpop: %s", "Authentication: %s", "X-Member: %s",
	} {
		name, _, _ := strings.Cut(field, ":")
		limit := ""
		if name == "X-Member" {
			limit = limitOwn
		}
		all = append(all, Attack{Class: "identity", Name: name + labelled(field), Limit: limit,
			needs: theOrigin, run: func(a *arena) string {
				_, secret := a.login()
				page := a.personal()
				who := fmt.Sprintf(field, secret)
				a.get(page, who)
				if got := a.finds(secret, page); got != "" {
					return got
				}
				// And the other way round: a silent page made for nobody is not the user's, if the
				// app sees the field.
				if got := a.get(page, who); a.site.Origin.Says == "" && !got.has(secret) &&
					a.get(a.personal(), who).has(secret) {
					return "the user got the page of nobody: " + got.String()
				}
				return ""
			}})
	}
	return append(all, validations()...)
}

// validations: the response to a user is stale at once and has a validator that is the same for
// all. The next visitor's validation gets 304.
func validations() (all []Attack) {
	for _, lifetime := range []string{
		"no-cache, must-revalidate, max-age=0", "must-revalidate", "must-revalidate, max-age=0",
		"max-age=0", "no-cache", "public, no-cache", "public, max-age=0", "s-maxage=0",
		"proxy-revalidate, max-age=0", "private", "no-store", "max-age=60",
		"must-revalidate, max-age=60", "", "stale-while-revalidate=60", "immutable, max-age=60",
		"no-cache=\"Set-Cookie\"", "private=\"Set-Cookie\"", "max-age=x", "public=x, max-age=0",
	} {
		for _, validator := range []string{`Etag: "same"`, `Etag: W/"same"`,
			"Last-Modified: Sat, 01 Mar 2025 00:00:00 GMT"} {
			name, _, _ := strings.Cut(validator, ":")
			all = append(all, Attack{Class: "identity",
				Name: fmt.Sprintf("%q with a cookie, and %s for all", lifetime,
					strings.TrimSpace(name+" "+
						map[bool]string{true: "(weak)"}[strings.Contains(validator, "W/")])),
				needs: theOrigin, run: func(a *arena) string {
					cookie, secret := a.login()
					lines := []string{validator}
					if lifetime != "" {
						lines = append(lines, "Cache-Control: "+lifetime)
					}
					page := a.serve(says(header(lines...)))
					a.get(page, cookie)
					return a.finds(secret, page)
				}})
		}
	}
	return all
}
