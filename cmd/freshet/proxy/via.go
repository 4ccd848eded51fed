package proxy

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
)

// via writes the Via field (RFC 9110 section 7.6.3), and knows by it what came back. A request's
// has a comment that no other proxy's has.
type via struct {
	name    string
	comment string
}

func newVia(name string) via {
	if name == "" {
		name = "Freshet" // as in Cache-Status
	}
	var lot [6]byte
	rand.Read(lot[:])
	return via{name: token(name), comment: " (" + hex.EncodeToString(lot[:]) + ")"}
}

// token makes of a name one that may stand in Via.
func token(name string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			strings.ContainsRune("!#$%&'*+-.^_`|~", c):
			return c
		}
		return '-'
	}, name)
}

func (v via) request(out, in *http.Request) {
	out.Header.Add("Via", version(in.ProtoMajor, in.ProtoMinor)+" "+v.name+v.comment)
}

func (v via) response(res *http.Response) {
	res.Header.Add("Via", version(res.ProtoMajor, res.ProtoMinor)+" "+v.name)
}

// looped reports whether this proxy has forwarded the request before.
func (v via) looped(r *http.Request) bool {
	for _, line := range r.Header["Via"] {
		if strings.Contains(line, v.comment) {
			return true
		}
	}
	return false
}

func version(major, minor int) string {
	if major >= 2 {
		return fmt.Sprint(major)
	}
	return fmt.Sprintf("%d.%d", major, minor)
}
