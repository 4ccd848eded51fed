package cachekitstore

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// telemetry is what each request tells the service of this Backend: a random name for it, since
// when it is there, and how many values it has found and not found.
type telemetry struct {
	session, start string
	near           func() uint64 // nil: there is no tier before
	hits, misses   atomic.Uint64
}

func newTelemetry(near func() uint64) *telemetry {
	var id [16]byte
	rand.Read(id[:])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80 // version 4 (RFC 9562 section 5.4)
	return &telemetry{
		session: fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:]),
		start:   strconv.FormatInt(time.Now().UnixMilli(), 10),
		near:    near,
	}
}

// set sets the fields of a request.
func (t *telemetry) set(h http.Header) {
	status, near, hits, misses := "disabled", uint64(0), t.hits.Load(), t.misses.Load()
	if t.near != nil {
		status, near = "miss", t.near() // a hit there makes no request here
	}
	rate := 0.0
	if all := near + hits + misses; all > 0 {
		rate = float64(near) / float64(all)
	}
	h.Set("X-CacheKit-L1-Status", status)
	h.Set("X-CacheKit-Session-ID", t.session)
	h.Set("X-CacheKit-Session-Start", t.start)
	h.Set("X-CacheKit-L1-Hits", strconv.FormatUint(near, 10))
	h.Set("X-CacheKit-L2-Hits", strconv.FormatUint(hits, 10))
	h.Set("X-CacheKit-Misses", strconv.FormatUint(misses, 10))
	h.Set("X-CacheKit-L1-Hit-Rate", strconv.FormatFloat(rate, 'f', 3, 64))
}
