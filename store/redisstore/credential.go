package redisstore

import (
	"context"
	"math"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/claviger-auth/claviger/keys"
)

// What scripts that write answer.
const (
	absent   = 0 // there is no such record; to an insert, the ID is taken
	written  = 1
	conflict = 2
	corrupt  = 3
)

// Insert adds r, as [keys.Store] says, in one round trip. Errors of the client
// leave open whether r was added; it is never added twice. [Options.Replicas]
// take another round trip; an error that wraps [ErrReplicas] says that r was
// added.
func (s *Store) Insert(ctx context.Context, r keys.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.Validate(); err != nil {
		return err
	}
	end := ""
	if r.Kind == keys.KindToken {
		end = death(&r)
	}
	set, _ := variable(&r, r.Version)
	args := append([]any{r.ID, end}, fixed(&r)...)
	args = append(args, set...)
	if life := lifetime(&r); life != "" {
		args = append(args, fieldLife, life)
	}
	home := shardOf(r.ID)
	names := []string{s.names.record(r.ID), s.names.index(home, r.Kind, r.Org), s.names.deaths(home)}
	answer, err := s.write(ctx, insertScript, names, args...)
	if err == nil && answer != written {
		return keys.ErrExists
	}
	return err
}

// Get returns the record with the given ID, as [keys.Store] says, in one round
// trip. A record that cannot be read fails with an error that wraps
// [keys.ErrCorrupt].
//
// With [Options.Replicas], a record that was revoked while replicas were missing
// is returned only once they have the revocation, and fails with [ErrReplicas]
// till then. So a caller that tries a revocation again is not told that it is
// done before it is.
func (s *Store) Get(ctx context.Context, id string) (keys.Record, error) {
	if err := ctx.Err(); err != nil {
		return keys.Record{}, err
	}
	if !possible(id) {
		return keys.Record{}, keys.ErrNotFound
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	fields, err := s.client.HGetAll(ctx, s.names.record(id)).Result()
	if err != nil {
		return keys.Record{}, failure(err)
	}
	r, err := decode(id, fields)
	if err != nil {
		return keys.Record{}, err
	}
	if _, pending := fields[fieldPending]; pending && s.replicas > 0 {
		if err := s.confirm(ctx, id); err != nil {
			return keys.Record{}, err
		}
	}
	return r, nil
}

// Update writes r over an older version of it, as [keys.Store] says, in one
// round trip. Errors of the client leave open whether it was written.
// [Options.Replicas] take another round trip, and one more for revocations; an
// error that wraps [ErrReplicas] says that r was written.
//
// A server that is out of memory refuses all updates but revocations, which
// need hardly any. Servers before Redis 7 refuse those too.
func (s *Store) Update(ctx context.Context, r keys.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.Validate(); err != nil {
		return err
	}
	if r.Version == math.MaxInt64 {
		return &keys.InvalidError{Field: "version", Reason: "has none after it"}
	}
	set, drop := variable(&r, r.Version+1)
	if s.replicas > 0 && r.Revoked() {
		set = append(set, fieldPending, "1")
	}
	args := []any{
		r.ID, r.Org, strconv.FormatInt(r.Version, 10), milli(r.RevokedAt), death(&r), lifetime(&r), strconv.Itoa(len(set)),
	}
	args = append(append(args, set...), drop...)
	names := []string{s.names.record(r.ID), s.names.deaths(shardOf(r.ID))}
	answer, err := s.write(ctx, updateScript, names, args...)
	if r.Revoked() && redis.HasErrorPrefix(err, "OOM") {
		if again, failed := s.write(ctx, updateFullScript, names, args...); failed == nil {
			answer, err = again, nil
		}
	}
	if err != nil {
		return err
	}
	switch answer {
	case written:
		if s.replicas > 0 && r.Revoked() {
			s.settle(ctx, r.ID)
		}
		return nil
	case conflict:
		return keys.ErrConflict
	case corrupt:
		return corruptRecord(r.ID)
	}
	return keys.ErrNotFound
}
