package keys

import (
	"context"
	"errors"
	"time"
)

// RotateSecret gives a client a new secret. The one that it had stays good for
// the time of the overlap, 0 ends it at once; one from an earlier rotation,
// which may still be good, ends at once in any case, so that there are never
// more than two. The error wraps [ErrNotFound], [ErrRevoked], [ErrExpired],
// [ErrPaused], [ErrConflict], or [ErrInvalid] if the overlap is negative; then
// the client is as it was. Or it is the store's; then the client may be as after
// a rotation, with a new secret that nobody has.
func (m *Manager) RotateSecret(ctx context.Context, org, id string, overlap time.Duration) (Issued, error) {
	_, issued, err := m.rotateSecret(ctx, org, id, overlap, nil)
	return issued, err
}

// rotateSecret is RotateSecret with a check that can refuse, if it is not nil.
// It also returns the record as it was.
func (m *Manager) rotateSecret(ctx context.Context, org, id string, overlap time.Duration, check func(*Record) error) (old Record, issued Issued, err error) {
	if overlap < 0 {
		return old, issued, &InvalidError{FieldOverlap, "is negative"}
	}
	c, text, err := m.client.draw("")
	if err != nil {
		return old, issued, err
	}
	digest := m.hasher.digest(KindClient, c.Secret.Reveal())
	old, rec, err := m.update(ctx, org, KindClient, id, false, func(rec *Record) error {
		if check != nil {
			if err := check(rec); err != nil {
				return err
			}
		}
		now := whole(time.Now())
		switch err := rotatable(rec, now); {
		case err != nil:
			return err
		case rec.Digest == digest:
			// The try before this one was reported as a conflict, and was done
			// all the same. Once more, and the old secret would be gone.
			return errUnchanged
		}
		rec.Previous, rec.PreviousExpiresAt = Digest{}, time.Time{}
		if overlap > 0 {
			rec.Previous, rec.PreviousExpiresAt = rec.Digest, whole(now.Add(overlap))
		}
		rec.Digest = digest
		return nil
	})
	if err != nil && err != errUnchanged {
		return old, issued, err
	}
	m.tell(ctx, Rotated, &rec)
	return old, Issued{Record: rec, Text: NewSecret(text)}, nil
}

// rotatable says whether a key or a client can be rotated at now.
func rotatable(rec *Record, now time.Time) error {
	switch {
	case rec.Revoked():
		return ErrRevoked
	case rec.Expired(now):
		return ErrExpired
	case rec.Disabled():
		return ErrPaused
	}
	return nil
}

// A Rotation says how a key is rotated. The zero Rotation ends the old key at
// once.
type Rotation struct {
	// Overlap is how long the old key stays good, and never longer than it
	// would have been. If zero, it ends at once; [Forever] leaves its end as
	// it is, for it to be revoked when the new one is in use.
	Overlap time.Duration
	// Lifetime is how long the new key is good, in whole milliseconds. If zero,
	// as long as the old one was from when it was made to its end.
	Lifetime time.Duration
	// CreatedBy is the host's name for who rotates, as in [Spec].
	CreatedBy string
}

// Rotate makes a new key with the label, scopes, limit, environment, networks
// and metadata of an old one, whose record names its successor from then on. No
// window is left in which neither is good.
//
// The error wraps [ErrNotFound], [ErrRevoked], [ErrExpired], [ErrPaused],
// [ErrConflict], or [ErrInvalid] if a time is negative; then the old key is as it
// was. Or it is the store's; then, if the store could not even be read again, the
// end of the old key may have been written all the same. No new key is good in
// either case.
func (m *Manager) Rotate(ctx context.Context, org, id string, r Rotation) (Issued, error) {
	done, err := m.rotate(ctx, org, id, r, time.Time{}, nil)
	return done.issued, err
}

// A rotated key is one before and after, with its successor.
type rotated struct {
	old, ended Record
	issued     Issued
}

// rotate is Rotate with an end for the successor, if it is not zero, and a check
// that can refuse, if it is not nil.
func (m *Manager) rotate(ctx context.Context, org, id string, r Rotation, end time.Time, check func(*Record) error) (done rotated, err error) {
	switch {
	case r.Overlap < 0:
		return done, &InvalidError{FieldOverlap, "is negative"}
	case r.Lifetime < 0 || r.Lifetime%time.Millisecond != 0:
		return done, &InvalidError{FieldLifetime, "is negative or not in whole milliseconds"}
	}
	defer m.queue.change(ctx, id)()
	for try := 1; ; try++ {
		done, err = m.rotateOnce(ctx, org, id, r, end, check)
		if try == maxTries || !errors.Is(err, ErrConflict) || wait(ctx, maxPause) != nil {
			return done, err
		}
	}
}

// rotateOnce inserts the successor first and then ends the old key, under the
// version that the successor was copied from: if the old key was revoked or
// narrowed meanwhile, the successor is taken back.
func (m *Manager) rotateOnce(ctx context.Context, org, id string, r Rotation, end time.Time, check func(*Record) error) (done rotated, err error) {
	old, err := m.Get(ctx, org, KindKey, id)
	if err != nil {
		return done, err
	}
	now := whole(time.Now())
	if check != nil {
		if err := check(&old); err != nil {
			return done, err
		}
	}
	if err := rotatable(&old, now); err != nil {
		return done, err
	}
	issued, err := m.issue(ctx, successor(&old, r, now, end))
	if err != nil {
		return done, err
	}
	ended := old
	ended.ReplacedBy = issued.Record.ID
	if end := whole(now.Add(r.Overlap)); r.Overlap != Forever && (old.ExpiresAt.IsZero() || end.Before(old.ExpiresAt)) {
		ended.ExpiresAt = end
	}
	if err = m.replace(ctx, &ended); err != nil {
		// The successor's secret is dropped here, so it opens nothing even if
		// the revocation fails too.
		return done, errors.Join(err, m.takeBack(ctx, issued.Record))
	}
	m.tell(ctx, Rotated, &ended)
	return rotated{old, ended, issued}, nil
}

// successor returns the record of the key that follows old.
func successor(old *Record, r Rotation, now, end time.Time) Record {
	rec := Record{
		Kind: KindKey, Org: old.Org, Label: old.Label, Scopes: old.Scopes, RateLimit: old.RateLimit,
		Environment: old.Environment, Networks: old.Networks, Metadata: old.Metadata,
		CreatedBy: r.CreatedBy, Replaces: old.ID, CreatedAt: now, Version: 1,
	}
	switch {
	case r.Lifetime == Forever:
	case r.Lifetime > 0:
		rec.ExpiresAt = whole(now.Add(r.Lifetime))
	case !old.ExpiresAt.IsZero():
		rec.ExpiresAt = whole(now.Add(old.ExpiresAt.Sub(old.CreatedAt)))
	}
	rec.ExpiresAt = earlier(rec.ExpiresAt, end)
	return rec
}

// earlier returns the earlier of two ends, of which the zero time is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// replace writes the record of a key that has a successor.
func (m *Manager) replace(ctx context.Context, ended *Record) error {
	err := m.write(ctx, ended)
	if err == nil || errors.Is(err, ErrConflict) || errors.Is(err, ErrInvalid) {
		return err
	}
	// A write whose answer was lost is done all the same, and taking the
	// successor back as well would leave the owner without a key.
	ctx, cancel := cleanUp(ctx)
	defer cancel()
	now, getErr := m.Get(ctx, ended.Org, KindKey, ended.ID)
	if written := *ended; getErr == nil {
		written.Version++
		if sameRecord(now, written) {
			*ended = written
			return nil
		}
	}
	return err
}

// takeBack revokes what was made and must not be used. The caller's context may
// have ended.
func (m *Manager) takeBack(ctx context.Context, rec Record) error {
	ctx, cancel := cleanUp(ctx)
	defer cancel()
	_, err := m.revokeRead(ctx, rec)
	return err
}

// sameRecord reports whether two records are equal, with times as instants.
func sameRecord(a, b Record) bool {
	for _, pair := range [...][2]*time.Time{
		{&a.PreviousExpiresAt, &b.PreviousExpiresAt}, {&a.CreatedAt, &b.CreatedAt}, {&a.ExpiresAt, &b.ExpiresAt},
		{&a.RevokedAt, &b.RevokedAt}, {&a.DisabledAt, &b.DisabledAt},
	} {
		if !pair[0].Equal(*pair[1]) {
			return false
		}
		*pair[0] = *pair[1]
	}
	return a == b
}
