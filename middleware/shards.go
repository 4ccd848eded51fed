package middleware

import "hash/maphash"

// keyShards is over how many locks keys are spread, by their hashes under seed.
const keyShards = 64

var seed = maphash.MakeSeed()
