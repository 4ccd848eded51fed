package pgstore

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/freshet-go/freshet/store"
)

var _ store.Membership = (*journal)(nil)

// memberSQL have :members for the table of members. A lease begins at the server's clock. A number
// of a member is a numeric, since it has 64 bits.
var memberSQL = statements{
	// Who joins removes 100 of those that have ended. No row if $5 others are there already.
	renew: `WITH at AS (
			SELECT clock_timestamp() AS now, EXISTS (SELECT FROM :members WHERE prefix = $1 AND id = $2) AS known
		), gone AS (
			DELETE FROM :members WHERE ctid = ANY (ARRAY(
				SELECT ctid FROM :members WHERE prefix = $1 AND id <> $2 AND NOT (SELECT known FROM at)
					AND renewed <= (SELECT now FROM at) - :lease
				ORDER BY renewed LIMIT 100 FOR UPDATE SKIP LOCKED))
		)
		INSERT INTO :members (prefix, id, name, applied, renewed)
		SELECT $1, $2, $3::bytea, $4::text::numeric, now FROM at WHERE known OR $5::bigint > (
			SELECT count(*) FROM :members WHERE prefix = $1 AND renewed > (SELECT now FROM at) - :lease)
		ON CONFLICT (prefix, id) DO UPDATE SET name = excluded.name, applied = excluded.applied, renewed = excluded.renewed
		RETURNING true`,
	// Where the clock was set back, the lease begins anew: it must end some time.
	members: `WITH at AS (SELECT clock_timestamp() AS now), ahead AS (
			UPDATE :members SET renewed = at.now FROM at WHERE prefix = $1 AND renewed > at.now + interval '1 second'
		)
		SELECT id, name, applied::text, (extract(epoch FROM greatest(now - renewed, interval '0')) * 1000000)::bigint
		FROM at, :members WHERE prefix = $1 AND renewed > now - :lease`,
	leave: `DELETE FROM :members WHERE prefix = $1 AND id = $2`,
}

// leaseInterval is [store.LeaseTime] as an interval.
var leaseInterval = "interval '" + strconv.FormatInt(store.LeaseTime.Microseconds(), 10) +
	" microseconds'"

// Renew implements [store.Membership], in one round trip.
func (j *journal) Renew(ctx context.Context, m store.Member) error {
	if j.invalid != nil {
		return j.invalid
	}
	if err := driver.CheckMember("", m); err != nil {
		return err
	}
	err := j.backend.ask(ctx, false, func(ctx context.Context, conn *pgxpool.Conn) error {
		return conn.QueryRow(ctx, j.backend.sql.renew, j.prefix, m.ID, []byte(m.Name),
			strconv.FormatUint(m.Applied, 10), j.members).Scan(new(bool))
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return driver.Full("", j.members)
	}
	return j.failed(ctx, "renew", err)
}

// failed returns the driver's error of err, or nil.
func (j *journal) failed(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	return j.backend.fail(ctx, op, "", err)
}

// Members implements [store.Membership], in one round trip.
func (j *journal) Members(ctx context.Context) (all []store.Member, err error) {
	if j.invalid != nil {
		return nil, j.invalid
	}
	err = j.backend.ask(ctx, false, func(ctx context.Context, conn *pgxpool.Conn) error {
		all = nil
		rows, err := conn.Query(ctx, j.backend.sql.members, j.prefix)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, readMember)
		return err
	})
	if err != nil {
		return nil, j.failed(ctx, "members", err)
	}
	return all, nil
}

func readMember(row pgx.CollectableRow) (m store.Member, err error) {
	var name []byte
	var applied string
	var micros int64
	if err := row.Scan(&m.ID, &name, &applied, &micros); err != nil {
		return m, err
	}
	m.Name, m.Age = string(name), time.Duration(micros)*time.Microsecond
	m.Applied, err = strconv.ParseUint(applied, 10, 64)
	if err != nil || m.Validate() != nil {
		return m, unfit("a row of the table of members is not ours; delete it")
	}
	return m, nil
}

// Leave implements [store.Membership], in one round trip.
func (j *journal) Leave(ctx context.Context, id string) error {
	if j.invalid != nil {
		return j.invalid
	}
	if (store.Member{ID: id}).Validate() != nil {
		return nil // nobody is on the list under it
	}
	return j.failed(ctx, "leave", j.backend.ask(ctx, false,
		func(ctx context.Context, conn *pgxpool.Conn) error {
			return do(ctx, conn, j.backend.sql.leave, j.prefix, id)
		}))
}
