package rules

import (
	"net/http"
	"strings"
)

// One resource has many names: VICTIM.COM, victim.com:80, victim.com. and the target
// http://victim.com/x all lead to victim.com's /x. A URI text is the same for all of them, so that
// an invalidation covers every form. Handlers see the form as sent: they route by it, and put it
// into links and redirects. So only the canonical form, which browsers send, has a key without
// extras. Every other form has a key of its own.

// appendForm appends host and target as sent where they are not of the canonical form: host is what
// the URI has of it, and a canonical target begins with a slash (RFC 9112 section 3.2.1). The Host
// field remains among the others only in HTTP/2, where it may contradict the :authority that became
// r.Host.
func appendForm(b []byte, r *http.Request, host []byte, s seen) []byte {
	if string(host) != r.Host {
		b = appendExtra(b, "host", r.Host)
	}
	if line := r.RequestURI; line != "" && line[0] != '/' {
		b = appendExtra(b, "target", beforePath(line))
	}
	if s&sawHost != 0 {
		b = appendExtra(b, "Host", r.Header["Host"]...)
	}
	return b
}

// beforePath returns a target in absolute-form up to its path, with the slash that begins that: the
// rest is in the URI, as far as the policy keeps it. A target of another form is returned as it is.
func beforePath(target string) string {
	rest, ok := pathAndQuery(target)
	if ok && strings.HasPrefix(rest, "/") {
		rest = rest[1:]
	}
	if ok {
		return target[:len(target)-len(rest)]
	}
	return target
}

// appendHost appends the canonical form of a host: in lower case, without the scheme's default port
// (RFC 9110 section 4.2.3), without zeros before the port, and without the dot that ends a full
// domain name. Of its own result it makes the same.
func appendHost(dst []byte, scheme, host string) []byte {
	name, port := splitPort(host)
	if port == defaultPort(scheme) {
		port = ""
	}
	if short := strings.TrimRight(name, "."); short != "" && !strings.Contains(name, ":") {
		name = short
	}
	start := len(dst)
	dst = appendEscaped(dst, name, inHost)
	for i := start; i < len(dst); i++ {
		dst[i] = lower(dst[i])
	}
	if port != "" {
		dst = append(dst, ':')
	}
	return append(dst, port...)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

func defaultPort(scheme string) string {
	switch scheme {
	case "http":
		return "80"
	case "https":
		return "443"
	}
	return ""
}

// splitPort cuts the port from a host. An empty port is the default one, which is none. Of a bare
// IPv6 address, which is no valid host, the end is no port.
func splitPort(host string) (name, port string) {
	i := strings.LastIndexByte(host, ':')
	if i < 0 || strings.Trim(host[i+1:], "0123456789") != "" {
		return host, ""
	}
	name, port = host[:i], host[i+1:]
	if strings.IndexByte(name, ':') >= 0 && !strings.HasSuffix(name, "]") {
		return host, ""
	}
	if short := strings.TrimLeft(port, "0"); short != "" {
		port = short
	} else if port != "" {
		port = "0"
	}
	return name, port
}
