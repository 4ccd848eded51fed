// Package freshettest has assertions for the tests of apps that cache: [Get] and [Do] ask a
// handler, [Hit], [Miss], [Stored] and [NotStored] say what the cache in it must have done, and
// [StatusOf] reads all that it says in Cache-Status. They start no server, and know nothing of
// Freshet but that field, so that they work for any cache that writes it (RFC 9211).
package freshettest
