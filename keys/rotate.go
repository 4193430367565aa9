package keys

import (
	"context"
	"errors"
	"time"
)

// maxSuccessors bounds how many keys are read to find the newest of those that
// replaced each other.
const maxSuccessors = 8

// RotateSecret gives a client a new secret. The one that it had stays good for
// the time of the overlap; 0 ends it at once. One from an earlier rotation, which
// may still be good, ends at once in any case, so that there are never more than
// two. The error wraps [ErrNotFound], [ErrRevoked], [ErrExpired], [ErrPaused],
// [ErrConflict], or [ErrInvalid] if the overlap is negative; then the client is as
// it was. Or it wraps [ErrUnsettled], because ctx has ended; then the new secret is
// returned beside it. Or it wraps [ErrUnavailable]; then, if the store could not even
// be read again, the client may have a new secret that nobody knows.
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
			// The try before this one was reported as a conflict, and was done
			// all the same. Once more, and the old secret would be gone.
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
		// A write whose answer was lost is done all the same.
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
	// would have been. If zero, it ends at once. [Forever] leaves its end as
	// it is, for it to be revoked when the new one is in use.
	Overlap time.Duration
	// Lifetime is how long the new key is good, in whole milliseconds, or
	// [Forever]. If zero, as long as the old one was from when it was made to its
	// end. The end of a key that was rotated before may have been brought
	// forward; then its newest successor counts in its place.
	Lifetime time.Duration
	// CreatedBy is the host's name for who rotates, as in [Spec].
	CreatedBy string
}

// Rotate makes a new key with the label, scopes, limit, environment, networks
// and metadata of an old one, whose record names its successor from then on. No
// window is left in which neither is good. A key can be rotated more than once, as
// by somebody who did not get the answer; then its record names the last
// successor.
//
// The error wraps [ErrNotFound], [ErrRevoked], [ErrExpired], [ErrPaused],
// [ErrConflict], or [ErrInvalid] if a time is not as [Rotation] says; then the old
// key is as it was. Or it wraps [ErrUnavailable]; then, if the store could not even
// be read again, the end of the old key may have been written all the same. No new
// key is good in either case. Or it wraps [ErrUnsettled], because ctx has ended; then
// the rotation is done, and the new key is returned beside it.
func (m *Manager) Rotate(ctx context.Context, org, id string, r Rotation) (Issued, error) {
	done, err := m.rotate(ctx, org, id, &rotation{Rotation: r})
	return done.issued, m.everywhereForOnce(ctx, err)
}

// A rotation is a Rotation with what an Actor adds to it.
type rotation struct {
	Rotation
	ends   time.Time           // when the successor ends at the latest; zero for never
	check  func(*Record) error // says of the old key whether it may be rotated; may be nil
	capped bool                // whether the successor counts for the organization's cap
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

// rotateOnce inserts the successor first and then ends the old key, under the
// version that the successor was copied from: if the old key was revoked or
// narrowed meanwhile, the successor is taken back.
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
	if r.Overlap != Forever {
		ended.ExpiresAt = earlier(old.ExpiresAt, endAfter(now, r.Overlap))
	}
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
	}
	rec.ExpiresAt = earlier(endAfter(now, lifetime), r.ends)
	return rec, nil
}

// lastSuccessor returns the newest of the keys that replaced each other after
// rec, or rec itself. All but the newest may have had their ends brought forward.
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

// earlier returns the earlier of two ends, of which the zero time is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// replace writes the record of a key that has a successor over old. If it cannot, it takes
// the successor back. The secret of that is known to nobody then, so it opens
// nothing even if that fails too.
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
	// A write whose answer was lost is done all the same, and taking the
	// successor back as well would leave the owner without a key.
	now, getErr := m.Get(ctx, ended.Org, KindKey, ended.ID)
	if getErr == nil && now.ReplacedBy == next.ID {
		*ended = now
		return nil
	}
	return errors.Join(err, m.takeBack(ctx, *next))
}

// takeBack revokes what was made and must not be used. The context is that of
// cleanUp.
func (m *Manager) takeBack(ctx context.Context, rec Record) error {
	_, err := m.revokeRead(takingBack(ctx), rec)
	return err
}
