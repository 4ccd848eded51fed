// Package trust reads the certificates of drivers that speak TLS.
package trust

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// Files are files of PEM.
type Files struct {
	// CA has the certificates to trust. Default: the system's.
	CA string
	// Cert has the client's own certificate, with those that lead to its authority, and Key its
	// private key. Both are given or none. Default: none is shown to servers.
	Cert, Key string
}

// Given reports whether there is any.
func (f Files) Given() bool { return f != Files{} }

// Check returns an error where one file is missing beside another.
func (f Files) Check() error {
	switch {
	case f.Cert != "" && f.Key == "":
		return errors.New("cert_file without key_file, the file of its private key")
	case f.Cert == "" && f.Key != "":
		return errors.New("key_file without cert_file, the file of its certificate")
	}
	return nil
}

// Config returns the settings of a client, from TLS 1.2 on, or an error that names the file. CA is
// read at once and once. Cert and Key are read at once, to tell what is wrong with them, and again
// for each connection: one that is renewed on the disk is used for the next.
func (f Files) Config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.CA != "" {
		pem, err := os.ReadFile(f.CA)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file=%.100q holds no certificate in PEM", f.CA)
		}
	}
	if f.Cert != "" {
		if _, err := f.pair(); err != nil {
			return nil, err
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return f.pair()
		}
	}
	return c, nil
}

func (f Files) pair() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, fmt.Errorf("cert_file=%.100q and key_file=%.100q: %w", f.Cert, f.Key, err)
	}
	return &pair, nil
}
