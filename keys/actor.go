package keys

import (
	"context"
	"errors"
	"slices"
	"time"
)

// An Actor makes, changes and ends credentials on behalf of a principal, in the
// principal's organization. It lets the principal give away only what it has itself.
// [Manager.As] makes one. An Actor is safe for concurrent use.
//
// Each method reads the principal's credential from the store before it writes.
// Create, Change, Rotate and RotateSecret read it again after the write. So the
// rights count that the principal has then, not those that it had when the request
// came. If the credential has ended meanwhile, or no longer permits what was done,
// the change is taken back.
//
// No credential gets
//
//   - scopes that the principal lacks, except for the always-granted ones;
//   - a limit above the principal's; a principal without a limit can make no
//     credentials;
//   - an environment other than the principal's, unless the principal is in the
//     format's first environment or in none;
//   - networks beyond the principal's;
//   - an end later than the end that the principal's lasting credential has at that
//     moment; a later end is brought forward to it.
//
// A principal without a Kind is a session of the host. It is not looked up, and has
// no end.
//
// The errors are those of the Manager's methods of the same names. They can also
// wrap
//
//   - [ErrCallerEnded] if the principal's own credential has ended;
//   - [ErrBeyond], with a [*BeyondError], if the principal has too little;
//   - [ErrUnavailable] if the principal's credential could not be read. Then the
//     change may have been made, and may have been taken back.
type Actor struct {
	m *Manager
	p Principal
}

// As returns an Actor for p.
func (m *Manager) As(p Principal) Actor { return Actor{m, p} }

// Environments returns the environments in which the principal may make keys and
// clients, in the order of the key format: all of them, or only its own. The result
// is empty if the format has none. Environments does not read the store.
func (a Actor) Environments() []string {
	p := maker{Principal: a.p}
	return slices.DeleteFunc(a.m.key.Environments(), func(env string) bool { return !a.m.reaches(&p, env) })
}

// confirm looks at the principal again after a write. It calls undo if the
// principal's credential has ended, or if check fails. For a change, before and
// after are the record as it was and as it is now; for something new they are nil.
// A change that was undone is settled like any other, since caches may have seen it.
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

// itself is for a principal that has changed its own lasting credential. It returns
// the principal as it would be now without the change, since the change must not widen
// its own rights. What others have taken away since counts. The argument ended is the
// error of looking at the principal as it is now. If the credential has ended by the
// change itself, as when a key pauses itself or is rotated without an overlap, that is
// no error.
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
	a.m.takeOut(lasting, before, after)
	return a.m.standing(ctx, &a.p, &rec, &parent)
}

// Create makes a key or a client. If the Scopes of the Spec are nil, a key gets only the
// always-granted ones, and a client all that the principal holds. An empty slice stands
// for the always-granted ones alone. If the Spec has no environment or no networks, the
// credential gets those of the principal. CreatedBy is always the ID of the principal's
// lasting credential, or the name of the host's session. Create fails with
// [ErrLimitReached] if the organization has as many keys or clients as it may have.
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

// Change changes a credential. The fields that the change names must be within what
// the principal has; the other fields may be wider. So a scope that the principal adds to
// a credential which lives longer, or which may be used from more networks, stays there
// after the principal has ended, and in all these networks. A principal that could not
// make the credential in its environment gives it nothing more: no scope, no address, no
// higher limit and no later end. A later end is brought forward to that of the
// principal's lasting credential. An end cannot be taken away. To resume a paused
// credential, the principal must have all that the credential has.
func (a Actor) Change(ctx context.Context, kind Kind, id string, c Change) (_ Record, err error) {
	defer func() { a.refused(ctx, id, err) }()
	ctx = a.m.by(ctx, a.p.name())
	p, err := a.m.look(ctx, a.p)
	if err != nil {
		return Record{}, err
	}
	before, rec, err := a.m.update(ctx, p.Org, kind, id, false, func(rec *Record) error {
		was := *rec
		if err := a.m.apply(rec, c); err != nil {
			return err
		}
		if c.Lifetime != nil {
			rec.ExpiresAt = earlier(rec.ExpiresAt, p.ends)
			if !was.ExpiresAt.IsZero() && rec.ExpiresAt.IsZero() {
				return &BeyondError{FieldLifetime}
			}
		}
		return a.m.permits(ctx, &p, &was, rec, c)
	})
	switch {
	case err == errUnchanged:
		return rec, nil
	case err != nil:
		return Record{}, err
	}
	a.m.tell(ctx, Changed, &rec)
	err = a.confirm(ctx, &before, &rec,
		func(p *maker) error { return a.m.permits(ctx, p, &before, &rec, c) },
		func(ctx context.Context) error { return a.m.undo(ctx, &before, &rec) })
	if err != nil {
		return Record{}, err
	}
	return rec, a.m.everywhere(ctx, nil)
}

// Rotate rotates a key. The principal must have all that the key has, and the
// successor counts as made by the principal. Unless the old key ends at once, Rotate
// fails with [ErrLimitReached] if the organization has as many keys as it may have.
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
			// The old key first, since somebody uses it. Nobody has the new secret.
			return errors.Join(a.m.undo(ctx, &done.old, &done.ended), a.m.takeBack(ctx, done.issued.Record))
		})
	if err != nil {
		return Issued{}, err
	}
	return done.issued, a.m.everywhereForOnce(ctx, nil)
}

// RotateSecret gives a client a new secret. The principal must have all that the
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

// Revoke ends a credential. To end a client, the principal must have the client's
// scopes. To end a key it needs none, so that whoever sees that a key has leaked can
// end it.
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
