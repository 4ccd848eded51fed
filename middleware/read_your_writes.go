package middleware

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/freshet-go/freshet/internal/rules"
	"github.com/freshet-go/freshet/internal/writetoken"
)

// ReadYourWrites has a client never get anything older than its own change, from whichever process:
// the type of [Options.ReadYourWrites]. The zero value is off.
//
// The answer to an unsafe request (POST, PUT, DELETE, …) that invalidates, with a status of 2xx or
// 3xx, carries the number that the shared journal gave the invalidation, in a signed token. A
// request that shows the token within Life is not answered from anything that was made before that
// invalidation and that the invalidation covers. A process that has not heard of the number asks
// the journal, for up to twice Options.StoreTimeout; if the journal does not answer, or did not
// take the invalidation, or began anew since, the request's own run of the handler answers. Then
// Cache-Status says detail=read-your-writes.
//
// A process without a journal that others share sends no token: it covers at once what it
// invalidates. A Cache that only reads (Options.ReadOnly) sends a token of an invalidation that the
// journal did not take.
//
// A token names no user and opens nothing: it says a number and when it ends. One that is forged,
// cut, ended or sent twice counts as none.
type ReadYourWrites struct {
	// Keys sign tokens: the first signs, and all verify. All processes that share the journal have
	// the same keys. To change a key, put the new one last everywhere, then first, then take the
	// old one away once Life has passed; [Cache.SetWriteKeys] does so without a restart. 1 to 8
	// keys, each of at least 16 bytes from a random source. Nil: off.
	Keys [][]byte
	// Cookie is the name of the cookie that the token travels in. Browsers send it back by
	// themselves: it is HttpOnly, SameSite=Lax, for all paths of the host, and Secure where the
	// client came by https (also by what X-Forwarded-Proto says). It makes no page personal: no
	// key, no Vary, no policy, and no handler of a GET or HEAD that is looked up sees it. Caches
	// that have different journals and the same clients need cookies of different names. Default
	// "freshet-written".
	Cookie string
	// Field is the name of a response field that carries the token in the place of a cookie, for
	// clients that send it back themselves, in a request field of the same name. Default: none,
	// the cookie.
	Field string
	// Life is how long a token is good, rounded up to a second. At most an hour, and no less than
	// Options.MaxLag: until then a process that is cut off may use what it should not. Default 1
	// minute, or MaxLag if that is longer.
	Life time.Duration
}

// Bounds of ReadYourWrites.Life, and the name of its cookie.
const (
	defaultWriteLife   = time.Minute
	maxWriteLife       = time.Hour
	defaultWriteCookie = "freshet-written"
)

// complete returns the option with its defaults. It panics where it cannot work.
func (o ReadYourWrites) complete(maxLag time.Duration) ReadYourWrites {
	if len(o.Keys) == 0 {
		if o.Cookie != "" || o.Field != "" || o.Life != 0 {
			panic("freshet: New: Options.ReadYourWrites has no Keys, without which it is off: " +
				"give it a key of 16 or more bytes from a random source, or leave all of it out")
		}
		return o
	}
	if err := checkWriteKeys("Options.ReadYourWrites.Keys", o.Keys); err != nil {
		panic("freshet: New: " + err.Error())
	}
	o.name()
	o.live(maxLag)
	return o
}

// checkWriteKeys returns what is wrong with keys, which an error calls name.
func checkWriteKeys(name string, keys [][]byte) error {
	if n := len(keys); n == 0 || n > writetoken.MaxKeys {
		return fmt.Errorf("%s has %d keys: allowed are 1 to %d; take away those whose tokens have "+
			"ended", name, n, writetoken.MaxKeys)
	}
	for i, key := range keys {
		if len(key) < writetoken.MinKey {
			return fmt.Errorf("%s[%d] has %d bytes: allowed are %d or more from a random source",
				name, i, len(key), writetoken.MinKey)
		}
	}
	return nil
}

// SetWriteKeys replaces the Keys of Options.ReadYourWrites, for answers and requests that come from
// now on: the first signs, and all verify. It returns an error, and changes nothing, where the keys
// would not do for [New], or where New got none, so that the option is off. It keeps no reference
// to keys, is safe for concurrent use, and waits for no request.
func (c *Cache) SetWriteKeys(keys [][]byte) error {
	if c.writes == nil {
		return errors.New("freshet: Cache.SetWriteKeys: Options.ReadYourWrites is off: give New the " +
			"first keys")
	}
	if err := checkWriteKeys("keys", keys); err != nil {
		return fmt.Errorf("freshet: Cache.SetWriteKeys: %w; the old keys stay", err)
	}
	own := make([][]byte, len(keys))
	for i, key := range keys {
		own[i] = bytes.Clone(key)
	}
	c.writes.SetKeys(own)
	return nil
}

// name completes and checks the name of what tokens travel in.
func (o *ReadYourWrites) name() {
	switch {
	case o.Cookie != "" && o.Field != "":
		panic(fmt.Sprintf("freshet: New: Options.ReadYourWrites has the Cookie %q and the Field "+
			"%q: a token travels in one of them; leave the other out", o.Cookie, o.Field))
	case o.Field != "" && !rules.IsOwnField(o.Field):
		panic(fmt.Sprintf("freshet: New: Options.ReadYourWrites.Field is %q: allowed is the name "+
			"of a field of your own, such as App-Written", o.Field))
	case o.Field != "":
		o.Field = http.CanonicalHeaderKey(o.Field)
		return
	case o.Cookie == "":
		o.Cookie = defaultWriteCookie
	}
	if !rules.IsCookieName(o.Cookie) {
		panic(fmt.Sprintf("freshet: New: Options.ReadYourWrites.Cookie is %q: allowed are "+
			"letters, digits and -_.!#$%%&'*+^`|~, as in %s", o.Cookie, defaultWriteCookie))
	}
}

// live completes and checks the life of tokens.
func (o *ReadYourWrites) live(maxLag time.Duration) {
	if o.Life == 0 {
		o.Life = max(defaultWriteLife, maxLag)
	}
	if o.Life < maxLag || o.Life > max(maxWriteLife, maxLag) || o.Life < 0 {
		panic(fmt.Sprintf("freshet: New: Options.ReadYourWrites.Life is %v: allowed are "+
			"Options.MaxLag, which is %v, up to %v, or 0 for the default", o.Life, maxLag,
			max(maxWriteLife, maxLag)))
	}
}

// signer returns what makes and reads the tokens, or nil where the option is off.
func (o *ReadYourWrites) signer() *writetoken.Signer {
	if len(o.Keys) == 0 {
		return nil
	}
	return &writetoken.Signer{Name: o.Cookie + o.Field, Keys: o.Keys, Life: o.Life}
}
