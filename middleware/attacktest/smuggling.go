package attacktest

import (
	"fmt"
	"strings"
)

// smugglings: requests whose end two readers could see in different places, each with another
// request in what the one takes for content. The victim then asks for his page, on a connection of
// his own; a sound cache still has it.
func smugglings() (all []Attack) {
	for _, framing := range []string{
		"Content-Length: 6\r\nTransfer-Encoding: chunked",
		"Transfer-Encoding: chunked\r\nContent-Length: 6",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
		"Transfer-Encoding: identity, chunked", "Transfer-Encoding: chunked, identity",
		"Transfer-Encoding: xchunked", "Transfer-Encoding : chunked", "Transfer-Encoding:\tchunked",
		"Transfer-Encoding: \x0bchunked",
		"X: x\nTransfer-Encoding: chunked", "Transfer-Encoding\r\n : chunked",
		"Transfer-Encoding: \"chunked\"", "transfer-encoding: CHUNKED",
		"Content-Length: 0\r\nContent-Length: %d", "Content-Length: %d\r\nContent-Length: 0",
		"Content-Length: 0, %d", "Content-Length: +%d",
		"Content-Length: 0%d", "Content-Length: %d ", "Content-Length:%d", "Content-Length: 0x%x",
		"Content-Length: -1", "Content_Length: %d",
		"Content-Length: %d\r\nConnection: Content-Length",
		"Expect: 100-continue\r\nContent-Length: %d", "Content-Length: %d\r\nUpgrade: " +
			"h2c\r\nConnection: upgrade",
	} {
		for _, method := range []string{"GET", "POST"} {
			all = append(all, Attack{Class: "smuggling", Name: fmt.Sprintf("%s, %q", method,
				framing), run: smuggle(method, framing)})
		}
	}
	for name, chunks := range map[string]string{
		"a chunk's size with an extension": "0;x=\"\r\n\r\n%s\"\r\n\r\n",
		"a chunk's size of spaces":         " 0 \r\n\r\n%s",
		"a chunk that ends in a bare LF":   "1\nx\n0\n\n%s",
		"a chunk's size that overflows":    "10000000000000000\r\n%s",
		"a negative chunk":                 "-1\r\n\r\n%s",
		"a trailer with a length":          "0\r\nContent-Length: 100\r\n\r\n%s",
	} {
		all = append(all, Attack{Class: "smuggling", Name: name, run: func(a *arena) string {
			page := a.public()
			a.get(page)
			head := strings.TrimSuffix(a.request("POST", a.public(), "Transfer-Encoding: chunked"),
				"\r\n")
			a.raw(head + "\r\n" + fmt.Sprintf(chunks, a.request("GET", page, "X-Custom: "+
				a.mark())))
			return a.smuggled(page)
		}})
	}
	for name, lines := range map[string]string{
		"a line in the request's target": "GET %s\r\nX-Custom: mark HTTP/1.1\r\n",
		"a bare CR":                      "GET %s HTTP/1.1\rX-Custom: mark\r\n",
		"HTTP/0.9":                       "GET %s\r\n", "HTTP/1.0": "GET %s HTTP/1.0\r\n",
		"HTTP/2.0": "GET %s HTTP/2.0\r\n", "HTTP/9.9": "GET %s HTTP/9.9\r\n",
		"two spaces": "GET  %s  HTTP/1.1\r\n", "a tab": "GET\t%s\tHTTP/1.1\r\n",
		"the preface of HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET %s HTTP/1.1\r\n",
	} {
		all = append(all, Attack{Class: "smuggling", Name: name, run: func(a *arena) string {
			page := a.public()
			a.raw(fmt.Sprintf(lines, page) + "Host: " + a.host() + "\r\nX-Custom: " + a.mark() +
				"\r\nConnection: close\r\n\r\n")
			if got := a.get(page); got.err != nil || got.status != 200 {
				return "the victim got " + got.String()
			}
			return ""
		}})
	}
	sortByName(all)
	return all
}

func smuggle(method, framing string) func(*arena) string {
	return func(a *arena) string {
		page := a.public()
		a.get(page)
		inner := a.request("GET", page+"?inner", "X-Custom: "+a.mark())
		body := "0\r\n\r\n" + inner
		if strings.Contains(framing, "%") {
			framing := fmt.Sprintf(framing, len(body))
			a.raw(strings.TrimSuffix(a.request(method, a.public(), framing), "\r\n") + "\r\n" +
				body)
		} else {
			a.raw(strings.TrimSuffix(a.request(method, a.public(), framing), "\r\n") + "\r\n" +
				body)
		}
		return a.smuggled(page)
	}
}

// smuggled reports whether the victim, on one connection for several requests, gets what he asks
// for.
func (a *arena) smuggled(page string) string {
	c := a.dial()
	defer c.Close()
	for i := range 3 {
		got := c.do("GET", page)
		if got.err != nil || got.status != 200 || got.has(a.mark()) || a.site.Origin != nil &&
			!strings.Contains(got.body, "url="+page+" ") {
			return fmt.Sprintf("request %d of the victim's connection got %s", i+1, got)
		}
	}
	return ""
}
