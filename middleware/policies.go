package middleware

import (
	"crypto/tls"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// policies knows the policies that govern the Cache's mounts, so that a change is a change under
// all of them. Requests read a snapshot, which is never modified.
type policies struct {
	mu  sync.Mutex // of those who add
	now atomic.Pointer[knownPolicies]
}

type knownPolicies struct {
	all      map[*policy.Policy]string // with their fingerprints
	folds    []*policy.Policy          // one for each way to fold a query
	replaces []*policy.Policy          // one for each function that is a Key.Replace
	many     bool                      // there are more ways than maxFolds: folds lacks some
}

const (
	// a Options.Policy that makes a policy for each request must not fill the memory
	maxPolicies = 1024
	maxFolds    = 4 // more ways to fold a query than this are purged by prefix
	maxReplaces = 64
)

// add makes p known, and reports whether it was not. It costs a look into a map when p is known
// already.
func (ps *policies) add(p *policy.Policy) (news bool) {
	now := ps.now.Load()
	if now != nil && (now.knows(p) || len(now.all) >= maxPolicies && (now.many || now.folded(p))) {
		return false
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	next := knownPolicies{}
	if now = ps.now.Load(); now != nil {
		next = *now
	}
	switch {
	case next.knows(p): // since a moment ago
		return false
	case len(next.all) >= maxPolicies:
		next.many = true
	default:
		news = true
		all := make(map[*policy.Policy]string, len(next.all)+1)
		maps.Copy(all, next.all)
		all[p] = fingerprint(p)
		next.all = all
		next.learn(p)
	}
	ps.now.Store(&next)
	return news
}

func (k *knownPolicies) knows(p *policy.Policy) bool {
	_, known := k.all[p]
	return known
}

// folded reports whether queries are known to be folded as p folds them.
func (k *knownPolicies) folded(p *policy.Policy) bool {
	return rules.SameQueries(&p.Key, &policy.KeyOptions{}) ||
		slices.ContainsFunc(k.folds, func(other *policy.Policy) bool {
			return rules.SameQueries(&other.Key, &p.Key)
		})
}

// folding reports whether a policy is known that folds queries.
func (k *knownPolicies) folding() bool { return k.many || len(k.folds) > 0 }

func (k *knownPolicies) learn(p *policy.Policy) {
	switch {
	case k.folded(p):
	case len(k.folds) < maxFolds:
		k.folds = append(slices.Clip(k.folds), p)
	default:
		k.many = true
	}
	if p.Key.Replace != nil && len(k.replaces) < maxReplaces && !k.replacesAs(p) {
		k.replaces = append(slices.Clip(k.replaces), p)
	}
}

// replacesAs reports whether a policy is known that has p's Key.Replace, the very function.
func (k *knownPolicies) replacesAs(p *policy.Policy) bool {
	its := closureOf(reflect.ValueOf(p.Key.Replace))
	return slices.ContainsFunc(k.replaces, func(other *policy.Policy) bool {
		return closureOf(reflect.ValueOf(other.Key.Replace)) == its
	})
}

// under returns the policies that a change must count under.
func (c *Cache) under() *knownPolicies {
	if now := c.policies.now.Load(); now != nil {
		return now
	}
	return &knownPolicies{}
}

// marks returns a mark for each of the URI texts. Where queries are folded in more ways than are
// known, one with a query stands for all of its path.
func (k *knownPolicies) marks(marks []store.Mark, uris []string) []store.Mark {
	for _, uri := range uris {
		if k.many {
			if path, _, found := strings.Cut(uri, "?"); found {
				marks = appendMark(marks, store.Mark{Kind: store.MarkKey, Name: path})
				marks = appendMark(marks, store.Mark{Kind: store.MarkPrefix, Name: path + "?"})
				continue
			}
		}
		marks = appendMark(marks, store.Mark{Kind: store.MarkKey, Name: uri})
	}
	return marks
}

func appendMark(marks []store.Mark, m store.Mark) []store.Mark {
	if slices.Contains(marks, m) {
		return marks
	}
	return append(marks, m)
}

// tags appends marks of what Key.Replace makes of r's target, for each policy that has one. r may
// be no request that a server made, so Replace may not know what to do with it.
func (k *knownPolicies) tags(marks []store.Mark, r *http.Request) []store.Mark {
	for _, p := range k.replaces {
		if tag := replaced(r, p); tag != "" {
			marks = appendMark(marks, store.Mark{Kind: store.MarkTag, Name: tag})
		}
	}
	return marks
}

// replaced returns the tag of what p makes of r, or "" where it makes nothing of it.
func replaced(r *http.Request, p *policy.Policy) (tag string) {
	defer func() {
		if recover() != nil {
			tag = ""
		}
	}()
	q, _, _ := rules.ReadRequest(r, p)
	return q.Tag
}

// getOf makes the request by which a client without credentials would get a URL.
func getOf(u *url.URL) *http.Request {
	r := &http.Request{
		Method: http.MethodGet, URL: u, Host: u.Host, Header: http.Header{}, Body: http.NoBody,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if u.Scheme == "https" {
		r.TLS = &tls.ConnectionState{}
	}
	return r
}
