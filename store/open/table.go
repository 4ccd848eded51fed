package open

import (
	"maps"
	"slices"

	"github.com/freshet-go/freshet/settings"
)

// setting is one of the settings that choose and adjust a store.
type setting struct {
	settings.Setting
	value
	// the URL's option that it stands for; empty: it helps to choose the URL
	option  string
	kinds   []string         // the kinds of driver that it is for; nil: all
	except  string           // a kind that it is not for
	schemes []string         // the schemes that it is for; nil: all
	narrow  map[string]value // what some kinds allow only
}

var (
	onServers  = []string{"redis", "postgresql", "memcached", "http", cachekit, "dynamodb"}
	pooled     = []string{"redis", "postgresql"}
	redis      = []string{"redis"}
	postgresql = []string{"postgresql"}
	plainHTTP  = []string{"http"}
	overHTTP   = []string{"http", cachekit, "dynamodb"}
	sentinel   = []string{"redis+sentinel"}
	memcached  = map[string]value{"memcached": length("1ms", "1m")}
)

// known are the settings, after those of Kinto and cachekit, whose files can be read as they are.
// It is the one place that says what they are called, mean and allow.
var known = complete([]setting{
	{Setting: row("cache_backend", "KIND", "", "the kind of store: memory, file, redis, "+
		"postgresql, memcached, http, cachekit, dynamodb"), value: backendName},
	{Setting: row("cache_url", "URL", "memory://", "the store, with its options"), value: text},
	{Setting: row("cache_hosts", "HOSTS", "127.0.0.1:11211", "the servers of cache_backend = "+
		"memcached"), value: text},
	{Setting: row("cache_dir", "FOLDER", "", "the folder of cache_backend = file"), value: text},

	{Setting: row("cache_prefix", "TEXT", DefaultPrefix, "begins every key on a server"),
		value: prefixes, option: "prefix"},
	{Setting: row("cache_near_size_bytes", "SIZE", "64MiB", "how much of it this process keeps "+
		"in memory as well; 0: nothing"),
		value: size(0, "0", 1<<40, "1TiB"), option: "near", except: memory},
	{Setting: row("cache_compress_from_bytes", "SIZE", "0", "the smallest body to compress; 0: "+
		"none are"),
		value: size(0, "0", 1<<31-1, "2GiB"), option: "compress"},
	{Setting: row("cache_max_value_bytes", "SIZE", "64MiB; file 100MiB",
		"the largest entry to store; 0: no bound but the backend's"),
		value: size(0, "0", 1<<40, "1TiB"), option: "max_value",
		narrow: map[string]value{"file": size(1, "1", 1<<40, "1TiB")}},
	{Setting: row("cache_max_size_bytes", "SIZE", "memory 256MiB, file 1GiB",
		"the bound of all that is stored"),
		value: size(leastMemory, "64KiB", 1<<50, "1024TiB"), option: "max_bytes",
		kinds:  []string{memory, "file"},
		narrow: map[string]value{"file": size(1<<20, "1MiB", 1<<50, "1024TiB")}},
	{Setting: row("cache_encryption", "WORD", "optional", "required: do not start without a key, so that "+
		"nothing is stored in the clear"),
		value: oneOf("optional", "required"), option: "encryption"},
	{Setting: secret(row("cache_encryption_key", "SOURCE", "", "where the key is that encrypts all "+
		"that is stored; nothing is without it")),
		value: sources, option: "encryption_key", except: memory},
	{Setting: secret(row("cache_encryption_old_keys", "SOURCE", "", "where up to three keys are that "+
		"encrypted it before")),
		value: sources, option: "encryption_old_keys", except: memory},
	{Setting: row("cache_start", "WORD", "asked", "anyway: start although the server does not "+
		"answer"),
		value: oneOf("asked", "anyway"), option: "start", except: memory},

	{Setting: row("cache_pool_size", "NUMBER", "redis 50, postgresql 10, others 64",
		"connections, to each server"),
		value: whole(1, 10_000), option: "pool_size", kinds: onServers},
	{Setting: row("cache_pool_timeout", "TIME", "redis 1s, postgresql 30s",
		"how long a call waits for a free connection"),
		value: length("1ms", "1h"), option: "pool_timeout", kinds: pooled},
	{Setting: row("cache_max_overflow", "NUMBER", "10", "connections beyond cache_pool_size, for "+
		"as long as they are needed"),
		value: whole(0, 10_000), option: "max_overflow", kinds: postgresql},
	{Setting: row("cache_maxoverflow", "NUMBER", "10", "the older spelling of cache_max_overflow"),
		value: whole(0, 10_000), option: "max_overflow", kinds: postgresql},
	{Setting: row("cache_max_backlog", "NUMBER", "-1", "how many calls may wait for a "+
		"connection; -1: any number"),
		value: whole(-1, 1_000_000), option: "max_backlog", kinds: postgresql},
	{Setting: row("cache_pool_recycle", "SECONDS", "-1", "the age at which a connection is "+
		"replaced; -1: never"),
		value: recycle, option: "pool_recycle", kinds: postgresql},
	{Setting: row("cache_dial_timeout", "TIME", "postgresql 5s, memcached 500ms, others 2s",
		"how long connecting may take"),
		value: length("1ms", "1h"), option: "dial_timeout", kinds: onServers, narrow: memcached},
	{Setting: row("cache_timeout", "TIME", "redis 2s, memcached 500ms, others 5s",
		"how long a server may take to answer"),
		value: length("1ms", "1h"), option: "timeout", kinds: onServers, narrow: memcached},

	{Setting: row("cache_guard_timeout", "TIME", "250ms", "the deadline of a read"),
		value: length("1ms", "1h"), option: "guard_timeout", except: memory},
	{Setting: row("cache_guard_set_timeout", "TIME", "1s", "the deadline of a write"),
		value: length("1ms", "1h"), option: "guard_set_timeout", except: memory},
	{Setting: row("cache_guard_failures", "NUMBER", "5", "failures in a row after which the "+
		"server is not asked; 0: any number"),
		value: whole(0, 1000), option: "guard_failures", except: memory},
	{Setting: row("cache_guard_retry", "TIME", "1s", "how long the server is not asked then"),
		value: length("1ms", "1h"), option: "guard_retry", except: memory},
	{Setting: row("cache_guard_waiting", "NUMBER", "1024",
		"calls under way at most; 0: any number"),
		value: whole(0, 1<<20), option: "guard_waiting", except: memory},

	{Setting: row("cache_min_idle", "NUMBER", "0", "connections to keep open without work, at "+
		"most cache_pool_size"),
		value: whole(0, 10_000), option: "min_idle", kinds: redis},
	{Setting: row("cache_max_retries", "NUMBER", "0", "how often to repeat a call that failed"),
		value: whole(0, 10), option: "max_retries", kinds: redis},
	{Setting: row("cache_wait_replicas", "NUMBER", "0", "how many replicas must have an "+
		"invalidation before it counts as taken"),
		value: whole(0, 100), option: "wait_replicas", kinds: redis},
	{Setting: row("cache_wait_timeout", "TIME", "half of cache_timeout",
		"how long to wait for them; less than cache_timeout"),
		value: length("1ms", "1h"), option: "wait_timeout", kinds: redis},
	{Setting: row("cache_use_tls", "", "false", "encrypt connections to Sentinels and Clusters; "+
		"others are rediss://"),
		value: yesOrNo, option: "tls", kinds: redis, schemes: []string{"redis+cluster",
			"redis+sentinel"}},
	{Setting: row("cache_ca_file", "FILE", "", "certificates to trust, in PEM; the system's by "+
		"default"),
		value: text, option: "ca_file", kinds: slices.Concat(redis, overHTTP)},
	{Setting: row("cache_cert_file", "FILE", "", "the certificate to show to servers, in PEM; "+
		"none by default"),
		value: text, option: "cert_file", kinds: slices.Concat(redis, []string{"http"})},
	{Setting: row("cache_key_file", "FILE", "", "the private key of cache_cert_file, in PEM"),
		value: text, option: "key_file", kinds: slices.Concat(redis, []string{"http"})},
	{Setting: row("cache_server_name", "NAME", "", "the name that the server's certificate is "+
		"for; its host by default"),
		value: text, option: "server_name", kinds: redis},
	{Setting: row("cache_master", "NAME", "", "the server's name among the Sentinels"),
		value: text, option: "master", kinds: redis, schemes: sentinel},
	{Setting: row("cache_sentinel_username", "NAME", "", "the user that Sentinels know"),
		value: text, option: "sentinel_username", kinds: redis, schemes: sentinel},
	{Setting: secret(row("cache_sentinel_password", "TEXT", "", "the password for Sentinels")),
		value: text, option: "sentinel_password", kinds: redis, schemes: sentinel},

	{Setting: row("cache_table", "NAME", "freshet_cache", "the table of values"), value: tables,
		option: "table", kinds: postgresql},
	{Setting: row("cache_unlogged", "", "false", "freshet migrate makes the table UNLOGGED"),
		value: yesOrNo, option: "unlogged", kinds: postgresql},
	{Setting: row("cache_sweep", "TIME", "1m", "how often what has ended is removed; 0: this "+
		"process never does"),
		value: orZero(length("100ms", "24h")), option: "sweep", kinds: postgresql},
	{Setting: row("cache_statement_cache", "", "true",
		"false behind PgBouncer in transaction mode"),
		value: yesOrNo, option: "statement_cache", kinds: postgresql},

	{Setting: secret(row("cache_token", "TEXT", "", "the token for the server: the key of CachekitIO")),
		value: text, option: "token", kinds: overHTTP},
	{Setting: row("cache_token_file", "FILE", "", "the file of a token, which may change at any time"),
		value: text, option: "token_file", kinds: overHTTP},
	{Setting: row("cache_allow", "ADDRESSES", "", "addresses to use although they are private, "+
		"loopback or the like"),
		value: addresses, option: "allow", kinds: overHTTP},
	{Setting: row("cache_allow_custom_host", "", "false", "true: the service is not at "+
		"cachekit.io"),
		value: yesOrNo, option: "allow_custom_host", kinds: []string{cachekit}},
	{Setting: row("cache_ttl_header", "NAME", "Freshet-TTL", "the field that tells the server a "+
		"value's lifetime"),
		value: names, option: "ttl_header", kinds: plainHTTP},
	{Setting: row("cache_ttl_query", "NAME", "", "the name in the query that tells it"),
		value: names, option: "ttl_query", kinds: plainHTTP},

	{Setting: row("cache_max_item_size_bytes", "SIZE", "memcached 1MiB, http 64MiB, cachekit 25MB",
		"the largest item: of memcached its option -I"),
		value: size(1<<10, "1KiB", 1<<30, "1GiB"), option: "max_item_size",
		kinds: slices.Concat([]string{"memcached"}, overHTTP)},
	{Setting: row("cache_oversize", "WORD", "memcached refuse, dynamodb split", "split: spread "+
		"larger values over several items"),
		value: oneOf("refuse", "split"), option: "oversize", kinds: []string{"memcached", "dynamodb"}},
	{Setting: row("cache_consistent", "", "true", "false: read values for half of the price, as "+
		"they were up to a second ago"),
		value: yesOrNo, option: "consistent", kinds: []string{"dynamodb"}},
	{Setting: row("cache_fsync", "", "false", "wait for the disk at each write"), value: yesOrNo,
		option: "fsync", kinds: []string{"file"}},
})

func row(name, shape, byDefault, meaning string) settings.Setting {
	return settings.Setting{Name: name, Value: shape, Default: byDefault, Meaning: meaning}
}

func secret(s settings.Setting) settings.Setting {
	s.Secret = true
	return s
}

// complete fills in what the values say of themselves.
func complete(all []setting) []setting {
	for i := range all {
		k := &all[i]
		k.Allowed = k.allowed
		for _, kind := range slices.Sorted(maps.Keys(k.narrow)) {
			k.Allowed += "; " + kind + " " + k.narrow[kind].allowed
		}
	}
	return all
}

// Keys returns the names of the settings that FromSettings reads, for settings.Loader.Keys.
func Keys() []string {
	keys := make([]string, len(known))
	for i, s := range known {
		keys[i] = s.Name
	}
	return keys
}

// Settings describes the settings that FromSettings reads, in the order of a list for people.
func Settings() []settings.Setting {
	all := make([]settings.Setting, len(known))
	for i, s := range known {
		all[i] = s.Setting
	}
	return all
}
