package redisstore

import (
	"context"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
)

// maxNumber is the greatest number that a script can count to: in microseconds, the year 2255.
const maxNumber = 1 << 53

// journal is a Redis stream. The mark with number 17 is its record 17-0, so that the stream's order
// is the journal's and nothing else need be kept. Only the first record, and one that follows a
// loss, has a number other than its predecessor's plus one; both invalidate everything.
//
// A record has the mark, the bytes recorded so far, by which the stream is bounded, and the run id
// of the server that wrote it. A server with another run id has been restarted or has taken over,
// and may have forgotten the newest records: the first to ask it records that everything is
// invalidated. So does the first to find no records at all, after a flush or an eviction. Their
// number is the clock's, in microseconds, which is ahead of whatever was given out before.
type journal struct {
	backend *Backend
	// how much it remembers, or a hundred marks more; a mark has 64 bytes besides its name
	marks, bytes int
	key          string
	invalid      error // what every call returns, if the prefix is not allowed
}

// Journal implements [store.Journaler]. The journal remembers 65,536 marks or 16 MiB, whichever is
// less, and has no lifetime: a server that evicts only keys with one never evicts it. One that is
// full and evicts nothing takes marks all the same. It needs Redis 5.
func (b *Backend) Journal(prefix string) store.Journal {
	return &journal{
		backend: b, marks: history.MaxMarks, bytes: history.MaxBytes, key: "{~journal~" + prefix +
			"}",
		invalid: driver.CheckPrefix("journal", prefix),
	}
}

// channel is where the journal announces a new head. The server's databases share their channels: a
// message is no more than a reason to look.
func (j *journal) channel() string { return j.key }

// head is the beginning of both scripts. It leaves the greatest number in head, the bytes so far in
// bytes, and record() to add a mark. ARGV[1] is a number that new ones must exceed, or 0; one that
// is a day ahead of the clock was never given out. ARGV[2] is the channel, ARGV[3] how many records
// there may be.
//
// A server that is full lets a script write if the first of its writes takes nothing more. So each
// begins with one that removes: entries can be invalidated, also where nothing can be stored any
// more.
const head = `
local key = KEYS[1]
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.sub(string.match(info, 'run_id:(%w+)') or '', 1, 12) or ''
local head, bytes = 0, 0
local function decimal(n) return string.format('%.0f', n) end
local function tell() redis.pcall('PUBLISH', ARGV[2], decimal(head)) end
local function trim() redis.call('XTRIM', key, 'MAXLEN', '~', ARGV[3]) end
local function record(number, mark)
	head, bytes = number, bytes + #mark + 64
	redis.call('XADD', key, decimal(head) .. '-0', 'm', mark, 'b', decimal(bytes), 'r', run)
end
local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
if last then
	head, bytes = tonumber(string.match(last[1], '^%d+')), tonumber(last[2][4])
end
local time = redis.call('TIME')
local now, above = time[1] * 1000000 + time[2], tonumber(ARGV[1])
if above > now + 86400 * 1000000 then above = 0 end
if not last or last[2][6] ~= run or head < above then
	if last then trim() else redis.call('DEL', key) end
	record(math.max(now, head + 1, above + 1), 'e')
	tell()
end
`

// appendScript records ARGV[5] and what follows, within ARGV[4] bytes, and returns the head. It
// forgets a quarter more bytes than it must, so that it need not do so each time.
var appendScript = redis.NewScript(head + `
if #ARGV > 4 then
	trim()
	for i = 5, #ARGV do
		record(head + 1, ARGV[i])
	end
	trim()
	while redis.call('XLEN', key) > 1 do
		local first = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
		if bytes - tonumber(first[2][4]) <= tonumber(ARGV[4]) then break end
		redis.call('XTRIM', key, 'MAXLEN', math.floor(redis.call('XLEN', key) * 3 / 4))
	end
	tell()
end
return decimal(head)`)

// sinceScript returns the head, and then record and mark by turns of those after ARGV[4].
var sinceScript = redis.NewScript(head + `
local answer = {decimal(head)}
local after = tonumber(ARGV[4])
if after < head then
	for _, r in ipairs(redis.call('XRANGE', key, decimal(after + 1), '+')) do
		answer[#answer + 1] = r[1]
		answer[#answer + 1] = r[2][2]
	end
end
return answer`)

// Append implements [store.Journal], in one round trip.
func (j *journal) Append(ctx context.Context, what ...store.Mark) (uint64, error) {
	if j.invalid != nil {
		return 0, j.invalid
	}
	args := append(make([]any, 0, 4+len(what)), 0, j.channel(), j.marks, j.bytes)
	if err := driver.CheckMarks("append", "", what); err != nil {
		return 0, err
	}
	for _, m := range what {
		args = append(args, encodeMark(m))
	}
	said, err := appendScript.Run(ctx, j.backend.client, []string{j.key}, args...).Text()
	if err != nil {
		return 0, fail(ctx, "append", "", err)
	}
	number, err := strconv.ParseUint(said, 10, 64)
	if err != nil {
		return 0, j.unreadable("append")
	}
	return number, nil
}

// Since implements [store.Journal], in one round trip.
func (j *journal) Since(ctx context.Context, number uint64) ([]store.Numbered, uint64, error) {
	return j.since(ctx, number, 0)
}

// since has the journal begin anew above a number, if its head is below it.
func (j *journal) since(
	ctx context.Context, number, above uint64,
) (marks []store.Numbered, head uint64, err error) {
	if j.invalid != nil {
		return nil, 0, j.invalid
	}
	said, err := sinceScript.Run(ctx, j.backend.client, []string{j.key},
		min(above, maxNumber), j.channel(), j.marks, min(number, maxNumber)).StringSlice()
	if err != nil {
		return nil, 0, fail(ctx, "since", "", err)
	}
	if len(said)%2 != 1 {
		return nil, 0, j.unreadable("since")
	}
	if head, err = strconv.ParseUint(said[0], 10, 64); err != nil {
		return nil, 0, j.unreadable("since")
	}
	return readMarks(number, head, said[1:])
}

func (j *journal) unreadable(op string) error {
	return driver.Refuse(op, "", "the journal's records are not ours")
}
