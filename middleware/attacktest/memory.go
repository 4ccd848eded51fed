package attacktest

import (
	"fmt"
	"net"
	"net/http"
	"runtime"
	"time"
)

// memories: clients that open pages of 4 MiB and read nothing. What they hold must stay within
// bounds.
func memories() (all []Attack) {
	for name, fields := range map[string][]string{
		"idle readers of stored pages": nil,
		"idle readers of their ranges": {"Range: bytes=1-"},
		"idle readers of two ranges":   {"Range: bytes=0-2000000,2000001-"},
	} {
		all = append(all, Attack{Class: "memory", Name: name, needs: theHeap,
			run: func(a *arena) string { return a.idle(true, fields) }})
	}
	all = append(all, Attack{Class: "memory", Name: "idle readers of pages that are being made",
		needs: theHeap, run: func(a *arena) string { return a.idle(false, nil) }})
	sortByName(all)
	return all
}

const (
	idlePages = 40
	idleBody  = 4 << 20
)

// idle opens pages and reads nothing. A page that is stored is changed after each, so that what its
// reader has is in no store any more.
func (a *arena) idle(stored bool, fields []string) string {
	before := heap()
	page := a.serve(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			return
		}
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Length", fmt.Sprint(idleBody))
		block := make([]byte, 64<<10)
		for sent := 0; sent < idleBody; sent += len(block) {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	for i := range idlePages {
		target := page
		if stored {
			a.do("POST", page, "Content-Length: 0")
			a.get(page)
		} else {
			target = fmt.Sprintf("%s/%d", page, i)
		}
		c := a.dial()
		c.Conn.(*net.TCPConn).SetReadBuffer(16 << 10) // or else the kernel holds most of the page
		a.later(func() { c.Close() })
		c.send(a.request("GET", target, fields...))
		http.ReadResponse(c.in, nil)
	}
	// What is held settles when the handlers have ended; too much is too much however long it is
	// looked at.
	var held int64
	for range 20 {
		if held = heap() - before; held <= 4*a.site.Bound {
			return ""
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Sprintf("%d idle clients hold %d MiB, the store's bound is %d MiB", idlePages,
		held>>20, a.site.Bound>>20)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
