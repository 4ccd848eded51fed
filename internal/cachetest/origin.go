package cachetest

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// answer is what the origin says in one of its runs.
type answer struct {
	status int
	header []string // lines; see filled for what may stand in them
	body   *string  // nil: "run N"
	do     http.HandlerFunc
}

// says is a 200 with a header.
func says(header ...string) answer { return answer{status: 200, header: header} }

// code is an answer with another status.
func code(status int, header ...string) answer { return answer{status: status, header: header} }

// does leaves the answer to a handler.
func does(h http.HandlerFunc) answer { return answer{do: h} }

func (a answer) saying(body string) answer { a.body = &body; return a }

// script is what the origin says in its runs, one after the other; in all further runs, what it
// said last.
type script []answer

func origin(answers ...answer) script { return answers }

// scripted is an origin that speaks by a script and counts its runs.
type scripted struct {
	script script
	runs   atomic.Int64
}

func (o *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := int(o.runs.Add(1))
	if len(o.script) == 0 {
		return
	}
	a := o.script[min(n, len(o.script))-1]
	if a.do != nil {
		a.do(w, r)
		return
	}
	h := http.Header{}
	for _, line := range a.header {
		name, value, _ := strings.Cut(line, ":")
		h.Add(name, filled(strings.TrimPrefix(value, " ")))
	}
	maps.Copy(w.Header(), h)
	body := fmt.Sprintf("run %d", n)
	if a.body != nil {
		body = *a.body
	}
	w.WriteHeader(a.status)
	if body != "" && a.status != http.StatusNoContent && a.status != http.StatusNotModified {
		w.Write([]byte(body))
	}
}

var moments = regexp.MustCompile(`\{now([+-]\d+)?(?: (850|asctime))?\}`)

// filled puts moments into a line: {now}, {now-90}, {now+60 850}, {now-5 asctime}, in seconds from
// now and in one of the three forms of dates (RFC 9110 section 5.6.7).
func filled(line string) string {
	return moments.ReplaceAllStringFunc(line, func(m string) string {
		parts := moments.FindStringSubmatch(m)
		seconds, _ := strconv.Atoi(parts[1])
		t := time.Now().UTC().Add(time.Duration(seconds) * time.Second)
		switch parts[2] {
		case "850":
			return t.Format("Monday, 02-Jan-06 15:04:05") + " GMT"
		case "asctime":
			return t.Format(time.ANSIC)
		}
		return t.Format(http.TimeFormat)
	})
}
