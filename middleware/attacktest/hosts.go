package attacktest

import (
	"fmt"
	"slices"
	"strings"
)

// hosts: the attacker writes the host as no browser does, and the app builds links from it.
func hosts() (all []Attack) {
	for _, form := range []string{
		"VICTIM.example", "Victim.Example", "victim.example:80", "victim.example:",
		"victim.example.", "victim.example.:80",
		"victim.example:080", "victim.example:443", "victim.example:8080", "www.victim.example",
		"victim.example, evil",
		"victim.example/evil", "victim.example#evil", "victim.example?evil", "evil@victim.example",
		"victim%2eexample",
		"victim.example%00", "victim.example:80:80", "[::1]", "[::FFFF:7f00:1]", "127.0.0.1",
		"localhost", "xn--victim",
		"victim.example\t", " victim.example",
	} {
		all = append(all, Attack{Class: "host forms", Name: fmt.Sprintf("Host %q", form),
			needs: theOrigin, run: func(a *arena) string {
				page := a.serve(hostile)
				a.get(page, "Host: "+form)
				return a.notPlain(page)
			}})
	}
	for name, fields := range map[string][]string{
		"two Host fields":           {"Host: victim.example", "Host: evil.example"},
		"two Host fields, reversed": {"Host: evil.example", "Host: victim.example"},
		"a folded Host":             {"Host: victim.example", " evil.example"},
		"a space before the colon":  {"Host: victim.example", "Host : evil.example"},
		"an empty Host":             {"Host: "},
	} {
		all = append(all, Attack{Class: "host forms", Name: name, run: func(a *arena) string {
			page := a.public()
			a.get(page, fields...)
			return a.wrong(page, "evil.example")
		}})
	}
	sortByName(all)
	return all
}

// wrong reports whether the victim got a page with a word that is not his, or no page at all.
func (a *arena) wrong(page, word string) string {
	for range 2 {
		if got := a.get(page); got.err != nil || got.status >= 400 || got.has(word) {
			return "the victim got " + got.String()
		}
	}
	return ""
}

// notPlain reports whether the victim gets another page than a plain request makes, which one for a
// page that nobody has asked for yet shows.
func (a *arena) notPlain(page string) string {
	fresh := a.serve(hostile)
	want := strings.ReplaceAll(a.get(fresh).body, fresh, page)
	if got := a.get(page); got.status != 200 || got.body != want {
		return "the victim got what was made for another form: " + got.String()
	}
	return ""
}

// targets: the attacker names the page in a form that no browser sends. What is answered to that
// form must not be what the plain form gets.
func targets() (all []Attack) {
	for _, form := range []string{
		"http://victim.example%s", "HTTP://victim.example%s", "http://VICTIM.EXAMPLE%s",
		"http://victim.example:80%s",
		"https://victim.example%s", "http://evil.example%s", "http://user@victim.example%s",
		"http://user:pw@victim.example%s",
		"http://victim.example#%s", "//victim.example%s", "/%s", "/.%s", "/x/..%s", "/%%2e%s",
		"/x/%%2e%%2e%s", "%s/", "%s/.", "%s%%2f",
		"%s?", "%s#x", "%s#", "%s;", "%s;x=1", "%s%%3b", "%s?#", "%s%%09", "%s?x#y", "\\%s", "%s\\",
		"%s//", "%s/../x", "*%s",
		"ftp://victim.example%s", "victim.example:80%s", "http:%s", "?%s", "%s?a=%%zz", "%s%%",
		"%s%%u0041",
	} {
		all = append(all, Attack{Class: "target forms", Name: fmt.Sprintf(form, "/page"),
			needs: theOrigin, run: func(a *arena) string {
				page := a.serve(hostile)
				a.get(fmt.Sprintf(form, page))
				return a.notPlain(page)
			}})
	}
	for _, upper := range []bool{true, false} {
		all = append(all, Attack{Class: "target forms",
			Name: fmt.Sprintf("an escape in the path, upper case %v", upper), needs: theOrigin,
			run: func(a *arena) string {
				page := a.serve(hostile)
				hex := map[bool]string{true: "%2F", false: "%2f"}
				a.get(page + "/a" + hex[upper] + "b")
				if got := a.get(page + "/a/b"); !strings.Contains(got.body, "/a/b ") {
					return "the victim got " + got.String()
				}
				return ""
			}})
	}
	sortByName(all)
	return all
}

func sortByName(all []Attack) {
	slices.SortStableFunc(all, func(x, y Attack) int { return strings.Compare(x.Name, y.Name) })
}
