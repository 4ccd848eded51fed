package attacktest

import (
	"fmt"
	"strings"
)

// limitVary and limitOwn are documented limits: sentences of docs/caching.md.
const (
	limitVary = "A handler that answers by a request field names that field in Vary."
	limitOwn  = "A field of the app's own that says who asks is named in Policy.Credentials."
)

// poisonings: the attacker sends a field that the app shows, and the victim gets the page.
func poisonings() (all []Attack) {
	add := func(limit string, fields ...string) {
		for _, field := range fields {
			name, _, _ := strings.Cut(field, ":")
			all = append(all, Attack{Class: "poisoning", Name: name + labelled(field), Limit: limit,
				run: poison(field)})
		}
	}
	add("", // proxies and frameworks build the site's own links from these
		"X-Forwarded-Host: %s", "X-Forwarded-Proto: %s", "X-Forwarded-Scheme: %s",
		"X-Forwarded-Port: %s",
		"X-Forwarded-Prefix: /%s", "X-Forwarded-Path: /%s", "X-Forwarded-Server: %s",
		"X-Forwarded-Ssl: %s",
		"X-Forwarded-Uri: /%s", "X-Forwarded-Protocol: %s", "X-Host: %s", "X-Original-Host: %s",
		"X-Http-Host-Override: %s", "X-Original-Uri: /%s", "X-Scheme: %s", "X-Script-Name: /%s",
		"X-Url-Scheme: %s",
		"Front-End-Https: %s", "Forwarded: host=%s", "Forwarded: proto=%s",
		"Forwarded: for=1.2.3.4;host=%s",
		`Forwarded: for="1.2.3.4";host="%s"`, `Forwarded: for="a\";host=%s"`,
		"X-Forwarded-Host: victim.example, %s", "X-Forwarded-Host: a\r\nX-Forwarded-Host: %s")
	add("", // fields that name another URL or method
		"X-Original-Url: /%s", "X-Rewrite-Url: /%s", "X-Override-Url: /%s",
		"X-Http-Method-Override: %s",
		"X-Http-Method: %s", "X-Method-Override: %s")
	add("", // fields that only some of those on the way see
		"Connection: close, X-Hidden\r\nX-Hidden: %s",
		"Connection: X-Forwarded-Host\r\nX-Forwarded-Host: %s",
		"Connection: keep-alive, Cookie\r\nCookie: a=%s", "Upgrade: %s\r\nConnection: upgrade")
	add("", // fields that tell who asks
		"Authorization: Bearer %s", "Cookie: a=%s", "Proxy-Authorization: %s", "X-Api-Key: %s",
		"X-Auth-Token: %s")
	add(limitVary,
		"X-Custom: %s", "Accept-Language: %s", "Accept: text/%s", "Referer: http://%s/",
		"Origin: http://%s",
		"User-Agent: %s", "X-Requested-With: %s", "X-Forwarded-For: %s", "X-Real-Ip: %s",
		"True-Client-Ip: %s",
		"Cf-Connecting-Ip: %s", "Via: 1.1 %s", "Accept-Encoding: %s", "Dnt: %s", "X-Country: %s",
		"Save-Data: %s",
		"Traceparent: %s", "X-Request-Id: %s")
	for _, method := range []string{"GET", "HEAD"} {
		for _, body := range []string{"Content-Length: 6\r\n\r\nx=%s",
			"Transfer-Encoding: chunked\r\n\r\n%x\r\nx=%s\r\n0\r\n\r\n"} {
			kind, _, _ := strings.Cut(body, ":")
			all = append(all, Attack{Class: "poisoning", Name: "fat " + method + ", " + kind,
				run: fat(method, body)})
		}
	}
	for _, method := range []string{"get", "Get", "FOO", "OPTIONS", "TRACE", "POST", "QUERY",
		"PROPFIND"} {
		all = append(all, Attack{Class: "poisoning", Name: "method " + method,
			run: func(a *arena) string {
				page := a.public()
				a.do(method, page, "Content-Length: 0", "X-Custom: "+a.mark())
				return a.poisoned(page)
			}})
	}
	return append(all, keyTricks()...)
}

// labelled tells apart the attacks with one field.
func labelled(field string) string {
	_, value, _ := strings.Cut(field, ": ")
	if value = strings.ReplaceAll(value, "%s", ""); strings.Trim(value, "/") == "" {
		return ""
	}
	return fmt.Sprintf(" (%.24q)", value)
}

func poison(field string) func(*arena) string {
	return func(a *arena) string {
		page := a.public()
		a.get(page, fmt.Sprintf(field, a.mark()))
		return a.poisoned(page)
	}
}

// poisoned asks as the victim, twice, and says whether the attacker's word came.
func (a *arena) poisoned(page string, fields ...string) string {
	for range 2 {
		if got := a.get(page, fields...); got.has(a.mark()) {
			return "the victim's page has the attacker's word: " + got.String()
		}
	}
	return ""
}

func fat(method, body string) func(*arena) string {
	return func(a *arena) string {
		page := a.public()
		mark := a.mark()
		head := strings.TrimSuffix(a.request(method, page, "Connection: close"), "\r\n")
		if strings.HasPrefix(body, "Content-Length") {
			body = fmt.Sprintf("Content-Length: %d\r\n\r\nx=%s", len(mark)+2, mark)
		} else {
			body = fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\nx=%s\r\n0\r\n\r\n",
				len(mark)+2, mark)
		}
		a.raw(head + body)
		return a.poisoned(page)
	}
}

// keyTricks: what a key is made of is made to look like something else.
func keyTricks() (all []Attack) {
	for name, field := range map[string]string{
		"a space in the path":       "%s%%20X-Forwarded-Host=evil",
		"a header line in the path": "%s%%0d%%0aX-Evil:%%201",
		"the key's own syntax":      "%s%%20vary%%20accept",
		"a query in the path":       "%s%%3fx=1",
		"a fragment in the path":    "%s%%23x",
		"an equals sign":            "%s=1",
		"a backslash":               `%s%%5cx`,
		"a null":                    "%s%%00",
	} {
		all = append(all, Attack{Class: "poisoning", Name: "key: " + name,
			run: func(a *arena) string {
				page := a.public()
				a.get(fmt.Sprintf(field, page), "X-Custom: "+a.mark())
				return a.poisoned(page)
			}})
	}
	sortByName(all)
	return all
}
