package keys

import (
	"context"
	"errors"
	"slices"
	"time"
)

// An Actor makes, changes and ends credentials of its principal's organization
// on the principal's behalf, and holds it to what it has. [Manager.As] makes one.
// It is safe for concurrent use.
//
// Each method looks at the principal's credential before it writes, and again when
// it has written, but for the methods that only end something. So rights count as
// they are then, not as they were when the request came. If the credential has
// ended meanwhile, or does not permit any more what was done, that is taken back.
//
// No credential gets
//
//   - scopes that the principal lacks, besides the always-granted ones;
//   - a limit above the principal's; a principal without a limit makes none;
//   - an environment other than the principal's, unless that has the format's
//     first one or none;
//   - networks beyond the principal's;
//   - an end later than that of the principal's lasting credential at that
//     moment: a later one is brought forward.
//
// A principal without a Kind is the host's own session: it is taken as it is, and
// has no end.
//
// The errors are those of the Manager's methods of the same names. Besides, they
// wrap
//
//   - [ErrCallerEnded] if the principal's own credential has ended;
//   - [ErrBeyond], with a [*BeyondError], if it has too little;
//   - [ErrUnavailable] if it could not be looked at.
//
// With an error that wraps [ErrUnavailable] it is open whether something was done,
// and whether it was taken back.
type Actor struct {
	m *Manager
	p Principal
}

// As returns an Actor for p.
func (m *Manager) As(p Principal) Actor { return Actor{m, p} }

// Environments returns the environments in which the principal may make keys and
// clients, in the order of the key format: all of them, or its own alone. It is
// empty if the format has none. It goes by the principal as it is in a.
func (a Actor) Environments() []string {
	p := maker{Principal: a.p}
	return slices.DeleteFunc(a.m.key.Environments(), func(env string) bool { return !a.m.reaches(&p, env) })
}

// confirm looks at the principal again after a write, and calls undo if its
// credential has ended or if check does not pass any more. Of a change it takes the
// record before and after; of something new neither. A change that was undone is
// settled like any other: caches may have seen what it gave.
func (a Actor) confirm(ctx context.Context, before, after *Record, check func(*maker) error, undo func(ctx context.Context) error) error {
	p, err := a.m.look(ctx, a.p)
	if before != nil && a.p.Kind != "" && before.ID == a.p.LastingID() && (err == nil || err == ErrCallerEnded) {
		p, err = a.itself(ctx, before, after, err)
	}
	if err == nil {
		err = check(&p)
	}
	if err == nil {
		return nil
	}
	clean, cancel := cleanUp(ctx)
	defer cancel()
	failed := undo(clean)
	if before != nil {
		failed = a.m.everywhere(ctx, failed)
	}
	return errors.Join(err, failed)
}

// itself is for a principal that has changed its own lasting credential: it
// returns the principal as it was before, since nobody may take more from the
// change than it had. The error is that of the look at it as it is now: if it has
// ended, that may be because of the change itself, as when a key pauses itself or
// is rotated without an overlap, and is no error then.
func (a Actor) itself(ctx context.Context, before, after *Record, ended error) (maker, error) {
	rec, parent, err := a.m.store.Get(ctx, a.p.ID)
	if errors.Is(err, ErrNotFound) {
		err = ErrCallerEnded
	}
	if err != nil {
		return maker{}, err
	}
	lasting := &rec
	if a.p.Kind == KindToken {
		lasting = &parent
	}
	if ended != nil && lasting.Version != after.Version {
		return maker{}, ended
	}
	*lasting = *before
	return a.m.standing(ctx, &a.p, &rec, &parent)
}

// Create makes a key or a client. Without scopes a key has the always-granted
// ones alone, and a client all that the principal holds. Without an environment
// or networks it has those of the principal. Its CreatedBy is the principal's
// lasting credential, or the name of the host's session, whatever the Spec says.
// It fails with [ErrLimitReached] if the organization has as many as it may have.
func (a Actor) Create(ctx context.Context, spec Spec) (_ Issued, err error) {
	defer func() { a.refused(ctx, "", err) }()
	ctx = a.m.by(ctx, a.p.name())
	p, err := a.m.look(ctx, a.p)
	if err != nil {
		return Issued{}, err
	}
	rec, err := a.m.recordOf(ctx, &p, spec)
	if err != nil {
		return Issued{}, err
	}
	issued, err := a.m.issue(ctx, rec)
	if err != nil {
		return Issued{}, err
	}
	err = a.confirm(ctx, nil, nil, func(p *maker) error {
		if err := a.m.mayHaveMade(ctx, p, &issued.Record); err != nil {
			return err
		}
		return a.m.withinCap(ctx, &issued.Record)
	}, func(ctx context.Context) error { return a.m.takeBack(ctx, issued.Record) })
	if err != nil {
		return Issued{}, err
	}
	return issued, nil
}

// Change changes a credential. What the change names must be within what the
// principal has; the rest of the record may be wider. A lifetime is brought
// forward to the end of the principal's lasting credential, and never takes an end
// away. To let a paused credential go on takes all that it has.
func (a Actor) Change(ctx context.Context, kind Kind, id string, c Change) (_ Record, err error) {
	defer func() { a.refused(ctx, id, err) }()
	ctx = a.m.by(ctx, a.p.name())
	p, err := a.m.look(ctx, a.p)
	if err != nil {
		return Record{}, err
	}
	before, rec, err := a.m.update(ctx, p.Org, kind, id, false, func(rec *Record) error {
		ended := !rec.ExpiresAt.IsZero()
		if err := a.m.apply(rec, c); err != nil {
			return err
		}
		if c.Lifetime != nil {
			rec.ExpiresAt = earlier(rec.ExpiresAt, p.ends)
			if ended && rec.ExpiresAt.IsZero() {
				return &BeyondError{FieldLifetime}
			}
		}
		return a.m.permits(ctx, &p, rec, c)
	})
	switch {
	case err == errUnchanged:
		return rec, nil
	case err != nil:
		return Record{}, err
	}
	a.m.tell(ctx, Changed, &rec)
	err = a.confirm(ctx, &before, &rec,
		func(p *maker) error { return a.m.permits(ctx, p, &rec, c) },
		func(ctx context.Context) error { return a.m.undo(ctx, &before, &rec) })
	if err != nil {
		return Record{}, err
	}
	return rec, a.m.everywhere(ctx, nil)
}

// Rotate rotates a key, for a principal who has all that the key has. The
// successor counts as made by the principal. Unless the old key ends at once, it
// fails with [ErrLimitReached] if the organization has as many keys as it may
// have.
func (a Actor) Rotate(ctx context.Context, id string, r Rotation) (_ Issued, err error) {
	defer func() { a.refused(ctx, id, err) }()
	ctx = a.m.by(ctx, a.p.name())
	p, err := a.m.look(ctx, a.p)
	if err != nil {
		return Issued{}, err
	}
	r.CreatedBy = p.name()
	done, err := a.m.rotate(ctx, p.Org, id, &rotation{
		Rotation: r, ends: p.ends, capped: r.Overlap > 0,
		check: func(rec *Record) error { return a.m.covers(ctx, &p, rec) },
	})
	if err != nil {
		return Issued{}, err
	}
	err = a.confirm(ctx, &done.old, &done.ended,
		func(p *maker) error { return a.m.mayHaveMade(ctx, p, &done.issued.Record) },
		func(ctx context.Context) error {
			// The old key first: nobody has the secret of the new one.
			return errors.Join(a.m.undo(ctx, &done.old, &done.ended), a.m.takeBack(ctx, done.issued.Record))
		})
	if err != nil {
		return Issued{}, err
	}
	return done.issued, a.m.everywhereForOnce(ctx, nil)
}

// RotateSecret gives a client a new secret, for a principal who has all that the
// client has.
func (a Actor) RotateSecret(ctx context.Context, id string, overlap time.Duration) (_ Issued, err error) {
	defer func() { a.refused(ctx, id, err) }()
	ctx = a.m.by(ctx, a.p.name())
	p, err := a.m.look(ctx, a.p)
	if err != nil {
		return Issued{}, err
	}
	old, issued, err := a.m.rotateSecret(ctx, p.Org, id, overlap, func(rec *Record) error { return a.m.covers(ctx, &p, rec) })
	if err != nil {
		return Issued{}, err
	}
	err = a.confirm(ctx, &old, &issued.Record,
		func(p *maker) error { return a.m.covers(ctx, p, &issued.Record) },
		func(ctx context.Context) error { return a.m.undo(ctx, &old, &issued.Record) })
	if err != nil {
		return Issued{}, err
	}
	return issued, a.m.everywhereForOnce(ctx, nil)
}

// Revoke ends a credential. To end a client takes its scopes; to end a key takes
// none, so that whoever sees that a key has leaked can end it.
func (a Actor) Revoke(ctx context.Context, kind Kind, id string) (err error) {
	defer func() { a.refused(ctx, id, err) }()
	ctx = a.m.by(ctx, a.p.name())
	p, err := a.m.look(ctx, a.p)
	if err != nil {
		return err
	}
	_, err = a.m.revoke(ctx, p.Org, kind, id, func(rec *Record) error {
		if rec.Kind == KindClient {
			return a.m.holds(&p, rec.Scopes)
		}
		return nil
	})
	return a.m.everywhere(ctx, err)
}
