package pgstore

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/lifetime"
)

// maxValue is how many bytes a value may have: the server takes not quite four times as many in one
// message.
const maxValue = 256 << 20

// one asks for a single row. It returns pgx.ErrNoRows as it is, and every other error as the
// driver's.
func (b *Backend) one(ctx context.Context, op, key string, to any, sql string, args ...any) error {
	err := b.ask(ctx, true, func(ctx context.Context, conn *pgxpool.Conn) error {
		return conn.QueryRow(ctx, sql, args...).Scan(to)
	})
	if err == nil || err == pgx.ErrNoRows {
		return err
	}
	return b.fail(ctx, op, key, err)
}

// exec changes rows and returns how many.
func (b *Backend) exec(
	ctx context.Context, op, key, sql string, args ...any,
) (rows int64, err error) {
	err = b.ask(ctx, true, func(ctx context.Context, conn *pgxpool.Conn) error {
		tag, err := conn.Exec(ctx, sql, args...)
		rows = tag.RowsAffected()
		return err
	})
	if err != nil {
		return 0, b.fail(ctx, op, key, err)
	}
	return rows, nil
}

// Get implements [store.Backend].
func (b *Backend) Get(ctx context.Context, key string) ([]byte, error) {
	if err := driver.CheckKey("get", key); err != nil {
		return nil, err
	}
	var value []byte
	err := b.ask(ctx, true, func(ctx context.Context, conn *pgxpool.Conn) (err error) {
		value, err = b.get(ctx, conn, key)
		return err
	})
	switch {
	case err == nil:
		return value, nil
	case err == pgx.ErrNoRows:
		return nil, store.ErrNotFound
	}
	return nil, b.fail(ctx, "get", key, err)
}

// get asks for a value by a statement that is prepared once for each connection, below pgx's types
// and rows, which cost as much as the way to a server next door.
func (b *Backend) get(
	ctx context.Context, conn *pgxpool.Conn, key string,
) (value []byte, err error) {
	if b.config.NoStatementCache {
		err = conn.QueryRow(ctx, b.sql.get, key).Scan(&value)
		return value, err
	}
	value, err = b.getPrepared(ctx, conn.Conn(), key)
	if forgotten(err) {
		conn.Conn().Deallocate(ctx, b.sql.get) // if this fails, so does what comes next
		value, err = b.getPrepared(ctx, conn.Conn(), key)
	}
	return value, err
}

func (b *Backend) getPrepared(
	ctx context.Context, conn *pgx.Conn, key string,
) (value []byte, err error) {
	statement, err := conn.Prepare(ctx, b.sql.get, b.sql.get)
	if err != nil {
		return nil, err
	}
	rows := conn.PgConn().ExecStatement(ctx, statement, [][]byte{[]byte(key)}, nil,
		[]int16{pgx.BinaryFormatCode})
	found := rows.NextRow()
	if found {
		value = append(make([]byte, 0, len(rows.Values()[0])), rows.Values()[0]...)
	}
	if _, err := rows.Close(); err != nil {
		return nil, err
	}
	if !found {
		return nil, pgx.ErrNoRows
	}
	return value, nil
}

// forgotten reports whether the server no longer knows, or no longer runs, a statement that was
// prepared: a bouncer has cleaned up, or the table is another.
func forgotten(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == "26000" || e.Code == "0A000")
}

// Exists implements [store.Backend].
func (b *Backend) Exists(ctx context.Context, key string) (bool, error) {
	if err := driver.CheckKey("exists", key); err != nil {
		return false, err
	}
	var found bool
	err := b.one(ctx, "exists", key, &found, b.sql.exists, key)
	return found, err
}

// Set implements [store.Backend], with lifetimes to the microsecond. It refuses a value of more
// than 256 MiB, and removes what was there before.
func (b *Backend) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := driver.CheckKey("set", key); err != nil {
		return err
	}
	if ttl <= 0 {
		_, err := b.remove(ctx, "set", key)
		return err
	}
	if len(value) > b.maxValue {
		_, err := b.remove(ctx, "set", key)
		if err != nil {
			return err
		}
		return driver.Refuse("set", key, "a value of %d bytes; %d are allowed at most: %w",
			len(value), b.maxValue, store.ErrTooLarge)
	}
	if value == nil {
		value = []byte{} // not NULL
	}
	_, err := b.exec(ctx, "set", key, b.sql.set, key, value, microseconds(ttl))
	return err
}

// Delete implements [store.Backend].
func (b *Backend) Delete(ctx context.Context, key string) (existed bool, err error) {
	if err := driver.CheckKey("delete", key); err != nil {
		return false, err
	}
	return b.remove(ctx, "delete", key)
}

func (b *Backend) remove(ctx context.Context, op, key string) (existed bool, err error) {
	err = b.one(ctx, op, key, &existed, b.sql.delete, key)
	if err == pgx.ErrNoRows {
		return false, nil
	}
	return existed, err
}

// TTL implements [store.TTLer].
func (b *Backend) TTL(ctx context.Context, key string) (time.Duration, error) {
	if err := driver.CheckKey("ttl", key); err != nil {
		return 0, err
	}
	var left int64
	err := b.one(ctx, "ttl", key, &left, b.sql.ttl, key)
	if err == pgx.ErrNoRows {
		return 0, store.ErrNotFound
	}
	return lifetime.Of(left, time.Microsecond), err
}

// Expire implements [store.Expirer].
func (b *Backend) Expire(
	ctx context.Context, key string, ttl time.Duration,
) (existed bool, err error) {
	if err := driver.CheckKey("expire", key); err != nil {
		return false, err
	}
	if ttl <= 0 {
		return b.remove(ctx, "expire", key)
	}
	rows, err := b.exec(ctx, "expire", key, b.sql.expire, key, microseconds(ttl))
	return rows > 0, err
}

// microseconds returns ttl in the unit that the server counts in. The longest ttl ends in 292
// years, the server's calendar in the year 294276.
func microseconds(ttl time.Duration) int64 { return lifetime.Units(ttl, time.Microsecond) }

// MaxValue implements [store.ValueLimited].
func (b *Backend) MaxValue() int64 { return int64(b.maxValue) }
