package redisstore

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
)

// Get returns a record and its parent, as [keys.Store] says, in one round trip.
// Over a cluster, and over a client of another type than [redis.Client], records
// with a parent take two: only the record says where its parent is. If either of the
// two cannot be read, the error wraps [keys.ErrCorrupt].
//
// With [Options.Replicas], Get of a record that was revoked while replicas were
// missing fails with [ErrReplicas] until they have the revocation. So a caller that
// tries a revocation again is not told that it is done before it is.
func (s *Store) Get(ctx context.Context, id string) (rec, parent keys.Record, err error) {
	if err := ctx.Err(); err != nil {
		return rec, parent, err
	}
	if !keys.PossibleID(id) {
		return rec, parent, keys.ErrNotFound
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	fields, above, err := s.family(ctx, id)
	if err != nil {
		return rec, parent, err
	}
	child, err := decode(id, fields)
	if err != nil {
		return rec, parent, err
	}
	if _, pending := fields[fieldPending]; pending && s.replicas > 0 {
		if err := s.confirm(ctx, id); err != nil {
			return rec, parent, err
		}
	}
	if child.Parent != "" {
		parent, err = decode(child.Parent, above)
		if err != nil && !errors.Is(err, keys.ErrNotFound) {
			return rec, keys.Record{}, err
		}
	}
	return child, parent, nil
}

// family returns the fields of a record and of its parent.
func (s *Store) family(ctx context.Context, id string) (child, parent map[string]string, err error) {
	if s.together {
		return s.fields(ctx, id, string(s.names), tags)
	}
	// The two may be on different nodes.
	child, _, err = s.fields(ctx, id)
	if err != nil || child[fieldParent] == "" {
		return child, nil, err
	}
	parent, _, err = s.fields(ctx, child[fieldParent])
	return child, parent, err
}

// fields returns the fields of one record. With the arguments by which the script
// finds the parent, it also returns the fields of the parent.
func (s *Store) fields(ctx context.Context, id string, args ...any) (fields, parent map[string]string, err error) {
	c, err := run(ctx, s.client, getScript, []string{s.names.record(id)}, args...)
	if err != nil {
		return nil, nil, err
	}
	both, err := c.Slice()
	if err == nil && len(both) != 2 {
		err = errAnswer
	}
	if err != nil {
		return nil, nil, failure(err)
	}
	return pairs(both[0]), pairs(both[1]), nil
}

// pairs returns the fields of a list of fields and values in turn.
func pairs(list any) map[string]string {
	all, _ := list.([]any)
	fields := make(map[string]string, len(all)/2)
	for i := 0; i+1 < len(all); i += 2 {
		name, _ := all[i].(string)
		value, _ := all[i+1].(string)
		fields[name] = value
	}
	return fields
}

// A reading is a pipeline of commands that read. Its first command is a write that
// does nothing. A server that is no primary refuses it, and so does a primary that may
// not write because it has lost its replicas; then the pipeline fails. In a cluster,
// nodes that are no primaries refuse to read anyway.
type reading struct {
	redis.Pipeliner
	first *redis.IntCmd
}

// read returns a reading.
func (s *Store) read(ctx context.Context) reading {
	pipe := s.client.Pipeline()
	return reading{pipe, pipe.HDel(ctx, s.names.nothing(), "")}
}

// exec sends the commands. It fails if there is no answer, or if one of the commands
// failed. It ignores one error of the first command, which matters only to writes:
// that the primary cannot write to its disk.
func (r reading) exec(ctx context.Context) error {
	cmds, err := r.Exec(ctx)
	first := r.first.Err()
	if !redis.HasErrorPrefix(first, "MISCONF") && !errors.Is(err, redis.Nil) {
		return failure(err)
	}
	for _, cmd := range cmds[1:] {
		if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) {
			return failure(err)
		}
	}
	return nil
}
