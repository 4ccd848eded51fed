package pgreads

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"hash"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
)

// catalog is what a database has that queries can name. Tables go by their bare names: two of one
// name, in two schemas, are one table here, so that no search_path counts. It is never modified.
type catalog struct {
	relations map[string]*relation
	functions map[string]bool // all names; true: one of them may read tables
	attribute map[string]bool // ... and may be written as a column
	keywords  map[string]bool // that are no functions
	sum       [sha256.Size]byte

	mu    sync.Mutex
	plans map[string]*plan // by SQL
}

// relation is what has one name: a table, a view.
type relation struct {
	reads     []string // tables, by the names that their changes have
	key       []keyColumn
	unread    bool // it reads what nobody knows
	announced bool // each change is announced
}

type keyColumn struct {
	name string
	kind string // i: integer, u: UUID, t: text; empty: equal values may have several texts
}

// runsText are functions of PostgreSQL's that read the tables which a text names.
var runsText = []string{
	"query_to_xml", "query_to_xmlschema", "query_to_xml_and_xmlschema", "table_to_xml",
	"table_to_xmlschema", "table_to_xml_and_xmlschema", "schema_to_xml", "schema_to_xmlschema",
	"schema_to_xml_and_xmlschema", "database_to_xml", "database_to_xmlschema",
	"database_to_xml_and_xmlschema", "cursor_to_xml", "cursor_to_xmlschema", "ts_stat",
	"ts_rewrite",
}

//go:embed catalog.sql
var catalogSQL string

// stored is the catalog as the server's tables have it.
type stored struct {
	relations map[uint32]*storedRelation
	functions map[uint32]bool // that may read tables
}

type storedRelation struct {
	name, kind string
	system     bool
	triggers   int
	key        []keyColumn
	parents    []uint32
	children   []uint32
	uses       []uint32 // a view, or a policy of rows
	calls      []uint32
}

// announcing is how many triggers a table has that announces its changes.
const announcing = 4

func readCatalog(ctx context.Context, conn *pgx.Conn) (*catalog, error) {
	c := &catalog{
		relations: make(map[string]*relation), functions: make(map[string]bool),
		attribute: make(map[string]bool), keywords: make(map[string]bool),
		plans: make(map[string]*plan),
	}
	s := stored{make(map[uint32]*storedRelation), make(map[uint32]bool)}
	sum := sha256.New()
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pgx.BeginTxFunc(ctx, conn, options, func(tx pgx.Tx) error {
		for _, part := range strings.Split(catalogSQL, "-- query: ")[1:] {
			what, query, _ := strings.Cut(part, "\n")
			if err := readRows(ctx, tx, query, sum, s.row(c, what)); err != nil {
				return fmt.Errorf("read %s: %w", what, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	sum.Sum(c.sum[:0])
	for _, name := range runsText {
		c.functions[name] = true
	}
	s.addTo(c)
	return c, nil
}

func readRows(
	ctx context.Context, tx pgx.Tx, query string, sum hash.Hash, take func(row []any),
) error {
	rows, err := tx.Query(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		row, err := rows.Values()
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%q\n", fmt.Sprint(row...))
		take(row)
	}
	return rows.Err()
}

// row returns what takes a row of one of the queries.
func (s *stored) row(c *catalog, what string) func(row []any) {
	of := func(row []any) *storedRelation {
		if r := s.relations[row[0].(uint32)]; r != nil {
			return r
		}
		return &storedRelation{} // of an index or a table of toast
	}
	switch what {
	case "relations":
		return func(row []any) {
			s.relations[row[0].(uint32)] = &storedRelation{system: row[1].(bool),
				name: row[2].(string),
				kind: row[3].(string), triggers: int(row[4].(int64))}
		}
	case "keys":
		return func(row []any) {
			r := of(row)
			r.key = append(r.key, keyColumn{row[1].(string), row[2].(string)})
		}
	case "parents":
		return func(row []any) {
			parent := row[1].(uint32)
			of(row).parents = append(of(row).parents, parent)
			if r := s.relations[parent]; r != nil {
				r.children = append(r.children, row[0].(uint32))
			}
		}
	case "uses":
		return func(row []any) {
			if r := of(row); row[1].(bool) {
				r.calls = append(r.calls, row[2].(uint32))
			} else {
				r.uses = append(r.uses, row[2].(uint32))
			}
		}
	case "functions":
		return func(row []any) {
			name := row[1].(string)
			s.functions[row[0].(uint32)], c.functions[name] = true, true
			c.attribute[name] = c.attribute[name] || row[2] == true
		}
	case "names":
		return func(row []any) { addNames(c.functions, row[0]) }
	}
	return func(row []any) { addNames(c.keywords, row[0]) }
}

func addNames(to map[string]bool, names any) {
	all, _ := names.([]any)
	for _, name := range all {
		name := name.(string)
		to[name] = to[name] // the key
	}
}

// addTo adds the relations to the catalog, by their names.
func (s *stored) addTo(c *catalog) {
	for oid, r := range s.relations {
		one := s.relation(oid, make(map[uint32]bool))
		if r.system {
			one = relation{announced: true} // it changes, and nothing tells
		}
		both := c.relations[r.name]
		if both == nil {
			c.relations[r.name] = &one
			continue
		}
		both.unread = both.unread || one.unread
		both.announced = both.announced && one.announced
		if both.reads = append(both.reads, one.reads...); !slices.Equal(both.key, one.key) {
			both.key = nil
		}
	}
	for _, r := range c.relations {
		slices.Sort(r.reads)
		r.reads = slices.Compact(r.reads)
	}
}

// relation returns what a relation reads. seen has those that are being looked at.
func (s *stored) relation(oid uint32, seen map[uint32]bool) relation {
	r := s.relations[oid]
	if r == nil || seen[oid] || r.system {
		return relation{announced: true}
	}
	seen[oid] = true
	one := relation{announced: true}
	if r.kind != "v" {
		one.reads = s.roots(oid, make(map[uint32]bool))
		one.key, one.announced = r.key, s.allAnnounced(oid)
	}
	if len(r.uses)+len(r.calls) > 0 || len(one.reads) != 1 || !s.sameKeys(s.family(oid), r.key) {
		one.key = nil
	}
	for _, use := range r.uses {
		used := s.relation(use, seen)
		one.reads = append(one.reads, used.reads...)
		one.unread, one.announced = one.unread || used.unread, one.announced && used.announced
	}
	for _, call := range r.calls {
		one.unread = one.unread || s.functions[call]
	}
	return one
}

// roots returns the names of the tables that a partition, or a table that inherits, is a part of in
// the end: the trigger announces its changes as theirs.
func (s *stored) roots(oid uint32, seen map[uint32]bool) (names []string) {
	r := s.relations[oid]
	if r == nil || seen[oid] {
		return nil
	}
	seen[oid] = true
	if len(r.parents) == 0 {
		return []string{r.name}
	}
	for _, parent := range r.parents {
		names = append(names, s.roots(parent, seen)...)
	}
	return names
}

// family returns all tables that are a part of another one together with a table.
func (s *stored) family(oid uint32) (all []*storedRelation) {
	seen, next := map[uint32]bool{oid: true}, []uint32{oid}
	for len(next) > 0 {
		r := s.relations[next[0]]
		if next = next[1:]; r == nil {
			continue
		}
		all = append(all, r)
		for _, near := range slices.Concat(r.parents, r.children) {
			if !seen[near] {
				seen[near] = true
				next = append(next, near)
			}
		}
	}
	return all
}

func (s *stored) allAnnounced(oid uint32) bool {
	return !slices.ContainsFunc(s.family(oid), func(r *storedRelation) bool {
		return r.triggers < announcing
	})
}

func (s *stored) sameKeys(family []*storedRelation, key []keyColumn) bool {
	return !slices.ContainsFunc(family, func(r *storedRelation) bool {
		return !slices.Equal(r.key, key)
	})
}
