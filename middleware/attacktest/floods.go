package attacktest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

// floods: the attacker asks for what nobody has asked for yet, again and again. What the cache
// holds must stay within its bound, and the site must go on answering.
func floods() (all []Attack) {
	long := strings.Repeat("x", 6<<10)
	for name, f := range map[string]func(i int) (target string, fields []string){
		"queries": func(i int) (string, []string) { return fmt.Sprintf("?%d", i), nil },
		"long queries": func(i int) (string, []string) {
			return fmt.Sprintf("?%d%s", i, long), nil
		},
		"many parameters": func(i int) (string, []string) {
			return fmt.Sprintf("?%d%s", i, strings.Repeat("&a", 3000)), nil
		},
		"paths": func(i int) (string, []string) { return fmt.Sprintf("/%d", i), nil },
		"deep paths": func(i int) (string, []string) {
			return fmt.Sprintf("/%d%s", i, strings.Repeat("/a", 2000)), nil
		},
		"hosts": func(i int) (string, []string) {
			return "", []string{fmt.Sprintf("Host: h%d.example", i)}
		},
		"forwarded hosts": func(i int) (string, []string) {
			return "", []string{fmt.Sprintf("X-Forwarded-Host: h%d%s", i, long)}
		},
		"variants": func(i int) (string, []string) {
			return "?vary=X-V", []string{fmt.Sprintf("X-V: %d%s", i, long)}
		},
		"languages": func(i int) (string, []string) {
			return "?vary=Accept-Language", []string{fmt.Sprintf("Accept-Language: x%d", i)}
		},
		"encodings": func(i int) (string, []string) {
			return "?vary=Accept-Encoding", []string{fmt.Sprintf("Accept-Encoding: x%d", i)}
		},
		"sets of variants": func(i int) (string, []string) {
			return fmt.Sprintf("?vary=X-%d", i), nil
		},
		"cookies": func(i int) (string, []string) {
			return "?vary=Cookie", []string{fmt.Sprintf("Cookie: a=%d%s", i, long)}
		},
		"ranges": func(i int) (string, []string) {
			return "", []string{fmt.Sprintf("Range: bytes=%d-%d", i, i+1)}
		},
		"conditions": func(i int) (string, []string) {
			return "", []string{fmt.Sprintf("If-None-Match: \"%d%s\"", i, long)}
		},
		"clients that force": func(i int) (string, []string) {
			return "", []string{"Cache-Control: no-cache"}
		},
	} {
		all = append(all, Attack{Class: "floods", Name: name, needs: theOrigin,
			run: func(a *arena) string { return a.flood(f) }})
	}
	sortByName(all)
	return all
}

const flooded = 300

func (a *arena) flood(f func(int) (string, []string)) string {
	page := a.serve(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		if vary := r.URL.Query().Get("vary"); vary != "" {
			w.Header().Set("Vary", vary)
		}
		io.WriteString(w, strings.Repeat("page", 16<<10))
	})
	c := a.dial()
	defer func() { c.Close() }()
	for i := range flooded {
		target, fields := f(i)
		if got := c.do("GET", page+target, fields...); got.err != nil {
			c.Close()
			c = a.dial()
		}
	}
	if a.site.Held != nil && a.site.Held() > a.site.Bound {
		return fmt.Sprintf("the cache holds %d bytes, its bound is %d", a.site.Held(), a.site.Bound)
	}
	if got := a.get(page); got.err != nil || got.status != 200 || len(got.body) != 64<<10 {
		return "the victim got " + got.String()
	}
	return ""
}
