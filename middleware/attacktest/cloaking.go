package attacktest

import (
	"fmt"
	"net/http"
	"strings"
)

// cloakings: one parameter hides in another that the cache does not count, or the other way round.
// The app cuts its query as the older ones do, at ";" as well, takes the last of two equal names,
// and decodes twice.
func cloakings() (all []Attack) {
	for _, query := range []string{
		"utm_source=x;q=%s", "utm_source=x&utm_content=y;q=%s", "q=a&utm_source=x;q=%s",
		"utm_source=%%26q=%s",
		"utm_source=x%%26q=%s", "utm_source=x%%3bq=%s", "utm_source;q=%s", "utm_;q=%s",
		"utm_x=1%%00&q=%s", "%%75tm_source=x;q=%s",
		"utm_source=%%zz;q=%s", "utm_a=%%;q=%s", "q%%3d%s", "q=%s", "q[]=%s", "q=a&q=%s",
		"q=%s&q=a", "Q=%s", "%%71=%s", "q%%00=%s", "q+=%s",
		"+q=%s", "a=1?q=%s", "a=1#q=%s", "&q=%s", "&&q=%s", "q=%s&", "utm_source=x\\&q=%s",
		"utm_source=\"&q=%s\"",
		"utm_source=x%%26utm_y=z%%26q=%s", "utm_source=x%%3Bq=%s",
	} {
		all = append(all, Attack{Class: "cloaking", Name: fmt.Sprintf(query, "x"), needs: theOrigin,
			run: func(a *arena) string {
				page := a.serve(search)
				a.get(page + "?" + fmt.Sprintf(query, a.mark()))
				for _, plain := range []string{"", "?utm_source=x", "?utm_source=x&utm_content=y",
					"?q=a", "?q=a&utm_source=x", "?"} {
					if got := a.get(page + plain); got.has(a.mark()) {
						return fmt.Sprintf("the victim of %q got the attacker's word: %s", plain,
							got)
					}
				}
				return ""
			}})
	}
	return all
}

// search shows what is searched for, as it reads the query.
func search(w http.ResponseWriter, r *http.Request) {
	found := ""
	decoded := strings.NewReplacer("%26", "&", "%3b", ";", "%3B", ";", "%3d", "=", "%71", "q",
		"%00", "").Replace(r.URL.RawQuery)
	for part := range strings.FieldsFuncSeq(decoded, func(c rune) bool {
		return strings.ContainsRune("&;?", c)
	}) {
		name, value, _ := strings.Cut(part, "=")
		if strings.EqualFold(strings.Trim(name, "+[]"), "q") {
			found = value
		}
	}
	fmt.Fprintf(w, "you searched for %s\n", found)
}
