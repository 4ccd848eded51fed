package testserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// An Authority issues certificates, of servers and of clients, for one test.
type Authority struct {
	CAFile string // its own certificate, in PEM

	tb     testing.TB
	issuer *x509.Certificate
	key    *ecdsa.PrivateKey
	serial int64
}

// NewAuthority returns an authority that nobody trusts yet.
func NewAuthority(tb testing.TB) *Authority {
	tb.Helper()
	a := &Authority{tb: tb, CAFile: filepath.Join(tb.TempDir(), "ca.pem")}
	a.issuer = &x509.Certificate{
		Subject: pkix.Name{CommonName: "an authority of tests"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.issue(a.issuer, a.CAFile, filepath.Join(filepath.Dir(a.CAFile), "ca-key.pem"),
		time.Now().Add(time.Hour))
	return a
}

// Issue writes a certificate for 127.0.0.1 and cache.example, of the user name, which ends at a
// time, and its key, to two files, which it replaces.
func (a *Authority) Issue(name, cert, key string, ends time.Time) {
	a.tb.Helper()
	a.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{"cache.example"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
	}, cert, key, ends)
}

// Own gives a file to the user that the server runs as.
func (s *Server) Own(file string) {
	if err := s.kind.user.own(file); err != nil {
		s.fail("give a file to", err)
	}
}

func (a *Authority) issue(c *x509.Certificate, cert, key string, ends time.Time) {
	a.tb.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.tb.Fatal(err)
	}
	if a.key == nil {
		a.key = private
	}
	a.serial++
	c.SerialNumber = big.NewInt(a.serial)
	c.NotBefore, c.NotAfter = ends.Add(-2*time.Hour), ends
	signed, err := x509.CreateCertificate(rand.Reader, c, a.issuer, &private.PublicKey, a.key)
	if err != nil {
		a.tb.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		a.tb.Fatal(err)
	}
	a.write(cert, "CERTIFICATE", signed)
	a.write(key, "EC PRIVATE KEY", der)
}

func (a *Authority) write(file, kind string, bytes []byte) {
	a.tb.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		a.tb.Fatal(err)
	}
}
