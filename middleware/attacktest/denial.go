package attacktest

import (
	"fmt"
	"slices"
	"strings"
)

// denials: the attacker makes the app refuse a request to a page, so that everybody gets the error
// (CPDoS).
func denials() (all []Attack) {
	add := func(name string, fields ...string) {
		all = append(all, Attack{Class: "denial", Name: name, run: func(a *arena) string {
			page := a.public()
			for range 2 {
				a.get(page, fields...)
			}
			return a.wrong(page, "refused")
		}})
		all = append(all, Attack{Class: "denial", Name: name + ", when the page is stored and " +
			"the client insists", run: func(a *arena) string {
			page := a.public()
			a.get(page)
			a.get(page, slices.Concat(fields, []string{"Cache-Control: no-cache"})...)
			return a.wrong(page, "refused")
		}})
	}
	add("a field of 4 KiB", "X-Big: "+strings.Repeat("x", 4<<10))
	add("a field of 60 KiB", "X-Big: "+strings.Repeat("x", 60<<10))
	add("a name of 5 KiB", strings.Repeat("X", 5<<10)+": x")
	add("an Accept of 8 KiB", "Accept: "+strings.Repeat("a/b,", 2<<10))
	var many []string
	for i := range 80 {
		many = append(many, fmt.Sprintf("X-%d: x", i))
	}
	add("eighty fields", many...)
	add("eighty lines of one field", strings.Split(strings.TrimSuffix(strings.Repeat("X-Many: x\n",
		80), "\n"), "\n")...)
	for _, c := range []string{"\x01", "\x07", "\x08", "\x1b", "\x7f", "\x80", "\xff", "é",
		"\u2028"} {
		add(fmt.Sprintf("%q in a field", c), "X-Meta: a"+c+"b")
	}
	for _, v := range []string{"POST", "DELETE", "PURGE", "HEAD", "x"} {
		add("X-HTTP-Method-Override: "+v, "X-HTTP-Method-Override: "+v)
	}
	add("X-HTTP-Method", "X-HTTP-Method: DELETE")
	add("X-Method-Override", "X-Method-Override: DELETE")
	for _, v := range []string{"x", "100-continue, x", "200-ok", strings.Repeat("y", 100)} {
		add("Expect: "+v, "Expect: "+v)
	}
	for _, v := range []string{"x", "bytes", "bytes=", "bytes=a-b", "bytes=1-0", "bytes=-",
		"lines=1-2", "bytes=99999999-", "bytes=0-1,x", "bytes=18446744073709551615-", "bytes=--1",
		"octets=0-1"} {
		add("Range: "+v, "Range: "+v)
	}
	for _, f := range []string{
		"Upgrade: h2c", "If-Match: \"x\"", "If-Unmodified-Since: Sat, 01 Jan 2000 00:00:00 GMT",
		"If-None-Match: *", "TE: trailers, x", "Max-Forwards: 0",
		"Accept: x/y", "Accept-Encoding: x", "Accept-Charset: x", "Content-Type: x",
		"Content-Encoding: x", "Origin: null", "Cookie: =", "Authorization: x",
		"X-Forwarded-Proto: http", "X-Forwarded-Proto: https", "X-Forwarded-Port: 1",
		"X-Forwarded-Host: x/y", "Transfer-Encoding: x", "Content-Length: x",
		"Cache-Control: no-store",
		"Pragma: no-cache",
	} {
		add(f, f)
	}
	return all
}
