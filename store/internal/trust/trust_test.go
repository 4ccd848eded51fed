package trust_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store/internal/trust"
)

// A certificate that is renewed on the disk is shown from then on; one that is spoiled is an error
// of the connection that would show it.
func TestTheCertificateIsReadForEachConnection(t *testing.T) {
	a, dir := testserver.NewAuthority(t), t.TempDir()
	f := trust.Files{CA: a.CAFile, Cert: filepath.Join(dir, "c"), Key: filepath.Join(dir, "k")}
	if _, err := f.Config(); err == nil || !strings.Contains(err.Error(), "cert_file=") {
		t.Errorf("without the files: %v", err)
	}
	a.Issue("one", f.Cert, f.Key, time.Now().Add(time.Hour))
	c, err := f.Config()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one", "two"} {
		a.Issue(name, f.Cert, f.Key, time.Now().Add(time.Hour))
		shown, err := c.GetClientCertificate(nil)
		if err != nil || shown.Leaf.Subject.CommonName != name {
			t.Errorf("the certificate of %v, %v; want that of %s", shown, err, name)
		}
	}
	a.Issue("three", f.Cert, f.Cert, time.Now().Add(time.Hour)) // the key in the place of it
	if _, err := c.GetClientCertificate(nil); err == nil {
		t.Error("a spoiled certificate is shown")
	}
	if (trust.Files{}).Given() || !f.Given() || f.Check() != nil ||
		(trust.Files{Cert: "c"}).Check() == nil || (trust.Files{Key: "k"}).Check() == nil {
		t.Error("what is given, and what lacks beside it, is mistaken")
	}
}
