package akamai

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"time"
)

// credentials sign calls by Akamai's scheme EG1-HMAC-SHA256
// (https://techdocs.akamai.com/developer/docs/edgegrid): a key that is made of the secret and the
// time signs the method, the URL and the body.
type credentials struct{ clientToken, clientSecret, accessToken string }

// maxSigned is how much of a body is signed, in bytes.
const maxSigned = 128 << 10

// authorization returns the field Authorization of a POST.
func (c credentials) authorization(u *url.URL, body []byte, now time.Time, nonce string) string {
	at := now.UTC().Format("20060102T15:04:05-0700")
	field := "EG1-HMAC-SHA256 client_token=" + c.clientToken + ";access_token=" + c.accessToken +
		";timestamp=" + at + ";nonce=" + nonce + ";"
	hash := ""
	if len(body) > 0 {
		sum := sha256.Sum256(body[:min(len(body), maxSigned)])
		hash = base64.StdEncoding.EncodeToString(sum[:])
	}
	// no fields are signed: the empty column
	signed := "POST\t" + u.Scheme + "\t" + u.Host + "\t" + u.RequestURI() + "\t\t" + hash + "\t" +
		field
	return field + "signature=" + sign(signed, sign(at, c.clientSecret))
}

func sign(text, key string) string {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}
