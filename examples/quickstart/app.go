package main

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// app is the app as it would be without a cache. Its answers take their time.
type app struct {
	runs     atomic.Int64 // how often a handler has done its work
	readings atomic.Int64 // how many tide readings were sent in
}

const slow = 300 * time.Millisecond

// work is what makes the app slow.
func (a *app) work() {
	time.Sleep(slow)
	a.runs.Add(1)
}

// tides answers with the tide at a port; a POST sends in a new reading.
func (a *app) tides(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost:
		a.runs.Add(1)
		a.readings.Add(1)
		w.WriteHeader(http.StatusNoContent)
	case http.MethodGet, http.MethodHead:
		a.work()
		fmt.Fprintf(w, "High tide at %s: 14:05. Readings so far: %d.\n", r.PathValue("port"),
			a.readings.Load())
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, "no such method here", http.StatusMethodNotAllowed)
	}
}

// wind answers with the wind, which is fresh for a second and of some use for half a minute more.
func (a *app) wind(w http.ResponseWriter, _ *http.Request) {
	a.work()
	w.Header().Set("Cache-Control", "max-age=1, stale-while-revalidate=30")
	fmt.Fprintf(w, "South-west, 5 to 6, at %s.\n", time.Now().Format(time.TimeOnly))
}
