package cachetest

import (
	"net/http"
	"strings"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// freshness: the lifetimes that an answer states, and every way to state none (RFC 9111 section
// 4.2.1).
func freshness() []story {
	return []story{
		lives("max-age", 60, "Cache-Control: max-age=60"),
		lives("s-maxage goes before max-age", 90, "Cache-Control: max-age=60, s-maxage=90"),
		lives("s-maxage goes before a max-age of 0", 90, "Cache-Control: s-maxage=90, max-age=0"),
		lives("max-age goes before Expires", 60, "Cache-Control: max-age=60", "Expires: {now-60}"),
		lives("Expires less Date", 160, "Expires: {now+160}"),
		lives("Expires of RFC 850, with two digits of the year", 600, "Expires: {now+600 850}"),
		lives("Expires of asctime", 600, "Expires: {now+600 asctime}"),
		lives("Expires counts from Date", 60, "Date: {now-100}", "Expires: {now+60}"),
		livesBy(policy.Policy{}, "Expires without Date counts from when it came", 60,
			withoutDate("Expires: {now+60}")),
		lives("names have no case", 60, "cache-control: MAX-AGE=60"),
		lives("a quoted number", 60, `Cache-Control: max-age="60"`),
		lives("unknown directives are ignored", 60,
			`Cache-Control: foo, bar=1, baz="no-store, private", max-age=60`),
		lives("a comma within quotes separates nothing", 60,
			`Cache-Control: foo="a,no-store,b", max-age=60`),
		lives("empty members", 60, "Cache-Control: , ,max-age=60 ,, "),
		lives("several lines are one list", 60, "Cache-Control: public",
			"Cache-Control: max-age=60"),
		lives("too many seconds are 2^31", 1<<31, "Cache-Control: max-age=99999999999999999999"),
		lives("leading zeros", 60, "Cache-Control: max-age=0060"),
		lives("duplicates that agree", 60, "Cache-Control: max-age=60",
			"Cache-Control: max-age=60"),
		lives("immutable changes nothing for us", 60, "Cache-Control: max-age=60, immutable"),

		refused("duplicates that disagree are stale", "expired",
			says("Cache-Control: max-age=60, max-age=90")),
		refused("max-age that is no number", "expired", says("Cache-Control: max-age=abc")),
		refused("max-age that is negative", "expired", says("Cache-Control: max-age=-1")),
		refused("max-age with a fraction", "expired", says("Cache-Control: max-age=60.5")),
		refused("max-age without a number", "expired", says("Cache-Control: max-age")),
		refused("max-age with spaces around =", "expired", says("Cache-Control: max-age = 60")),
		refused("a quote that is never closed", "no-store",
			says(`Cache-Control: max-age=60, foo="bar`)),
		refused("more Cache-Control than anyone needs", "no-store",
			says("Cache-Control: max-age=60"+strings.Repeat(", a", 4000))),
		refused("max-age of 0", "expired", says("Cache-Control: max-age=0")),
		refused("s-maxage of 0", "expired", says("Cache-Control: max-age=60, s-maxage=0")),
		refused("s-maxage that is no number goes before a good max-age", "expired",
			says("Cache-Control: s-maxage=abc, max-age=60")),
		lives("Pragma means nothing in an answer", 60, "Cache-Control: max-age=60",
			"Pragma: no-cache"),
		refused("Expires of 0", "expired", says("Expires: 0")),
		refused("Expires of -1", "expired", says("Expires: -1")),
		refused("Expires that is no date", "expired", says("Expires: tomorrow")),
		refused("Expires twice", "expired", says("Expires: {now+60}", "Expires: {now+60}")),
		refused("Expires in the past", "expired", says("Expires: {now-60}")),
		refused("Expires in an unknown zone", "expired",
			says("Expires: Thu, 01 Dec 2050 16:00:00 PST")),
		refused("Expires with a numeric zone", "expired",
			says("Expires: Thu, 01 Dec 2050 16:00:00 +0100")),
		refused("Expires without a zone", "expired", says("Expires: Thu, 01 Dec 2050 16:00:00")),
		refused("Expires with two digits that mean the last century", "expired",
			says("Expires: Sunday, 06-Nov-94 08:49:37 GMT")),
		refused("nothing said", "no-lifetime", says()),
		refused("public alone is no lifetime", "no-lifetime", says("Cache-Control: public")),
		livesBy(policy.Policy{TTL: time.Minute}, "the operator's lifetime for a silent answer", 60,
			says()),
		livesBy(policy.Policy{TTL: time.Hour}, "the answer's own goes before the operator's", 60,
			says("Cache-Control: max-age=60")),
	}
}

func withoutDate(header ...string) answer {
	a := does(func(w http.ResponseWriter, r *http.Request) {
		for _, line := range header {
			name, value, _ := strings.Cut(line, ": ")
			w.Header().Set(name, filled(value))
		}
		w.Header()["Date"] = nil
		w.Write([]byte("run 1"))
	})
	a.status = 200
	return a
}

// ages: how old an answer is when it comes (RFC 9111 sections 4.2.3 and 5.1).
func ages() []story {
	aged := func(name string, age string, header ...string) story {
		s := kept(name, says(header...))
		s.steps[1].words = append(s.steps[1].words, "Age ~ "+age)
		return s
	}
	old := "Cache-Control: max-age=100"
	return []story{
		aged("none said is 0", "0", old),
		aged("Age", "40", old, "Age: 40"),
		lives("Age takes from the lifetime", 60, old, "Age: 40"),
		aged("of several lines the first", "40", old, "Age: 40", "Age: 90"),
		aged("of a list the first", "40", old, "Age: 40, 90"),
		aged("no number is ignored", "0", old, "Age: old"),
		aged("a negative number is ignored", "0", old, "Age: -40"),
		aged("a fraction is ignored", "0", old, "Age: 40.5"),
		aged("an empty one is ignored", "0", old, "Age:"),
		aged("spaces around it", "40", old, "Age:   40  "),
		aged("an old Date is an age", "40", old, "Date: {now-40}"),
		aged("an old Date in an obsolete form", "40", old, "Date: {now-40 850}"),
		aged("the greater of Age and Date", "70", old, "Date: {now-40}", "Age: 70"),
		aged("the greater of Date and Age", "70", old, "Date: {now-70}", "Age: 40"),
		aged("a Date in the future makes nothing younger", "0", old, "Date: {now+1000}"),
		aged("a Date that is none", "0", old, "Date: yesterday"),
		refused("older than its lifetime", "expired", says(old, "Age: 101")),
		refused("as old as its lifetime", "expired", says(old, "Age: 100")),
		refused("an Age that overflows is very old", "expired",
			says(old, "Age: 99999999999999999999999")),
		refused("a Date long ago", "expired", says(old, "Date: Sun, 06 Nov 1994 08:49:37 GMT")),
		{name: "a miss has the origin's own Age", origin: origin(says(old, "Age: 40")), runs: 1,
			steps: steps(
				get("/").want("run 1", "fwd=uri-miss", "Age: 40"))},
	}
}

// heuristics: lifetimes that nobody stated (RFC 9111 section 4.2.2), only where the operator wants
// them.
func heuristics() []story {
	on := policy.Policy{Heuristic: true}
	return []story{
		refused("off by default", "no-lifetime", says("Last-Modified: {now-1000}")),
		livesBy(on, "a tenth of the time since Last-Modified", 100,
			says("Last-Modified: {now-1000}")),
		livesBy(on, "at most a day", 86400, says("Last-Modified: {now-100000000}")),
		livesBy(policy.Policy{Heuristic: true, HeuristicMax: 50 * time.Second},
			"at most what the operator says", 50,
			says("Last-Modified: {now-100000}")),
		livesBy(on, "a page at most a minute", 60,
			says("Last-Modified: {now-100000}", "Content-Type: text/html; charset=utf-8")),
		livesBy(on, "a feed at most a minute", 60,
			says("Last-Modified: {now-100000}", "Content-Type: application/rss+xml")),
		livesBy(on, "data at most a minute", 60, says("Last-Modified: {now-100000}",
			"Content-Type: application/json")),
		livesBy(on, "a young page a tenth of its age", 5, says("Last-Modified: {now-50}",
			"Content-Type: text/html")),
		livesBy(on, "a picture for longer", 10000, says("Last-Modified: {now-100000}",
			"Content-Type: image/svg+xml")),
		livesBy(policy.Policy{Heuristic: true, HeuristicDocumentMax: time.Hour},
			"a page at most what the operator says", 3600,
			says("Last-Modified: {now-100000}", "Content-Type: text/html")),
		refusedBy(policy.Policy{Heuristic: true, HeuristicDocumentMax: -1}, "a page not at all",
			"no-lifetime",
			says("Last-Modified: {now-100000}", "Content-Type: text/html")),
		livesBy(on, "what is stated goes before", 10, says("Last-Modified: {now-1000}",
			"Cache-Control: max-age=10")),
		livesBy(on, "for a 404", 100, code(404, "Last-Modified: {now-1000}")),
		livesBy(on, "for any status that says public", 100,
			code(302, "Last-Modified: {now-1000}", "Cache-Control: public")),
		refusedBy(on, "not for a status that needs a stated lifetime", "no-lifetime",
			code(302, "Last-Modified: {now-1000}")),
		refusedBy(on, "not without Last-Modified", "no-lifetime", says(`ETag: "a"`)),
		refusedBy(on, "not with a Last-Modified in the future", "no-lifetime",
			says("Last-Modified: {now+1000}")),
		refusedBy(on, "not with a Last-Modified that is no date", "no-lifetime",
			says("Last-Modified: once")),
		refusedBy(on, "not in spite of an Expires that is no date", "expired", says("Expires: 0")),
		{name: "what lives by them is for the anonymous only", policy: on,
			origin: origin(says("Last-Modified: {now-1000}")), runs: 2, steps: steps(
				get("/").want("run 1", "stored"),
				get("/", "Cookie: sid=1").want("run 2", "!hit", "!stored"),
				get("/").want("run 1", "hit"))},
	}
}
