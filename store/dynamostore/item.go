package dynamostore

import (
	"crypto/rand"
	"encoding/binary"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/freshet-go/freshet/store/internal/lifetime"
)

// The attributes of our items. Some are words of DynamoDB's own: expressions name them by "#" and
// the first letter or two (see names).
const (
	attrKey     = "key"     // S: the partition
	attrSort    = "sort"    // S: what the item is, or its place in the partition
	attrExpires = "expires" // N: the second of the Unix clock after which DynamoDB may delete it
	attrEnd     = "end"     // N: the millisecond at which it ends
	attrValue   = "value"   // B
	attrOnce    = "once"    // B: random, another for each Set
	attrLength  = "length"  // N: of a value in parts
	attrSum     = "sum"     // N: CRC-32C of a value in parts
)

// What an item is, by its sort key. The items of journals have other ones, below partitions of
// their own.
const (
	sortValue = "value"
	sortPart  = "part"
	sortLease = "lease"
)

// Partitions that begin with ~ are of no value, since no key does.
const (
	partKeys    = "~part~"
	leaseKeys   = "~lock~"
	journalKeys = "~journal~"
	piecesKeys  = "~pieces~"
	memberKeys  = "~members~"
)

const (
	maxItem = 400 << 10 // bytes of an item, the names of its attributes included
	notes   = 1 << 10   // more than all but the value take: a derived key has less than 300 bytes
	room    = maxItem - notes
)

type (
	item  = map[string]types.AttributeValue
	names = map[string]string
)

func text(s string) types.AttributeValue     { return &types.AttributeValueMemberS{Value: s} }
func binaries(b []byte) types.AttributeValue { return &types.AttributeValueMemberB{Value: b} }

func number[T int | int64 | uint32 | uint64](n T) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatUint(uint64(n), 10)}
}

// keyOf is the primary key of an item.
func keyOf(key, sort string) item { return item{attrKey: text(key), attrSort: text(sort)} }

func textOf(i item, name string) string {
	if v, ok := i[name].(*types.AttributeValueMemberS); ok {
		return v.Value
	}
	return ""
}

func bytesOf(i item, name string) ([]byte, bool) {
	v, ok := i[name].(*types.AttributeValueMemberB)
	if !ok {
		return nil, false
	}
	return v.Value, true
}

// numberOf reads a number that we wrote; of another it returns 0 and false.
func numberOf(i item, name string) (uint64, bool) {
	v, ok := i[name].(*types.AttributeValueMemberN)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(v.Value, 10, 64)
	return n, err == nil
}

// ends puts into an item when it ends: a ttl of more than 0 after now, in milliseconds.
func ends(i item, now int64, ttl time.Duration) {
	end := endAfter(now, ttl)
	i[attrEnd], i[attrExpires] = number(end), number(seconds(end))
}

func endAfter(now int64, ttl time.Duration) int64 {
	return now + lifetime.Units(ttl, time.Millisecond)
}

// seconds returns the second of the Unix clock that is not before a millisecond of it.
func seconds(milliseconds int64) int64 { return (milliseconds + 999) / 1000 }

// ended reports whether an item has ended, whether DynamoDB has deleted it or not. Another
// program's, that does not say when, has not.
func ended(i item, now int64) bool {
	end, ok := numberOf(i, attrEnd)
	return ok && int64(min(end, 1<<62)) <= now
}

// random returns 8 bytes that no other call returns.
func random() []byte {
	b := make([]byte, 8)
	rand.Read(b)
	return b
}

func hexOf(once []byte) string {
	var b [8]byte
	copy(b[:], once)
	return strconv.FormatUint(binary.BigEndian.Uint64(b[:]), 16)
}
