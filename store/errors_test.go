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
		"redisstore: get blog:0123456789a…: transient error: connection refused": {Backend: "redisstore", Op: "get", Key: "blog:0123456789abcdef", Kind: Transient, Err: cause},
		"redisstore: get blog:0123456789a: timeout error: connection refused":    {Backend: "redisstore", Op: "get", Key: "blog:0123456789a", Kind: Timeout, Err: cause},
		"pgstore: health: unknown error":                                         {Backend: "pgstore", Op: "health"},
		"filestore: set ~lock~x: permanent error":                                {Backend: "filestore", Op: "set", Key: "~lock~x", Kind: Permanent},
		`filestore: set "a\nINFO all is we"…: authentication error`:              {Backend: "filestore", Op: "set", Key: "a\nINFO all is well, do not look", Kind: Authentication},
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
		{nil, Unknown},
		{ErrNotFound, Unknown},
		{errors.New("something"), Unknown},
		{context.DeadlineExceeded, Timeout},
		{context.Canceled, Timeout},
		{fmt.Errorf("get: %w", context.Canceled), Timeout},
		{os.ErrDeadlineExceeded, Timeout},
		{dial(os.ErrDeadlineExceeded), Timeout},
		{&net.DNSError{IsTimeout: true}, Timeout},
		{dial(os.NewSyscallError("connect", syscall.ETIMEDOUT)), Timeout},
		{dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)), Transient},
		{dial(os.NewSyscallError("connect", syscall.EHOSTUNREACH)), Transient},
		{&net.DNSError{IsNotFound: true}, Transient},
		{syscall.ECONNRESET, Transient},
		{syscall.EPIPE, Transient},
		{&os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, Transient},
		{io.EOF, Transient},
		{fmt.Errorf("read: %w", io.ErrUnexpectedEOF), Transient},
		{net.ErrClosed, Transient},
		{ErrUnsupported, Permanent},
		{fmt.Errorf("set: %w", ErrTooLarge), Permanent},
		{&Error{Kind: Authentication, Err: io.EOF}, Authentication}, // the driver knows better
		{fmt.Errorf("wrapped: %w", &Error{Kind: Permanent, Err: context.Canceled}), Permanent},
		{errors.Join(errors.New("x"), &Error{Kind: Timeout}), Timeout},
	} {
		if got := KindOf(tt.err); got != tt.want {
			t.Errorf("KindOf(%v) = %v, want %v", tt.err, got, tt.want)
		}
	}
}

func TestWhichKindsTellOfASickServer(t *testing.T) {
	for kind, want := range map[ErrorKind]bool{Unknown: true, Transient: true, Timeout: true, Permanent: false, Authentication: false} {
		if kind.Sick() != want {
			t.Errorf("%v.Sick() = %t", kind, !want)
		}
	}
}

func TestCheckKey(t *testing.T) {
	for key, want := range map[string]string{
		"a": "", "AZaz09_.:-": "", strings.Repeat("k", 200): "",
		"": "0 bytes", strings.Repeat("k", 201): "201 bytes",
		"a b": "' '", "a\n": `'\n'`, "\x00": `'\x00'`, "a/b": "'/'", "~lock~": "'~'", "é": "'Ã'", "\xff": "'ÿ'",
	} {
		err := CheckKey(key)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "kk")) {
			t.Errorf("CheckKey(%.10q) = %v, want %q", key, err, want)
		}
	}
	for c := range 256 {
		want := strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:-", rune(c))
		if got := CheckKey(string([]byte{byte(c)})) == nil; got != want {
			t.Errorf("byte %d: allowed %t", c, got)
		}
	}
}
