package store

// As finds an ability: it returns s, or what s wraps, as a T. A wrapper has a method Unwrap() any.
// As is to stores and backends what errors.As is to errors.
func As[T any](s any) (T, bool) {
	for s != nil {
		if t, ok := s.(T); ok {
			return t, true
		}
		wrapper, ok := s.(interface{ Unwrap() any })
		if !ok {
			break
		}
		s = wrapper.Unwrap()
	}
	var none T
	return none, false
}
