package middleware

import "sync"

// advice is what the log says once of how the cache was wired.
type advice struct{ said sync.Map }

// warn logs a line, the first time that it is given it.
func (c *Cache) warn(text string) {
	if _, before := c.advice.said.LoadOrStore(text, true); !before {
		c.Log.Warn("freshet: " + text)
	}
}

// warnOfNothing says what a handler that wrote nothing at all mostly means.
func (c *Cache) warnOfNothing() {
	c.warn("a handler returned without having written anything, so its empty 200 is not stored: where handlers return errors, " +
		"mount the cache with its framework's adapter (echo: adapters/echocache, not echo.WrapMiddleware), which sees their pages; " +
		"a page that is empty on purpose says so with WriteHeader or Cache-Control")
}
