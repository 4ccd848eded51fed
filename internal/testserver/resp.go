package testserver

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// redisError is what a Redis server answers instead of a reply.
type redisError string

func (e redisError) Error() string { return string(e) }

// redisDo sends one command on a connection of its own. The reply is a string, an int64, nil or an
// []any of those.
func redisDo(ctx context.Context, addr string, words ...string) (any, error) {
	conn, err := dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	var request strings.Builder
	fmt.Fprintf(&request, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(&request, "$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := io.WriteString(conn, request.String()); err != nil {
		return nil, err
	}
	return readReply(bufio.NewReader(conn))
}

// dial connects, for the few seconds that a question may take.
func dial(ctx context.Context, addr string) (net.Conn, error) {
	end := time.Now().Add(5 * time.Second)
	if given, ok := ctx.Deadline(); ok && given.Before(end) {
		end = given
	}
	dialer := net.Dialer{Deadline: end}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(end)
}

func readReply(r *bufio.Reader) (any, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	line = strings.TrimSuffix(line, "\r\n")
	if line == "" {
		return nil, fmt.Errorf("redis: an empty reply")
	}
	kind, rest := line[0], line[1:]
	if kind == '+' {
		return rest, nil
	}
	if kind == '-' {
		return nil, redisError(rest)
	}
	n, err := strconv.ParseInt(rest, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("redis: the reply %.40q: %w", line, err)
	}
	switch {
	case kind == ':':
		return n, nil
	case n < 0:
		return nil, nil
	case kind == '$':
		text := make([]byte, n+2)
		_, err := io.ReadFull(r, text)
		return string(text[:n]), err
	case kind == '*':
		list := make([]any, n)
		for i := range list {
			if list[i], err = readReply(r); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	return nil, fmt.Errorf("redis: the reply %.40q", line)
}

// says asks for a list of names and values, as lines or as an array, and tells what is not as
// wanted.
func says(ctx context.Context, s *Server, want map[string]string, words ...string) error {
	reply, err := redisDo(ctx, s.Addr, words...)
	if err != nil {
		return err
	}
	got := make(map[string]string)
	switch reply := reply.(type) {
	case string:
		for line := range strings.Lines(reply) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			got[name] = value
		}
	case []any:
		for i := 0; i+1 < len(reply); i += 2 {
			got[fmt.Sprint(reply[i])] = fmt.Sprint(reply[i+1])
		}
	}
	for name, value := range want {
		if got[name] != value {
			return fmt.Errorf("%s answers %s with %s %q, not %q", s.Addr, strings.Join(words, " "),
				name, got[name], value)
		}
	}
	return nil
}
