package statsd

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	// maxPacket is what a packet of Ethernet's 1,500 bytes holds besides the headers of IPv6 and
	// UDP and twenty bytes of a tunnel's: it travels whole.
	maxPacket = 1432

	dialTimeout  = 5 * time.Second
	writeTimeout = time.Second
	wellAfter    = time.Minute // without a fault
)

// sender puts metrics into packets and sends them. All but its counts belongs to one goroutine.
type sender struct {
	to     target
	prefix string // with its dot
	retry  time.Duration
	log    *slog.Logger
	dial   func(ctx context.Context, network, address string) (net.Conn, error)

	packet  []byte
	metrics uint64 // in packet
	conn    net.Conn
	dialed  time.Time // when it was tried last
	sick    bool
	fault   time.Time // the last

	sent, dropped atomic.Uint64
}

func newSender(to target, o *Options) *sender {
	return &sender{to: to, prefix: o.Prefix + ".", retry: o.Interval, log: o.Log, dial: o.dial,
		packet: make([]byte, 0, maxPacket)}
}

func (s *sender) empty() bool { return len(s.packet) == 0 }

// tag tells metrics of one name apart.
type tag struct{ name, value string }

// metric is what is sent.
type metric struct {
	name  string
	value float64
	kind  string // of statsd: ms, c, g
	tags  []tag
}

// add puts a metric into the packet, and sends the packet first if there is no room.
func (s *sender) add(ctx context.Context, m metric) {
	var room [256]byte
	line := s.line(room[:0], m)
	if len(line) > maxPacket {
		s.dropped.Add(1)
		return
	}
	if len(s.packet)+1+len(line) > maxPacket {
		s.flush(ctx)
	}
	if !s.empty() {
		s.packet = append(s.packet, '\n')
	}
	s.packet = append(s.packet, line...)
	s.metrics++
}

// line appends a metric as statsd reads it: NAME:VALUE|KIND, and |#TAG:VALUE,TAG:VALUE.
func (s *sender) line(b []byte, m metric) []byte {
	b = append(b, s.prefix...)
	b = append(b, m.name...)
	b = append(b, ':')
	b = strconv.AppendFloat(b, m.value, 'f', -1, 64)
	b = append(b, '|')
	b = append(b, m.kind...)
	before := "|#"
	for _, t := range m.tags {
		b = append(b, before...)
		b = append(b, t.name...)
		b = append(b, ':')
		b = append(b, t.value...)
		before = ","
	}
	return b
}

// flush sends the packet.
func (s *sender) flush(ctx context.Context) {
	if s.empty() {
		return
	}
	if err := s.write(ctx); err != nil {
		s.dropped.Add(s.metrics)
		s.failed(err)
	} else {
		s.sent.Add(s.metrics)
		s.well()
	}
	s.packet, s.metrics = s.packet[:0], 0
}

// write sends the packet, by a new connection if it is time for one: the server's name may be
// another machine's by now.
func (s *sender) write(ctx context.Context) error {
	if err := s.connect(ctx); err != nil {
		return err
	}
	deadline := time.Now().Add(writeTimeout)
	if end, ok := ctx.Deadline(); ok && end.Before(deadline) {
		deadline = end
	}
	s.conn.SetWriteDeadline(deadline)
	_, err := s.conn.Write(s.packet)
	if err != nil && time.Since(s.dialed) >= s.retry {
		s.close()
	}
	return err
}

// connect looks the server up, unless that was tried lately.
func (s *sender) connect(ctx context.Context) error {
	if s.conn != nil {
		return nil
	}
	now := time.Now()
	if !s.dialed.IsZero() && now.Sub(s.dialed) < s.retry {
		return errNotYet
	}
	s.dialed = now
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := s.dial(ctx, s.to.network, s.to.address)
	if err != nil {
		return err
	}
	s.conn = conn
	return nil
}

func (s *sender) close() {
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}

// failed logs the first fault of an outage. A server that is gone makes every second packet fail.
func (s *sender) failed(err error) {
	s.fault = time.Now()
	if !s.sick {
		s.sick = true
		s.log.Warn("statsd: metrics are dropped until the server takes them, and the log hears "+
			"no more of it", "server", s.to.address, "error", err)
	}
}

// well logs the end of an outage.
func (s *sender) well() {
	if s.sick && time.Since(s.fault) > max(wellAfter, 3*s.retry) {
		s.sick = false
		s.log.Info("statsd: the server takes metrics again", "server", s.to.address)
	}
}

// errNotYet is why a packet is dropped while the server's name is not looked up again.
var errNotYet = errors.New("the server could not be reached a moment ago")
