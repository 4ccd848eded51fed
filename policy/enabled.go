package policy

import (
	"fmt"
	"maps"
	"net/http"
)

// Disabled says which methods of a resource the operator keeps out of the cache.
type Disabled uint8

// The methods whose responses a cache may store or answer with what is stored.
const (
	DisabledHead Disabled = 1 << iota
	DisabledGet
	DisabledPost

	DisabledAll = DisabledHead | DisabledGet | DisabledPost
)

// Disable returns settings that keep methods of a resource out of the cache besides: nothing is
// looked up or stored for them, and their invalidations count as ever. Without GET there is nothing
// to answer HEAD with either. It is an error to name a resource that was not declared.
func (x *Expires) Disable(resource string, methods Disabled) (*Expires, error) {
	if !x.Knows(resource) {
		return nil, fmt.Errorf("policy: Disable: %q is none of the declared resources", resource)
	}
	with := *x
	with.disabled = maps.Clone(x.disabled)
	if with.disabled == nil {
		with.disabled = make(map[string]Disabled)
	}
	with.disabled[resource] |= methods
	return &with, nil
}

// Enabled reports whether the settings leave a method of a resource to the cache.
func (x *Expires) Enabled(resource, method string) bool {
	if x == nil || x.disabled == nil {
		return true
	}
	switch off := x.disabled[resource]; method {
	case http.MethodGet, "":
		return off&DisabledGet == 0
	case http.MethodHead:
		return off&(DisabledGet|DisabledHead) == 0
	case http.MethodPost:
		return off&DisabledPost == 0
	}
	return true
}
