package middleware

import (
	"net/http"
	"path"
	"reflect"
	"runtime"
	"strings"
	"unsafe"
)

// handlerKey is what a mount's handler is known by: equal for the same handler, and for no two that
// live at once.
func handlerKey(m *Mount) any {
	switch {
	case m.next == nil:
		return m // an adapter's
	case plain(m.next):
		return m.name
	}
	if key := identified(m.next); key != nil {
		return key
	}
	return m
}

// identified returns what is equal for the same handler alone, or nil.
func identified(h http.Handler) any {
	v := reflect.ValueOf(h)
	switch {
	case v.Kind() == reflect.Func:
		return closure{v.Type(), closureOf(v)}
	case v.Comparable():
		return h
	}
	return nil
}

// closure is a function with what it has captured. It is held, so that its place is no other's.
type closure struct {
	of reflect.Type
	at unsafe.Pointer
}

// closureOf returns where a function value's closure lies: reflect tells only where its code does,
// which all closures of one function literal share.
func closureOf(v reflect.Value) unsafe.Pointer {
	f := reflect.New(v.Type())
	f.Elem().Set(v)
	return *(*unsafe.Pointer)(f.UnsafePointer())
}

// nameOf returns a handler's name: of a function its own, of anything else its type's.
func nameOf(h http.Handler) string {
	if m, ok := h.(*Mount); ok {
		return "mount of " + m.name
	}
	return nameOfValue(reflect.ValueOf(h))
}

func nameOfValue(v reflect.Value) string {
	if v.Kind() == reflect.Func {
		if v.IsNil() {
			return ""
		}
		return runtime.FuncForPC(v.Pointer()).Name()
	}
	t, stars := v.Type(), ""
	for t.Kind() == reflect.Pointer {
		t, stars = t.Elem(), stars+"*"
	}
	return stars + t.PkgPath() + "." + t.Name()
}

// plain reports whether a handler is a function of its own name, which has captured nothing: its
// name tells all.
func plain(h http.Handler) bool {
	v := reflect.ValueOf(h)
	if v.Kind() != reflect.Func { // or there is none
		return false
	}
	name := path.Base(nameOfValue(v))
	return strings.Count(name, ".") == 1 && !strings.HasSuffix(name, "-fm") &&
		!strings.ContainsAny(name, "[(")
}
