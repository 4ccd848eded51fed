package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestErrorText(t *testing.T) {
	cause := errors.New("connection refused")
	for want, e := range map[string]Error{
		"redisstore: get blog:0123456789a…: transient error: connection refused": {Backend: "redisstore", Op: "get", Key: "blog:0123456789abcdef", Kind: KindTransient, Err: cause},
		"redisstore: get blog:0123456789a: timeout error: connection refused":    {Backend: "redisstore", Op: "get", Key: "blog:0123456789a", Kind: KindTimeout, Err: cause},
		"pgstore: health: unknown error":                                         {Backend: "pgstore", Op: "health"},
		"filestore: set ~lock~x: permanent error":                                {Backend: "filestore", Op: "set", Key: "~lock~x", Kind: KindPermanent},
		`filestore: set "a\nINFO all is we"…: authentication error`:              {Backend: "filestore", Op: "set", Key: "a\nINFO all is well, do not look", Kind: KindAuthentication},
		`filestore: set "\xff\x00é": unknown error`:                              {Backend: "filestore", Op: "set", Key: "\xff\x00é", Kind: 99},
		`filestore: set "a b": unknown error`:                                    {Backend: "filestore", Op: "set", Key: "a b"},
	} {
		if got := e.Error(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	e := &Error{Backend: "b", Op: "set", Key: strings.Repeat("k", 200), Err: cause}
	if !errors.Is(e, cause) || strings.Count(e.Error(), "k") > keyShown+1 {
		t.Errorf("%v", e)
	}
}

func TestKinds(t *testing.T) {
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for _, tt := range []struct {
		err  error
		want ErrorKind
	}{
		{nil, KindUnknown},
		{ErrNotFound, KindUnknown},
		{errors.New("something"), KindUnknown},
		{context.DeadlineExceeded, KindTimeout},
		{context.Canceled, KindTimeout},
		{fmt.Errorf("get: %w", context.Canceled), KindTimeout},
		{os.ErrDeadlineExceeded, KindTimeout},
		{dial(os.ErrDeadlineExceeded), KindTimeout},
		{&net.DNSError{IsTimeout: true}, KindTimeout},
		{dial(os.NewSyscallError("connect", syscall.ETIMEDOUT)), KindTimeout},
		{dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)), KindTransient},
		{dial(os.NewSyscallError("connect", syscall.EHOSTUNREACH)), KindTransient},
		{&net.DNSError{IsNotFound: true}, KindTransient},
		{syscall.ECONNRESET, KindTransient},
		{syscall.EPIPE, KindTransient},
		{&os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, KindTransient},
		{io.EOF, KindTransient},
		{fmt.Errorf("read: %w", io.ErrUnexpectedEOF), KindTransient},
		{net.ErrClosed, KindTransient},
		{errors.ErrUnsupported, KindPermanent},
		{fmt.Errorf("set: %w", ErrTooLarge), KindPermanent},
		// the driver knows better
		{&Error{Kind: KindAuthentication, Err: io.EOF}, KindAuthentication},
		{fmt.Errorf("wrapped: %w", &Error{Kind: KindPermanent, Err: context.Canceled}),
			KindPermanent},
		{errors.Join(errors.New("x"), &Error{Kind: KindTimeout}), KindTimeout},
	} {
		if got := KindOf(tt.err); got != tt.want {
			t.Errorf("KindOf(%v) = %v, want %v", tt.err, got, tt.want)
		}
	}
}

func TestWhichKindsTellOfASickServer(t *testing.T) {
	for kind, want := range map[ErrorKind]bool{KindUnknown: true, KindTransient: true,
		KindTimeout: true, KindPermanent: false, KindAuthentication: false} {
		if kind.Sick() != want {
			t.Errorf("%v.Sick() = %t", kind, !want)
		}
	}
}

func TestCheckKey(t *testing.T) {
	for key, want := range map[string]string{
		"a": "", "AZaz09_.:-": "", strings.Repeat("k", 200): "",
		"": "0 bytes", strings.Repeat("k", 201): "201 bytes",
		"a b": "' '", "a\n": `'\n'`, "\x00": `'\x00'`, "a/b": "'/'", "~lock~": "'~'", "é": "'Ã'",
		"\xff": "'ÿ'",
	} {
		err := CheckKey(key)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), "kk")) {
			t.Errorf("CheckKey(%.10q) = %v, want %q", key, err, want)
		}
	}
	for c := range 256 {
		want := strings.ContainsRune(
			"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:-", rune(c))
		if got := CheckKey(string([]byte{byte(c)})) == nil; got != want {
			t.Errorf("byte %d: allowed %t", c, got)
		}
	}
}
