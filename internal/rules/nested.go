package rules

import (
	"net/http"
	"slices"

	"github.com/freshet-go/freshet/policy"
)

// TellsApart reports whether p, the policy of a mount around another one, tells requests for a URL
// apart wherever the inner mount's policy does: by the fields and cookies of its keys, and by whom
// they let pass. Otherwise what is stored for one of them under p's key would answer the other,
// before the inner policy is asked.
func TellsApart(p, inner *policy.Policy) bool {
	return inner.Key.Replace == nil &&
		(p.Credentials == nil || inner.Shared || inner.Credentials != nil) &&
		within(inner.Key.Headers, p.Key.Headers, sameName) &&
		within(inner.Key.Cookies, p.Key.Cookies, same) &&
		within(inner.PassCookies, p.PassCookies, same)
}

// FoldsMore reports whether p, the policy of a mount around another one, may make one key of
// requests that the inner policy tells apart by the query or by forwarding fields, though it makes
// the same of the request at hand.
func FoldsMore(p, inner *policy.Policy) bool {
	return foldsQuery(&p.Key) && !SameQueries(&p.Key, &inner.Key) || p.Key.IgnoreForwarded &&
		!inner.Key.IgnoreForwarded
}

// KeepApart adds to the key, which was read of r under inner, what p, the policy of a mount around,
// tells apart by fields, cookies or Replace and inner does not: it would otherwise answer for
// requests that the outer policy keeps apart. It adds nothing where inner tells as much. Whom
// Credentials of p's own identify is a user for an inner policy that has none. It returns why the
// request is to pass, if it is: by a cookie that p.PassCookies lists, unless inner is Shared; or
// because it has no key under p, or too long a one.
func (q *Request) KeepApart(r *http.Request, p, inner *policy.Policy) (why policy.Reason) {
	if !inner.Shared && passesByCookie(p, r.Header) {
		return ReasonPassCookie
	}
	if p.Credentials != nil && inner.Credentials == nil && !q.Credentials && p.Credentials(r) {
		q.Credentials, q.others = true, true
	}
	if q.Key == "" || p.Key.Replace == nil &&
		within(p.Key.Headers, inner.Key.Headers, sameName) &&
		within(p.Key.Cookies, inner.Key.Cookies, same) {
		return ""
	}
	q.Around(p)
	b := appendNominated([]byte(q.Key), r, &p.Key)
	if p.Key.Replace != nil {
		text := p.Key.Replace(r)
		if text == "" {
			return ReasonKey
		}
		b = appendExtra(b, "replace", text)
	}
	if len(b) > MaxKey {
		return ReasonKeyTooLong
	}
	q.Key = string(b)
	return ""
}

// KeepsApart reports whether p tells requests apart by more than their targets and the usual
// credentials, which every policy does.
func KeepsApart(p *policy.Policy) bool {
	return p.Credentials != nil || p.Key.Replace != nil ||
		len(p.Key.Headers) > 0 || len(p.Key.Cookies) > 0 || len(p.PassCookies) > 0
}

// keysAround lists what mounts around a mount make their keys of.
type keysAround struct {
	key  *policy.KeyOptions
	more *keysAround
}

// Around notes that p, the policy of a mount around, tells requests apart by the fields and cookies
// of its keys, for caches in front to be told (see Announce).
func (q *Request) Around(p *policy.Policy) {
	if len(p.Key.Headers) > 0 || len(p.Key.Cookies) > 0 {
		q.around = &keysAround{&p.Key, q.around}
	}
}

// AlsoAround notes what other, the request of a mount around, has noted.
func (q *Request) AlsoAround(other *Request) {
	for k := other.around; k != nil; k = k.more {
		q.around = &keysAround{k.key, q.around}
	}
}

// within reports whether each of the names is in the list.
func within(names, list []string, same func(a, b string) bool) bool {
	for _, name := range names {
		if !slices.ContainsFunc(list, func(other string) bool { return same(name, other) }) {
			return false
		}
	}
	return true
}

func same(a, b string) bool { return a == b }
