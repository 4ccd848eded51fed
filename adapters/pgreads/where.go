package pgreads

import "slices"

// condition is column = value, or column = one of several values.
type condition struct {
	column string
	values []value
	list   bool // the one value is an array of them
}

// value is one of a condition: a parameter of the statement, or a number.
type value struct {
	param  int    // from 1; 0: it is a number
	number string // in digits
	cast   string // the type that it is cast to, or empty
}

// findWhere finds the conditions of a query of one table that each row meets which the query reads.
func (p *parser) findWhere() {
	if p.unread || p.statements != 1 || p.queries != 1 || len(p.tables) != 1 || p.tables[0].with ||
		!p.at(0).is("select") {
		return
	}
	depth, from, begin, end := 0, 0, -1, len(p.tokens)
	for i, t := range p.tokens {
		switch {
		case t.is("("), t.is("["):
			depth++
		case t.is(")"), t.is("]"):
			depth--
		case depth > 0 || t.kind == tokenName || p.at(i-1).is(".") || p.at(i-1).is("as"): // a label may be a keyword
		case t.is("from") && begin < 0:
			from = i + 1
		case t.is("where") && begin < 0:
			begin = i + 1
		case begin >= 0 && end == len(p.tokens) && t.kind != tokenString && ends(t.text):
			end = i
		}
	}
	if begin >= 0 && alone(p.tokens[from:begin-1]) {
		p.where = conditions(p.tokens[begin:end])
	}
}

// alone reports whether the FROM clause has a table alone: no function or join whose columns could
// be meant as well.
func alone(clause []token) bool {
	return !slices.ContainsFunc(clause, func(t token) bool {
		return !t.named() && !t.is(".") && !t.is("*") || t.is("join")
	})
}

func ends(text string) bool {
	return slices.Contains([]string{"group", "having", "window", "order", "limit", "offset",
		"fetch", "for", ";"}, text)
}

// conditions returns those of a WHERE clause that all others are joined to by AND.
func conditions(clause []token) (all []condition) {
	depth, begin := 0, 0
	for i, t := range clause {
		switch {
		case t.is("("), t.is("["):
			depth++
		case t.is(")"), t.is("]"):
			depth--
		case depth > 0 || t.kind != tokenWord:
		case t.text == "or" || t.text == "between" || t.text == "case":
			return nil
		case t.text == "and":
			all = appendCondition(all, clause[begin:i])
			begin = i + 1
		}
	}
	return appendCondition(all, clause[begin:])
}

func appendCondition(all []condition, c []token) []condition {
	column, rest := takeColumn(c)
	if column == "" { // $1 = column
		v, rest := takeValue(c)
		if len(rest) == 0 || !rest[0].is("=") {
			return all
		}
		if column, rest = takeColumn(rest[1:]); v == nil || column == "" || len(rest) > 0 {
			return all
		}
		return append(all, condition{column: column, values: []value{*v}})
	}
	switch {
	case len(rest) > 4 && rest[0].is("=") && rest[1].is("any") && rest[2].is("("):
		if v, rest := takeValue(rest[3:]); v != nil && len(rest) == 1 && v.param > 0 &&
			v.cast == "" {
			return append(all, condition{column, []value{*v}, true})
		}
	case len(rest) > 3 && rest[0].is("in") && rest[1].is("("):
		if values := takeValues(rest[2:]); values != nil {
			return append(all, condition{column: column, values: values})
		}
	case len(rest) > 1 && rest[0].is("="):
		if v, rest := takeValue(rest[1:]); v != nil && len(rest) == 0 {
			return append(all, condition{column: column, values: []value{*v}})
		}
	}
	return all
}

// takeColumn takes column or table.column.
func takeColumn(c []token) (column string, rest []token) {
	switch {
	case len(c) > 2 && c[0].named() && c[1].is(".") && c[2].named():
		column, rest = c[2].text, c[3:]
	case len(c) > 0 && c[0].named():
		column, rest = c[0].text, c[1:]
	}
	return column, rest
}

// takeValue takes $1, $1::type or 1.
func takeValue(c []token) (v *value, rest []token) {
	switch {
	case len(c) > 0 && c[0].kind == tokenNumber && c[0].text != "":
		v = &value{number: c[0].text}
	case len(c) > 0 && c[0].kind == tokenParam && len(c[0].text) < 6:
		v = &value{}
		for _, digit := range c[0].text {
			v.param = 10*v.param + int(digit-'0')
		}
		if v.param == 0 {
			return nil, c
		}
	default:
		return nil, c
	}
	if rest = c[1:]; len(rest) > 1 && rest[0].is("::") && rest[1].kind == tokenWord {
		v.cast, rest = rest[1].text, rest[2:]
	}
	return v, rest
}

// takeValues takes values with commas between, up to the parenthesis that is the last token.
func takeValues(c []token) (values []value) {
	for {
		v, rest := takeValue(c)
		if v == nil || len(rest) == 0 {
			return nil
		}
		values = append(values, *v)
		if rest[0].is(")") && len(rest) == 1 {
			return values
		}
		if !rest[0].is(",") {
			return nil
		}
		c = rest[1:]
	}
}
