package main

import (
	"strings"

	"github.com/freshet-go/freshet/adapters/statsd"
	"github.com/freshet-go/freshet/settings"
	"github.com/freshet-go/freshet/store/open"
)

// group is settings that belong together, in the help and in lists.
type group struct {
	title string
	rows  []settings.Setting
	after string // text of the help behind them
}

// proxyGroups are the settings of freshet proxy. Of each, --help, freshet config and
// docs/settings.md say what stands here, and nowhere else. A flag is called like its setting,
// without proxy. before it.
var proxyGroups = []group{
	{title: "where", rows: []settings.Setting{
		{Name: "proxy.upstream", Value: "URL", Allowed: required,
			Meaning: "the server to cache for",
			More: "a path in it goes before each request's; several servers that answer alike " +
				"have commas between them"},
		{Name: "proxy.listen", Value: "HOST:PORT", Default: "127.0.0.1:8080",
			Meaning: "where to serve", More: ":8080 is every address"},
		{Name: "proxy.preserve-host", Default: "true",
			Meaning: "send the client's Host to the upstream", More: "with --preserve-host=false " +
				"the upstream gets the host of its own URL"},
		{Name: "proxy.trust-forwarded", Default: "false",
			Meaning: "believe the X-Forwarded-For, -Host, -Proto and Forwarded of clients",
			More:    "only behind a proxy of your own; otherwise they are replaced"},
		{Name: "proxy.allow-underscores", Default: "false",
			Meaning: "let request fields through whose names have other characters than letters, " +
				"digits and hyphens",
			More: "otherwise they are dropped, since many apps take X_Forwarded_For for " +
				"X-Forwarded-For"},
		{Name: "proxy.http-host", Value: "HOST", Allowed: "a host, or a host and a port",
			Meaning: "the host of the public URLs, which counts in place of the one that a request " +
				"names",
			More: "for keys, purges and the upstream; only where one host is served"},
		{Name: "proxy.http-scheme", Value: "SCHEME", Allowed: "http or https",
			Meaning: "the scheme of the public URLs, in place of the connection's"},
		{Name: "proxy.timeout", Value: "DURATION", Default: "1m", Allowed: "more than 0",
			Meaning: "how long the upstream may be silent"},
		{Name: "proxy.stall-timeout", Value: "DURATION", Default: "1m", Allowed: "0 or more",
			Meaning: "how long a client may take nothing of a long response, or send nothing of its " +
				"request's body, before it is cut off",
			More: "0 for never; a slow one is not cut off"},
	}},
	{title: "what is kept", rows: []settings.Setting{
		{Name: "proxy.store", Value: "URL", Default: "memory://",
			Meaning: "keep it in a store that lasts, and that several proxies can share",
			More: "such as file:///var/cache/site, redis://host:6379/0, postgres://user@host/db, " +
				"memcached://host1,host2. Without it, the " +
				"settings cache_url and so on count, then FRESHET_REDIS_URL, CACHEKIT_REDIS_URL " +
				"and REDIS_URL"},
		{Name: "proxy.memory", Value: "SIZE", Default: "256MiB", Allowed: "from 1MiB",
			Meaning: "the bound of what is kept in this process",
			More:    "the process takes about 2.2 times as much, unless GOMEMLIMIT is set"},
		{Name: "proxy.max-body", Value: "SIZE", Default: "16MiB", Allowed: "from 1", Live: true,
			Meaning: "the longest body that is kept",
			More:    "never more than a quarter of --memory"},
		{Name: "proxy.heuristics", Default: "true", Live: true,
			Meaning: "keep a response that states no lifetime for a tenth of the time since its " +
				"Last-Modified, a day at most",
			More: "off: --heuristics=false"},
		{Name: "proxy.heuristic-documents", Value: "DURATION", Default: "1m", Allowed: "0 or more",
			Live: true,
			Meaning: "documents (HTML, feeds, calendars, JSON, XML, and what has no type) so " +
				"long at most",
			More: "0s: they are not kept without a stated lifetime"},
		{Name: "proxy.store-cookies", Default: "false", Live: true,
			Meaning: "keep responses that set cookies, as RFC 9111 allows",
			More:    "every client then gets the same cookie"},
		{Name: "proxy.pass-cookies", Value: "NAMES", Live: true,
			Meaning: "a request with one of these cookies goes to the upstream, and its response " +
				"is not kept, whatever it says",
			More: "such as wordpress_logged_in_*,PHPSESSID"},
		{Name: "proxy.ignore-cookies", Value: "NAMES", Live: true,
			Meaning: "a request with no other cookies than these counts as one without, and the " +
				"upstream does not see them",
			More: "such as _ga*,consent; @analytics stands for those of common analytics, " +
				"consent banners and CDNs"},
		{Name: "proxy.stale-while-revalidate", Value: "DURATION", Default: "0s",
			Allowed: "0 or more", Live: true,
			Meaning: "serve a stale response for so long while it is renewed, where the response " +
				"does not say itself"},
		{Name: "proxy.stale-if-error", Value: "DURATION", Default: "0s", Allowed: "0 or more",
			Live: true,
			Meaning: "serve a stale response for so long while the upstream answers 500, 502, " +
				"503 or 504, where the response does not say itself",
			More: "while the upstream cannot be reached, stale responses are served for 10 minutes"},
		{Name: "proxy.rule", Value: "'PATTERN = WORDS'", Live: true,
			Meaning: "what is kept of some paths, and for how long",
			More: "such as '/api/* = 60s' or '/admin/* = pass'; the flag may be given several " +
				"times. The first rule that matches " +
				"wins, before those in the section [rules] of --config. docs/rules.md has the words"},
	}},
	upstreamGroup, purgeGroup, tlsGroup, noticeGroup, healthGroup, adminGroup,
	writeGroup,
	{title: "how it runs", rows: []settings.Setting{
		{Name: "proxy.name", Value: "NAME", Default: "Freshet", Allowed: "letters, digits and - " +
			". _, a letter first",
			Meaning: "its name in Cache-Status and Via"},
		{Name: "proxy.front", Default: "true",
			Meaning: "answer hits as their bytes come, in front of net/http",
			More:    "they cost half as much so; --front=false is for comparing"},
		{Name: "proxy.readonly", Default: "false",
			Meaning: "look up what others have stored, and write nothing",
			More:    "wants a --store that processes share; purges hold in this process alone"},
		{Name: "proxy.strict", Default: "false",
			Meaning: "answer 503 while the store fails, in place of asking the upstream"},
		{Name: "proxy.strict-invalidation", Default: "false",
			Meaning: "answer 503 to a POST, PUT or DELETE whose invalidation the store would not take, " +
				"in place of asking the upstream"},
		{Name: "proxy.spool", Value: "FOLDER", Allowed: "a folder of this user's with mode 0700, or none " +
			"yet",
			Meaning: "keep invalidations on the disk that the store does not take",
			More: "a proxy that is killed leaves them to the next one. One folder for each store, and " +
				"another one than the app's"},
	}},
	{title: "the access log", rows: logRows},
	{title: "settings", rows: sourceRows},
}

// sourceRows say where settings are read. They are flags and variables alone, since a file cannot
// name itself.
var sourceRows = []settings.Setting{
	{Name: "config", Value: "FILE", Meaning: "read settings from an .ini file, such as the app's " +
		"own"},
	{Name: "prefixes", Value: "LIST",
		Meaning: "accept keys and variables with these prefixes as well",
		More:    "kinto.,cliquet. reads what a Kinto has set"},
}

// storeGroup is what the commands that look after a store take.
var storeGroup = group{title: "flags", rows: append([]settings.Setting{
	{Name: "store", Value: "URL", Meaning: "the store",
		More: "without it, cache_url and the other settings of the file and the environment " +
			"count, then " +
			"FRESHET_REDIS_URL, CACHEKIT_REDIS_URL and REDIS_URL"},
	{Name: "proxy", Value: "URL", Meaning: "(flush) where a running proxy is reached",
		More: "it invalidates everything, in its memory and its store; its --purge-from must " +
			"have this machine's address"},
	{Name: "dry-run", Default: "false", Meaning: "(migrate) say what would be done, and change " +
		"nothing"},
	{Name: "dependencies", Value: "TABLE,...", Meaning: "(migrate) add triggers to these tables that " +
		"announce their changes, for the pages that read them; * is all",
		More: "docs/dependencies.md tells what an app does with it"},
	{Name: "database", Value: "URL", Meaning: "(migrate) the PostgreSQL that has the tables of " +
		"--dependencies", More: "without it, the store, if that is one"},
	{Name: "remove", Default: "false", Meaning: "(migrate) remove the triggers of --dependencies"},
	commandsTimeout,
	{Name: "json", Default: "false", Meaning: "print what was done or found as JSON"},
}, sourceRows...)}

// commandsTimeout is called --timeout at a command. It has no dot, so that an app may have keys
// that begin like it.
var commandsTimeout = settings.Setting{Name: "commands_timeout", Value: "DURATION", Default: "30s",
	Allowed: "more than 0",
	Meaning: "give up after so long"}

// required stands in Setting.Allowed of what has no default and must be set.
const required = "required"

// configGroups are all settings that the commands know.
func configGroups() []group {
	all := []group{{title: "where settings are read", rows: sourceRows}}
	for _, g := range proxyGroups[:len(proxyGroups)-1] {
		all = append(all, group{title: "freshet proxy: " + g.title, rows: g.rows})
	}
	return append(all,
		group{title: "freshet migrate, flush and health",
			rows: []settings.Setting{commandsTimeout}},
		group{title: "the store", rows: open.Settings()}, statsdGroup)
}

// keys are the settings that a file may have.
func keys() []string {
	all := append(open.Keys(), statsd.Keys()...)
	for _, g := range configGroups() {
		for _, row := range g.rows {
			if strings.Contains(row.Name, ".") || row.Name == commandsTimeout.Name {
				all = append(all, row.Name)
			}
		}
	}
	return all
}

// live are the settings that a proxy applies while it runs.
func live() (names []string) {
	for _, g := range proxyGroups {
		for _, row := range g.rows {
			if row.Live {
				names = append(names, row.Name)
			}
		}
	}
	return names
}

// flagName is how a setting is called on the command line.
func flagName(setting string) string {
	if setting == commandsTimeout.Name {
		return "timeout"
	}
	return strings.TrimPrefix(setting, "proxy.")
}
