package policy

import (
	"crypto/sha256"
	"encoding"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// A response that depends on rows of tables has tags that say so. A tag names a row, each row of a
// table, a table, or the tables of a database. What a change invalidates, [RowChange] and
// [TableChange] say.
//
//	product:42     the row of product whose key is 42
//	product:*      each row of product: a list, a search, or more rows than are noted one by one
//	product        something of product; beside each of the two above
//	*:shop         something of the database shop
//	*:shop:*       each row of each table of shop: what a statement read that nobody understood
//
// In a table's name and in a key, each byte but letters and digits of ASCII and "_", "-", ".", "~"
// is percent-encoded, so that no two rows have one tag. A key of several columns has a ":" between
// them. A row's tag of more than 256 bytes has "#" and a hash (SHA-256) for its key.

// maxRowTag is the longest tag of a row that has its key as it is, in bytes.
const maxRowTag = 256

// RowTag returns the tag of the row of a table with the key, a value for each of the key's columns.
// Values are integers, texts, booleans, times, or what writes itself as a text
// (encoding.TextMarshaler, fmt.Stringer), and pointers to those; of [16]byte is made the text of a
// UUID. Without a key, or with another value, which is no row's for sure, it returns the tag of
// each row.
func RowTag(table string, key ...any) string {
	b := []byte(TableTag(table))
	begin := len(b)
	for _, column := range key {
		text, ok := keyText(column)
		if !ok {
			return EachRowTag(table)
		}
		b = appendEncoded(append(b, ':'), text)
	}
	switch {
	case len(key) == 0:
		return EachRowTag(table)
	case len(b) > maxRowTag:
		sum := sha256.Sum256(b[begin:])
		return string(b[:begin]) + ":#" + base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return string(b)
}

// EachRowTag returns the tag of what depends on each row of a table.
func EachRowTag(table string) string { return TableTag(table) + ":*" }

// TableTag returns the tag of what depends on something of a table.
func TableTag(table string) string {
	if table == "" {
		return "%" // a tag has a name
	}
	return string(appendEncoded(nil, table))
}

// DatabaseTag returns the tag of what depends on something of a database.
func DatabaseTag(name string) string { return "*:" + TableTag(name) }

// EachTableTag returns the tag of what depends on each row of each table of a database.
func EachTableTag(database string) string { return DatabaseTag(database) + ":*" }

// RowChange returns the tags that a change of a row invalidates: the row's, and that of each row of
// its table. A row that is new or gone has changed. Without a key, or with one that RowTag does not
// take, it is TableChange.
func RowChange(table string, key ...any) []string {
	row, each := RowTag(table, key...), EachRowTag(table)
	if row == each {
		return TableChange(table)
	}
	return []string{row, each}
}

// TableChange returns the tags that a change of a table invalidates, of which nobody knows the
// rows.
func TableChange(table string) []string { return []string{TableTag(table)} }

// appendEncoded appends text, percent-encoded.
func appendEncoded(b []byte, text string) []byte {
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			strings.IndexByte("_-.~", c) >= 0:
			b = append(b, c)
		default:
			const digits = "0123456789ABCDEF"
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return b
}

// keyText returns the text of a value of a key. It is false for what has none that would be the
// same each time.
func keyText(value any) (text string, ok bool) {
	defer func() {
		if recover() != nil { // a method of the app's on a nil pointer, say
			text, ok = "", false
		}
	}()
	v := reflect.ValueOf(value)
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String:
		return v.String(), true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10), true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.FormatUint(v.Uint(), 10), true
	case reflect.Bool:
		return strconv.FormatBool(v.Bool()), true
	case reflect.Invalid, reflect.Pointer, reflect.Float32, reflect.Float64, reflect.Complex64,
		reflect.Complex128:
		return "", false
	}
	return writtenText(value, v)
}

// writtenText is keyText of what is no simple value: v is what value points to, in the end.
func writtenText(value any, v reflect.Value) (string, bool) {
	for _, value := range []any{v.Interface(), value} {
		switch value := value.(type) {
		case time.Time:
			return value.UTC().Format(time.RFC3339Nano), true
		case [16]byte:
			return uuidText(value), true
		case encoding.TextMarshaler:
			text, err := value.MarshalText()
			return string(text), err == nil
		case fmt.Stringer:
			return value.String(), true
		}
	}
	return "", false
}

// uuidText returns the text of a UUID (RFC 9562 section 4).
func uuidText(u [16]byte) string {
	var text [36]byte
	at := 0
	for i, part := range [...][2]int{{0, 4}, {4, 6}, {6, 8}, {8, 10}, {10, 16}} {
		if i > 0 {
			text[at] = '-'
			at++
		}
		at += hex.Encode(text[at:], u[part[0]:part[1]])
	}
	return string(text[:])
}
