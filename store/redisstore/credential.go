package redisstore

import (
	"context"
	"math"
	"strconv"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// written is what scripts answer that wrote something.
const written = int64(1)

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
	set, _ := split(append(fixed(&r), variable(&r)...))
	args := append([]any{r.ID, r.Org, liveEnd(&r), death(&r)}, set...)
	args = append(args, fieldVersion, versionText(format(&r), r.Version))
	home, listed := shardOf(r.ID), listLive
	if r.Revoked() {
		listed = listRevoked
	}
	names := []string{
		s.names.record(r.ID), s.names.list(listed, home, r.Kind, r.Org), s.names.list(listEnds, home, r.Kind, r.Org),
		s.names.deaths(home), s.names.orgs(home),
	}
	answer, err := s.writeWith(ctx, entryFor(ctx, &r), insertScript, insertWith, home, names, args...)
	if err == nil && answer != written {
		return keys.ErrExists
	}
	return err
}

// liveEnd returns when r expires if that is in the list of ends, or "".
func liveEnd(r *keys.Record) string {
	if r.Revoked() {
		return ""
	}
	return milli(r.ExpiresAt)
}

// death returns when r ends if it is a token, or "".
func death(r *keys.Record) string {
	if r.Kind != keys.KindToken {
		return ""
	}
	return milli(r.Ends())
}

// maxSwaps bounds how often an Update tries to write. It tries again only if the
// record differs in what it keeps from what the caller takes it for, or is gone
// and there again meanwhile.
const maxSwaps = 4

// Update writes r over an older version of it, as [keys.Store] says, in one
// round trip, or in two if r has another kind or time of revocation than the
// record. Errors of the client leave open whether it was written.
// [Options.Replicas] take another round trip, and one more for revocations; an
// error that wraps [ErrReplicas] says that r was written.
//
// A server that is out of memory may refuse updates, but not revocations, which
// need hardly any.
func (s *Store) Update(ctx context.Context, r keys.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// Most callers have read the record, and it was not revoked then.
	old := r
	old.RevokedAt = time.Time{}
	for range maxSwaps {
		next, err := keys.Next(old, r)
		if err != nil {
			return err
		}
		if next.Version == math.MaxInt64 {
			return &keys.InvalidError{Field: keys.FieldVersion, Reason: "has none after it"}
		}
		found, err := s.swap(ctx, &old, &next)
		if err != nil || found == nil {
			return err
		}
		if old, err = decode(r.ID, found); err != nil {
			return err
		}
	}
	return keys.ErrConflict
}

// swap writes next in the place of old, if the record is still old in all that
// an update goes by, and returns nil. Else it returns the fields of the record.
func (s *Store) swap(ctx context.Context, old, next *keys.Record) (found map[string]string, err error) {
	set, drop := split(variable(next))
	revoked := ""
	if next.Revoked() {
		revoked = "1"
		if s.replicas > 0 {
			set = append(set, fieldPending, "1")
		}
	}
	// A record that says that it is of format 1 goes on saying so: old may lack
	// a field that next has not either, since the caller did not know of it.
	plain := versionText(format(next), next.Version)
	args := append([]any{
		next.ID, old.Org, string(old.Kind), milli(old.RevokedAt),
		versionText(0, old.Version), versionText(keys.RecordFormat, old.Version),
		plain, versionText(keys.RecordFormat, next.Version),
		revoked, liveEnd(next), death(next), word(), strconv.Itoa(len(set)),
	}, set...)
	args = append(args, drop...)
	home := shardOf(next.ID)
	names := append([]string{s.names.record(next.ID)}, s.names.lists(home, old.Kind, old.Org)...)
	names = append(names, s.names.deaths(home), s.names.changes(home))
	answer, err := s.writeWith(ctx, entryFor(ctx, next), updateScript, updateWith, home, names, args...)
	if err != nil {
		return nil, err
	}
	if answer != written {
		return pairs(answer), nil
	}
	if s.replicas > 0 && next.Revoked() {
		s.settle(ctx, next.ID)
	}
	return nil, nil
}
