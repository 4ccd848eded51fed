package middleware

import (
	"context"
	"net/http"
	"reflect"
)

// A handler between two time limits, or between a time limit and a buffer inside of it, writes to a
// header map that no writer of ours shows: what the cache announces covers that unseen. So where
// more than one map may lie between a mount and the writer of ours around it, the response is its
// client's alone. The fields of net/http's and context's types that are read here never change; a
// writer beyond a time limit may be another request's by now, so only its type is looked at.

// layered reports whether more than one header map may lie between the mount and the writer of ours
// around it, which it does not see.
func (x *exchange) layered() bool {
	limits := limitsAround(x.r.Context())
	limit, found := limitOf(x.w)
	if !found {
		return limits > 0 // a buffer inside of a time limit
	}
	shown, beyond := limit.FieldByName("h"), limit.FieldByName("w")
	if shown.Kind() != reflect.Map || beyond.Kind() != reflect.Interface || beyond.IsNil() ||
		shown.Pointer() != mapOf(x.w.Header()) {
		return true
	}
	w := beyond.Elem()
	if x.isOver(w) {
		return false
	}
	return limits > 1 || limitsTime(w.Type()) || !passesHeader(w.Type())
}

// isOver reports whether w is the writer of ours around x.
func (x *exchange) isOver(w reflect.Value) bool {
	if w.Kind() != reflect.Pointer {
		return false
	}
	at, over := w.Pointer(), reflect.ValueOf(x.over).Pointer()
	if at <= over && over < at+w.Type().Elem().Size() { // the veil lies in it
		return true
	}
	return x.around != nil && x.around.run != nil &&
		at == reflect.ValueOf(&x.around.run.rec).Pointer()
}

// limitOf returns the innermost writer of http.TimeoutHandler that w writes to, if there is one.
func limitOf(w http.ResponseWriter) (limit reflect.Value, found bool) {
	const deepest = 64 // a writer may hold itself
	v := reflect.ValueOf(w)
	for range deepest {
		if v.Kind() == reflect.Pointer && limitsTime(v.Type()) {
			return v.Elem(), !v.IsNil()
		}
		if v.CanInterface() {
			if inner, ok := v.Interface().(interface{ Unwrap() http.ResponseWriter }); ok {
				if v = reflect.ValueOf(inner.Unwrap()); !v.IsValid() {
					break
				}
				continue
			}
		}
		if v = writerIn(v); !v.IsValid() {
			break
		}
	}
	return reflect.Value{}, false
}

// writerIn returns the writer that a field of v holds, or nothing.
func writerIn(v reflect.Value) reflect.Value {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return reflect.Value{}
	}
	for i := range v.NumField() {
		f := v.Field(i)
		if f.Kind() == reflect.Interface && f.Type().Implements(writerType) && !f.IsNil() {
			return f.Elem()
		}
		if v.Type().Field(i).Anonymous && f.Kind() == reflect.Struct {
			if inner := writerIn(f); inner.IsValid() {
				return inner
			}
		}
	}
	return reflect.Value{}
}

// passesHeader reports whether writers of the type t hold another one, and no header of their own.
func passesHeader(t reflect.Type) bool {
	if !holdsWriter(t) && !ofOurs(t) {
		return false
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if ofOurs(t) {
		return true
	}
	for i := range t.NumField() {
		f := t.Field(i).Type
		if f.Kind() == reflect.Map && f.ConvertibleTo(reflect.TypeFor[http.Header]()) {
			return false
		}
	}
	return true
}

func ofOurs(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.PkgPath() == reflect.TypeFor[guarded]().PkgPath()
}

var withoutCancel = reflect.TypeOf(context.WithoutCancel(context.Background()))

// limitsAround counts the contexts between ctx and what is around it of ours that may be those of
// time limits. The context of a time limit within a shorter one is a cancelCtx, with its deadline.
func limitsAround(ctx context.Context) (n int) {
	for ctx != nil {
		switch c := ctx.(type) {
		case *gatedContext, *speaking:
			return n
		case *telling:
			ctx = c.Context
			continue
		}
		_, bounded := ctx.Deadline()
		t := reflect.TypeOf(ctx)
		var parent context.Context
		if t.Kind() == reflect.Pointer && t.Elem().PkgPath() == "context" &&
			t.Elem().Kind() == reflect.Struct {
			if f := reflect.ValueOf(ctx).Elem().FieldByName("Context"); f.IsValid() && f.CanInterface() {
				parent, _ = f.Interface().(context.Context)
			}
		}
		if parent == nil { // another's type: its parent is not known
			if bounded || t == withoutCancel {
				n++
			}
			return n
		}
		_, ofRun := parent.(*speaking)
		if name := t.Elem().Name(); bounded && !ofRun && (name == "timerCtx" || name == "cancelCtx") {
			n++
		}
		ctx = parent
	}
	return n
}
