package pgstore

import (
	"context"
	"errors"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
	"github.com/freshet-go/freshet/store/internal/keys"
)

// journal is the rows with its prefix in two tables. Append locks the row in the table of heads, so
// that marks become visible in the order of their numbers. Each mark has the number of the one
// before, so that Since notices one that is missing, and then returns MarkEverything.
//
// A standby that takes over may lack the newest marks. Its timeline is another than the one that is
// noted beside the heads: the first to ask it has the journal begin anew. So does each process that
// comes later, whose number the old server gave out: it is above the head, or no mark has it. That
// process may know of marks that the old server took after the new one began. The new beginning
// covers what they do, since it comes after them.
type journal struct {
	backend      *Backend
	prefix       string
	marks, bytes int64 // how much it remembers, a batch less or more
	members      int   // how many it has at most
	invalid      error // what every call returns, if the prefix is not allowed
}

// Journal implements [store.Journaler]. The journal remembers 65,536 marks or 16 MiB of names,
// whichever is less. Each Watch has a connection of its own besides the pool's. It is a
// [store.Membership].
func (b *Backend) Journal(prefix string) store.Journal {
	return &journal{
		backend: b, prefix: prefix, marks: history.MaxMarks, bytes: history.MaxBytes,
		members: store.MaxMembers,
		invalid: driver.CheckPrefix("journal", prefix),
	}
}

// JournalName implements [store.NamedJournal]: by the servers, the database, the table and the
// prefix.
func (j *journal) JournalName() string {
	return keys.JournalName(where(j.backend.pool.Config().ConnConfig), j.backend.config.Table, j.prefix)
}

// Append implements [store.Journal].
func (j *journal) Append(ctx context.Context, what ...store.Mark) (number uint64, err error) {
	if j.invalid != nil {
		return 0, j.invalid
	}
	if err := driver.CheckMarks("append", "", what); err != nil {
		return 0, err
	}
	err = j.backend.ask(ctx, false, func(ctx context.Context, conn *pgxpool.Conn) (err error) {
		return j.tellsTimeline(func() error {
			if len(what) == 0 {
				number, err = j.head(ctx, conn)
			} else {
				number, err = j.append(ctx, conn, what)
			}
			return err
		})
	})
	if err != nil {
		return 0, j.backend.fail(ctx, "append", "", err)
	}
	return number, nil
}

// asker is a connection, the pool's or a watcher's.
type asker interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func (j *journal) append(
	ctx context.Context, conn asker, what []store.Mark,
) (number uint64, err error) {
	kinds, softs, names := make([]int16, len(what)), make([]bool, len(what)),
		make([][]byte, len(what))
	bytes := 0
	for i, m := range what {
		kinds[i], softs[i], names[i] = kindOfMark(m), m.Soft, []byte(m.Name)
		bytes += len(m.Name)
	}
	var head, marksKept, bytesKept int64
	record := func() error {
		return conn.QueryRow(ctx, j.sql().append, j.prefix, kinds, softs, names, len(what),
			bytes).Scan(&head, &marksKept, &bytesKept, nil, nil)
	}
	if err = record(); err == pgx.ErrNoRows { // the server has another timeline
		if err = j.anew(ctx, conn, 0); err == nil {
			err = record()
		}
	}
	if err != nil {
		return 0, err
	}
	// What is recorded is recorded: should forgetting fail, the next one does it.
	for range 2 + len(what)/batch {
		if marksKept <= j.marks && bytesKept <= j.bytes {
			break
		}
		err := conn.QueryRow(ctx, j.sql().forget, j.prefix, j.marks, j.bytes,
			batch).Scan(&marksKept, &bytesKept)
		if err != nil {
			break
		}
	}
	return uint64(head), nil
}

// head begins the journal if need be.
func (j *journal) head(ctx context.Context, conn asker) (uint64, error) {
	for {
		var head int64
		err := conn.QueryRow(ctx, j.sql().head, j.prefix).Scan(&head)
		if err != pgx.ErrNoRows {
			return uint64(head), err
		}
		if err := j.begin(ctx, conn); err != nil {
			return 0, err
		}
	}
}

// begin records that the journal begins now, and that everything before is forgotten. Of several at
// once one does.
func (j *journal) begin(ctx context.Context, conn asker) error {
	return do(ctx, conn, j.sql().begin, j.prefix)
}

// note notes the server's timeline, for the first time. A server that may only be read goes without.
func (j *journal) note(ctx context.Context, conn asker) error {
	err := do(ctx, conn, j.sql().note, j.prefix)
	var said *pgconn.PgError
	if errors.As(err, &said) && said.Code == "25006" { // read_only_sql_transaction
		return nil
	}
	return err
}

// anew has the journal begin anew, if its server has another timeline than the one noted, or above a
// number that it must have given out and does not know any more.
func (j *journal) anew(ctx context.Context, conn asker, above uint64) error {
	return do(ctx, conn, j.sql().anew, j.prefix, int64(min(above, math.MaxInt64)))
}

func do(ctx context.Context, conn asker, sql string, args ...any) error {
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	rows.Close()
	return rows.Err()
}

func (j *journal) sql() *statements { return j.backend.journalSQL.Load() }

// tellsTimeline makes a call, and again without asking for the timeline where the server does not
// tell it: a service that keeps PostgreSQL's log to itself. Such a server cannot be seen to have
// lost marks, but by who knows of them.
func (j *journal) tellsTimeline(call func() error) error {
	err := call()
	var said *pgconn.PgError
	if !errors.As(err, &said) || !aboutTimeline.MatchString(said.Message) ||
		j.sql() != &j.backend.sql {
		return err
	}
	without := statementsFor(j.backend.config.Table, noTimeline)
	j.backend.journalSQL.Store(&without)
	return call()
}

var aboutTimeline = regexp.MustCompile(`pg_(is_in_recovery|walfile_name|current_wal_insert_lsn)`)

// Since implements [store.Journal].
func (j *journal) Since(
	ctx context.Context, number uint64,
) (marks []store.Numbered, head uint64, err error) {
	if j.invalid != nil {
		return nil, 0, j.invalid
	}
	err = j.backend.ask(ctx, false, func(ctx context.Context, conn *pgxpool.Conn) (err error) {
		return j.tellsTimeline(func() (err error) {
			marks, head, err = j.since(ctx, conn, number)
			return err
		})
	})
	if err != nil {
		return nil, 0, j.backend.fail(ctx, "since", "", err)
	}
	return marks, head, nil
}

// since asks once when nothing is new, but for the first time.
func (j *journal) since(
	ctx context.Context, conn asker, number uint64,
) (marks []store.Numbered, head uint64, err error) {
	for noted := false; ; {
		var found state
		marks, head, found, err = j.read(ctx, conn, number)
		if err != nil {
			return nil, 0, err
		}
		switch {
		case found == unbegun:
			err = j.begin(ctx, conn)
		case found == unnoted && !noted:
			noted, err = true, j.note(ctx, conn)
		case found == elsewhere:
			err = j.anew(ctx, conn, 0)
		case found == unheardOf:
			// What the caller reads begins with the new beginning, which covers all before it: in a
			// part that ended sooner, marks of this server would pass for all after the number.
			err, number = j.anew(ctx, conn, head+1), head
		default:
			return marks, head, nil
		}
		if err != nil {
			return nil, 0, err
		}
	}
}

// state is what a look finds of a journal besides its marks.
type state uint8

const (
	well      state = iota
	unbegun         // there is none yet
	unnoted         // nobody has noted the server's timeline yet
	elsewhere       // the server has another timeline than the one noted
	unheardOf       // the journal never gave out the number asked for, and is beyond it
)

// row is a row that since returns: a mark, or the news that there is none.
type row struct {
	head, forgotten int64
	timeline, noted *int64
	begun           int64 // the number of the newest beginning
	number          *int64
	previous        *int64
	kind            *int16
	soft            *bool
	name            []byte
}

// state returns what the row says of its journal.
func (r *row) state() state {
	switch {
	case r.timeline == nil:
		return well
	case r.noted == nil || *r.noted == 0:
		return unnoted
	case *r.noted != *r.timeline:
		return elsewhere
	}
	return well
}

// unheardOf reports whether the row, the first one after a number, shows that the journal never gave
// that out. What the old server gave out before the journal began anew is for who reads of that.
func (r *row) unheardOf(number int64) bool {
	return r.forgotten < number && *r.previous < number && int(*r.kind) != begins
}

// begins is the kind of the mark with which a journal begins anew. Its name is the number up to
// which the server knew of marks. Versions that do not know the kind take it for a mark that covers
// everything, which it is.
const begins = 4

// afterBegins is by how much the numbers in rows of the kinds that came after begins, from
// store.MarkBarrier on, are greater than their own.
const afterBegins = 1

func kindOfMark(m store.Mark) int16 {
	if m.Kind >= store.MarkBarrier {
		return int16(m.Kind) + afterBegins
	}
	return int16(m.Kind)
}

// mark returns the row's mark.
func (r *row) mark() store.Numbered {
	m := store.Numbered{Number: uint64(*r.number)}
	kind := int(*r.kind)
	if kind == begins {
		after, _ := strconv.ParseUint(string(r.name), 10, 64)
		m.Mark, m.After = history.All, max(after, 1)
		return m
	}
	if kind > begins {
		kind -= afterBegins
	}
	m.Mark = history.Mark(kind, string(r.name), *r.soft)
	return m
}

func (j *journal) read(
	ctx context.Context, conn asker, number uint64,
) (marks []store.Numbered, head uint64, found state, err error) {
	asked := int64(min(number, math.MaxInt64))
	from := asked
	rows, err := conn.Query(ctx, j.sql().since, j.prefix, asked, history.PartMarks,
		history.PartBytes)
	if err != nil {
		return nil, 0, 0, err
	}
	defer rows.Close()
	found = unbegun
	var r row
	missing, read, bytes := false, 0, 0
	forgotten := func(upTo int64) store.Numbered {
		m := history.Forgotten(uint64(upTo))
		if 0 < asked && asked < r.begun && r.begun <= upTo {
			m.After = 1 // what the beginning said is forgotten, too
		}
		return m
	}
	for rows.Next() {
		if err := rows.Scan(&r.head, &r.forgotten, &r.timeline, &r.noted, &r.begun, &r.number,
			&r.previous, &r.kind, &r.soft, &r.name); err != nil {
			return nil, 0, 0, err
		}
		if found == unbegun && from < r.forgotten {
			marks = append(marks, forgotten(r.forgotten))
			from = r.forgotten
		}
		if found == unbegun || found == well {
			found = r.state()
		}
		if r.number != nil {
			if found == well && r.unheardOf(asked) && from == asked {
				found = unheardOf
			}
			missing = missing || *r.previous > from
			read, bytes = read+1, bytes+len(r.name)
			marks = append(marks, r.mark())
			from = *r.number
		}
	}
	if err := rows.Err(); err != nil {
		return nil, 0, 0, err
	}
	part := read == history.PartMarks || bytes >= history.PartBytes
	if missing || from < r.head && !part { // somebody has removed rows
		marks = []store.Numbered{forgotten(r.head)}
	}
	return marks, uint64(r.head), found, nil
}

// news reports whether a notification is of this journal, and of a number after from.
func (j *journal) news(payload string, from uint64) bool {
	first, prefix, _ := strings.Cut(payload, " ")
	number, err := strconv.ParseUint(first, 10, 64)
	return err == nil && prefix == j.prefix && number > from
}
