package pgreads

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
)

// maxKeys is how many rows a statement may name by their keys; with more, it reads the table.
const maxKeys = 64

// keys returns the keys of the rows that a statement with these arguments reads, each a text for
// each column as PostgreSQL writes it, or nil if that cannot be said for sure.
func (p *plan) keys(args []any) (keys [][]any) {
	keys = [][]any{nil}
	for _, column := range p.key {
		texts := column.texts(args)
		if len(texts) == 0 || len(texts)*len(keys) > maxKeys {
			return nil
		}
		var longer [][]any
		for _, key := range keys {
			for _, text := range texts {
				longer = append(longer, append(key[:len(key):len(key)], text))
			}
		}
		keys = longer
	}
	return keys
}

func (k keyValue) texts(args []any) (texts []string) {
	for _, v := range k.values {
		values := []any{v.number}
		switch {
		case v.param > len(args):
			return nil
		case v.param > 0 && k.list:
			values = elements(args[v.param-1])
		case v.param > 0:
			values = args[v.param-1 : v.param]
		}
		for _, value := range values {
			text, ok := textOf(k.kind, value)
			if !ok || len(texts) == maxKeys {
				return nil
			}
			texts = append(texts, text)
		}
	}
	return texts
}

// elements returns those of a slice of plain values.
func elements(list any) (all []any) {
	v := reflect.ValueOf(list)
	if v.Kind() != reflect.Slice || v.Len() > maxKeys || methods(v.Type()) {
		return nil
	}
	for i := range v.Len() {
		all = append(all, v.Index(i).Interface())
	}
	return all
}

// methods reports whether a type has methods, by which pgx may send it as something else.
func methods(t reflect.Type) bool {
	return t.NumMethod() > 0 || reflect.PointerTo(t).NumMethod() > 0
}

// textOf returns the text that PostgreSQL has for a value in a column of a kind.
func textOf(kind string, value any) (text string, ok bool) {
	if u, isUUID := value.(pgtype.UUID); isUUID && kind == "u" {
		return u.String(), u.Valid
	}
	v := reflect.ValueOf(value)
	for v.Kind() == reflect.Pointer && !v.IsNil() && !methods(v.Type().Elem()) {
		v = v.Elem()
	}
	switch k := v.Kind(); {
	case kind == "u" && k == reflect.Array && v.Len() == 16 &&
		v.Type().Elem().Kind() == reflect.Uint8:
		return uuidOf(v)
	case !v.IsValid() || methods(v.Type()):
		return "", false
	case kind == "i" && v.CanInt():
		return strconv.FormatInt(v.Int(), 10), true
	case kind == "i" && v.CanUint():
		return strconv.FormatUint(v.Uint(), 10), true
	case kind == "i" && k == reflect.String:
		i, err := strconv.ParseInt(v.String(), 10, 64)
		return strconv.FormatInt(i, 10), err == nil
	case kind == "u" && k == reflect.String:
		return readUUID(v.String())
	case kind == "t" && k == reflect.String:
		return v.String(), true
	}
	return "", false
}

// uuidOf returns the text of 16 bytes, unless they write themselves as another.
func uuidOf(v reflect.Value) (text string, ok bool) {
	var u pgtype.UUID
	reflect.Copy(reflect.ValueOf(&u.Bytes).Elem(), v)
	u.Valid = true
	s, isStringer := v.Interface().(fmt.Stringer)
	if isStringer && !strings.EqualFold(s.String(), u.String()) {
		return "", false
	}
	return u.String(), true
}

// readUUID reads the form with hyphens, in either case.
func readUUID(text string) (string, bool) {
	text = asciiLower(text)
	bytes, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(bytes) != 16 {
		return "", false
	}
	u := pgtype.UUID{Bytes: [16]byte(bytes), Valid: true}
	return u.String(), u.String() == text
}
