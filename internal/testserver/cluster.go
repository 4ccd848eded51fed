package testserver

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"testing"
)

const (
	slots       = 16384 // of a Redis Cluster
	masters     = 3
	busDistance = 10000 // from a node's port to the one where nodes talk to each other
)

// RedisCluster starts a Redis Cluster of three masters without replicas for one test. A node that
// is killed is missed by the others after two seconds.
func RedisCluster(tb testing.TB) []*Server {
	tb.Helper()
	nodes := clusterNodes(tb, masters)
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := join(ctx, nodes); err != nil {
		tb.Fatalf("testserver: the cluster: %v", err)
	}
	return nodes
}

// RedisClusterWithReplicas starts a Redis Cluster whose masters have a replica each, for one test.
// It takes over two to four seconds after its master was killed.
func RedisClusterWithReplicas(tb testing.TB) (all, replicas []*Server) {
	tb.Helper()
	all, replicas = RedisCluster(tb), clusterNodes(tb, masters)
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for i, replica := range replicas {
		if err := follow(ctx, replica, all[i]); err != nil {
			tb.Fatalf("testserver: a replica of the cluster: %v", err)
		}
	}
	return all, replicas
}

func clusterNodes(tb testing.TB, n int) []*Server {
	tb.Helper()
	k := redis(Require(tb, "redis-server"),
		"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout",
		"2000", "--repl-diskless-sync-delay", "0")
	k.port = clusterPort
	nodes := make([]*Server, n)
	for i := range nodes {
		nodes[i] = own(tb, k)
	}
	return nodes
}

// follow makes a node that is new a replica of a master, and returns when the two are in step.
func follow(ctx context.Context, replica, master *Server) error {
	id, err := redisDo(ctx, master.Addr, "CLUSTER", "MYID")
	if err != nil {
		return err
	}
	if _, err := redisDo(ctx, replica.Addr, "CLUSTER", "MEET", "127.0.0.1",
		strconv.Itoa(master.port)); err != nil {
		return err
	}
	name, _ := id.(string)
	if err := until(ctx, replica.process.done, func() error { // it has to hear of its master
		_, err := redisDo(ctx, replica.Addr, "CLUSTER", "REPLICATE", name)
		return err
	}); err != nil {
		return err
	}
	return until(ctx, replica.process.done, func() error {
		return says(ctx, replica, map[string]string{"master_link_status": "up"}, "INFO", "replication")
	})
}

// join makes one cluster of the nodes and returns when each of them says that all is well.
func join(ctx context.Context, nodes []*Server) error {
	for i, node := range nodes {
		add := []string{"CLUSTER", "ADDSLOTS"}
		for slot := slots * i / len(nodes); slot < slots*(i+1)/len(nodes); slot++ {
			add = append(add, strconv.Itoa(slot))
		}
		for _, words := range [][]string{
			add,
			{"CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i + 1)},
			{"CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(nodes[0].port)},
		} {
			if i == 0 && words[1] == "MEET" {
				continue
			}
			if _, err := redisDo(ctx, node.Addr, words...); err != nil {
				return fmt.Errorf("%s %s at %s: %w", words[0], words[1], node.Addr, err)
			}
		}
	}
	well := map[string]string{
		"cluster_state": "ok", "cluster_slots_ok": strconv.Itoa(slots),
		"cluster_size": strconv.Itoa(len(nodes)),
	}
	for _, node := range nodes {
		if err := until(ctx, node.process.done, func() error {
			return says(ctx, node, well, "CLUSTER", "INFO")
		}); err != nil {
			return err
		}
	}
	return nil
}

// clusterPort finds a port that is free, and free for the node's bus, too.
func clusterPort() (int, error) {
	for range 100 {
		port, err := freePort()
		if err != nil {
			return 0, err
		}
		// The system lends out ports near the upper end.
		if bus := port; bus > 2*busDistance && isFree(bus-busDistance) {
			return bus - busDistance, nil
		}
	}
	return 0, fmt.Errorf("no two free ports %d apart", busDistance)
}

func isFree(port int) bool {
	l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err == nil {
		l.Close()
	}
	return err == nil
}
