package middleware

import (
	"context"

	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// Reads notes, in the context of a handler's request, that the response depends on the row of a
// table with the key: [Cache.InvalidateRow] of that row, [Cache.InvalidateTable] of that table, or
// a listener to the database's changes makes it unusable. A table is whatever the app calls so; a
// key is a value for each of its columns. Without a key, the response depends on each row.
//
// The response gets the tags that [policy.RowTag] and [policy.TableTag] return. Past 64 rows, it
// depends on each row of the table that it has read the most rows of: it is made unusable more
// often, and never too seldom. Reads counts until the handler returns, as [Response.Tag] does. A
// row must be noted before it is read; what was read in a snapshot that is older than the request
// is not covered.
//
// In a context that is none of Freshet's, and where no response is going to be stored, it does
// nothing. It is safe for concurrent use.
func Reads(ctx context.Context, table string, key ...any) {
	FromContext(ctx).Reads(table, key...)
}

// Reads is the function [Reads] for a handler that has the Response.
func (s *Response) Reads(table string, key ...any) {
	if s == nil {
		return
	}
	s.mu.Lock()
	s.tagLate(s.reads.Add(table, key...))
	s.mu.Unlock()
	s.around.Reads(table, key...)
}

// InvalidateRow makes every response unusable whose handler has noted by [Reads] that it read the
// row, or each row of the table. Call it when the change is committed.
func (c *Cache) InvalidateRow(ctx context.Context, table string, key ...any) (Receipt, error) {
	return c.append(ctx, "InvalidateRow", tagMarks(policy.RowChange(table, key...)), nil)
}

// InvalidateTable makes every response unusable whose handler has noted by [Reads] that it read
// something of the table.
func (c *Cache) InvalidateTable(ctx context.Context, table string) (Receipt, error) {
	return c.append(ctx, "InvalidateTable", tagMarks(policy.TableChange(table)), nil)
}

func tagMarks(tags []string) []store.Mark {
	marks := make([]store.Mark, len(tags))
	for i, tag := range tags {
		marks[i] = store.Mark{Kind: store.MarkTag, Name: tag}
	}
	return marks
}
