package settings

import "strings"

// Setting describes a setting to people: a row of the table from which a program makes its help,
// the list of what is set and its documentation. The zero value describes nothing.
type Setting struct {
	// Name is the setting's key in the file, without a prefix: "cache_pool_size", "proxy.max-body".
	Name string
	// Value says what a value looks like: SIZE, DURATION. Empty: true or false.
	Value string
	// Default is the value when nobody sets it, as people write it. Empty: none.
	Default string
	// Allowed says which values are allowed: "1 to 10000". Empty: what Value says.
	Allowed string
	// Meaning says what the setting does, in a phrase.
	Meaning string
	// More is what help adds to Meaning.
	More string
	// Secret values are never shown. Passwords in URLs are masked in any case.
	Secret bool
	// Live settings take effect while the program runs, when its settings are loaded anew. Others
	// wait for a restart.
	Live bool
}

// Environ returns the name of the environment variable that sets key: FRESHET_PROXY_MAX_BODY.
func Environ(key string) string { return strings.ToUpper(nameOf(prefix + key)) }
