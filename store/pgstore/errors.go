package pgstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/freshet-go/freshet/store"
)

const pkg = "pgstore"

// fail makes the driver's error of pgx's. A call that failed while its context was done failed because of that.
func (b *Backend) fail(ctx context.Context, op, key string, err error) error {
	if ended := ctx.Err(); ended != nil {
		why := fmt.Errorf("no answer before the context was done: %w", ended)
		if cause := context.Cause(ctx); cause != ended {
			why = fmt.Errorf("no answer before the context was done: %w: %w", ended, cause)
		}
		return &store.Error{Backend: pkg, Op: op, Key: key, Kind: store.Timeout, Err: why}
	}
	kind := kindOf(err)
	return &store.Error{Backend: pkg, Op: op, Key: key, Kind: kind, Err: &oneLine{b.advice(err), err}}
}

// refuse makes the error of a call that fails before the server is asked.
func refuse(op, key, format string, args ...any) error {
	return &store.Error{Backend: pkg, Op: op, Key: key, Kind: store.Permanent, Err: fmt.Errorf(format, args...)}
}

// unfitError says that the server, or what is on it, cannot be used as it is. It is permanent.
type unfitError struct{ text string }

func (e *unfitError) Error() string { return e.text }

func unfit(format string, args ...any) error { return &unfitError{fmt.Sprintf(format, args...)} }

// kindOf classifies an error by what the server calls it, and by the standard library's errors otherwise.
func kindOf(err error) store.ErrorKind {
	var pg *pgconn.PgError
	var full *fullError
	var wrong *unfitError
	var dial *pgconn.ConnectError
	var network net.Error
	switch {
	case errors.As(err, &pg):
		return kindOfState(pg.Code)
	case errors.As(err, &full):
		return store.Transient
	case errors.Is(err, errClosed), errors.As(err, &wrong):
		return store.Permanent
	case errors.Is(err, pgconn.ErrConnClosed):
		return store.Transient
	}
	kind := store.KindOfCause(err)
	if kind == store.Unknown && errors.As(err, &dial) && errors.As(err, &network) {
		return store.Transient
	}
	return kind
}

// kindOfState classifies a SQLSTATE (appendix A of PostgreSQL's manual).
func kindOfState(state string) store.ErrorKind {
	switch state {
	case "42501": // insufficient_privilege
		return store.Authentication
	case "57014": // query_canceled: the server's own statement_timeout
		return store.Timeout
	case "55P03": // lock_not_available: lock_timeout
		return store.Timeout
	}
	if len(state) < 2 {
		return store.Unknown
	}
	switch state[:2] {
	case "28": // invalid authorization
		return store.Authentication
	case "08", // connection exceptions
		"0A", // what a standby cannot do, and plans that changed: our statements themselves are all supported
		"25", // read-only; a transaction that was ended
		"40", // deadlock, serialization
		"53", // disk full, out of memory, too many connections
		"55", // not in the state needed
		"57", // shut down, starting up
		"58": // the system's errors
		return store.Transient
	case "22", "23", "3D", "3F", "42", "54":
		return store.Permanent
	}
	return store.Unknown
}

// advice is what the reader can do about an error, if that is known.
func (b *Backend) advice(err error) string {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return ""
	}
	switch pg.Code {
	case "42P01", "42703": // undefined_table, undefined_column
		return "; " + b.migrateHint()
	case "42501":
		return fmt.Sprintf("; the role needs SELECT, INSERT, UPDATE and DELETE on %s, %s_journal and %s_journal_head, and USAGE of their schema; to create them, CREATE on it",
			b.config.Table, b.config.Table, b.config.Table)
	}
	return ""
}

func (b *Backend) migrateHint() string {
	return "create what is missing: freshet migrate --store URL"
}

// oneLine is an error whose text is a single line, with advice at its end.
type oneLine struct {
	advice string
	err    error
}

var lines = strings.NewReplacer("\n\t", " ", "\n", " ", "\r", " ")

func (e *oneLine) Error() string { return lines.Replace(e.err.Error()) + e.advice }
func (e *oneLine) Unwrap() error { return e.err }

// checkKey refuses what store.BackendKey never makes.
func checkKey(op, key string) error {
	if len(key) == 0 || len(key) > maxKey {
		return refuse(op, key, "a key of %d bytes; 1 to %d are allowed", len(key), maxKey)
	}
	if !keyBytes(key) {
		return refuse(op, "", "a key with characters other than letters, digits and _ . : -")
	}
	return nil
}

const maxKey = 200

func keyBytes(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '.' || c == ':' || c == '-') {
			return false
		}
	}
	return true
}
