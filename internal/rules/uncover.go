package rules

import (
	"net/http"
	"slices"

	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// Uncover puts back into h what stood there, was, before a response of a cache's was copied over it:
// the Vary, beside that of the response, and, where the cache has announced the response's lifetime,
// what was said of lifetimes in the place of that. A handler's own word takes the place of what was
// there, as without a cache.
func Uncover(h, was http.Header, p *policy.Policy, announced bool) {
	was = Canonical(was)
	if lines := was["Vary"]; len(lines) > 0 {
		fields, star := VaryFields(h)
		for _, line := range lines {
			more, any := VaryFields(http.Header{"Vary": {line}})
			if !star && (any || !containsAll(fields, more)) {
				h["Vary"] = append(slices.Clip(h["Vary"]), line)
			}
		}
	}
	if !announced || !spoke(was, p) {
		return
	}
	for _, name := range []string{"Cache-Control", "Expires", cdnCacheControl} {
		if name != cdnCacheControl || toldCDNs(h[name]) {
			delete(h, name)
		}
	}
	for name, values := range was {
		if NamesLifetime(name, p) || name == cdnCacheControl {
			h[name] = values
		}
	}
}

// LosesLifetime reports whether h lacks what was said of lifetimes in was.
func LosesLifetime(h, was http.Header, p *policy.Policy) bool {
	h = Canonical(h)
	for name, values := range Canonical(was) {
		if (NamesLifetime(name, p) || name == cdnCacheControl) && !slices.Equal(h[name], values) {
			return true
		}
	}
	return false
}

func containsAll(list, names []string) bool {
	for _, name := range names {
		if !slices.Contains(list, name) {
			return false
		}
	}
	return true
}

// VaryBy notes that responses vary by these fields as well, on account of what stands outside.
func (o *Outside) VaryBy(fields []string) {
	o.vary = append(slices.Clip(o.vary), fields...)
	o.put("Vary", fields)
}

// Unselected returns the fields that responses vary by on account of what stands outside, and that e
// was not selected by.
func (o *Outside) Unselected(e *store.Entry) (fields []string) {
	for _, f := range o.vary {
		if _, selected := e.Vary[canonical(f)]; !selected {
			fields = append(fields, f)
		}
	}
	return fields
}
