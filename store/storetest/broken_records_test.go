package storetest_test

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/claviger-auth/claviger/keys"
)

var errDriver = errors.New("driver: bad value")

// singleDefects are those of Insert, Get and Update.
var singleDefects = []*defect{
	{"parent is not stored", "insert-get-round-trip", altered(func(r *keys.Record) { r.Parent = "" })},
	{"times in whole seconds", "insert-get-round-trip", altered(func(r *keys.Record) { r.CreatedAt = r.CreatedAt.Truncate(time.Second) })},
	{"no second digest", "insert-get-round-trip", altered(func(r *keys.Record) { r.Previous, r.PreviousExpiresAt = keys.Digest{}, time.Time{} })},
	{"no expiry becomes 1970", "insert-get-round-trip", altered(func(r *keys.Record) {
		if r.ExpiresAt.IsZero() {
			r.ExpiresAt = time.UnixMilli(0)
		}
	})},
	{"the database drops what is dead", "dead-records-stay", broken{get: func(b *broken, ctx context.Context, id string) (keys.Record, error) {
		r, err := b.one(ctx, id)
		if err == nil && isDead(r) {
			return keys.Record{}, keys.ErrNotFound
		}
		return r, err
	}}},
	{"digests in 80 characters", "digests-are-kept", altered(func(r *keys.Record) {
		if d, err := keys.ParseDigest(r.Digest.Text()[:min(80, len(r.Digest.Text()))]); err != nil {
			r.Digest = d
		}
	})},
	{"1970 means never", "times-are-kept", altered(func(r *keys.Record) {
		if r.ExpiresAt.UnixMilli() == 0 {
			r.ExpiresAt = time.Time{}
		}
	})},
	{"local times without their zone", "times-are-kept", altered(func(r *keys.Record) {
		_, offset := r.CreatedAt.Zone()
		r.CreatedAt = r.CreatedAt.Add(time.Duration(offset) * time.Second)
	})},
	{"nanoseconds in 64 bits", "times-are-kept", altered(func(r *keys.Record) {
		if !r.ExpiresAt.IsZero() {
			r.ExpiresAt = time.Unix(0, r.ExpiresAt.UnixNano())
		}
	})},
	{"numbers in floating point", "numbers-are-kept", altered(func(r *keys.Record) { r.Version = int64(float64(r.Version)) })},
	{"numbers below 2147483647", "numbers-are-kept", altered(func(r *keys.Record) {
		r.TokenLifetime = min(r.TokenLifetime, (math.MaxInt32-1)*time.Millisecond)
	})},
	{"text is trimmed", "text-is-kept", altered(func(r *keys.Record) { r.Label = strings.TrimSpace(r.Label) })},
	{"text is cut", "longest-values-are-kept", altered(func(r *keys.Record) {
		if utf8.RuneCountInString(r.Label) > 255 {
			r.Label = string([]rune(r.Label)[:255])
		}
	})},
	{"insert or ignore", "insert-never-overwrites", broken{insert: func(b *broken, ctx context.Context, r keys.Record) error {
		if err := b.Memory.Insert(ctx, r); !errors.Is(err, keys.ErrExists) {
			return err
		}
		return nil
	}}},
	{"insert or replace, with the right error", "insert-never-overwrites", broken{
		insert: func(b *broken, ctx context.Context, r keys.Record) error {
			err := b.Memory.Insert(ctx, r)
			if errors.Is(err, keys.ErrExists) {
				b.put(r)
			}
			return err
		},
		get: getOverlaid,
	}},
	{"unique in the organization only", "insert-never-overwrites", broken{insert: func(b *broken, ctx context.Context, r keys.Record) error {
		err := b.Memory.Insert(ctx, r)
		if was, _ := b.one(ctx, r.ID); errors.Is(err, keys.ErrExists) && was.Org != r.Org {
			return nil
		}
		return err
	}}},
	{"the driver's error for an ID that exists", "insert-never-overwrites", broken{insert: func(b *broken, ctx context.Context, r keys.Record) error {
		if err := b.Memory.Insert(ctx, r); !errors.Is(err, keys.ErrExists) {
			return err
		}
		return errors.New("UNIQUE constraint failed")
	}}},
	{"IDs of the dead are free", "insert-after-revoke-or-expiry", broken{
		insert: func(b *broken, ctx context.Context, r keys.Record) error {
			err := b.Memory.Insert(ctx, r)
			if was, _ := b.one(ctx, r.ID); errors.Is(err, keys.ErrExists) && isDead(was) {
				b.put(r)
				return nil
			}
			return err
		},
		get: getOverlaid,
	}},
	{"insert does not validate", "insert-validates", broken{
		insert: func(b *broken, ctx context.Context, r keys.Record) error {
			if r.Validate() != nil {
				b.put(r)
				return nil
			}
			return b.Memory.Insert(ctx, r)
		},
		get: getOverlaid,
	}},
	{"insert fails in other words", "insert-validates", broken{insert: func(b *broken, ctx context.Context, r keys.Record) error {
		if r.Validate() != nil {
			return errDriver
		}
		return b.Memory.Insert(ctx, r)
	}}},
	{"insert validates after it wrote", "insert-validates", broken{
		insert: func(b *broken, ctx context.Context, r keys.Record) error {
			err := r.Validate()
			if err == nil {
				return b.Memory.Insert(ctx, r)
			}
			b.put(r)
			return err
		},
		get: getOverlaid,
	}},

	{"no rows is not translated", "get-not-found", broken{get: func(b *broken, ctx context.Context, id string) (keys.Record, error) {
		r, err := b.one(ctx, id)
		if errors.Is(err, keys.ErrNotFound) {
			return r, sql.ErrNoRows
		}
		return r, err
	}}},
	{"nothing is an empty record", "get-not-found", broken{get: func(b *broken, ctx context.Context, id string) (keys.Record, error) {
		r, err := b.one(ctx, id)
		if errors.Is(err, keys.ErrNotFound) {
			return keys.Record{}, nil
		}
		return r, err
	}}},
	{"the driver sees junk", "get-hostile-id", broken{get: func(b *broken, ctx context.Context, id string) (keys.Record, error) {
		if !utf8.ValidString(id) {
			return keys.Record{}, errDriver
		}
		return b.one(ctx, id)
	}}},
	{"get matches a pattern", "get-hostile-id", broken{
		insert: insertNoted,
		get: func(b *broken, ctx context.Context, id string) (keys.Record, error) {
			for _, r := range b.noted() {
				if prefix, ok := strings.CutSuffix(id, "%"); ok && len(prefix) > 2 && strings.HasPrefix(r.ID, prefix) {
					id = r.ID
				}
			}
			return b.one(ctx, id)
		},
	}},
	{"IDs without regard to case", "ids-are-case-sensitive", folded(strings.ToLower)},
	{"IDs under a collation that has no weights for new characters", "ids-are-case-sensitive", folded(func(id string) string {
		return strings.Map(func(c rune) rune { return min(unicode.ToLower(c), utf8.RuneError) }, id)
	})},
	{"IDs without trailing spaces", "ids-are-bytes", folded(func(id string) string { return strings.TrimRight(id, " ") })},
	{"IDs in one Unicode form", "ids-are-bytes", folded(func(id string) string { return strings.ReplaceAll(id, "\u00e9", "e\u0301") })},

	{"update forgets the digest", "update-writes-all-fields", written(func(was keys.Record, r *keys.Record) { r.Digest = was.Digest })},
	{"update forgets the expiry", "update-writes-all-fields", written(func(was keys.Record, r *keys.Record) { r.ExpiresAt = was.ExpiresAt })},
	{"update writes what is not zero", "update-clears-fields", written(func(was keys.Record, r *keys.Record) {
		r.Label = cmp.Or(r.Label, was.Label)
		if r.ExpiresAt.IsZero() {
			r.ExpiresAt = was.ExpiresAt
		}
	})},
	{"scopes are never taken away", "update-clears-fields", written(func(was keys.Record, r *keys.Record) {
		if r.Scopes.IsEmpty() {
			r.Scopes = was.Scopes
		}
	})},
	{"update moves the creation", "update-keeps-identity", broken{
		update: func(b *broken, ctx context.Context, r keys.Record) error {
			err := b.Memory.Update(ctx, r)
			if was, _ := b.one(ctx, r.ID); err == nil && !was.CreatedAt.Equal(r.CreatedAt) {
				was.CreatedAt = r.CreatedAt
				b.put(was)
			}
			return err
		},
		get: getOverlaid,
	}},
	{"update moves a token to another client", "update-keeps-identity", broken{
		update: func(b *broken, ctx context.Context, r keys.Record) error {
			err := b.Memory.Update(ctx, r)
			if was, _ := b.one(ctx, r.ID); err == nil && was.Parent != r.Parent {
				was.Parent = r.Parent
				b.put(was)
			}
			return err
		},
		get: getOverlaid,
	}},
	{"a key called a client gets a lifetime", "update-leaves-valid-records", recalled(func(b *broken, is, passed keys.Record) error {
		b.put(adopted(is, passed))
		return nil
	})},
	{"fields of another kind are left out", "update-leaves-valid-records", recalled(func(b *broken, is, passed keys.Record) error {
		next := adopted(is, passed)
		next.TokenLifetime, next.Networks, next.Metadata, next.DisabledAt = 0, keys.Networks{}, "", time.Time{}
		b.put(next)
		return nil
	})},
	{"fields of another kind are a database error", "update-leaves-valid-records", recalled(func(*broken, keys.Record, keys.Record) error {
		return errDriver
	})},
	{"fields of another kind are refused, but written", "update-leaves-valid-records", recalled(func(b *broken, is, passed keys.Record) error {
		b.put(adopted(is, passed))
		return keys.ErrInvalid
	})},
	{"another kind is a conflict", "update-keeps-identity", broken{update: func(b *broken, ctx context.Context, r keys.Record) error {
		if is, err := b.one(ctx, r.ID); err == nil && is.Kind != r.Kind && r.Validate() == nil {
			return keys.ErrConflict
		}
		return b.Memory.Update(ctx, r)
	}}},
	{"the version goes up by two", "update-increments-the-version", broken{update: func(b *broken, ctx context.Context, r keys.Record) error {
		err := b.Memory.Update(ctx, r)
		if err == nil {
			r.Version++
			err = b.Memory.Update(ctx, r)
		}
		return err
	}}},
	{"the last write wins", "update-compares-versions", written(func(was keys.Record, r *keys.Record) { r.Version = was.Version })},
	{"newer versions win", "update-compares-versions", written(func(was keys.Record, r *keys.Record) {
		if r.Version > was.Version {
			r.Version = was.Version
		}
	})},
	{"a conflict is a database error", "update-compares-versions", broken{update: func(b *broken, ctx context.Context, r keys.Record) error {
		err := b.Memory.Update(ctx, r)
		if errors.Is(err, keys.ErrConflict) {
			return errors.New("0 rows affected")
		}
		return err
	}}},
	{"the organization is not in the condition", "update-needs-the-organization", broken{update: func(b *broken, ctx context.Context, r keys.Record) error {
		if was, err := b.one(ctx, r.ID); err == nil && r.Validate() == nil {
			r.Org = was.Org
		}
		return b.Memory.Update(ctx, r)
	}}},
	{"foreign IDs are conflicts", "update-needs-the-organization", broken{update: func(b *broken, ctx context.Context, r keys.Record) error {
		err := b.Memory.Update(ctx, r)
		if was, missing := b.one(ctx, r.ID); errors.Is(err, keys.ErrNotFound) && missing == nil && was.Version != r.Version {
			return keys.ErrConflict
		}
		return err
	}}},
	{"update inserts", "update-not-found", broken{update: func(b *broken, ctx context.Context, r keys.Record) error {
		err := b.Memory.Update(ctx, r)
		if errors.Is(err, keys.ErrNotFound) && b.Memory.Insert(ctx, r) == nil {
			return nil
		}
		return err
	}}},
	{"update of nothing is a conflict", "update-not-found", broken{update: func(b *broken, ctx context.Context, r keys.Record) error {
		err := b.Memory.Update(ctx, r)
		if _, missing := b.one(ctx, r.ID); errors.Is(err, keys.ErrNotFound) && missing != nil {
			return keys.ErrConflict
		}
		return err
	}}},
	{"update does not validate", "update-validates", broken{update: func(b *broken, ctx context.Context, r keys.Record) error {
		err := b.Memory.Update(ctx, r)
		if errors.Is(err, keys.ErrInvalid) {
			return nil
		}
		return err
	}}},

	{"update does not revoke", "revocation-is-written", written(func(was keys.Record, r *keys.Record) { r.RevokedAt = was.RevokedAt })},
	{"revoking deletes", "revocation-is-written", broken{
		update: func(b *broken, ctx context.Context, r keys.Record) error {
			err := b.Memory.Update(ctx, r)
			if err == nil && r.Revoked() {
				b.put(keys.Record{ID: r.ID})
			}
			return err
		},
		get: getUnlessGone,
	}},
	{"a revocation can be cleared", "revocation-is-final", broken{
		update: func(b *broken, ctx context.Context, r keys.Record) error {
			err := b.Memory.Update(ctx, r)
			if was, _ := b.one(ctx, r.ID); errors.Is(err, keys.ErrConflict) && was.Version == r.Version && !r.Revoked() {
				b.put(r)
				return nil
			}
			return err
		},
		get: getOverlaid,
	}},
	{"a revocation can be moved on", "revocation-is-final", broken{update: func(b *broken, ctx context.Context, r keys.Record) error {
		err := b.Memory.Update(ctx, r)
		if was, _ := b.one(ctx, r.ID); errors.Is(err, keys.ErrConflict) && was.Version == r.Version && r.Revoked() {
			return nil
		}
		return err
	}}},
	{"revoked records are read-only", "revoked-records-can-be-updated", broken{update: func(b *broken, ctx context.Context, r keys.Record) error {
		if was, err := b.one(ctx, r.ID); err == nil && was.Revoked() {
			return keys.ErrConflict
		}
		return b.Memory.Update(ctx, r)
	}}},
	{"revocations are compared as structs", "revoked-records-can-be-updated", broken{update: func(b *broken, ctx context.Context, r keys.Record) error {
		was, err := b.one(ctx, r.ID)
		if err == nil && was.Revoked() && was.RevokedAt.Equal(r.RevokedAt) && was.RevokedAt != r.RevokedAt {
			return keys.ErrConflict
		}
		return b.Memory.Update(ctx, r)
	}}},
}
