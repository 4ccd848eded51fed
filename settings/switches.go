package settings

import (
	"errors"

	"github.com/freshet-go/freshet/policy"
)

// Switches are keys of each resource that keep it, or a method of it, out of the cache:
//
//	record_enabled      = false
//	record_get_enabled  = false    ; and so HEAD, which only what was stored for GET answers
//	record_head_enabled = false
//	record_post_enabled = false

// switches are the ends of the keys, and what each keeps out.
var switches = []struct {
	end string
	off policy.Disabled
}{
	{"_enabled", policy.DisabledAll},
	{"_get_enabled", policy.DisabledGet},
	{"_head_enabled", policy.DisabledHead},
	{"_post_enabled", policy.DisabledPost},
}

// switchKeys returns the keys of all resources.
func (l Loader) switchKeys() (keys []string) {
	for _, resource := range l.Resources {
		for _, s := range switches {
			keys = append(keys, resource+s.end)
		}
	}
	return keys
}

// switched returns x with what the switches keep out.
func (l Loader) switched(s *Settings, x *policy.Expires) (*policy.Expires, error) {
	var wrong []error
	for _, resource := range l.Resources {
		for _, each := range switches {
			on, err := Get(s, resource+each.end, true, Bool)
			if err != nil {
				wrong = append(wrong, errors.Unwrap(err)) // which has the package's name in front
				continue
			}
			if !on {
				x, _ = x.Disable(resource, each.off) // it is declared
			}
		}
	}
	return x, errors.Join(wrong...)
}
