package httpclient

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestAddresses(t *testing.T) {
	var none addresses
	for what, all := range map[string]string{
		"":            "1.1.1.1 8.8.8.8 172.32.0.1 192.169.0.1 100.128.0.1 2606:4700::1111 2a00:1450::1",
		"loopback":    "127.0.0.1 127.255.0.9 ::1 ::ffff:127.0.0.1",
		"private":     "10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 fc00::1 fd12::1 ::ffff:10.0.0.1",
		"link-local":  "169.254.169.254 fe80::1 fe80::1%eth0 ::ffff:169.254.169.254",
		"multicast":   "224.0.0.1 239.1.1.1 ff02::1 ff0e::1",
		"unspecified": "0.0.0.0 ::",
		"reserved": "0.1.2.3 100.64.0.1 192.0.0.1 192.0.2.1 192.88.99.1 198.18.0.1 198.19.255.255 " +
			"198.51.100.1 203.0.113.1 240.0.0.1 255.255.255.255 64:ff9b::7f00:1 64:ff9b:1::1 100::1 " +
			"2001:db8::1 2001::1 2002:7f00:1:: ::7f00:1 fec0::1 3fff::1 5f00::1",
	} {
		for text := range strings.FieldsSeq(all) {
			err := none.use(netip.AddrPortFrom(netip.MustParseAddr(text), 80).String())
			switch {
			case what == "" && err != nil:
				t.Errorf("%s: %v", text, err)
			case what != "" && (err == nil || !strings.Contains(err.Error(), "the "+what+" address")):
				t.Errorf("%s: %v; want it refused, as %s", text, err, what)
			}
		}
	}
	for allow, all := range map[string]string{
		"10.0.0.0/8": "10.1.2.3 ::ffff:10.1.2.3", "127.0.0.1": "127.0.0.1", "::1": "::1",
		"fe80::/10": "fe80::1%eth0", "::ffff:10.0.0.0/104": "10.1.2.3", "0.0.0.0/0": "169.254.169.254",
	} {
		some, err := ReadAllow(allow)
		if err != nil {
			t.Fatal(err)
		}
		for text := range strings.FieldsSeq(all) {
			at := netip.AddrPortFrom(netip.MustParseAddr(text), 80).String()
			if err := addresses(some).use(at); err != nil {
				t.Errorf("allow=%s: %s: %v", allow, text, err)
			}
		}
		if err := addresses(some).use("192.168.0.1:80"); err == nil && allow != "0.0.0.0/0" {
			t.Errorf("allow=%s allows 192.168.0.1", allow)
		}
	}
	for _, odd := range []string{"", "1.1.1.1", "name:80", "1.1.1.1:http"} {
		if err := none.use(odd); err == nil {
			t.Errorf("%q is used", odd)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for field, want := range map[string]string{
		"":                              "",
		"0":                             "; it wants to be asked again after 0s",
		"120":                           "; it wants to be asked again after 2m0s",
		"Mon, 30 Nov 2026 12:00:05 GMT": "; it wants to be asked again after 5s",
		"Mon, 30 Nov 2026 11:00:00 GMT": "; it wants to be asked again after 0s",
		"-1":                            "", "soon": "", "99999999999999999999": "",
	} {
		if got := retryAfter(field, now); got != want {
			t.Errorf("%q: %q, want %q", field, got, want)
		}
	}
}
