package httpclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/fault"
)

// answerError is an error that was made here, so that all of its text may be shown.
type answerError struct {
	kind store.ErrorKind
	error
}

func (e *answerError) Unwrap() error { return e.error }

// Refusal is the error of a call that would fail each time. All of its text may be shown.
func Refusal(text string) error { return &answerError{store.KindPermanent, errors.New(text)} }

// Odd is the error of an answer that this server, when it is well, would not give. All of its text
// may be shown.
func Odd(text string) error { return &answerError{store.KindTransient, errors.New(text)} }

func tooLong(most int64) error {
	return &answerError{store.KindPermanent, fmt.Errorf("%w: the answer has more than %d bytes; "+
		"max_item_size allows no more", store.ErrTooLarge, most)}
}

// oddlyLong is tooLong for what is no value.
func oddlyLong(most int64) error {
	return Odd(fmt.Sprintf("the answer has more than %d bytes", most))
}

// Fail returns the error of a call that ended with err at the server.
func (c *Client) Fail(ctx context.Context, op, key string, err error) error {
	if fault.Made(err) {
		return err
	}
	kind, cause := c.judge(ctx, err)
	return c.config.Driver.Fail(op, key, kind, fmt.Errorf("server %s: %w", c.config.Host, cause))
}

// judge returns the kind of an error, and what of it may be shown: the text of others may hold a
// part of an answer.
func (c *Client) judge(ctx context.Context, err error) (store.ErrorKind, error) {
	if errors.Is(err, fault.ErrClosed) || c.done.Err() != nil {
		return store.KindPermanent, fault.ErrClosed
	}
	if ended := fault.Ended(ctx, err); ended != nil {
		return store.KindTimeout, ended
	}
	if made, ok := errors.AsType[*answerError](err); ok {
		return made.kind, made
	}
	if refused, ok := errors.AsType[*addressError](err); ok {
		return store.KindPermanent, refused
	}
	if untrusted, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return store.KindTransient, untrusted
	}
	if errors.Is(err, http.ErrSchemeMismatch) {
		return store.KindPermanent, errors.New("it speaks HTTP without TLS; " + c.config.Plain)
	}
	switch kind := store.KindOf(err); {
	case kind == store.KindTimeout && isDial(err):
		return kind, fmt.Errorf("no connection within %v: %w", c.config.DialTimeout, err)
	case kind == store.KindTimeout:
		return kind, fmt.Errorf("no answer within %v: %w", c.config.Timeout, err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return store.KindTransient, fault.As("the answer was cut short", err)
	case kind != store.KindUnknown:
		return kind, err
	}
	return store.KindTransient, errors.New("the answer is not what an HTTP server would say")
}

// isDial reports whether an error is about the making of a connection.
func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// Unexpected returns the error of an answer by its status.
func Unexpected(a Answer) error {
	said := fmt.Sprintf("status %d", a.Status)
	if text := http.StatusText(a.Status); text != "" {
		said += " " + text
	}
	kind := store.KindPermanent
	switch a.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		kind = store.KindAuthentication
		said += ": the credentials are missing or wrong, or do not allow this"
	case http.StatusRequestEntityTooLarge, http.StatusInsufficientStorage:
		return &answerError{kind, fmt.Errorf("%w: the server takes no more: %s", store.ErrTooLarge,
			said)}
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		kind = store.KindTransient
	case http.StatusNotFound, http.StatusConflict, http.StatusMethodNotAllowed:
		said += ": is this a server that stores values, and the URL the right one?"
	default:
		if a.Status >= 500 && a.Status != http.StatusNotImplemented {
			kind = store.KindTransient
		}
	}
	if kind == store.KindTransient {
		said += retryAfter(a.Header.Get("Retry-After"), time.Now())
	}
	return &answerError{kind, errors.New(said)}
}

// retryAfter notes when the server wants to be asked again (RFC 9110 section 10.2.3), if it says
// so.
func retryAfter(field string, now time.Time) string {
	var wait time.Duration
	if seconds, err := strconv.ParseUint(strings.TrimSpace(field), 10, 31); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(field); err == nil {
		wait = max(at.Sub(now).Round(time.Second), 0)
	} else {
		return ""
	}
	return fmt.Sprintf("; it wants to be asked again after %v", wait)
}
