package main

// promise is the most that a benchmark may show: times its floor, and allocations in a call of ours.
type promise struct{ ratio, allocations float64 }

// promises are what has been reached, and a little more for other machines. Five allocations of a hit are net/http's header
// map, and one is the key. A far hit's are the client's own and what an entry is made of.
var promises = map[string]promise{
	"Hit/1KiB/serial":          {1.55, 6},
	"Hit/1KiB/parallel":        {1.5, 6},
	"Hit/64KiB/serial":         {1.55, 6},
	"Hit/64KiB/parallel":       {1.5, 6},
	"Hit/100000-keys/serial":   {2.2, 6},
	"Hit/100000-keys/parallel": {2.1, 6},
	"Hit/5-tags/serial":        {1.55, 6},
	"Hit/5-tags/parallel":      {1.5, 6},
	"Hit/vary/serial":          {1.95, 7},
	"Hit/vary/parallel":        {1.85, 7},

	"Echo/1KiB/serial":          {1.7, 9},
	"Echo/1KiB/parallel":        {1.65, 9},
	"Echo/64KiB/serial":         {1.7, 9},
	"Echo/64KiB/parallel":       {1.65, 9},
	"Echo/100000-keys/serial":   {2.3, 9},
	"Echo/100000-keys/parallel": {2.2, 9},
	"Echo/5-tags/serial":        {1.7, 9},
	"Echo/5-tags/parallel":      {1.65, 9},
	"Echo/vary/serial":          {2.05, 10},
	"Echo/vary/parallel":        {1.95, 10},

	"Answer/304":   {1, 3},
	"Answer/HEAD":  {1, 6},
	"Answer/range": {1.35, 10},

	"Miss":      {13, 40},
	"Pass/off":  {1.3, 11},
	"Pass/POST": {2.3, 13},

	"Far/redis":      {1.15, 12},
	"Far/postgresql": {1.15, 10},
	"Far/memcached":  {1.15, 10},
	"Far/file":       {1.5, 10},

	"Near/redis":      {1.5, 0},
	"Near/postgresql": {1.5, 0},
	"Near/memcached":  {1.5, 0},
	"Near/file":       {1.5, 0},
}
