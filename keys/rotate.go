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
// [ErrConflict], or [ErrInvalid] if the overlap is negative; then the client is
// as it was. Or it is the store's; then the client may be as after a rotation,
// with a new secret that nobody has.
func (m *Manager) RotateSecret(ctx context.Context, org, id string, overlap time.Duration) (Issued, error) {
	if overlap < 0 {
		return Issued{}, &InvalidError{"overlap", "is negative"}
	}
	t, text, err := m.client.draw("")
	if err != nil {
		return Issued{}, err
	}
	digest := m.hasher.digest(KindClient, t.Secret.Reveal())
	rec, err := m.update(ctx, org, id, func(rec *Record) error {
		now := whole(time.Now())
		switch {
		case rec.Kind != KindClient:
			return ErrNotFound
		case rec.Revoked():
			return ErrRevoked
		case rec.Expired(now):
			return ErrExpired
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
		return Issued{}, err
	}
	m.tell(ctx, Rotated, &rec)
	return Issued{Record: rec, Text: NewSecret(text)}, nil
}

// Rotate makes a new key with the label, scopes, limit, environment and
// expiry of an old one. The old key stays good for the time of the overlap,
// and no longer than it would have been: 0 ends it at once, [Forever] leaves
// it as it is, to be revoked when the new one is in use. No window is left in
// which neither is good.
//
// The error wraps [ErrNotFound], [ErrRevoked], [ErrExpired], [ErrConflict], or
// [ErrInvalid] if the overlap is negative; then the old key is as it was. Or it
// is the store's; then, if the store could not even be read again, the end of
// the old key may have been written all the same. No new key is good in either
// case.
func (m *Manager) Rotate(ctx context.Context, org, id string, overlap time.Duration) (Issued, error) {
	if overlap < 0 {
		return Issued{}, &InvalidError{"overlap", "is negative"}
	}
	for try := 1; ; try++ {
		issued, err := m.rotate(ctx, org, id, overlap)
		if try == maxTries || !errors.Is(err, ErrConflict) {
			return issued, err
		}
	}
}

// rotate inserts the successor first and then ends the old key, under the
// version that the successor was copied from: if the old key was revoked or
// narrowed meanwhile, the successor is taken back.
func (m *Manager) rotate(ctx context.Context, org, id string, overlap time.Duration) (Issued, error) {
	old, err := m.Get(ctx, org, id)
	if err != nil {
		return Issued{}, err
	}
	now := whole(time.Now())
	switch {
	case old.Kind != KindKey:
		return Issued{}, ErrNotFound
	case old.Revoked():
		return Issued{}, ErrRevoked
	case old.Expired(now):
		return Issued{}, ErrExpired
	}
	issued, err := m.issue(ctx, Record{
		Kind: KindKey, Org: org, Label: old.Label, Scopes: old.Scopes, RateLimit: old.RateLimit,
		CreatedAt: now, ExpiresAt: old.ExpiresAt, Version: 1,
	}, m.key.environment(old.ID))
	if err != nil {
		return Issued{}, err
	}
	ended := old
	if end := whole(now.Add(overlap)); overlap != Forever && (old.ExpiresAt.IsZero() || end.Before(old.ExpiresAt)) {
		ended.ExpiresAt = end
	}
	if err := validate(&ended); err != nil {
		return Issued{}, errors.Join(err, m.Revoke(context.WithoutCancel(ctx), org, issued.Record.ID))
	}
	err = m.store.Update(ctx, ended)
	ended.Version++
	if err != nil && !errors.Is(err, ErrConflict) {
		// A write whose answer was lost is done all the same, and taking the
		// successor back as well would leave the owner without a key.
		if now, getErr := m.Get(context.WithoutCancel(ctx), org, id); getErr == nil && sameRecord(now, ended) {
			err = nil
		}
	}
	if err != nil {
		// The successor's secret is dropped here, so it opens nothing even if
		// the revocation fails too.
		return Issued{}, errors.Join(err, m.Revoke(context.WithoutCancel(ctx), org, issued.Record.ID))
	}
	m.tell(ctx, Rotated, &ended)
	return issued, nil
}

// sameRecord reports whether two records are equal, with times as instants.
func sameRecord(a, b Record) bool {
	for _, pair := range [...][2]*time.Time{
		{&a.PreviousExpiresAt, &b.PreviousExpiresAt}, {&a.CreatedAt, &b.CreatedAt}, {&a.ExpiresAt, &b.ExpiresAt}, {&a.RevokedAt, &b.RevokedAt},
	} {
		if !pair[0].Equal(*pair[1]) {
			return false
		}
		*pair[0] = *pair[1]
	}
	return a == b
}
