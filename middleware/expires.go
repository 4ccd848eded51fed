package middleware

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/freshet-go/freshet/policy"
)

// expires holds the settings that name a lifetime for each resource, and the resources that
// policies name.
type expires struct {
	now atomic.Pointer[policy.Expires]

	mu    sync.Mutex // orders mounts against new settings
	named map[string]bool
}

// SetExpires replaces the settings of Options.Expires, for requests that come from now on. It
// returns an error, and changes nothing, where x is nil or does not know a resource that a policy
// names, so that none of its settings could reach it: the error names all such resources. A policy
// that Options.Policy chooses counts from its first request on, if its resource was known then.
//
// A resource whose setting is 0 now is uncacheable at once. What is stored keeps the lifetime that
// it was stored with, and what clients were told cannot be taken back: to have a shorter lifetime
// count for stored responses, invalidate them. SetExpires is safe for concurrent use, and waits for
// no request.
func (c *Cache) SetExpires(x *policy.Expires) error {
	c.expires.mu.Lock()
	defer c.expires.mu.Unlock()
	var unknown []string
	for _, resource := range slices.Sorted(maps.Keys(c.expires.named)) {
		if !x.Knows(resource) {
			unknown = append(unknown, fmt.Sprintf("%q", resource))
		}
	}
	if len(unknown) > 0 {
		return fmt.Errorf("freshet: Cache.SetExpires: policies name the resources %s, which the "+
			"new settings were not made for: "+
			"name them when the settings are loaded (settings.Loader.Resources); the old "+
			"settings stay", strings.Join(unknown, ", "))
	}
	if x == nil {
		return fmt.Errorf("freshet: Cache.SetExpires: the settings are nil: to have none, load " +
			"an empty file; the old settings stay")
	}
	c.expires.now.Store(x)
	for _, warning := range x.Warnings() {
		c.warn("settings: " + warning)
	}
	for p := range c.under().all {
		c.adviseOnResource(p)
	}
	return nil
}

// start takes the settings that a Cache begins with.
func (e *expires) start(x *policy.Expires) {
	if x != nil {
		e.now.Store(x)
	}
}

// name notes the resource of a mount's policy. It is false where the settings do not know it.
func (e *expires) name(resource string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if now := e.now.Load(); resource != "" && now != nil && !now.Knows(resource) {
		return false
	}
	if resource != "" {
		if e.named == nil {
			e.named = make(map[string]bool)
		}
		e.named[resource] = true
	}
	return true
}
