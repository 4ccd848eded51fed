package policy

import "time"

// ExpirySuffix ends the name of every expiry setting: record_cache_expires_seconds is the setting
// of the resource "record".
const ExpirySuffix = "_cache_expires_seconds"

// MaxExpiry is the longest lifetime that a setting may ask for: 2^31 seconds, about 68 years. A
// recipient need not understand a greater max-age (RFC 9111 section 1.2.2).
const MaxExpiry = 1 << 31 * time.Second

// MaxParents is how many parents of a request can narrow a setting; the widest count.
const MaxParents = 16

// Expires answers how long the responses of a resource live, by the operator's settings:
//
//	record_cache_expires_seconds                 every record
//	blog.record_cache_expires_seconds            records under the parent blog
//	blog.articles.record_cache_expires_seconds   records under blog, then articles
//	blog_articles_record_cache_expires_seconds   the same with _ for the dots
//
// The most specific setting wins, however it is spelled and wherever it was set. A nil or zero
// Expires holds no settings. It is made by [NewExpires], immutable, and safe for concurrent use.
type Expires struct {
	resources map[string]*resourceExpiry
	warnings  []string
	disabled  map[string]Disabled // by resource; never modified
}

// resourceExpiry holds the settings of one resource.
type resourceExpiry struct {
	all    expiry            // of the resource, under whatever parents
	exact  *expiryBranch     // spelled with dots: each parent by its own name
	scored map[string]expiry // spelled with underscores: the parents' names joined by _
	// the same in lower case with _ for -, as the environment spells names
	environ map[string]expiry

	// deepest is the greatest number of parents that a setting can be read to name (at most
	// MaxParents), and longest the length in bytes of the longest text in scored and environ. They
	// keep the cost of a lookup within what the settings ask for, whatever names a request has.
	deepest, longest int
}

// expiry is one setting, or none when origin is empty.
type expiry struct {
	ttl    time.Duration
	name   string // as written, with suffix
	origin string
}

// expiryBranch is one parent in the tree of settings spelled with dots.
type expiryBranch struct {
	expiry
	below map[string]*expiryBranch
}

// Lookup returns the lifetime that the settings give to a response of resource under the parents
// named by scope, widest first. A lifetime of 0 means that the resource is uncacheable there. It is
// false when no setting applies: then the route's own default ([Policy].TTL) does.
//
// A parent without a name ends the scope, and so do [MaxParents] of them. Lookup allocates nothing
// unless a setting names parents in more than 128 bytes.
func (x *Expires) Lookup(resource string, scope []string) (ttl time.Duration, ok bool) {
	if x == nil {
		return 0, false
	}
	l := x.resources[resource]
	if l == nil {
		return 0, false
	}
	for parents := namedParents(scope, l.deepest); len(parents) > 0; parents = parents[:len(parents)-1] {
		if found, ok := l.under(parents); ok {
			return found.ttl, true
		}
	}
	return l.all.ttl, l.all.origin != ""
}

// Knows tells whether resource was declared, so that a route which names another one can be refused
// at start: no setting would ever reach it.
func (x *Expires) Knows(resource string) bool {
	return x != nil && x.resources[resource] != nil
}

// Sets reports whether a setting names a lifetime of resource, under whatever parents.
func (x *Expires) Sets(resource string) bool {
	if x == nil {
		return false
	}
	l := x.resources[resource]
	return l != nil && (l.all.origin != "" || len(l.exact.below) > 0 || len(l.scored) > 0 ||
		len(l.environ) > 0)
}

// Narrows reports whether a setting of resource names parents.
func (x *Expires) Narrows(resource string) bool {
	if x == nil {
		return false
	}
	l := x.resources[resource]
	return l != nil && l.deepest > 0
}

// Warnings says which settings can be read in more than one way, and how each was read.
func (x *Expires) Warnings() []string {
	if x == nil {
		return nil
	}
	return x.warnings
}

// under is the setting for exactly these parents. The environment goes before the file.
func (l *resourceExpiry) under(parents []string) (expiry, bool) {
	var room [128]byte
	if text, ok := joinParents(room[:0], parents, l.longest, &environSpelling); ok {
		if found, ok := l.environ[string(text)]; ok {
			return found, true
		}
	}
	if found, ok := l.exact.find(parents); ok {
		return found, true
	}
	if text, ok := joinParents(room[:0], parents, l.longest, &scoredSpelling); ok {
		if found, ok := l.scored[string(text)]; ok {
			return found, true
		}
	}
	return expiry{}, false
}

func (b *expiryBranch) find(parents []string) (expiry, bool) {
	for _, name := range parents {
		if b == nil {
			return expiry{}, false
		}
		b = b.below[name]
	}
	if b == nil || b.origin == "" {
		return expiry{}, false
	}
	return b.expiry, true
}

// namedParents is the head of scope up to the first parent without a name, at most n parents.
func namedParents(scope []string, n int) []string {
	for i, name := range scope {
		if i == n || name == "" {
			return scope[:i]
		}
	}
	return scope
}

// joinParents appends the parents' names to dst with _ between them, each byte as spelling has it.
// It is false as soon as the text would be longer than any setting's.
func joinParents(dst []byte, parents []string, longest int, spelling *[256]byte) ([]byte, bool) {
	for i, name := range parents {
		if i > 0 {
			dst = append(dst, '_')
		}
		if len(dst)+len(name) > longest {
			return nil, false
		}
		for j := range len(name) {
			dst = append(dst, spelling[name[j]])
		}
	}
	return dst, true
}

// How settings with underscores spell the bytes of a parent's name, and how the environment does,
// but in lower case. Only ASCII has a case here.
var scoredSpelling, environSpelling = spellings()

func spellings() (scored, environ [256]byte) {
	for i := range 256 {
		c := byte(i)
		scored[c], environ[c] = c, c
		if 'A' <= c && c <= 'Z' {
			environ[c] = c + 'a' - 'A'
		}
	}
	scored['.'], environ['.'], environ['-'] = '_', '_', '_'
	return scored, environ
}
