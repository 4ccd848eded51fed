package dynamostore

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/drivertest"
	"github.com/freshet-go/freshet/store/storetest"
)

func TestMain(m *testing.M) { testserver.Main(m) }

var anybody aws.CredentialsProvider = credentials.NewStaticCredentialsProvider("ID", "secret", "")

// region is one of Amazon's: of another the SDK makes out anew with each call where it is, which
// takes longer than the rest of the call.
const region = "us-east-1"

var tables atomic.Int64

// at returns the Config of a table of its own on a server, for tests that are not about time.
func at(endpoint string) Config {
	return Config{Region: region, Table: fmt.Sprint("test-", tables.Add(1)), Endpoint: endpoint,
		Credentials: anybody, Timeout: time.Minute, DialTimeout: time.Minute}
}

// shared is at, on the server that all tests share.
func shared(tb testing.TB) Config { return at("http://" + testserver.SharedDynamoDB(tb).Addr) }

// unasked returns a Backend, and closes it when the test ends.
func unasked(tb testing.TB, c Config) *Backend {
	tb.Helper()
	b, err := New(c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { b.Close() })
	return b
}

// open is unasked, with its table.
func open(tb testing.TB, c Config) *Backend {
	tb.Helper()
	b := unasked(tb, c)
	if _, err := b.Migrate(tb.Context(), false); err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestBackend(t *testing.T) {
	t.Parallel()
	storetest.RunBackend(t, func(t *testing.T) store.Backend {
		c := shared(t)
		c.Sweep = true
		return open(t, c)
	}, storetest.Options{
		AllAbilities: true, Keys: amount(100, 3000), Rounds: amount(10, 100),
		Unmigrated: func(t *testing.T) store.Backend { return unasked(t, shared(t)) },
	})
}

// amount is how much of something a test makes: few, or, where the environment says
// FRESHET_TEST_SOAK=1, many. A call takes milliseconds.
func amount(few, many int) int {
	if os.Getenv("FRESHET_TEST_SOAK") != "" {
		return many
	}
	return few
}

func TestDead(t *testing.T) {
	for name, spoil := range map[string]func(*testserver.FaultProxy){
		"refuses": (*testserver.FaultProxy).Refuse, "is silent": (*testserver.FaultProxy).Hang,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.RunDead(t, func(t *testing.T) store.Backend {
				p := testserver.Proxy(t, testserver.SharedDynamoDB(t).Addr)
				c := at("http://" + p.Addr)
				open(t, c)
				c.Timeout = time.Second // a Watch takes no longer to find out
				b := unasked(t, c)
				spoil(p)
				return b
			})
		})
	}
}

var get, mustSet = drivertest.Value, drivertest.MustSet

// wantKind checks an error: its kind, that it tells what it should, and no secret.
func wantKind(tb testing.TB, what string, err error, kind store.ErrorKind, words ...string) {
	tb.Helper()
	drivertest.WantKind(tb, "dynamostore", what, err, kind, words...)
}

// everyCall makes each call of the backend once and returns the errors by their names.
func everyCall(ctx context.Context, b *Backend) map[string]error {
	errs := make(map[string]error)
	_, errs["get"] = b.Get(ctx, "key")
	errs["set"] = b.Set(ctx, "key", []byte("secret"), time.Hour)
	errs["set of nothing"] = b.Set(ctx, "key", nil, 0)
	_, errs["delete"] = b.Delete(ctx, "key")
	_, errs["exists"] = b.Exists(ctx, "key")
	_, errs["ttl"] = b.TTL(ctx, "key")
	_, errs["expire"] = b.Expire(ctx, "key", time.Hour)
	_, _, errs["lock"] = b.TryLock(ctx, "key", time.Hour)
	_, errs["health"] = b.Health(ctx)
	return errs
}
