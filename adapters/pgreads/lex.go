package pgreads

import (
	"errors"
	"strings"
)

// tokenKind says what a token of SQL is.
type tokenKind uint8

const (
	tokenWord   tokenKind = iota // a keyword or a name, in lower case
	tokenName                    // a name in quotes, as it is
	tokenString                  // a text
	tokenNumber                  // digits alone have a text
	tokenParam                   // $1, whose text is the number
	tokenMark                    // an operator, or one of ( ) [ ] , ; : .
)

type token struct {
	kind tokenKind
	text string
}

// is reports whether a token is a keyword or a mark.
func (t token) is(text string) bool {
	return t.text == text && (t.kind == tokenWord || t.kind == tokenMark)
}

func (t token) named() bool { return t.kind == tokenWord || t.kind == tokenName }

var errSQL = errors.New("pgreads: a statement that cannot be read")

// maxName is the longest name that PostgreSQL does not cut, in bytes.
const maxName = 63

// lexer takes SQL apart as PostgreSQL does (chapter 4.1 of its manual), with
// standard_conforming_strings on.
type lexer struct {
	sql string
	at  int
}

// lex returns the tokens of SQL. What it does not know for sure is an error: where a token that was
// misread ends, the name of a table could be missed.
func lex(sql string) (tokens []token, err error) {
	l := lexer{sql: sql}
	for {
		if err := l.space(); err != nil {
			return nil, err
		}
		if l.at == len(l.sql) {
			return tokens, nil
		}
		t, err := l.next()
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, t)
	}
}

// space skips spaces and comments, which nest.
func (l *lexer) space() error {
	for l.at < len(l.sql) {
		rest := l.sql[l.at:]
		switch {
		case strings.IndexByte(" \t\r\n\f\v", rest[0]) >= 0:
			l.at++
		case strings.HasPrefix(rest, "--"):
			end := strings.IndexAny(rest, "\r\n")
			if end < 0 {
				end = len(rest)
			}
			l.at += end
		case strings.HasPrefix(rest, "/*"):
			if err := l.comment(); err != nil {
				return err
			}
		default:
			return nil
		}
	}
	return nil
}

func (l *lexer) comment() error {
	depth := 0
	for l.at+1 < len(l.sql) {
		switch l.sql[l.at : l.at+2] {
		case "/*":
			depth++
		case "*/":
			depth--
		default:
			l.at++
			continue
		}
		if l.at += 2; depth == 0 {
			return nil
		}
	}
	return errSQL
}

const operators = "+-*/<>=~!@#%^&|`?"

func (l *lexer) next() (token, error) {
	c := l.sql[l.at]
	switch {
	case begins(c):
		return l.word()
	case '0' <= c && c <= '9', c == '.' && l.digitAt(l.at+1):
		return l.number()
	case c == '$':
		return l.dollar()
	case c == '\'':
		return l.quoted(tokenString, '\'', false)
	case c == '"':
		return l.quoted(tokenName, '"', false)
	case strings.HasPrefix(l.sql[l.at:], "::"):
		l.at += 2
		return token{tokenMark, "::"}, nil
	case strings.IndexByte("()[],;:.", c) >= 0:
		l.at++
		return token{tokenMark, string(c)}, nil
	case strings.IndexByte(operators, c) >= 0:
		return l.operator(), nil
	}
	return token{}, errSQL
}

func begins(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c >= 0x80
}

func (l *lexer) digitAt(i int) bool {
	return i < len(l.sql) && '0' <= l.sql[i] && l.sql[i] <= '9'
}

// inWord reports whether the byte at i is one of a word that has begun.
func (l *lexer) inWord(i int) bool {
	return i < len(l.sql) && (begins(l.sql[i]) || l.digitAt(i) || l.sql[i] == '$')
}

// word reads a keyword or a name, or a text that a letter precedes.
func (l *lexer) word() (token, error) {
	begin := l.at
	for l.inWord(l.at) {
		l.at++
	}
	word := asciiLower(l.sql[begin:l.at])
	switch rest := l.sql[l.at:]; {
	case len(word) > maxName:
		return token{}, errSQL
	case word == "u" && (strings.HasPrefix(rest, `&"`) || strings.HasPrefix(rest, "&'")):
		return token{}, errSQL
	case strings.HasPrefix(rest, "'") && word == "e":
		return l.quoted(tokenString, '\'', true)
	case strings.HasPrefix(rest, "'") && (word == "b" || word == "x" || word == "n"):
		return l.quoted(tokenString, '\'', false)
	}
	return token{tokenWord, word}, nil
}

// asciiLower has other letters as they are, as PostgreSQL does in UTF-8.
func asciiLower(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for i, c := range b {
				if 'A' <= c && c <= 'Z' {
					b[i] = c + 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

// number reads a number in decimal. What a letter follows is a number and a word to some versions
// of PostgreSQL.
func (l *lexer) number() (token, error) {
	begin, whole := l.at, true
	digits := func() {
		for l.digitAt(l.at) {
			l.at++
		}
	}
	digits()
	if l.at < len(l.sql) && l.sql[l.at] == '.' {
		whole = false
		l.at++
		digits()
	}
	if l.at < len(l.sql) && l.sql[l.at]|0x20 == 'e' {
		sign := l.at + 1
		if sign < len(l.sql) && (l.sql[sign] == '+' || l.sql[sign] == '-') {
			sign++
		}
		if l.digitAt(sign) {
			whole, l.at = false, sign
			digits()
		}
	}
	switch {
	case l.inWord(l.at):
		return token{}, errSQL
	case whole:
		return token{tokenNumber, l.sql[begin:l.at]}, nil
	}
	return token{kind: tokenNumber}, nil
}

// dollar reads $1, or a text such as $$it's$$ or $tag$it's$tag$.
func (l *lexer) dollar() (token, error) {
	begin := l.at
	l.at++
	if l.digitAt(l.at) {
		for l.digitAt(l.at) {
			l.at++
		}
		if l.inWord(l.at) {
			return token{}, errSQL
		}
		return token{tokenParam, l.sql[begin+1 : l.at]}, nil
	}
	for l.at < len(l.sql) && l.sql[l.at] != '$' && l.inWord(l.at) {
		l.at++
	}
	if l.at == len(l.sql) || l.sql[l.at] != '$' {
		return token{}, errSQL
	}
	l.at++
	tag := l.sql[begin:l.at]
	end := strings.Index(l.sql[l.at:], tag)
	if end < 0 {
		return token{}, errSQL
	}
	l.at += end + len(tag)
	return token{kind: tokenString}, nil
}

// quoted reads what is in quotes, in which two quotes are one, and a backslash may stand before any
// byte.
func (l *lexer) quoted(kind tokenKind, quote byte, backslash bool) (token, error) {
	var b strings.Builder
	for l.at++; l.at < len(l.sql); l.at++ {
		switch c := l.sql[l.at]; {
		case c == '\\' && backslash:
			l.at++
		case c != quote:
			b.WriteByte(c)
		case l.at+1 < len(l.sql) && l.sql[l.at+1] == quote:
			l.at++
			b.WriteByte(c)
		default:
			l.at++
			if kind == tokenString {
				return token{kind: kind}, nil
			}
			if b.Len() == 0 || b.Len() > maxName {
				return token{}, errSQL
			}
			return token{kind, b.String()}, nil
		}
	}
	return token{}, errSQL
}

// operator reads an operator, which ends where a comment begins.
func (l *lexer) operator() token {
	begin := l.at
	for l.at < len(l.sql) && strings.IndexByte(operators, l.sql[l.at]) >= 0 {
		if rest := l.sql[l.at:]; strings.HasPrefix(rest, "--") || strings.HasPrefix(rest, "/*") {
			break
		}
		l.at++
	}
	return token{tokenMark, l.sql[begin:l.at]}
}
