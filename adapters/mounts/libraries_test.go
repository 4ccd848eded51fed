package mounts_test

// The middleware of others that the tests of this package mount around and inside the cache.
import (
	_ "github.com/alexedwards/scs/v2"
	_ "github.com/go-chi/chi/v5/middleware"
	_ "github.com/go-chi/cors"
	_ "github.com/gorilla/csrf"
	_ "github.com/gorilla/handlers"
	_ "github.com/gorilla/sessions"
	_ "github.com/klauspost/compress/gzhttp"
	_ "github.com/labstack/echo-contrib/session"
	_ "github.com/labstack/echo/v4/middleware"
	_ "github.com/rs/cors"
	_ "github.com/unrolled/secure"
)
