package pgstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/freshet-go/freshet/store"
)

// oldest is the first version with what we ask for: hashtextextended (11), and AS MATERIALIZED (12).
const oldest = 120000

// described is what the server says of itself and of our tables.
type described struct {
	number            int // 150004
	version           string
	standby, readOnly bool
	missing           []string // tables
	lacking           []string // privileges on tables: "INSERT on freshet_cache"
	comment           string   // of the table of values
}

func (b *Backend) describe(ctx context.Context) (d described, err error) {
	c, err := b.begin(ctx, b.config.Timeout)
	if err != nil {
		return d, err
	}
	err = c.conn.QueryRow(c.ctx, b.sql.describe, tablesOf(b.config.Table)).
		Scan(&d.number, &d.version, &d.standby, &d.readOnly, &d.missing, &d.lacking, &d.comment)
	return d, b.done(ctx, &c, err)
}

// tablesOf are our tables, that of values first.
func tablesOf(table string) []string {
	return []string{table, table + "_journal", table + "_journal_head", table + "_journal_members"}
}

// judge says why the server cannot be used, or nil.
func (b *Backend) judge(d described) error {
	switch {
	case d.number < oldest:
		return unfit("the server is PostgreSQL %s; 12 or later is needed", d.version)
	case len(d.missing) > 0:
		return unfit("no table %s in the database; %s", strings.Join(d.missing, ", "),
			b.migrateHint())
	case len(d.lacking) > 0:
		return &rightsError{fmt.Sprintf("the role has no %s; %s", strings.Join(d.lacking, ", "),
			b.rightsHint())}
	}
	return newer(d.comment)
}

// Health implements [store.Backend]. It fails when the server does not answer, our tables are not
// there, or the role may not do with them what is needed. Details tell the server's version and
// role, how many bytes the values take, and what this process's pool and sweep do.
func (b *Backend) Health(ctx context.Context) (store.Health, error) {
	h := store.Health{Backend: "postgresql"}
	start := time.Now()
	d, err := b.describe(ctx)
	h.Latency = time.Since(start)
	if err != nil {
		return h, b.unwell(ctx, err)
	}
	stat := b.pool.Stat()
	h.Details = map[string]string{
		"server":      b.server,
		"version":     d.version,
		"role":        "primary",
		"writable":    strconv.FormatBool(!d.readOnly),
		"connections": strconv.Itoa(int(stat.TotalConns())),
		"idle":        strconv.Itoa(int(stat.IdleConns())),
		"waiting": strconv.FormatInt(max(0, b.backlog.callers.Load()-b.backlog.connections),
			10),
	}
	b.swept.describe(h.Details)
	if d.standby {
		h.Details["role"] = "standby"
	}
	if err := b.judge(d); err != nil {
		return h, b.unwell(ctx, err)
	}
	return h, nil
}

// unwell returns the error of a Health that ended with err. It names the server.
func (b *Backend) unwell(ctx context.Context, err error) error {
	return b.fail(ctx, "health", "", fmt.Errorf("%s: %w", b.server, err))
}
