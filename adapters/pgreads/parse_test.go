package pgreads

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func (p parsed) String() string {
	if p.unread {
		return "?"
	}
	var all []string
	for _, t := range p.tables {
		if !t.with {
			all = append(all, t.name)
		}
	}
	for _, c := range p.where {
		all = append(all, fmt.Sprintf("[%s %v %t]", c.column, c.values, c.list))
	}
	if p.returns {
		all = append(all, p.targets...)
	}
	return strings.Join(all, " ")
}

// The tables that statements name, in each place where a table may stand, and in none other.
func TestTablesOfStatements(t *testing.T) {
	for sql, want := range map[string]string{
		"":                               "",
		"-- nothing":                     "",
		"SELECT 1":                       "",
		"BEGIN;":                         "",
		"SET a TO 'b'":                   "",
		"begin; select * from A; commit": "a",
		`SELECT * FROM "A b", public.c AS d, "S"."T"`:                                          "A b c T",
		"SELECT FROM a x JOIN b USING (c, d) NATURAL JOIN e, f WHERE g, h":                     "a b e f",
		"SELECT * FROM (a JOIN (b CROSS JOIN c) ON d IN (SELECT e FROM f)), g":                 "a b c f g",
		"SELECT (SELECT max(a) FROM b) FROM c WHERE EXISTS (TABLE d)":                          "b c d",
		"SELECT extract(year FROM a), trim(both from b), c IS NOT DISTINCT FROM d FROM e":      "e",
		"SELECT a, b FROM c ORDER BY d, e LIMIT 1":                                             "c",
		"SELECT * FROM a UNION SELECT * FROM b EXCEPT (SELECT * FROM c, d)":                    "a b c d",
		"SELECT * FROM a JOIN b ON b.from = values, c":                                         "a b c",
		"SELECT * FROM a JOIN b ON CASE WHEN d THEN e END, c":                                  "a b c",
		"SELECT * FROM a, LATERAL (SELECT * FROM b) c, ONLY d, ONLY (e)":                       "a b d e",
		"SELECT * FROM ROWS FROM (f(1), g(2)) AS h, a":                                         "a",
		"SELECT * FROM conflict, a":                                                            "conflict a",
		"SELECT * FROM values, a":                                                              "values a",
		"SELECT b AS where, c AND d = $1 AND e FROM a":                                         "a",
		"SELECT b AS from, c AS where, d FROM a WHERE e = $1":                                  "c a",
		"SELECT * FROM a FOR UPDATE OF a":                                                      "a",
		"TABLE a":                                                                              "a",
		"VALUES (1), ((SELECT b FROM a))":                                                      "a",
		"(SELECT * FROM a) UNION (SELECT * FROM b)":                                            "a b",
		"WITH x AS (SELECT * FROM a), y(c, d) AS MATERIALIZED (TABLE b) SELECT * FROM x, y, z": "a b z",
		"WITH x AS (SELECT * FROM x) SELECT * FROM x":                                          "x",
		"WITH RECURSIVE x AS (SELECT * FROM a UNION SELECT * FROM x) TABLE x":                  "a",
		"SELECT * FROM (WITH x AS (TABLE a), y AS (TABLE b) TABLE y) z, x":                     "a b x",
		"WITH x AS (DELETE FROM a USING b, c RETURNING *) SELECT * FROM x":                     "a b c",
		"WITH x AS (SELECT 1) INSERT INTO a SELECT * FROM b":                                   "b",
		"INSERT INTO a (b, c) VALUES ($1, $2)":                                                 "",
		"INSERT INTO a (b, c) VALUES ($1, $2) RETURNING d":                                     "a",
		"INSERT INTO a VALUES (1) ON CONFLICT (b) DO UPDATE SET c = 1, d = 2":                  "a",
		"UPDATE a SET b = 1, c = (SELECT d FROM e) FROM f, g WHERE h":                          "a e f g",
		"UPDATE ONLY a SET b = 1":                                                              "a",
		"DELETE FROM a":                                                                        "a",
		"MERGE INTO a USING b ON c WHEN MATCHED THEN DELETE":                                   "a b",
		"SELECT 'FROM a', E'\\' FROM a', $$ FROM a $$, $x$ FROM a $$ $x$ FROM b":               "b",
		"SELECT 1 /* FROM a /* */ FROM a */ FROM b -- , c\n, d":                                "b d",
		"SELECT a$b$c FROM d, e$f$g":                                                           "d e$f$g",
		"SELECT 1+/* */2 FROM a":                                                               "a",
		"SELECT 2*-- FROM a\n3 FROM b":                                                         "b",
		"SELECT ARRAY(SELECT a FROM b), c[1:2], d::text, e::numeric(1, 2) FROM f":              "b f",
		"SELECT a.b.c FROM a.b":                                                                "b",

		"SELECT * FROM a WHERE id = $1": "a [id [{1  }] false]",
		"SELECT * FROM a AS b WHERE b.c IS NULL " +
			"AND 42 = b.id AND d = $2::int LIMIT 1;": "a [id [{0 42 }] false] [d [{2  int}] false]",
		`SELECT * FROM s.a b WHERE b."Id" = ANY($12) ORDER BY c`: "a [Id [{12  }] true]",
		"SELECT * FROM a WHERE id IN ($1, 2) AND (b OR c)":       "a [id [{1  } {0 2 }] false]",
		"SELECT * FROM a WHERE id = $1 OR b":                     "a",
		"SELECT * FROM a WHERE id = $1 AND b BETWEEN 1 AND 2":    "a",
		"SELECT * FROM a WHERE NOT id = $1":                      "a",
		"SELECT * FROM a WHERE id NOT IN ($1)":                   "a",
		"SELECT * FROM a WHERE id = $1 IS NULL":                  "a",
		"SELECT * FROM a WHERE id = $1 + 1":                      "a",
		"SELECT * FROM a WHERE id >= $1":                         "a",
		"SELECT * FROM a WHERE (id = $1)":                        "a",
		"SELECT * FROM a, f() g WHERE g.id = $1":                 "a",
		"SELECT * FROM a CROSS JOIN b WHERE a.id = $1":           "a b",
		"SELECT * FROM a WHERE id = $1 UNION SELECT * FROM a":    "a a",
		"SELECT * FROM a WHERE id = $1; SELECT * FROM a":         "a a",
		"SELECT * FROM a WHERE id = (SELECT 1)":                  "a",
		"UPDATE a SET b = 1 WHERE id = $1":                       "a",

		"get_product":                "?",
		`"get product"`:              "?",
		"EXECUTE a":                  "?",
		"FETCH a":                    "?",
		"CALL a()":                   "?",
		"DO $$ begin end $$":         "?",
		"SELECT 1; COPY a TO STDOUT": "?",
		"SELECT 1FROM a":             "?",
		"SELECT $1FROM a":            "?",
		"SELECT 0x1f FROM a":         "?",
		"SELECT 'a":                  "?",
		"SELECT /* a":                "?",
		"SELECT $$ a":                "?",
		`SELECT * FROM "a`:           "?",
		`SELECT * FROM U&"\0061"`:    "?",
		`SELECT \a`:                  "?",
		"SELECT * FROM":              "?",
		"SELECT * FROM a, WHERE b":   "?",
		"SELECT * FROM (a":           "?",
		"SELECT * FROM a)":           "?",
		"SELECT * FROM 'a'":          "?",
		"SELECT * FROM " + strings.Repeat("a", 64): "?",
	} {
		if got := parse(sql).String(); got != want {
			t.Errorf("%s\n\tnames %q, want %q", sql, got, want)
		}
	}
}

// Whatever else a query has, a table after FROM or JOIN is found, or the statement is not taken for
// read. No text makes the parser panic.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"x, (y", "a AS b JOIN (c", "'x' /* ", "$a$", "E'\\", `"`, "1e", "with x as (",
		"values, ", "select from ", "case when is distinct", "u&'a'", "a.", "as ", "; begin"} {
		f.Add(text, "x")
		f.Add("(select 1)", text)
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		parse(before)
		if tokens, err := lex(after); err != nil || len(tokens) > 0 && tokens[0].kind != tokenWord {
			return // secret.x is x
		}
		for _, sql := range []string{
			"SELECT " + before + " FROM secret " + after,
			"SELECT 1 FROM a " + before + " JOIN secret " + after,
			"SELECT 1 FROM a JOIN b ON " + before + ", secret " + after,
		} {
			p := parse(sql)
			if p.unread || !valid(before) {
				continue
			}
			if !slices.ContainsFunc(p.tables, func(t tableName) bool { return t.name == "secret" }) {
				t.Errorf("%q names %v", sql, p)
			}
		}
	})
}

// valid reports whether what stands before the table is whole, and may stand within an expression.
func valid(before string) bool {
	tokens, err := lex(before)
	if err != nil || strings.Contains(before, "--") {
		return false
	}
	depth := 0
	for _, t := range tokens {
		switch {
		case t.is("("):
			depth++
		case t.is(")"):
			depth--
		case t.is(";"):
			return false
		}
		if depth < 0 || depth == 0 && t.kind == tokenWord && reserved(t.text) {
			return false
		}
	}
	last := token{}
	if len(tokens) > 0 {
		last = tokens[len(tokens)-1]
	}
	return depth == 0 && !last.is(".") && !last.is("as")
}

// reserved are the words that stand in no expression.
func reserved(word string) bool {
	return ends(word) || slices.Contains([]string{"where", "union", "intersect", "except", "returning", "into",
		"select", "from", "table", "with", "is", "not", "distinct", "join", "only", "lateral", "using"}, word)
}
