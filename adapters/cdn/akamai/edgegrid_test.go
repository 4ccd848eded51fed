package akamai

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

// The signatures of Akamai's own examples, which its libraries are tested with.
func TestAuthorization(t *testing.T) {
	c := credentials{"akab-client-token-xxx-xxxxxxxxxxxxxxxx", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx=",
		"akab-access-token-xxx-xxxxxxxxxxxxxxxx"}
	u, err := url.Parse("https://akaa-baseurl-xxxxxxxxxxx-xxxxxxxxxxxxx.luna.akamaiapis.net/testapi/v1/t3")
	if err != nil {
		t.Fatal(err)
	}
	got := c.authorization(u, []byte("datadatadatadatadatadatadatadata"),
		time.Date(2014, 3, 21, 20, 34, 21, 0, time.FixedZone("", 3600)), "nonce-xx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")
	const want = "EG1-HMAC-SHA256 client_token=akab-client-token-xxx-xxxxxxxxxxxxxxxx;" +
		"access_token=akab-access-token-xxx-xxxxxxxxxxxxxxxx;timestamp=20140321T19:34:21+0000;" +
		"nonce=nonce-xx-xxxx-xxxx-xxxx-xxxxxxxxxxxx;signature="
	if got != want+"hXm4iCxtpN22m4cbZb4lVLW5rhX8Ca82vCFqXzSTPe4=" {
		t.Errorf("%s, want %s…", got, want)
	}
	long := strings.Repeat("d", maxSigned)
	if c.authorization(u, []byte(long), time.Time{}, "n") != c.authorization(u, []byte(long+"d"), time.Time{}, "n") {
		t.Error("more is signed of a body than Akamai signs")
	}
}
