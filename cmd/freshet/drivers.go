package main

// The stores that --store knows, besides memory:// and file://.
import (
	_ "github.com/freshet-go/freshet/store/cachekitstore" // cachekit://
	_ "github.com/freshet-go/freshet/store/httpstore"     // http+store://, https+store://
	_ "github.com/freshet-go/freshet/store/memcachestore" // memcached://
	_ "github.com/freshet-go/freshet/store/pgstore"       // postgres://
	_ "github.com/freshet-go/freshet/store/redisstore"    // redis:// and its like
)
