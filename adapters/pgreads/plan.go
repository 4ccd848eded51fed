package pgreads

import (
	"slices"
	"strings"
)

// plan is what a text of SQL reads.
type plan struct {
	unread bool     // anything
	tables []string // each row, or if there is a key, those with it
	key    []keyValue
	silent []string // names of tables whose changes nothing announces
}

// keyValue is where the value of a column of a key comes from.
type keyValue struct {
	kind   string
	values []value
	list   bool
}

// maxPlans and maxPlanned bound what is remembered of texts: how many, and how long each is in
// bytes.
const (
	maxPlans   = 2048
	maxPlanned = 16 << 10
)

// plan returns what a text of SQL reads. also is [Options.Also].
func (c *catalog) plan(sql string, also map[string][]string) *plan {
	c.mu.Lock()
	p := c.plans[sql]
	c.mu.Unlock()
	if p != nil {
		return p
	}
	p = c.planOf(parse(sql), also)
	if len(sql) <= maxPlanned {
		c.mu.Lock()
		if len(c.plans) >= maxPlans {
			clear(c.plans)
		}
		c.plans[strings.Clone(sql)] = p
		c.mu.Unlock()
	}
	return p
}

func (c *catalog) planOf(q parsed, also map[string][]string) *plan {
	p := &plan{unread: q.unread}
	add := func(name string) (declared bool) {
		tables, declared := also[name]
		for _, table := range tables {
			p.unread = p.unread || !c.reads(p, table)
		}
		return declared
	}
	for _, name := range q.calls {
		if add(name) {
			continue
		}
		reads, known := c.functions[name]
		p.unread = p.unread || reads || !known && !c.isKeyword(name) && !slices.Contains(soft, name)
	}
	for _, name := range q.words {
		if c.attribute[name] && !slices.Contains(q.calls, name) {
			p.unread = p.unread || !add(name)
		}
	}
	tables := q.tables
	if q.returns {
		for _, name := range q.targets {
			tables = append(slices.Clip(tables), tableName{name: name})
		}
	}
	for _, t := range tables {
		if t.with && c.relations[t.name] == nil {
			continue
		}
		declared := add(t.name)
		p.unread = p.unread || !c.reads(p, t.name) && !declared
	}
	slices.Sort(p.tables)
	p.tables = slices.Compact(p.tables)
	if len(q.where) > 0 && len(p.tables) == 1 && !p.unread {
		p.key = c.relations[q.tables[0].name].keyIn(q.where)
	}
	return p
}

func (c *catalog) isKeyword(name string) bool {
	_, is := c.keywords[name]
	return is
}

// soft are words of SQL before a parenthesis that may be names as well.
var soft = []string{"by", "conflict", "cube", "filter", "materialized", "over", "rollup", "sets",
	"set", "update", "include", "key"}

// reads notes that a table or view is read, and reports whether it is known what that is.
func (c *catalog) reads(p *plan, name string) bool {
	r := c.relations[name]
	if r == nil {
		return false
	}
	p.tables = append(p.tables, r.reads...)
	if !r.announced {
		p.silent = append(p.silent, name)
	}
	return !r.unread
}

// keyIn returns where the values of the key come from, or nil if the conditions do not name all of
// it.
func (r *relation) keyIn(where []condition) (key []keyValue) {
	if r == nil {
		return nil
	}
	several := 0
	for _, column := range r.key {
		at := slices.IndexFunc(where, func(w condition) bool { return w.column == column.name })
		if at < 0 || !column.takes(where[at].values) {
			return nil
		}
		if len(where[at].values) > 1 || where[at].list {
			several++
		}
		key = append(key, keyValue{column.kind, where[at].values, where[at].list})
	}
	if several > 1 {
		return nil
	}
	return key
}

// casts are the types that a value of a kind of column keeps its text in.
var casts = map[string][]string{
	"i": {"int", "integer", "bigint", "smallint", "int2", "int4", "int8"},
	"u": {"uuid"},
	"t": {"text"},
}

func (c keyColumn) takes(values []value) bool {
	return c.kind != "" && !slices.ContainsFunc(values, func(v value) bool {
		return v.cast != "" && !slices.Contains(casts[c.kind], v.cast) ||
			v.param == 0 && c.kind != "i"
	})
}
