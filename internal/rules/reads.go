package rules

import "github.com/freshet-go/freshet/policy"

// MaxRows is how many rows a response depends on one by one. With more, it depends on each row of
// the table that it has read the most rows of.
const MaxRows = 64

// Reads are the rows and tables that a response depends on. The zero value has none.
type Reads struct {
	tables map[string]*readTable
	rows   int // of all tables
}

type readTable struct {
	each bool            // each row, by whatever key
	rows map[string]bool // tags
}

// Add notes that the response depends on the row of a table with the key, as [policy.RowTag] has
// it. It returns the tags that the response did not have before.
func (s *Reads) Add(table string, key ...any) (added []string) {
	t := s.tables[table]
	if t != nil && t.each {
		return nil
	}
	row := policy.RowTag(table, key...)
	if t != nil && t.rows[row] {
		return nil
	}
	if t == nil {
		if s.tables == nil {
			s.tables = make(map[string]*readTable)
		}
		t = &readTable{rows: make(map[string]bool)}
		s.tables[table] = t
		added = append(added, policy.TableTag(table))
	}
	if row == policy.EachRowTag(table) {
		return append(added, s.fold(table, t))
	}
	t.rows[row] = true
	if s.rows++; s.rows <= MaxRows {
		return append(added, row)
	}
	return append(added, s.foldGreatest(), row) // which may be folded: then it covers no more
}

// fold has the response depend on each row of a table, and returns the tag of that.
func (s *Reads) fold(table string, t *readTable) string {
	s.rows -= len(t.rows)
	t.rows, t.each = nil, true
	return policy.EachRowTag(table)
}

// foldGreatest folds the table with the most rows; of two, the one whose name comes first.
func (s *Reads) foldGreatest() string {
	var most string
	for table, t := range s.tables {
		if best := s.tables[most]; best == nil || len(t.rows) > len(best.rows) ||
			len(t.rows) == len(best.rows) && table < most {
			most = table
		}
	}
	return s.fold(most, s.tables[most])
}

// Tags returns the response's tags, in no order.
func (s *Reads) Tags() (tags []string) {
	for table, t := range s.tables {
		tags = append(tags, policy.TableTag(table))
		if t.each {
			tags = append(tags, policy.EachRowTag(table))
		}
		for row := range t.rows {
			tags = append(tags, row)
		}
	}
	return tags
}
