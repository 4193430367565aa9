package redisstore

import (
	"context"
	"math"
	"strconv"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// written is the answer of scripts that wrote something.
const written = int64(1)

// Insert adds r, as [keys.Store] says, in one round trip. After an error of the client
// it is not known whether r was added; it is never added twice. With
// [Options.Replicas] there is another round trip. If the error wraps [ErrReplicas], r
// was added.
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

// liveEnd returns the score of r in the list of ends, or "" if r is not in it.
func liveEnd(r *keys.Record) string {
	if r.Revoked() {
		return ""
	}
	return milli(r.ExpiresAt)
}

// death returns the time at which r ends if r is a token, or "".
func death(r *keys.Record) string {
	if r.Kind != keys.KindToken {
		return ""
	}
	return milli(r.Ends())
}

// maxSwaps bounds how often an Update tries to write. It tries again if the stored
// Kind or time of revocation is not the one that was expected, which the first try
// tells, or if the record was removed and made again meanwhile.
const maxSwaps = 4

// Update writes r over an older version of it, as [keys.Store] says, in one
// round trip, or in two if r has another kind or time of revocation than the
// record. After an error of the client it is not known whether r was written. With
// [Options.Replicas] there is another round trip, and for a revocation one more. If
// the error wraps [ErrReplicas], r was written.
//
// A server that is out of memory may refuse updates, but not revocations, which
// need hardly any memory.
func (s *Store) Update(ctx context.Context, r keys.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// This assumes that the record is as the caller has read it, and not revoked. If
	// that is wrong, swap says so.
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

// swap writes next in place of old, and returns nil, if the organization, the kind, the
// time of revocation and the version of the record are still those of old. Otherwise it
// returns the fields of the record.
func (s *Store) swap(ctx context.Context, old, next *keys.Record) (found map[string]string, err error) {
	set, drop := split(variable(next))
	revoked := ""
	if next.Revoked() {
		revoked = "1"
		if s.replicas > 0 {
			set = append(set, fieldPending, "1")
		}
	}
	// If the record is stored with a format, the format stays: it may have fields
	// that the caller did not know of, and so are missing in next.
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
