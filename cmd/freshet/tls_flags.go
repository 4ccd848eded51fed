package main

import (
	"errors"
	"flag"

	"github.com/freshet-go/freshet/settings"
)

// tlsGroup are their rows in the table.
var tlsGroup = group{title: "TLS", rows: []settings.Setting{
	{Name: "proxy.listen-tls", Value: "HOST:PORT",
		Meaning: "where to serve by TLS 1.2 or 1.3, with HTTP/1.1 and HTTP/2",
		More:    "--listen is then served only if it is given, too"},
	{Name: "proxy.tls-cert", Value: "FILE", Meaning: "the certificate, with those that it needs " +
		"behind it, as PEM"},
	{Name: "proxy.tls-key", Value: "FILE", Meaning: "its private key, as PEM",
		More: "both files are read anew when they have changed, and on SIGHUP; while they do not " +
			"fit, those that were read before stay in use"},
}}

// tlsFlags say where and how to serve by TLS.
type tlsFlags struct {
	listen    string // "": nowhere
	cert, key string
}

func (f *tlsFlags) define(set *flag.FlagSet) {
	set.Func("listen-tls", "", into(&f.listen, readListen))
	set.StringVar(&f.cert, "tls-cert", "", "")
	set.StringVar(&f.key, "tls-key", "", "")
}

// check returns what is wrong with the flags together, and with their files.
func (f *tlsFlags) check() error {
	switch {
	case f.listen != "" && (f.cert == "" || f.key == ""):
		return errors.New("--listen-tls needs --tls-cert and --tls-key: the files of a " +
			"certificate and its key")
	case f.listen == "" && (f.cert != "" || f.key != ""):
		return errors.New("--tls-cert and --tls-key need --listen-tls: the address to serve by " +
			"TLS, such as :8443")
	case f.listen == "":
		return nil
	}
	_, err := (&certificate{cert: f.cert, key: f.key}).read()
	return err
}
