package proxy

import (
	"crypto/tls"
	"errors"
	"net"
	"time"
)

// health is what is known of an upstream: by its responses, which eject it for a while, and by its
// checks. The zero value is well.
type health struct {
	ejected time.Time // until when; zero: it is not
	lost    int       // responses that did not begin, in a row
	failing bool      // by its checks
	streak  int       // checks in a row that say the contrary of failing
}

// maxLost is how many responses in a row may be missing. A connection that cannot be made ejects at
// once: there is no server. A response that does not begin may be one URL's fault.
const maxLost = 3

// ready reports whether requests may go to the upstream.
func (h *health) ready(now time.Time) bool { return !h.failing && !now.Before(h.ejected) }

// try notes that a request goes to an upstream that is ready. One that was ejected is tried by this
// request alone: until its answer comes, the upstream counts as ejected anew.
func (h *health) try(now time.Time, ejectFor time.Duration) {
	if !h.ejected.IsZero() {
		h.ejected = now.Add(ejectFor)
	}
}

// down reports whether the upstream is out of turn, by either.
func (h *health) down() bool { return h.failing || !h.ejected.IsZero() }

// answered notes a response that began, which ends an ejection. It reports whether the upstream is
// up again.
func (h *health) answered() (back bool) {
	before := h.down()
	h.ejected, h.lost = time.Time{}, 0
	return before != h.down()
}

// lose notes that no response began. It reports whether that takes down an upstream that was up.
func (h *health) lose(unreachable bool, now time.Time, ejectFor time.Duration) (gone bool) {
	before := h.down()
	if h.lost++; unreachable || h.lost >= maxLost {
		h.ejected = now.Add(ejectFor)
	}
	return before != h.down()
}

// checked notes the result of a check. After fall bad ones in a row the upstream fails, and after
// rise good ones it is well, whatever ejected it. It reports whether that takes the upstream down
// or up.
func (h *health) checked(good bool, fall, rise int) (changed bool) {
	if good != h.failing {
		h.streak = 0
		return false
	}
	need := fall
	if good {
		need = rise
	}
	if h.streak++; h.streak < need {
		return false
	}
	before := h.down()
	h.failing, h.streak = !good, 0
	if good {
		h.ejected, h.lost = time.Time{}, 0
	}
	return before != h.down()
}

// unreachable reports whether an error is of making a connection.
func unreachable(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	_, alert := errors.AsType[tls.AlertError](err)
	return alert
}
