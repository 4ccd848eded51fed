package middleware

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// advice is what the log says, once each, of how the cache is wired: what works, but hardly as it was meant.
type advice struct {
	said    sync.Map // texts
	writers atomic.Int64
}

// warn logs a line, the first time that it is given it.
func (c *Cache) warn(text string) {
	if _, before := c.advice.said.LoadOrStore(text, true); !before {
		c.Log.Warn("freshet: " + text)
	}
}

// advise looks at a policy when it is first seen: at its mount or, when Cache.Policy chooses it, at its first request.
func (c *Cache) advise(p *policy.Policy) {
	if p.TTL < 0 {
		c.warn(fmt.Sprintf("a policy's TTL is %v: a negative lifetime is none, as 0 is; to keep responses out of the cache, set Off", p.TTL))
	}
	if p.Shared && p.StoreCookies {
		c.warn("a policy is Shared and has StoreCookies: every client, whoever it is, gets the cookies that the first response set; drop one of the two")
	}
	if p.Key.Replace != nil && !c.under().replacesAs(p) {
		c.warn(fmt.Sprintf("policies have more than %d different functions as Key.Replace: InvalidateURL and changes do not reach what the others make keys of; "+
			"let policies share a function, or tag their responses and invalidate the tags", maxReplaces))
	}
	c.adviseOnResource(p)
	c.adviseOnRoom(p)
}

func (c *Cache) adviseOnResource(p *policy.Policy) {
	switch setting := p.Resource + policy.ExpirySuffix; {
	case p.Resource == "":
	case c.Expires == nil:
		c.warn(fmt.Sprintf("a policy's resource is %q, but Cache.Expires is nil, so that no setting reaches it: load the settings into Cache.Expires before it is mounted", p.Resource))
	case !c.Expires.Knows(p.Resource):
		c.warn(fmt.Sprintf("a policy's resource %q is none of those that Cache.Expires was made for, so that no setting reaches it: correct its name, or name it when the settings are loaded", p.Resource))
	case p.TTL <= 0 && !c.Expires.Sets(p.Resource):
		c.warn(fmt.Sprintf("no setting names a lifetime for the resource %q, and its policy has no TTL, so that its responses are stored only if they name one: set %s, or Policy.TTL", p.Resource, setting))
	}
}

// adviseOnRoom compares what the store keeps with what the policy lets be stored. Nobody chose the default
// of MaxBody, so
// that what falls short of it may well be meant.
func (c *Cache) adviseOnRoom(p *policy.Policy) {
	wanted := p.MaxBody
	if wanted <= 0 || wanted == policy.DefaultMaxBody {
		wanted = policy.DefaultMaxBody / 4
	}
	if most := c.room.most; most < wanted-wanted/8 {
		c.warn(fmt.Sprintf("the store keeps responses of up to %d bytes, less than one page of a policy's MaxBody (%d bytes, by default %d): "+
			"greater ones are made for each request anew; give the store more room (memstore.New: four times MaxBody), or lower MaxBody",
			max(most, 0), max(p.MaxBody, 0), int64(policy.DefaultMaxBody)))
	}
}

// adviseOnRoot says what stale-while-revalidate does without a Root.
func (x *exchange) adviseOnRoot() {
	if x.p.StaleWhileRevalidate > 0 && x.c.Root == nil {
		x.c.warn(fmt.Sprintf("a policy has StaleWhileRevalidate (%v), but Cache.Root is nil, so that the first client to find a page stale waits for the new one: "+
			"set Cache.Root to the app's outermost handler", x.p.StaleWhileRevalidate.Truncate(time.Second)))
	}
}

// lookedAt is how many clients' writers are looked at: a compressor wraps those who take what it makes, or all.
const lookedAt = 64

// adviseOnWriter says what a compressor around the cache costs. It is seen by what it has put into the
// header before, or
// by the writer that it made.
func (x *exchange) adviseOnWriter() {
	if x.c.advice.writers.Load() >= lookedAt || x.c.advice.writers.Add(1) > lookedAt {
		return
	}
	if compresses(x.w) {
		x.c.advice.writers.Store(lookedAt)
		x.c.warn("the cache is mounted inside a compressor, which compresses every hit anew: " +
			"mount the compressor inside the cache, so that what it made is stored")
	}
}

func compresses(w http.ResponseWriter) bool {
	h := w.Header()
	if len(h["Content-Encoding"]) > 0 {
		return true
	}
	for _, line := range h["Vary"] {
		if lists(line, "Accept-Encoding") {
			return true
		}
	}
	for w != nil {
		name := strings.ToLower(reflect.TypeOf(w).String())
		if strings.Contains(name, "compress") || strings.Contains(name, "gzip") {
			return true
		}
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = wrapper.Unwrap()
	}
	return false
}

// warnOfHeld says what keeps a response's header back until the request has ended mostly means.
func (c *Cache) warnOfHeld() {
	c.warn("the header of a response went out so late that the cache could not see whether a cookie is in it, " +
		"so the response was kept from others: mount compressors, time limits and whatever else holds headers back inside the cache")
}

// warnOfNothing says what a handler that wrote nothing at all mostly means.
func (c *Cache) warnOfNothing() {
	c.warn("a handler returned without having written anything, so its empty 200 is not stored: where handlers return errors, " +
		"mount the cache with its framework's adapter (echo: adapters/echocache, not echo.WrapMiddleware), which sees their pages; " +
		"a page that is empty on purpose says so with WriteHeader or Cache-Control")
}
