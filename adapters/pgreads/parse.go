package pgreads

import "slices"

// parsed is what a text of SQL names, whatever tables and functions there are.
type parsed struct {
	tables  []tableName // where a table may stand
	targets []string    // of INSERT: they count if something is returned of them
	words   []string    // all other words
	calls   []string    // words before a parenthesis
	returns bool        // something of a target may be returned
	where   []condition // one of which each row has that counts; nil unless there is one table

	queries, statements int
	unread              bool // it names more, and nobody knows what
}

// tableName is a name where a table may stand.
type tableName struct {
	name string
	with bool // of a WITH query, unless there is a table of the name
}

// frame is what is between two parentheses, or a statement.
type frame struct {
	begun     bool // a token has come
	query     bool // FROM begins a list of tables
	from      bool // we are in such a list: a comma comes before a table
	expect    bool // a table comes next
	insert    bool // INTO names a target
	target    bool // ... which comes next
	using     bool // USING names tables
	with      bool // the WITH queries before a statement
	recursive bool
	pending   string   // the WITH query that begins
	body      bool     // of a WITH query
	ctes      []string // names of WITH queries
}

type parser struct {
	parsed
	tokens []token
	frames []frame
	quiet  bool // a statement that reads nothing
}

// parse finds the tables that SQL names: it knows each place of a query where a table may stand,
// and takes what it does not know for more.
func parse(sql string) parsed {
	tokens, err := lex(sql)
	if err != nil {
		return parsed{unread: true}
	}
	p := parser{tokens: tokens, frames: []frame{{}}}
	for i := 0; i < len(tokens) && !p.unread; i++ {
		i = p.take(i)
	}
	if len(p.frames) != 1 || p.top().expect {
		p.unread = true
	}
	p.findWhere()
	return p.parsed
}

func (p *parser) top() *frame { return &p.frames[len(p.frames)-1] }

func (p *parser) at(i int) token {
	if i < 0 || i >= len(p.tokens) {
		return token{kind: tokenMark}
	}
	return p.tokens[i]
}

// take takes the token at i, and returns where the last one is that it took.
func (p *parser) take(i int) int {
	t, f := p.tokens[i], p.top()
	first := !f.begun && !t.is(";")
	f.begun = f.begun || first
	if first && len(p.frames) == 1 {
		p.begin(t)
	}
	switch {
	case t.is(";"):
		p.unread = p.unread || len(p.frames) > 1 || f.expect
		p.frames, p.quiet = []frame{{}}, false
	case p.quiet, p.unread:
	case t.is("("):
		p.open(i)
	case t.is(")"):
		p.close()
	case t.is(","):
		f.expect = f.expect || f.from
	case t.named() && p.at(i-1).is(".") && !f.expect:
		p.word(i)
	case t.named():
		return p.name(i, first)
	case f.expect:
		p.unread = true
	}
	return i
}

func (p *parser) open(i int) {
	f := p.top()
	inner := frame{body: f.with && (p.at(i-1).is("as") || p.at(i-1).is("materialized"))}
	if f.expect { // a join, or a query
		f.expect, inner.query, inner.from, inner.expect = false, true, true, true
	}
	p.frames = append(p.frames, inner)
}

func (p *parser) close() {
	inner := *p.top()
	if len(p.frames) == 1 || inner.expect {
		p.unread = true
		return
	}
	p.frames = p.frames[:len(p.frames)-1]
	if f := p.top(); inner.body && f.pending != "" {
		f.ctes, f.pending = append(f.ctes, f.pending), ""
	}
}

// word notes a word that is no table's name.
func (p *parser) word(i int) {
	word := p.tokens[i].text
	if !slices.Contains(p.words, word) {
		p.words = append(p.words, word)
	}
	if p.at(i+1).is("(") && !p.at(i-1).is("as") && !slices.Contains(p.calls, word) {
		p.calls = append(p.calls, word)
	}
}

// name takes a word or a name that begins at i.
func (p *parser) name(i int, first bool) int {
	t, f := p.tokens[i], p.top()
	if t.kind == tokenWord && p.keyword(i, first) {
		return i
	}
	switch before := p.at(i - 1); {
	case f.expect:
		return p.table(i)
	case f.with && (before.is("with") || before.is("recursive") || before.is(",")):
		f.pending = t.text
		if f.recursive {
			f.ctes = append(f.ctes, t.text)
		}
		return i
	}
	p.word(i)
	return i
}

// begin judges what a statement begins with.
func (p *parser) begin(t token) {
	p.statements++
	if t.kind != tokenWord && !t.is("(") {
		p.unread = true
		return
	}
	switch t.text {
	case "(", "select", "with", "values", "table", "insert", "update", "delete", "merge":
	case "begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release", "set",
		"reset", "show", "listen", "unlisten", "notify", "discard", "deallocate", "lock":
		p.quiet = true
	default: // what it names, or what runs in it, is elsewhere
		p.unread = true
	}
}

// keyword takes a word that may be one of a query's, and reports whether it was.
func (p *parser) keyword(i int, first bool) bool {
	f := p.top()
	begins := first || f.with
	switch word := p.tokens[i].text; word {
	case "select":
		p.queries++
		f.query, f.with, f.from, f.expect = true, false, false, false
	case "values":
		if !first { // it may be a column, or a table
			return false
		}
		p.queries++
		f.query, f.from, f.expect = true, false, false
	case "with":
		if !first {
			return false
		}
		p.queries++
		f.with, f.from, f.expect = true, false, false
	case "recursive":
		f.recursive = f.with
		return f.with
	case "insert", "update", "delete", "merge":
		if !begins {
			return false
		}
		p.queries++
		f.query, f.with, f.from = true, false, false
		f.expect, f.insert, f.using = word == "update", word == "insert", word == "delete" ||
			word == "merge"
	case "table":
		p.queries++
		f.query, f.with, f.expect = true, false, true
	case "into":
		f.target, f.expect = f.insert, true
	case "from":
		if p.at(i-1).is("distinct") && (p.at(i-2).is("is") || p.at(i-2).is("not")) || !f.query {
			return true
		}
		f.from, f.expect = true, true
	case "join":
		f.from, f.expect = true, true
	case "using":
		if f.using {
			f.from, f.expect = true, true
		}
	case "only", "lateral":
		return f.expect
	case "rows":
		return f.expect && p.at(i+1).is("from")
	case "where", "group", "having", "window", "union", "intersect", "except", "order", "limit",
		"offset", "fetch", "for":
		p.endTables()
	case "returning":
		p.returns = true
		p.endTables()
	case "conflict":
		p.returns = true
		return false
	default:
		return false
	}
	return true
}

func (p *parser) endTables() {
	f := p.top()
	p.unread = p.unread || f.expect
	f.from, f.expect = false, false
}

// table takes a name where a table may stand: of a table or, before a parenthesis, a function.
func (p *parser) table(i int) int {
	f := p.top()
	parts := 1
	for p.at(i+1).is(".") && p.at(i+2).named() {
		i += 2
		parts++
	}
	name, target := p.tokens[i].text, f.target
	f.expect, f.target = false, false
	switch {
	case target:
		p.targets = append(p.targets, name)
	case p.at(i + 1).is("("):
		p.word(i)
	default:
		p.tables = append(p.tables, tableName{name, parts == 1 && p.isWith(name)})
	}
	return i
}

func (p *parser) isWith(name string) bool {
	return slices.ContainsFunc(p.frames, func(f frame) bool {
		return slices.Contains(f.ctes, name)
	})
}
