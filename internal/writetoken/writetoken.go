// Package writetoken makes and reads the tokens by which a client shows which invalidation its own
// change has caused, so that no process answers it with anything older.
package writetoken

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Bounds of a token and of its keys.
const (
	MinKey  = 16  // bytes of a key
	MaxKeys = 8   // keys that verify: a wrong token costs so many signatures
	maxText = 128 // bytes of a token; a longer one is none
)

const version = "1"

// Token says what a client's change has caused.
type Token struct {
	// Number is that of the newest mark of the change, in the journal that all processes share.
	Number uint64
	// Unsent is the Unix time in seconds until which other processes may lack a mark of the change
	// that the journal has not taken; 0: it has taken all.
	Unsent int64
	// Expires is the Unix time in seconds at which the token ends. Sign sets it.
	Expires int64
}

// Signer signs and verifies tokens. Processes that take each other's have the same Name and Life,
// and share keys. It is safe for concurrent use.
type Signer struct {
	Name string        // of the cookie or field that tokens travel in; a token of another is none
	Keys [][]byte      // the first signs, and all verify, until SetKeys
	Life time.Duration // of a token

	later atomic.Pointer[[][]byte] // of SetKeys
}

// SetKeys replaces the keys, which it keeps.
func (s *Signer) SetKeys(keys [][]byte) { s.later.Store(&keys) }

func (s *Signer) keys() [][]byte {
	if later := s.later.Load(); later != nil {
		return *later
	}
	return s.Keys
}

// End returns when a token ends that is signed at now: after Life, rounded up to a second.
func (s *Signer) End(now time.Time) int64 { return now.Add(s.Life + time.Second - 1).Unix() }

// Sign returns the text of a token that is good from now on until End:
// "1.NUMBER.UNSENT.EXPIRES.MAC", with the HMAC-SHA256 of all that and the name in base64url.
func (s *Signer) Sign(t Token, now time.Time) string {
	said := fmt.Sprintf("%s.%d.%d.%d", version, t.Number, t.Unsent, s.End(now))
	return said + "." + base64.RawURLEncoding.EncodeToString(s.sum(s.keys()[0], said))
}

// sum signs what a token says. A name has no line end.
func (s *Signer) sum(key []byte, said string) []byte {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "freshet-written\n%s\n%s", s.Name, said)
	return mac.Sum(nil)
}

// Verify reads the text of a token that one of the keys has signed, and reports whether it is good
// at now: it has not ended, and ends within two lives, so that the clocks of processes may differ
// by as much as a life. What it costs is bounded, however long the text is: one signature for each
// key at most, and none for a text that has ended or is no token.
func (s *Signer) Verify(text string, now time.Time) (t Token, ok bool) {
	if len(text) > maxText {
		return Token{}, false
	}
	said, mac, ok := cutLast(text)
	if !ok || len(mac) != base64.RawURLEncoding.EncodedLen(sha256.Size) {
		return Token{}, false // decoders skip line ends, so the length counts
	}
	if t, ok = read(said); !ok || t.Expires <= now.Unix() ||
		t.Expires > now.Add(2*s.Life+time.Second).Unix() {
		return Token{}, false
	}
	sum, err := base64.RawURLEncoding.Strict().DecodeString(mac)
	if err != nil || !s.signed(sum, said) {
		return Token{}, false
	}
	return t, true
}

func cutLast(text string) (said, mac string, ok bool) {
	i := strings.LastIndexByte(text, '.')
	if i < 0 {
		return "", "", false
	}
	return text[:i], text[i+1:], true
}

// read reads what a token says.
func read(said string) (t Token, ok bool) {
	parts := strings.Split(said, ".")
	if len(parts) != 4 || parts[0] != version {
		return Token{}, false
	}
	var failed [3]error
	t.Number, failed[0] = strconv.ParseUint(parts[1], 10, 64)
	t.Unsent, failed[1] = strconv.ParseInt(parts[2], 10, 64)
	t.Expires, failed[2] = strconv.ParseInt(parts[3], 10, 64)
	return t, failed == [3]error{}
}

// signed reports whether sum is that of one of the keys.
func (s *Signer) signed(sum []byte, said string) bool {
	for _, key := range s.keys() {
		if hmac.Equal(sum, s.sum(key, said)) {
			return true
		}
	}
	return false
}
