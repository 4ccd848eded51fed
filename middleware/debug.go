package middleware

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/policy"
)

// A request that shows a token in Freshet-Debug gets the cache's decision in Freshet-Explain, in
// short. The token is good for one host and path and for an hour at most: its text is
// "1.EXPIRES.MAC", with the Unix time of its end in seconds and the HMAC-SHA256 of that, the host
// and the path, in base64url.
const (
	debugField   = "Freshet-Debug"
	explainField = rules.ExplainField

	maxDebugToken  = 128     // bytes; a longer one is none
	maxDebugTarget = 8 << 10 // bytes of host and path; no token is good for more
	minDebugKey    = 16

	// MaxDebugLife is how long a token of [DebugToken] may live.
	MaxDebugLife = time.Hour
)

// DebugToken makes the value of the request field Freshet-Debug, with which a cache whose
// Options.DebugKey is key explains its decision in the response field Freshet-Explain. It is good
// for the host (with its port, as clients name it) and the escaped path, whatever the query, until
// the time expires, which lies at most [MaxDebugLife] after now. The key has 16 bytes at least; 32
// from a random source are good.
func DebugToken(key []byte, host, path string, now, expires time.Time) (string, error) {
	switch {
	case len(key) < minDebugKey:
		return "", fmt.Errorf("freshet: DebugToken: the key has %d bytes: allowed are %d or more",
			len(key), minDebugKey)
	case host == "" || !strings.HasPrefix(path, "/"):
		return "", fmt.Errorf("freshet: DebugToken: host %q and path %q: allowed are a host and "+
			"a path that begins with a slash", host, path)
	case len(host)+len(path) > maxDebugTarget:
		return "", errors.New("freshet: DebugToken: host and path are longer than 8 KiB")
	case !expires.After(now) || expires.Sub(now) > MaxDebugLife:
		return "", fmt.Errorf("freshet: DebugToken: the token would live for %v: allowed are up "+
			"to %v", expires.Sub(now), MaxDebugLife)
	}
	end := strconv.FormatInt(expires.Unix(), 10)
	return "1." + end + "." + base64.RawURLEncoding.EncodeToString(debugMAC(key, end, host, path)),
		nil
}

// debugMAC signs what a token is good for. Neither a host nor a path has a line end.
func debugMAC(key []byte, end, host, path string) []byte {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "freshet-debug 1\n%s\n%s\n%s", end, strings.ToLower(host), path)
	return mac.Sum(nil)
}

// goodToken reports whether a token is good for a host and path at now. It does the same work for a
// token that is wrong in its last byte as for one that is wrong in its first.
func goodToken(key []byte, token, host, path string, now time.Time) bool {
	if len(token) > maxDebugToken || len(host)+len(path) > maxDebugTarget {
		return false
	}
	version, rest, _ := strings.Cut(token, ".")
	end, text, _ := strings.Cut(rest, ".")
	seconds, err := strconv.ParseInt(end, 10, 64)
	if err != nil || version != "1" {
		return false
	}
	if expires := time.Unix(seconds, 0); !expires.After(now) || expires.Sub(now) > MaxDebugLife {
		return false
	}
	mac, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return err == nil && hmac.Equal(mac, debugMAC(key, end, host, path))
}

// debugged takes the token out of the request, so that it is in no key, in no variant and with no
// handler, and has the request explained if the token is good. traced says that untrace must
// follow.
func (c *Cache) debugged(r *http.Request) (as *http.Request, traced bool) {
	tokens := r.Header[debugField]
	as = new(http.Request)
	*as = *r
	as.Header = r.Header.Clone()
	delete(as.Header, debugField)
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if !strings.HasPrefix(path, "/") {
		path = r.URL.EscapedPath()
	}
	if len(tokens) != 1 || !goodToken(c.options.DebugKey, tokens[0], r.Host, path, time.Now()) {
		return as, false
	}
	t := &trace{mode: traceLive, field: true}
	return t.traced(as), true
}

// say puts the explanation into the header of the client's response, which then is that client's
// alone: it is for who asked for it, and no cache on the way keeps it.
func (a *account) say(client http.Header, out *policy.Outcome) {
	if !a.t.field || a.part {
		return
	}
	a.conclude(*out, false)
	a.t.mu.Lock()
	x := a.t.compact()
	a.t.mu.Unlock()
	client[explainField] = []string{x}
	rules.KeepPrivate(client)
}
