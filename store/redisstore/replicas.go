package redisstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrReplicas reports that fewer replicas than [Options.Replicas] had a write when
// the time was over. The primary has the write, and passes it on when it can. If the
// primary is lost before that, so is the write.
var ErrReplicas = errors.New("redisstore: too few replicas have the write")

// write runs a script that writes, and returns its answer. If the answer is written,
// it waits for the replicas before.
func (s *Store) write(ctx context.Context, sc *script, names []string, args ...any) (any, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	if s.replicas > 0 {
		return s.writeAndWait(ctx, sc, names, args)
	}
	c, err := run(ctx, s.client, sc, names, args...)
	if err != nil {
		return nil, err
	}
	return c.Val(), nil
}

// maxMoves bounds how often a write follows a slot that moves.
const maxMoves = 3

// writeAndWait is write with the command WAIT after the script, if that wrote
// something. It takes two round trips on one connection, since WAIT is about the
// writes of its own connection.
func (s *Store) writeAndWait(ctx context.Context, sc *script, names []string, args []any) (any, error) {
	node, err := s.node(ctx, names[0])
	if err != nil {
		return nil, failure(err)
	}
	for moves := 0; ; moves++ {
		answer, err := s.writeOn(ctx, node, sc, names, args)
		addr, moved := redis.IsMovedError(err)
		if !moved || moves == maxMoves {
			return answer, err
		}
		// The slot has moved to another node, and nothing was done on this one.
		if node = s.nodeAt(ctx, addr); node == nil {
			return answer, err
		}
	}
}

// writeOn is writeAndWait on one node.
func (s *Store) writeOn(ctx context.Context, node *redis.Client, sc *script, names []string, args []any) (any, error) {
	conn := node.Conn()
	defer conn.Close()
	c, err := run(ctx, conn, sc, names, args...)
	if err != nil || c.Val() != written {
		return c.Val(), err
	}
	wait := once{redis.NewCmd(ctx, "wait", s.replicas, patience(ctx, node).Milliseconds())}
	if err := conn.Process(ctx, wait); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReplicas, err)
	}
	if n, err := wait.Int(); err != nil || n < s.replicas {
		return nil, fmt.Errorf("%w: %d of %d", ErrReplicas, n, s.replicas)
	}
	return written, nil
}

// node returns a client for the one server that has a key.
func (s *Store) node(ctx context.Context, name string) (*redis.Client, error) {
	if c, ok := s.client.(*redis.ClusterClient); ok {
		return c.MasterForKey(ctx, name)
	}
	return s.client.(*redis.Client), nil
}

// nodeAt returns a client for the node of a cluster at an address, or nil.
func (s *Store) nodeAt(ctx context.Context, addr string) (found *redis.Client) {
	c, ok := s.client.(*redis.ClusterClient)
	if !ok {
		return nil
	}
	c.ReloadState(ctx)
	var mu sync.Mutex
	_ = c.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
		if node.Options().Addr == addr {
			mu.Lock()
			defer mu.Unlock()
			found = node
		}
		return nil
	})
	return found
}

// patience returns how long the server is to wait for replicas. The answer must arrive
// before ctx ends and before the client stops reading. It is at least a millisecond,
// since 0 means forever.
func patience(ctx context.Context, node *redis.Client) time.Duration {
	end, _ := ctx.Deadline() // there is one, from bound
	left := time.Until(end)
	if reading := node.Options().ReadTimeout; reading > 0 {
		left = min(left, reading)
	}
	return max(left*3/4, time.Millisecond)
}

// confirm waits until the replicas have all that was written to a record.
func (s *Store) confirm(ctx context.Context, id string) error {
	_, err := s.writeAndWait(ctx, confirmScript, []string{s.names.record(id)}, nil)
	if err == nil {
		s.settle(ctx, id)
	}
	return err
}

// settle notes that the replicas have the revocation of a record. If it fails,
// the next Get finds that out again.
func (s *Store) settle(ctx context.Context, id string) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	s.client.HDel(ctx, s.names.record(id), fieldPending)
}
