package attacktest

import (
	"fmt"
	"io"
	"net/http"
	"sync"
)

// hangs: the attacker has a run of the handler, and keeps it. The victim must get his page all the
// same.
func hangs() (all []Attack) {
	for name, begin := range map[string]func(http.ResponseWriter){
		"before it answers": func(http.ResponseWriter) {},
		"after an early hint": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusEarlyHints)
		},
		"after WriteHeader":      func(w http.ResponseWriter) { w.WriteHeader(200) },
		"after some of its body": func(w http.ResponseWriter) { io.WriteString(w, "page") },
	} {
		for _, leaves := range []bool{false, true} {
			all = append(all, Attack{Class: "hangs", Name: fmt.Sprintf("the first run hangs %s, "+
				"its client leaves: %v", name, leaves), needs: theOrigin,
				run: func(a *arena) string { return a.hang(begin, leaves, 1) }})
		}
		all = append(all, Attack{Class: "hangs", Name: "the first run hangs " + name +
			", ten victims", needs: theOrigin,
			run: func(a *arena) string { return a.hang(begin, false, 10) }})
	}
	for _, kind := range []string{"panics", "panics with ErrAbortHandler", "answers too little",
		"answers too much", "answers 500", "writes nothing"} {
		needs := theOrigin
		if kind == "writes nothing" {
			needs = theHandler // a server between makes an empty page of it
		}
		all = append(all, Attack{Class: "hangs", Name: "the first run " + kind, needs: needs,
			run: func(a *arena) string { return a.breaks(kind) }})
	}
	all = append(all, Attack{Class: "hangs", Name: "the leader of a long page reads nothing",
		needs: theOrigin, run: func(a *arena) string {
			page := a.serve(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				for range 64 {
					w.Write(make([]byte, 64<<10))
				}
			})
			c := a.dial()
			defer c.Close()
			c.send(a.request("GET", page))
			if got := a.get(page); got.err != nil || len(got.body) != 64*64<<10 {
				return fmt.Sprintf("the victim got %d bytes, %v", len(got.body), got.err)
			}
			return ""
		}})
	sortByName(all)
	return all
}

// hang makes the first run of a page hang, and asks as victims.
func (a *arena) hang(begin func(http.ResponseWriter), leaves bool, victims int) string {
	release, started := make(chan struct{}), make(chan struct{})
	var once sync.Once
	page := a.serve(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		first := false
		once.Do(func() { first = true })
		if first {
			begin(w)
			close(started)
			<-release
			return
		}
		io.WriteString(w, "page")
	})
	c := a.dial()
	a.later(func() { c.Close() })
	a.later(sync.OnceFunc(func() { close(release) }))
	c.send(a.request("GET", page))
	select {
	case <-started:
	case <-a.ctx.Done():
		a.must(a.ctx.Err())
	}
	if leaves {
		c.Close()
	}
	answers := make(chan answer, victims)
	for range victims {
		go func() { answers <- a.get(page) }()
	}
	gained := ""
	for range victims {
		if got := <-answers; got.err != nil || got.status != 200 {
			gained = "a victim got " + got.String()
		}
	}
	return gained
}

// breaks makes the first run fail, and asks as a victim.
func (a *arena) breaks(kind string) string {
	var once sync.Once
	page := a.serve(func(w http.ResponseWriter, _ *http.Request) {
		first := false
		once.Do(func() { first = true })
		if !first {
			io.WriteString(w, "page")
			return
		}
		switch kind {
		case "panics":
			panic("the app's own")
		case "panics with ErrAbortHandler":
			panic(http.ErrAbortHandler)
		case "answers too little":
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "cut")
		case "answers too much":
			w.Header().Set("Content-Length", "2")
			io.WriteString(w, "cut")
		case "answers 500":
			http.Error(w, "broken", 500)
		}
	})
	a.get(page)
	if got := a.get(page); got.err != nil || got.status != 200 || got.body != "page" {
		return "the victim got " + got.String()
	}
	return ""
}
