package attacktest

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// cookies: a response that sets the victim's cookie must set it for nobody else.
func cookies() (all []Attack) {
	for _, form := range []string{"Set-Cookie", "set-cookie", "SET-COOKIE", "Set-cookie"} {
		for _, says := range []string{"", "max-age=60", "public, max-age=60", "s-maxage=60",
			"no-cache=\"Set-Cookie\"", "private=\"Set-Cookie\"",
			"no-cache=\"set-cookie\", public"} {
			all = append(all, Attack{Class: "cookies", Name: fmt.Sprintf("%s beside %q", form,
				says), needs: theOrigin, run: func(a *arena) string {
				return a.cookie(form, says, 200)
			}})
		}
	}
	for _, status := range []int{203, 206, 301, 302, 308, 404, 410, 500} {
		all = append(all, Attack{Class: "cookies", Name: fmt.Sprintf("with status %d", status),
			needs: theOrigin, run: func(a *arena) string {
				return a.cookie("Set-Cookie", "public, max-age=60", status)
			}})
	}
	for name, ask := range map[string]func(a *arena, page string) answer{
		"asked by HEAD": func(a *arena, page string) answer { return a.do("HEAD", page) },
		"asked for a part": func(a *arena, page string) answer {
			return a.get(page, "Range: bytes=0-1")
		},
		"asked with no-cache": func(a *arena, page string) answer {
			return a.get(page, "Cache-Control: no-cache")
		},
		"asked with max-stale": func(a *arena, page string) answer {
			return a.get(page, "Cache-Control: max-stale=99")
		},
		"asked by POST": func(a *arena, page string) answer {
			return a.do("POST", page, "Content-Length: 0")
		},
	} {
		all = append(all, Attack{Class: "cookies", Name: name, needs: theOrigin,
			run: func(a *arena) string {
				page := a.setter("Set-Cookie", "public, max-age=60", 200)
				ask(a, page)
				return a.given(page)
			}})
	}
	all = append(all,
		Attack{Class: "cookies", Name: "in a trailer", needs: theOrigin,
			run: func(a *arena) string {
				page := a.first(func(w http.ResponseWriter) {
					w.Header().Set(http.TrailerPrefix+"Set-Cookie", "session=secret")
				})
				a.get(page)
				return a.given(page)
			}},
		Attack{Class: "cookies", Name: "in an early hint", needs: theOrigin,
			run: func(a *arena) string {
				page := a.first(func(w http.ResponseWriter) {
					w.Header().Set("Set-Cookie", "session=secret")
					w.WriteHeader(http.StatusEarlyHints)
					w.Header().Del("Set-Cookie")
				})
				a.get(page)
				return a.given(page)
			}},
		Attack{Class: "cookies", Name: "by reading along", needs: theOrigin,
			run: func(a *arena) string { return a.readAlong() }},
	)
	sortByName(all)
	return all
}

// setter serves a page whose first run sets a cookie.
func (a *arena) setter(form, says string, status int) string {
	var once sync.Once
	return a.serve(func(w http.ResponseWriter, _ *http.Request) {
		if says != "" {
			w.Header().Set("Cache-Control", says)
		}
		once.Do(func() { w.Header()[form] = []string{"session=secret"} })
		if status == http.StatusPartialContent {
			w.Header().Set("Content-Range", "bytes 0-3/4")
		}
		w.WriteHeader(status)
		io.WriteString(w, "page")
	})
}

// first serves a page whose first run does something besides.
func (a *arena) first(does func(http.ResponseWriter)) string {
	var once sync.Once
	return a.serve(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		once.Do(func() { does(w) })
		io.WriteString(w, "page")
	})
}

func (a *arena) cookie(form, says string, status int) string {
	page := a.setter(form, says, status)
	if got := a.get(page); !got.has("session=secret") {
		return "" // the victim himself did not get it
	}
	return a.given(page)
}

// given asks as the attacker.
func (a *arena) given(page string) string {
	for _, method := range []string{"GET", "HEAD", "GET"} {
		if got := a.do(method, page); got.has("secret") {
			return "the attacker got the victim's cookie: " + got.String()
		}
	}
	return ""
}

// readAlong has twenty clients ask at once for a page that sets each a cookie of its own.
func (a *arena) readAlong() string {
	var n atomic.Int64
	page := a.serve(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		w.Header().Set("Set-Cookie", fmt.Sprintf("session=%d", n.Add(1)))
		io.WriteString(w, "page")
	})
	cookies := make(chan string, 20)
	for range cap(cookies) {
		go func() { cookies <- a.get(page).header.Get("Set-Cookie") }()
	}
	seen := map[string]bool{}
	for range cap(cookies) {
		c := <-cookies
		if seen[c] {
			return "two clients got the cookie " + c
		}
		seen[c] = true
	}
	return ""
}
