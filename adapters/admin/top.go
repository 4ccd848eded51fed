package admin

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// topPage is a page, how often it came, and how long handlers took for it or would have taken.
type topPage struct {
	Page  string  `json:"page"`
	Count uint64  `json:"count"`
	Took  float64 `json:"took"` // in seconds
}

// topAnswer is the answer of /top: the pages that cost handlers most, and those that the store
// answered most often. The latter are counted while somebody looks, by one of 16 hits.
type topAnswer struct {
	Misses []topPage `json:"misses"`
	Served []topPage `json:"served"`
}

func (d *Door) top(w http.ResponseWriter, r *http.Request) {
	n := 20
	if text := r.URL.Query().Get("n"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1 || n > maxRanked {
			refuse(w, http.StatusBadRequest, "n: allowed is a number from 1 to "+
				strconv.Itoa(maxRanked))
			return
		}
	}
	d.watch.look(time.Now())
	a := topAnswer{d.watch.misses.all(), d.watch.served.all()}
	slices.SortFunc(a.Misses, func(a, b topPage) int {
		return cmp.Or(cmp.Compare(b.Took, a.Took), cmp.Compare(a.Page, b.Page))
	})
	slices.SortFunc(a.Served, func(a, b topPage) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Page, b.Page))
	})
	a.Misses, a.Served = a.Misses[:min(n, len(a.Misses))], a.Served[:min(n, len(a.Served))]
	answer(w, http.StatusOK, a)
}
