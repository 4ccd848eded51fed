package redisstore

import (
	"context"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/freshet-go/freshet/store"
)

// rights returns the names of the commands that the user lacks of those that are needed; with EVAL
// and EVALSHA, which run it, these are all. It has each command do nothing to a key that is no
// value's. Whatever else stands in the way of one is not asked here: a server that is full or
// read-only, the key.
var rights = redis.NewScript(`
local key, lacking = '~rights~', {}
for _, words in ipairs({
	{'GET', key}, {'SET', key, '', 'XX', 'PX', '1'}, {'DEL', key}, {'TYPE', key}, {'PTTL', key},
	{'PEXPIRE', key, '1'}, {'TIME'}, {'INFO', 'server'},
	{'XADD', key, 'NOMKSTREAM', '*', 'm', ''}, {'XTRIM', key, 'MAXLEN', '0'}, {'XLEN', key},
	{'XRANGE', key, '-', '+', 'COUNT', '1'}, {'XREVRANGE', key, '+', '-', 'COUNT', '1'},
	{'HGETALL', key}, {'HSET', key, 'm', ''}, {'HDEL', key, 'm'},
}) do
	local answer = redis.pcall(unpack(words))
	local said = type(answer) == 'table' and answer.err or ''
	if string.find(said, "can't run this command", 1, true) or string.find(said, 'to run the', 1, true) or
		string.find(said, 'Unknown Redis command', 1, true) then
		lacking[#lacking + 1] = words[1]
	end
end
return lacking`)

// checkRights fails when the user may not run what is needed. It says nothing of keys.
func (b *Backend) checkRights(ctx context.Context, server *redis.Client) error {
	for _, run := range []run{rights.Eval, rights.EvalSha} {
		lacking, err := run(ctx, server, nil).StringSlice()
		if err != nil {
			if kindOf(err) == store.KindAuthentication {
				return fmt.Errorf("%w; give the user +eval and +evalsha", err)
			}
			return nil // a server without scripts, or one that is busy: calls will say so
		}
		if len(lacking) > 0 {
			return &lackingRights{lacking}
		}
	}
	return nil
}

// lackingRights is the error of a user who may not run some commands.
type lackingRights struct{ commands []string }

func (l *lackingRights) Error() string {
	return fmt.Sprintf("the user may not run %s, or the server has no such command; give it +%s",
		strings.Join(l.commands, ", "), strings.ToLower(strings.Join(l.commands, " +")))
}
