package redisstore

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/history"
)

// The members of a journal are the fields of a hash, beside its stream and in the same slot. Under
// a member's ID it has when the lease began, by the server's clock in microseconds, the number that
// the member has applied, and its name. Where a letter follows the time, what follows is a later
// version's. The hash has no lifetime, so that a server that evicts only
// keys with one keeps it as it keeps the journal. Members and those who join remove what has ended.
//
// Numbers of members are never numbers to Lua, which has 53 bits for one.
const clock = `
local key, lease = KEYS[1], tonumber(ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local function begun(value) return tonumber(string.match(value, '^(%d+) ')) end
`

// renewScript puts member ARGV[3] on the list, with ARGV[4], and returns 1; or 0 if it is not there
// yet and ARGV[2] others are. A server that is full lets it write because its first write removes.
var renewScript = redis.NewScript(clock + `
if redis.call('HDEL', key, ARGV[3]) == 0 then
	local all, members = redis.call('HGETALL', key), 0
	for i = 1, #all, 2 do
		local since = begun(all[i + 1])
		if since and now - since >= lease then
			redis.call('HDEL', key, all[i])
		else
			members = members + 1
		end
	end
	if members >= tonumber(ARGV[2]) then
		return 0
	end
end
redis.call('HSET', key, ARGV[3], string.format('%.0f ', now) .. ARGV[4])
return 1`)

// membersScript returns the ID, the age in microseconds and what else there is of each member. Where
// the clock was set back, the lease begins anew: it must end some time.
var membersScript = redis.NewScript(clock + `
local all, answer = redis.call('HGETALL', key), {}
for i = 1, #all, 2 do
	local since = begun(all[i + 1])
	if since and now - since >= lease then
		redis.call('HDEL', key, all[i])
	else
		if since and since > now then
			since = now
			local renewed = string.gsub(all[i + 1], '^%d+', string.format('%.0f', now))
			redis.pcall('HSET', key, all[i], renewed)
		end
		answer[#answer + 1] = all[i]
		answer[#answer + 1] = since and string.format('%.0f', now - since) or ''
		answer[#answer + 1] = string.match(all[i + 1], '^%d+ (.*)$') or ''
	end
end
return answer`)

var _ store.Membership = (*journal)(nil)

func (j *journal) membersKey() string { return j.key + "members" }

// Renew implements [store.Membership], in one round trip.
func (j *journal) Renew(ctx context.Context, m store.Member) error {
	if j.invalid != nil {
		return j.invalid
	}
	if err := driver.CheckMember("", m); err != nil {
		return err
	}
	listed, err := renewScript.Run(ctx, j.backend.client, []string{j.membersKey()},
		store.LeaseTime.Microseconds(), j.members, m.ID,
		strconv.FormatUint(m.Applied, 10)+" "+m.Name).Int()
	switch {
	case err != nil:
		return fail(ctx, "renew", "", err)
	case listed == 0:
		return driver.Full("", j.members)
	}
	return nil
}

// Members implements [store.Membership], in one round trip.
func (j *journal) Members(ctx context.Context) ([]store.Member, error) {
	if j.invalid != nil {
		return nil, j.invalid
	}
	said, err := membersScript.Run(ctx, j.backend.client, []string{j.membersKey()},
		store.LeaseTime.Microseconds()).StringSlice()
	if err != nil {
		return nil, fail(ctx, "members", "", err)
	}
	all := make([]store.Member, 0, len(said)/3)
	for ; len(said) >= 3; said = said[3:] {
		m, ok := readMember(said[0], said[1], said[2])
		if !ok {
			return nil, driver.Refuse("members", "", "what the key %s has of a member is not "+
				"ours; remove the key", j.membersKey())
		}
		all = append(all, m)
	}
	return all, nil
}

func readMember(id, age, rest string) (m store.Member, ok bool) {
	applied, name, ok := strings.Cut(rest, " ")
	micros, err := strconv.ParseInt(age, 10, 64)
	if err != nil || rest == "" {
		return m, false
	}
	m = store.Member{ID: id, Name: name, Age: time.Duration(micros) * time.Microsecond}
	if 'a' <= rest[0] && rest[0] <= 'z' {
		later := history.LaterMember(id)
		later.Age = m.Age
		return later, later.Validate() == nil
	}
	if !ok {
		return m, false
	}
	m.Applied, err = strconv.ParseUint(applied, 10, 64)
	return m, err == nil && m.Validate() == nil
}

// Leave implements [store.Membership], in one round trip.
func (j *journal) Leave(ctx context.Context, id string) error {
	if j.invalid != nil {
		return j.invalid
	}
	if (store.Member{ID: id}).Validate() != nil {
		return nil // nobody is on the list under it
	}
	if err := j.backend.client.HDel(ctx, j.membersKey(), id).Err(); err != nil {
		return fail(ctx, "leave", "", err)
	}
	return nil
}
