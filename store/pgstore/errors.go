package pgstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/fault"
)

const driver = fault.Driver("pgstore")

// fail returns the driver's error of pgx's. A call that failed while its context was done failed
// because of that.
func (b *Backend) fail(ctx context.Context, op, key string, err error) error {
	if ended := fault.Ended(ctx, err); ended != nil {
		return driver.Fail(op, key, store.KindTimeout,
			fmt.Errorf("no answer before the context was done: %w", ended))
	}
	return driver.Fail(op, key, kindOf(err), fault.As(lines.Replace(err.Error())+b.advice(err),
		err))
}

// lines makes a text a single line.
var lines = strings.NewReplacer("\n\t", " ", "\n", " ", "\r", " ")

// unfitError says that the server, or what is on it, cannot be used as it is. It is permanent.
type unfitError struct{ text string }

func (e *unfitError) Error() string { return e.text }

func unfit(format string, args ...any) error { return &unfitError{fmt.Sprintf(format, args...)} }

// kindOf classifies an error by what the server calls it, and by the standard library's errors
// otherwise.
func kindOf(err error) store.ErrorKind {
	var pg *pgconn.PgError
	var full *fullError
	var wrong *unfitError
	var dial *pgconn.ConnectError
	var network net.Error
	var untrusted *tls.CertificateVerificationError
	var rights *rightsError
	switch {
	case errors.As(err, &pg):
		return kindOfState(pg.Code)
	case errors.As(err, &rights):
		return store.KindAuthentication
	case errors.As(err, &full), errors.As(err, &untrusted):
		return store.KindTransient
	case errors.Is(err, fault.ErrClosed), errors.As(err, &wrong):
		return store.KindPermanent
	case errors.Is(err, pgconn.ErrConnClosed):
		return store.KindTransient
	}
	kind := store.KindOf(err)
	if kind == store.KindUnknown && errors.As(err, &dial) && errors.As(err, &network) {
		return store.KindTransient
	}
	return kind
}

// kindOfState classifies a SQLSTATE (appendix A of PostgreSQL's manual).
func kindOfState(state string) store.ErrorKind {
	switch state {
	case "42501": // insufficient_privilege
		return store.KindAuthentication
	case "57014": // query_canceled: the server's own statement_timeout
		return store.KindTimeout
	case "55P03": // lock_not_available: lock_timeout
		return store.KindTimeout
	}
	if len(state) < 2 {
		return store.KindUnknown
	}
	switch state[:2] {
	case "28": // invalid authorization
		return store.KindAuthentication
	case "08", // connection exceptions
		// what a standby cannot do, and plans that changed: our statements themselves are all
		// supported
		"0A",
		"25", // read-only; a transaction that was ended
		"40", // deadlock, serialization
		"53", // disk full, out of memory, too many connections
		"55", // not in the state needed
		"57", // shut down, starting up
		"58": // the system's errors
		return store.KindTransient
	case "22", "23", "3D", "3F", "42", "54":
		return store.KindPermanent
	}
	return store.KindUnknown
}

// advice returns what the reader can do about an error, if that is known, for the end of its text.
func (b *Backend) advice(err error) string {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return ""
	}
	switch pg.Code {
	case "42P01", "42703": // undefined_table, undefined_column
		return "; " + b.migrateHint()
	case "42501":
		return "; " + b.rightsHint()
	}
	return ""
}

func (b *Backend) migrateHint() string {
	return "create what is missing: freshet migrate --store URL"
}

func (b *Backend) rightsHint() string {
	return fmt.Sprintf("the role needs SELECT, INSERT, UPDATE and DELETE on %s, and USAGE of their "+
		"schema; to create them, CREATE on it", strings.Join(tablesOf(b.config.Table), ", "))
}

// rightsError says what a role may not do.
type rightsError struct{ text string }

func (e *rightsError) Error() string { return e.text }
