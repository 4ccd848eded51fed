package redisstore

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
)

// With replicas to wait for, a mark is taken when they have it. With fewer, the error says how many
// have it, and the mark is recorded all the same.
func TestAppendWaitsForReplicas(t *testing.T) {
	master := testserver.Redis(t, "--repl-diskless-sync-delay", "0")
	replica := testserver.RedisReplica(t, master)
	there := open(t, replica.URL)
	plain := open(t, master.URL)
	for _, scripts := range []string{"known", "unknown"} {
		if scripts == "unknown" {
			if err := plain.client.ScriptFlush(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
		}
		j := open(t, master.URL+"?wait_replicas=1&wait_timeout=1500ms").Journal("p").(*journal)
		n := appendMarks(t, j, tag("first"), tag("second"))
		last, err := there.client.XRevRangeN(t.Context(), j.key, "+", "-", 1).Result()
		if err != nil || len(last) != 1 || last[0].ID != recordID(n) {
			t.Errorf("scripts %s: the replica has %v, %v; want %d", scripts, last, err, n)
		}
		if head := appendMarks(t, j); head != n { // which asks for the head, and waits for nobody
			t.Errorf("the head is %d, want %d", head, n)
		}
	}
	j := open(t, master.URL+"?wait_replicas=2&wait_timeout=20ms").Journal("p").(*journal)
	before := appendMarks(t, j)
	_, err := j.Append(t.Context(), tag("third"))
	wantError(t, err, store.KindTransient)
	if err == nil || !strings.Contains(err.Error(), "1 of 2 replicas (wait_replicas)") {
		t.Errorf("one replica of two: %v", err)
	}
	if marks, _ := since(t, j, before); len(marks) != 1 || marks[0].Mark != tag("third") {
		t.Errorf("it is recorded as %v", marks)
	}
}

// In a Cluster, it is the replicas of the node that holds the journal.
func TestAppendWaitsForReplicasInACluster(t *testing.T) {
	b := open(t, clusterURL(testserver.RedisCluster(t))+"?wait_replicas=1&wait_timeout=20ms")
	for i := range 8 { // on all of the nodes
		j := b.Journal(fmt.Sprint("wait-", i, ":"))
		_, err := j.Append(t.Context(), tag("mark"))
		if err == nil || !strings.Contains(err.Error(), "0 of 1 replicas") {
			t.Errorf("a node without a replica: %v", err)
		}
		if marks, _ := since(t, j, 0); len(marks) != 2 {
			t.Errorf("it is recorded as %v", marks)
		}
	}
}

func TestErrorsOfANodeThatHasMoved(t *testing.T) {
	for said, want := range map[string]bool{
		"MOVED 1 127.0.0.1:1": true, "ASK 1 127.0.0.1:1": true,
		"READONLY You can't write": true, "ERR MOVED": false, "OOM": false,
	} {
		if err := error(replyError(said)); moved(err) != want {
			t.Errorf("%q has moved: %t", said, !want)
		}
	}
	if moved(nil) {
		t.Error("no error has moved")
	}
}

type replyError string

func (e replyError) Error() string { return string(e) }
func (replyError) RedisError()     {}

var _ redis.Error = replyError("")
