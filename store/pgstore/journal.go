package pgstore

import (
	"context"
	"math"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
)

// journal is the rows with its prefix in two tables. Append locks the row in the table of heads, so
// that marks become visible in the order of their numbers. Each mark has the number of the one
// before, so that Since notices one that is missing, and then returns MarkEverything.
type journal struct {
	backend      *Backend
	prefix       string
	marks, bytes int64 // how much it remembers, a batch less or more
	invalid      error // what every call returns, if the prefix is not allowed
}

// Journal implements [store.Journaler]. The journal remembers 65,536 marks or 16 MiB of names,
// whichever is less. Each Watch has a connection of its own besides the pool's.
func (b *Backend) Journal(prefix string) store.Journal {
	return &journal{
		backend: b, prefix: prefix, marks: history.MaxMarks, bytes: history.MaxBytes,
		invalid: driver.CheckPrefix("journal", prefix),
	}
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
		if len(what) == 0 {
			number, err = j.head(ctx, conn)
		} else {
			number, err = j.append(ctx, conn, what)
		}
		return err
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
		kinds[i], softs[i], names[i] = int16(m.Kind), m.Soft, []byte(m.Name)
		bytes += len(m.Name)
	}
	var head, marksKept, bytesKept int64
	err = conn.QueryRow(ctx, j.backend.sql.append, j.prefix, kinds, softs, names, len(what),
		bytes).Scan(&head, &marksKept, &bytesKept, nil)
	if err != nil {
		return 0, err
	}
	// What is recorded is recorded: should forgetting fail, the next one does it.
	for range 2 + len(what)/batch {
		if marksKept <= j.marks && bytesKept <= j.bytes {
			break
		}
		err := conn.QueryRow(ctx, j.backend.sql.forget, j.prefix, j.marks, j.bytes,
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
		err := conn.QueryRow(ctx, j.backend.sql.head, j.prefix).Scan(&head)
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
	rows, err := conn.Query(ctx, j.backend.sql.begin, j.prefix)
	if err != nil {
		return err
	}
	rows.Close()
	return rows.Err()
}

// Since implements [store.Journal].
func (j *journal) Since(
	ctx context.Context, number uint64,
) (marks []store.Numbered, head uint64, err error) {
	if j.invalid != nil {
		return nil, 0, j.invalid
	}
	err = j.backend.ask(ctx, false, func(ctx context.Context, conn *pgxpool.Conn) (err error) {
		marks, head, err = j.since(ctx, conn, number)
		return err
	})
	if err != nil {
		return nil, 0, j.backend.fail(ctx, "since", "", err)
	}
	return marks, head, nil
}

// since asks once when nothing is new.
func (j *journal) since(
	ctx context.Context, conn asker, number uint64,
) (marks []store.Numbered, head uint64, err error) {
	for {
		marks, head, begun, err := j.read(ctx, conn, number)
		if err != nil || begun {
			return marks, head, err
		}
		if err := j.begin(ctx, conn); err != nil {
			return nil, 0, err
		}
	}
}

func (j *journal) read(
	ctx context.Context, conn asker, number uint64,
) (marks []store.Numbered, head uint64, begun bool, err error) {
	from := int64(min(number, math.MaxInt64))
	rows, err := conn.Query(ctx, j.backend.sql.since, j.prefix, from)
	if err != nil {
		return nil, 0, false, err
	}
	defer rows.Close()
	var newest, forgotten int64
	var last, previous *int64
	missing := false
	for rows.Next() {
		var kind *int16
		var soft *bool
		var name []byte
		if err := rows.Scan(&newest, &forgotten, &last, &previous, &kind, &soft, &name); err != nil {
			return nil, 0, false, err
		}
		if !begun && from < forgotten {
			marks = append(marks, history.Forgotten(uint64(forgotten)))
			from = forgotten
		}
		begun = true
		if last != nil {
			missing = missing || *previous > from
			marks = append(marks, store.Numbered{
				Mark: history.Mark(int(*kind), string(name), *soft), Number: uint64(*last),
			})
			from = *last
		}
	}
	if err := rows.Err(); err != nil {
		return nil, 0, false, err
	}
	if missing || from < newest { // somebody has removed rows
		marks = []store.Numbered{history.Forgotten(uint64(newest))}
	}
	return marks, uint64(newest), begun, nil
}

// news reports whether a notification is of this journal, and of a number after from.
func (j *journal) news(payload string, from uint64) bool {
	first, prefix, _ := strings.Cut(payload, " ")
	number, err := strconv.ParseUint(first, 10, 64)
	return err == nil && prefix == j.prefix && number > from
}
