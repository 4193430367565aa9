package redisstore

import (
	"context"
	"errors"

	"github.com/claviger-auth/claviger/keys"
)

// GetFamily returns a record and its parent, as [keys.FamilyStore] says, in one
// round trip. Over a cluster, and over a client of another type than
// [redis.Client], records with a parent take two: only the first says where the
// second is kept.
func (s *Store) GetFamily(ctx context.Context, id string) (rec, parent keys.Record, err error) {
	if err := ctx.Err(); err != nil {
		return rec, parent, err
	}
	if !possible(id) {
		return rec, parent, keys.ErrNotFound
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	var child, other map[string]string
	if s.together {
		child, other, err = s.family(ctx, id)
	} else {
		child, other, err = s.familyApart(ctx, id)
	}
	if err != nil {
		return keys.Record{}, keys.Record{}, err
	}
	if rec, err = decode(id, child); err != nil {
		return keys.Record{}, keys.Record{}, err
	}
	if rec.Parent == "" {
		return rec, keys.Record{}, nil
	}
	parent, err = decode(rec.Parent, other)
	if errors.Is(err, keys.ErrNotFound) {
		return rec, keys.Record{}, nil
	}
	if err != nil {
		return keys.Record{}, keys.Record{}, err
	}
	return rec, parent, nil
}

// family reads both by a script.
func (s *Store) family(ctx context.Context, id string) (child, parent map[string]string, err error) {
	c, err := run(ctx, s.client, familyScript, []string{s.names.record(id)}, string(s.names), tags)
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

// familyApart reads one after the other.
func (s *Store) familyApart(ctx context.Context, id string) (child, parent map[string]string, err error) {
	child, err = s.client.HGetAll(ctx, s.names.record(id)).Result()
	if err != nil || child[fieldParent] == "" {
		return child, nil, failure(err)
	}
	parent, err = s.client.HGetAll(ctx, s.names.record(child[fieldParent])).Result()
	return child, parent, failure(err)
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
