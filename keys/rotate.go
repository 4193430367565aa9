package keys

import (
	"context"
	"errors"
	"time"
)

// maxSuccessors bounds how many keys are read to find the newest successor of a key.
const maxSuccessors = 8

// RotateSecret gives a client a new secret. The present secret stays good for the
// overlap; if that is 0, it ends at once. An older secret from an earlier rotation
// ends at once in any case, so that a client never has more than two. The client's
// tokens stay good until they expire, also those that somebody got with a secret that
// has leaked. Only to revoke or pause the client ends them.
//
// The error wraps
//
//   - [ErrNotFound], [ErrRevoked], [ErrExpired], [ErrPaused], [ErrConflict], or
//     [ErrInvalid] if the overlap is negative; then the client is as it was;
//   - [ErrUnsettled], because ctx has ended; then the new secret is good, and is
//     returned with the error;
//   - [ErrUnavailable]; then the client may have a new secret that nobody knows.
func (m *Manager) RotateSecret(ctx context.Context, org, id string, overlap time.Duration) (Issued, error) {
	_, issued, err := m.rotateSecret(ctx, org, id, overlap, nil)
	return issued, m.everywhereForOnce(ctx, err)
}

// rotateSecret is RotateSecret with a check that can refuse, if it is not nil.
// It also returns the record as it was.
func (m *Manager) rotateSecret(ctx context.Context, org, id string, overlap time.Duration, check func(*Record) error) (old Record, issued Issued, err error) {
	if overlap < 0 {
		return old, issued, &InvalidError{FieldOverlap, "is negative"}
	}
	if overlap, err = m.overlap(ctx, overlap); err != nil {
		return old, issued, err
	}
	c, text, err := m.client.draw("")
	if err != nil {
		return old, issued, err
	}
	digest := m.hasher.digest(KindClient, c.Secret.Reveal())
	_, rec, err := m.update(ctx, org, KindClient, id, false, func(rec *Record) error {
		now := whole(time.Now())
		if err := rotatable(rec, now); err != nil {
			return err
		}
		if rec.Digest == digest {
			// The try before this one was reported as a conflict, and was still
			// carried out. Doing it again would drop the old secret.
			return errUnchanged
		}
		if check != nil {
			if err := check(rec); err != nil {
				return err
			}
		}
		old = *rec
		rec.Previous, rec.PreviousExpiresAt = Digest{}, time.Time{}
		if overlap > 0 {
			rec.Previous, rec.PreviousExpiresAt = rec.Digest, whole(now.Add(overlap))
		}
		rec.Digest = digest
		return nil
	})
	if errors.Is(err, ErrUnavailable) && rec.Digest == digest {
		// The answer of a write can be lost although it was carried out.
		clean, cancel := cleanUp(ctx)
		defer cancel()
		if now, getErr := m.Get(clean, org, KindClient, id); getErr == nil && now.Digest == digest {
			rec, err = now, nil
		}
	}
	if err != nil && err != errUnchanged {
		return old, issued, err
	}
	m.tell(ctx, Rotated, &rec)
	return old, Issued{Record: rec, Text: NewSecret(text)}, nil
}

// rotatable returns an error unless a key or a client can be rotated at now.
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
	// Overlap is how long the old key stays good. It never stays good longer than
	// it would have been without the rotation. If zero, it ends at once. [Forever]
	// leaves its end as it is; then revoke it when the new key is in use.
	Overlap time.Duration
	// Lifetime is how long the new key is good, in whole milliseconds, or
	// [Forever]. If zero, it is the time from the making of the old key to its
	// end, or Forever if it has none. If the old key was rotated before, its end
	// may have been brought forward; then the times of its newest successor are
	// taken. An imported key may say that it was made later than it ends. Then the
	// lifetime is what the old key has left.
	Lifetime time.Duration
	// CreatedBy is the host's name for who rotates, as in [Spec].
	CreatedBy string
}

// Rotate makes a new key with the label, scopes, limit, environment, networks and
// metadata of an old one. From then on the record of the old key names its successor.
// At every moment at least one of the two is good. A key can be rotated more than
// once, as by somebody who did not get the answer; then its record names the last
// successor.
//
// The error wraps
//
//   - [ErrNotFound], [ErrRevoked], [ErrExpired], [ErrPaused], [ErrConflict], or
//     [ErrInvalid] if a time is not as [Rotation] says; then the old key is as it was,
//     and there is no new one;
//   - [ErrUnsettled], because ctx has ended; then the rotation is done, and the new
//     key is returned with the error;
//   - [ErrUnavailable]; then nobody has a new key, but the end of the old one may have
//     been written.
func (m *Manager) Rotate(ctx context.Context, org, id string, r Rotation) (Issued, error) {
	done, err := m.rotate(ctx, org, id, &rotation{Rotation: r})
	return done.issued, m.everywhereForOnce(ctx, err)
}

// A rotation is a Rotation with what an Actor adds to it.
type rotation struct {
	Rotation
	ends   time.Time           // the latest end of the successor; the zero time is never
	check  func(*Record) error // its error refuses the rotation of the old key; may be nil
	capped bool                // whether the bound on keys applies, see withinCap
}

// A rotated is a key before and after its rotation, with its successor.
type rotated struct {
	old, ended Record
	issued     Issued
}

func (m *Manager) rotate(ctx context.Context, org, id string, r *rotation) (done rotated, err error) {
	switch {
	case r.Overlap < 0:
		return done, &InvalidError{FieldOverlap, "is negative"}
	case r.Lifetime < 0 || !wholeLifetime(r.Lifetime):
		return done, &InvalidError{FieldLifetime, "is negative or not in whole milliseconds"}
	}
	if r.Overlap, err = m.overlap(ctx, r.Overlap); err != nil {
		return done, err
	}
	defer m.queue.change(ctx, org, id)()
	for try := 1; ; try++ {
		done, err = m.rotateOnce(ctx, org, id, r)
		if try == maxTries || !errors.Is(err, ErrConflict) {
			return done, err
		}
		if ended := wait(ctx, maxPause); ended != nil {
			return done, ended
		}
	}
}

// rotateOnce inserts the successor first, and then writes the end of the old key. That
// write takes the version of which the successor is a copy. So if the old key was
// revoked or changed meanwhile, it fails, and the successor is taken back.
func (m *Manager) rotateOnce(ctx context.Context, org, id string, r *rotation) (done rotated, err error) {
	old, err := m.Get(ctx, org, KindKey, id)
	if err != nil {
		return done, err
	}
	now := whole(time.Now())
	if err := rotatable(&old, now); err != nil {
		return done, err
	}
	if r.check != nil {
		if err := r.check(&old); err != nil {
			return done, err
		}
	}
	next, err := m.successor(ctx, &old, r, now)
	if err != nil {
		return done, err
	}
	issued, err := m.issue(ctx, next)
	if err != nil {
		return done, err
	}
	ended := old
	ended.ReplacedBy = issued.Record.ID
	ended.ExpiresAt = earlier(old.ExpiresAt, endAfter(now, r.Overlap))
	if err := m.replace(ctx, &old, &ended, &issued.Record, r); err != nil {
		return done, err
	}
	m.tell(ctx, Rotated, &ended)
	return rotated{old, ended, issued}, nil
}

// successor returns the record of the key that follows old.
func (m *Manager) successor(ctx context.Context, old *Record, r *rotation, now time.Time) (Record, error) {
	rec := Record{
		Kind: KindKey, Org: old.Org, Label: old.Label, Scopes: old.Scopes, RateLimit: old.RateLimit,
		Environment: m.environment(old), Networks: old.Networks, Metadata: old.Metadata,
		CreatedBy: r.CreatedBy, Replaces: old.ID, CreatedAt: now, Version: 1,
	}
	lifetime := r.Lifetime
	if lifetime == 0 {
		model, err := m.lastSuccessor(ctx, *old)
		if err != nil {
			return Record{}, err
		}
		if lifetime = Forever; !model.ExpiresAt.IsZero() {
			lifetime = model.ExpiresAt.Sub(model.CreatedAt)
		}
		if lifetime <= 0 { // an imported key may say that it was made later than it ends
			lifetime = model.ExpiresAt.Sub(now)
		}
	}
	rec.ExpiresAt = earlier(endAfter(now, lifetime), r.ends)
	return rec, nil
}

// lastSuccessor returns the newest of the keys that replaced rec one after another, or
// rec itself. The ends of all but the newest may have been brought forward.
func (m *Manager) lastSuccessor(ctx context.Context, rec Record) (Record, error) {
	for range maxSuccessors {
		if rec.ReplacedBy == "" {
			break
		}
		next, err := m.Get(ctx, rec.Org, KindKey, rec.ReplacedBy)
		if errors.Is(err, ErrNotFound) {
			break
		}
		if err != nil {
			return Record{}, err
		}
		rec = next
	}
	return rec, nil
}

// earlier returns the earlier of two ends. The zero time is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// replace writes ended, which names the successor next, over old. If it cannot, it
// takes the successor back. If that fails too, the successor still opens nothing,
// since nobody has its secret.
func (m *Manager) replace(ctx context.Context, old, ended, next *Record, r *rotation) (err error) {
	if r.capped {
		err = m.withinCap(ctx, next)
	}
	if err == nil {
		err = m.write(m.by(ctx, r.CreatedBy), old, ended)
	}
	if err == nil {
		return nil
	}
	ctx, cancel := cleanUp(ctx)
	defer cancel()
	// The answer of a write can be lost although it was carried out. Taking the
	// successor back as well would then leave the owner without a key.
	now, getErr := m.Get(ctx, ended.Org, KindKey, ended.ID)
	if getErr == nil && now.ReplacedBy == next.ID {
		*ended = now
		return nil
	}
	return errors.Join(err, m.takeBack(ctx, *next))
}

// takeBack revokes a new credential that must not be used. The context is one of
// cleanUp.
func (m *Manager) takeBack(ctx context.Context, rec Record) error {
	_, err := m.revokeRead(takingBack(ctx), rec)
	return err
}
