package middleware

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/freshet-go/freshet/policy"
)

// fingerprint is that of p, which is made once for a policy that is known.
func (c *Cache) fingerprint(p *policy.Policy) string {
	if print, known := c.under().all[p]; known {
		return print
	}
	return fingerprint(p)
}

// fingerprint is what of a policy makes its responses other responses: everything but durations and
// bounds. Functions go by their names.
func fingerprint(p *policy.Policy) string {
	var b strings.Builder
	if p.TTL > 0 {
		b.WriteString("governed ")
	}
	appendFields(&b, reflect.ValueOf(*p))
	return b.String()
}

var typePolicies = reflect.TypeFor[[]policy.TypePolicy]()

func appendFields(b *strings.Builder, v reflect.Value) {
	for i := range v.NumField() {
		name, f := v.Type().Field(i).Name, v.Field(i)
		switch {
		case f.Kind() == reflect.Struct:
			appendFields(b, f)
		case f.IsZero() || name == "Off":
		case f.Type() == typePolicies:
			for i := range f.Len() {
				of := f.Index(i).Interface().(policy.TypePolicy)
				fmt.Fprintf(b, "%s %q {%s} ", name, of.Types, fingerprint(&of.Policy))
			}
		case f.Kind() == reflect.Bool:
			fmt.Fprintf(b, "%s ", name)
		case f.Kind() == reflect.String, f.Kind() == reflect.Slice:
			fmt.Fprintf(b, "%s=%q ", name, f.Interface())
		case f.Kind() == reflect.Func:
			fmt.Fprintf(b, "%s=%s ", name, nameOfValue(f))
		}
	}
}
