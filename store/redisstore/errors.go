package redisstore

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/fault"
)

const driver = fault.Driver("redisstore")

// fail returns the driver's error of go-redis's.
func fail(ctx context.Context, op, key string, err error) error {
	if ended := fault.Ended(ctx, err); ended != nil {
		return driver.Fail(op, key, store.KindTimeout, fault.As(ended.Error(), errors.Join(ended,
			err)))
	}
	return driver.Fail(op, key, kindOf(err), fault.As(text(err, key), err))
}

// kindOf classifies an error by the first word of the server's answer, which is the protocol's
// code. An answer without a code of its own ("ERR") is about the call.
func kindOf(err error) store.ErrorKind {
	var reply redis.Error
	if _, ok := errors.AsType[*lackingRights](err); ok {
		return store.KindAuthentication
	}
	if !errors.As(err, &reply) {
		return kindWithoutReply(err)
	}
	said := reply.Error()
	code, _, _ := strings.Cut(said, " ")
	switch strings.ToUpper(strings.TrimPrefix(code, "-")) {
	case "NOAUTH", "WRONGPASS", "NOPERM", "DENIED":
		return store.KindAuthentication
	case "LOADING", "READONLY", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "OOM", "BUSY", "MISCONF",
		"NOREPLICAS",
		"MOVED", "ASK", "UNBLOCKED", "EXECABORT", "NOGOODSLAVE", "NOMASTERLINK":
		return store.KindTransient
	}
	switch {
	case strings.Contains(said, "max number of clients"):
		return store.KindTransient
	case strings.Contains(said, "AUTH"), strings.Contains(said, "invalid password"),
		strings.Contains(said, "The user executing the script can't"):
		return store.KindAuthentication
	case scriptCode(said, "OOM "), scriptCode(said, "READONLY "), scriptCode(said, "MISCONF "):
		return store.KindTransient // how servers before Redis 7 report what a script ran into
	}
	return store.KindPermanent
}

func scriptCode(said, code string) bool {
	return strings.HasPrefix(said, "ERR Error running script") && strings.Contains(said, "-"+code)
}

func kindWithoutReply(err error) store.ErrorKind {
	switch {
	case errors.Is(err, redis.ErrPoolTimeout):
		return store.KindTimeout
	case errors.Is(err, redis.ErrPoolExhausted):
		return store.KindTransient
	case errors.Is(err, redis.ErrClosed):
		return store.KindPermanent
	}
	if untrusted(err) {
		return store.KindTransient // the server can show another one
	}
	return store.KindOf(err)
}

// untrusted reports whether err is about the server's certificate. The client takes off the error
// of package tls around it.
func untrusted(err error) bool {
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	return errors.As(err, &authority) || errors.As(err, &invalid) || errors.As(err, &name)
}

// text returns what may be shown of an error: servers quote the arguments of commands that they do
// not know, and go-redis quotes answers that it cannot read, which may be values and keys.
func text(err error, key string) string {
	var reply redis.Error
	var network net.Error
	said := err.Error()
	var rights *lackingRights
	switch {
	case errors.As(err, &rights):
	case errors.As(err, &reply):
		said, _, _ = strings.Cut(said, ", with args")
		said = shorten(said)
	case errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, net.ErrClosed),
		errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted),
		errors.Is(err, redis.ErrClosed),
		kindWithoutReply(err) != store.KindUnknown:
	case strings.HasPrefix(said, "redis: all sentinels"), strings.HasPrefix(said,
		"redis: cannot load cluster"), strings.HasPrefix(said, "redis: cluster has no nodes"):
	case strings.Contains(said, "tls: "), strings.Contains(said, "x509: "):
	default:
		return "the server's answer is not what Redis's protocol allows"
	}
	if key != "" {
		said = strings.ReplaceAll(said, key, "(the key)")
	}
	return said
}

const mostShown = 300

func shorten(said string) string {
	if len(said) > mostShown {
		return said[:mostShown] + "…"
	}
	return said
}
