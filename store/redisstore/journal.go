package redisstore

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
	"github.com/freshet-go/freshet/store/internal/keys"
)

// maxNumber is the greatest number that a script can count to: in microseconds, the year 2255.
const maxNumber = 1 << 53

// journal is a Redis stream. The mark with number 17 is its record 17-0, so that the stream's order
// is the journal's and nothing else need be kept. Only the first record, and one that follows a
// loss, has a number other than its predecessor's plus one; both invalidate everything.
//
// A record has the mark, the bytes recorded so far, by which the stream is bounded, the run id of
// the server that wrote it, and the number at which the journal began last. A server with another
// run id has been restarted or has taken over, and may have forgotten the newest records: the first
// to ask it records that the journal begins anew, and after which number. So does the first to find
// no records at all, after a flush or an eviction. Their number is the clock's, in microseconds,
// which is ahead of whatever was given out before.
type journal struct {
	backend *Backend
	run     atomic.Pointer[string] // the run id of the server that answered last
	read    atomic.Pointer[string] // ... of the one that was read last
	// how much it remembers, or a hundred marks more; a mark has 64 bytes besides its name
	marks, bytes int
	members      int // how many it has at most
	key          string
	invalid      error // what every call returns, if the prefix is not allowed
}

// Journal implements [store.Journaler]. The journal remembers 65,536 marks or 16 MiB, whichever is
// less, and has no lifetime: a server that evicts only keys with one never evicts it. One that is
// full and evicts nothing takes marks and members all the same. It needs Redis 5. It is a
// [store.Membership].
func (b *Backend) Journal(prefix string) store.Journal {
	return &journal{
		backend: b, marks: history.MaxMarks, bytes: history.MaxBytes, members: store.MaxMembers,
		key:     "{~journal~" + prefix + "}",
		invalid: driver.CheckPrefix("journal", prefix),
	}
}

// JournalName implements [store.NamedJournal]: by the servers, the database and the prefix.
func (j *journal) JournalName() string { return keys.JournalName(j.backend.server, j.key) }

// channel is where the journal announces a new head. The server's databases share their channels: a
// message is no more than a reason to look.
func (j *journal) channel() string { return j.key }

// head is the beginning of both scripts. It leaves the greatest number in head, the bytes so far in
// bytes, the number at which the journal began last in begun, and record() to add a mark. ARGV[1]
// is a number that new ones must exceed, or 0; one that is a day ahead of the clock was never given
// out. ARGV[2] is the channel, ARGV[3] how many records there may be, ARGV[4] the run id of the
// server that answered the caller last.
//
// A journal without records that begins on the server that the caller knows was evicted or flushed:
// whatever that server took, it took before, and no process can have more. On another server, nobody
// knows what the one before took, nor until when.
//
// A user who may not ask for INFO has no journal: nobody would notice that another server has taken
// over.
//
// A server that is full lets a script write if the first of its writes takes nothing more. So each
// begins with one that removes: entries can be invalidated, also where nothing can be stored any
// more.
const head = `
local key = KEYS[1]
local run = string.sub(string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or '', 1, 12)
local head, bytes, begun = 0, 0, 0
local function decimal(n) return string.format('%.0f', n) end
local function tell() redis.pcall('PUBLISH', ARGV[2], decimal(head)) end
local function trim() redis.call('XTRIM', key, 'MAXLEN', '~', ARGV[3]) end
local function record(number, mark)
	head, bytes = number, bytes + #mark + 64
	redis.call('XADD', key, decimal(head) .. '-0',
		'm', mark, 'b', decimal(bytes), 'r', run, 'n', decimal(begun))
end
local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
if last then
	head, bytes = tonumber(string.match(last[1], '^%d+')), tonumber(last[2][4])
	begun = tonumber(last[2][8] or '0')
end
local time = redis.call('TIME')
local now, above = time[1] * 1000000 + time[2], tonumber(ARGV[1])
if above > now + 86400 * 1000000 then above = 0 end
if not last or last[2][6] ~= run or head < above then
	if last then trim() else redis.call('DEL', key) end
	begun = math.max(head, above)
	begun = now > begun and now or begun + 1000000
	local after = math.max(head, 1)
	if not last and run ~= '' and run == ARGV[4] then after = begun - 1 end
	record(begun, 'b' .. decimal(after))
	tell()
end
`

// appendScript records ARGV[6] and what follows, within ARGV[5] bytes, and returns the head and the
// run id. It forgets a quarter more bytes than it must, so that it need not do so each time.
var appendScript = redis.NewScript(head + `
if #ARGV > 5 then
	trim()
	for i = 6, #ARGV do
		record(head + 1, ARGV[i])
	end
	trim()
	while redis.call('XLEN', key) > 1 do
		local first = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
		if bytes - tonumber(first[2][4]) <= tonumber(ARGV[5]) then break end
		redis.call('XTRIM', key, 'MAXLEN', math.floor(redis.call('XLEN', key) * 3 / 4))
	end
	tell()
end
return {decimal(head), run}`)

// sinceScript returns the head, the run id, where the journal began last, up to which number the
// answer has all marks, and then record and mark by turns of those after ARGV[5]. It ends when it
// has ARGV[6] marks, or ARGV[7] bytes of them: nothing else happens on the server meanwhile.
var sinceScript = redis.NewScript(head + `
local from, most, room = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local answer = {decimal(head), run, decimal(begun), decimal(head)}
while from < head do
	if most <= 0 or room <= 0 then
		answer[4] = decimal(from)
		break
	end
	local count = math.min(most, 64)
	local records = redis.call('XRANGE', key, decimal(from + 1), '+', 'COUNT', count)
	local read = #records
	for i, r in ipairs(records) do
		answer[#answer + 1] = r[1]
		answer[#answer + 1] = r[2][2]
		room = room - #r[2][2]
		if room <= 0 then
			read = i
			break
		end
	end
	if read < count and room > 0 then break end
	most = most - read
	from = tonumber(string.match(records[read][1], '^%d+'))
end
return answer`)

// Append implements [store.Journal], in one round trip.
func (j *journal) Append(ctx context.Context, what ...store.Mark) (uint64, error) {
	if j.invalid != nil {
		return 0, j.invalid
	}
	args := append(j.args(5+len(what), 0), j.bytes)
	if err := driver.CheckMarks("append", "", what); err != nil {
		return 0, err
	}
	for _, m := range what {
		args = append(args, encodeMark(m))
	}
	var said []string
	var err error
	replicas := j.backend.waitReplicas
	if waits := replicas > 0 && len(what) > 0; waits {
		said, replicas, err = j.backend.runAndWait(ctx, appendScript, j.key, args)
	} else {
		said, err = appendScript.Run(ctx, j.backend.client, []string{j.key}, args...).StringSlice()
	}
	if err != nil {
		return 0, fail(ctx, "append", "", err)
	}
	number, ok := j.heard(said, 2)
	if !ok {
		return 0, j.unreadable("append")
	}
	if replicas < j.backend.waitReplicas {
		return 0, driver.Fail("append", "", store.KindTransient, fmt.Errorf("the server has the "+
			"marks, and %d of %d replicas (wait_replicas) had them in time: a failover may lose "+
			"them", replicas, j.backend.waitReplicas))
	}
	return number, nil
}

// args returns the arguments that both scripts begin with, with room for more.
func (j *journal) args(room int, above uint64) []any {
	run := ""
	if known := j.run.Load(); known != nil {
		run = *known
	}
	return append(make([]any, 0, room), min(above, maxNumber), j.channel(), j.marks, run)
}

// heard reads the head from a script's answer of at least so many parts, and notes the server's run
// id.
func (j *journal) heard(said []string, least int) (head uint64, ok bool) {
	if len(said) < least {
		return 0, false
	}
	head, err := strconv.ParseUint(said[0], 10, 64)
	if err != nil {
		return 0, false
	}
	if known := j.run.Load(); known == nil || *known != said[1] {
		j.run.Store(&said[1])
	}
	return head, true
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
	said, err := sinceScript.Run(ctx, j.backend.client, []string{j.key}, append(j.args(7, above),
		min(number, maxNumber), history.PartMarks, history.PartBytes)...).StringSlice()
	if err != nil {
		return nil, 0, fail(ctx, "since", "", err)
	}
	head, ok := j.heard(said, 4)
	if !ok || len(said)%2 != 0 {
		return nil, 0, j.unreadable("since")
	}
	begun, err := strconv.ParseUint(said[2], 10, 64)
	if err != nil {
		return nil, 0, j.unreadable("since")
	}
	upTo, err := strconv.ParseUint(said[3], 10, 64)
	if err != nil {
		return nil, 0, j.unreadable("since")
	}
	if marks, err = readMarks(number, upTo, begun, said[4:]); err != nil {
		return nil, 0, j.unreadable("since")
	}
	if before := j.read.Swap(&said[1]); before != nil && *before != said[1] {
		// Where nothing of the server's own was lost, it has nothing of another's. Its stream begins
		// with the record that says so: the first part has it.
		for i, m := range marks {
			if m.After > 0 && m.After == m.Number-1 {
				marks[i].After = 1
			}
		}
	}
	return marks, head, nil
}

func (j *journal) unreadable(op string) error {
	return driver.Refuse(op, "", "the journal's records are not ours")
}
