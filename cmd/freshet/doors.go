package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"

	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/middleware/front"
)

// doors are what a proxy opens before it serves: where clients come in, and where its access log
// goes.
type doors struct {
	plain, secure net.Listener // nil: none
	admin         net.Listener // for operators; nil: none
	token         *adminToken  // of admin
	cert          *certificate // of secure
	writes        *writeKeys   // nil: clients show no writes
	file          *logFile     // nil: none
	access        io.Writer    // file or stderr
}

// openDoors opens what the flags name. The error says which of them is wrong; then nothing is open.
func openDoors(f *proxyFlags, stderr io.Writer, log *slog.Logger) (*doors, error) {
	d := &doors{access: stderr}
	if err := d.open(f, log); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *doors) open(f *proxyFlags, log *slog.Logger) (err error) {
	if d.plain, err = listen("listen", f.listen); err != nil {
		return err
	}
	if d.secure, err = listen("listen-tls", f.tls.listen); err != nil {
		return err
	}
	if d.admin, err = listen("door", f.door.address); err != nil {
		return err
	}
	if d.admin != nil {
		d.token = newAdminToken(&f.door, log)
	}
	if f.writes.file != "" {
		d.writes = newWriteKeys(&f.writes, log)
	}
	if d.secure != nil {
		if d.cert, err = loadCertificate(f.tls.cert, f.tls.key, log); err != nil {
			return err
		}
	}
	if f.log.wanted() && f.log.file != "" {
		if d.file, err = openLogFile(f.log.file, log); err != nil {
			return fmt.Errorf("--log-file %q: %w", f.log.file, err)
		}
		d.access = d.file
	}
	return nil
}

// listen listens at an address; at "" it does nothing.
func listen(flag, address string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, cannotListen(flag, address, err)
	}
	return l, nil
}

// String returns the URLs that are served.
func (d *doors) String() string {
	var urls []string
	if d.plain != nil {
		urls = append(urls, "http://"+d.plain.Addr().String())
	}
	if d.secure != nil {
		urls = append(urls, "https://"+d.secure.Addr().String())
	}
	return strings.Join(urls, " and ")
}

// serve begins to serve; what ends that goes to failed. answers answers hits in front of the server;
// nil: nothing does.
func (d *doors) serve(
	server *http.Server, answers *front.Front, cache *middleware.Cache, failed chan<- error,
) {
	serve, serveTLS := server.Serve, func(l net.Listener) error { return server.ServeTLS(l, "", "") }
	if answers != nil {
		serve = func(l net.Listener) error { return answers.Serve(server, l, cache) }
		serveTLS = func(l net.Listener) error { return answers.ServeTLS(server, l, cache, "", "") }
	}
	if d.secure != nil {
		server.TLSConfig = d.cert.config()
		go func() { failed <- serveTLS(d.secure) }()
	}
	if d.plain != nil {
		go func() { failed <- serve(d.plain) }()
	}
}

// hangup reads and opens anew what may have changed.
func (d *doors) hangup() {
	if d.cert != nil {
		d.cert.reread()
	}
	if d.token != nil {
		d.token.reread()
	}
	if d.writes != nil {
		d.writes.reread()
	}
	if d.file != nil {
		d.file.reopen()
	}
}

func (d *doors) close() {
	for _, l := range []net.Listener{d.plain, d.secure, d.admin} {
		if l != nil {
			l.Close()
		}
	}
	if d.file != nil {
		d.file.close()
	}
}
