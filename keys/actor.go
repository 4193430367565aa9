package keys

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/scopes"
)

// An Actor makes, changes and ends credentials of its principal's organization
// on the principal's behalf, and holds it to what it has. [Manager.As] makes one.
// It is safe for concurrent use.
//
// Each method looks at the principal's credential before it writes and, but for
// the methods that only end something, again when it has written: rights count as
// they are then, not as they were when the request came. If the credential has
// ended meanwhile, or does not permit any more what was done, that is taken back.
//
// No credential gets
//
//   - scopes that the principal lacks, besides the always-granted ones;
//   - a limit above the principal's, who hands on none if it has none;
//   - an environment other than the principal's, unless that has the format's
//     first one or none;
//   - networks beyond the principal's;
//   - an end later than that of the principal's lasting credential at that
//     moment: a later one is brought forward.
//
// A principal without a Kind is the host's own session: it is taken as it is, and
// has no end.
//
// Besides those of the Manager's methods of the same names, errors are
// [ErrCallerEnded], wrap [ErrBeyond], or wrap [ErrUnavailable] if the principal's
// credential could not be looked at.
type Actor struct {
	m *Manager
	p Principal
}

// As returns an Actor for p.
func (m *Manager) As(p Principal) Actor { return Actor{m, p} }

// A maker is a principal as it is now, and when its lasting credential ends.
type maker struct {
	Principal
	ends time.Time
}

// Recheck returns the principal as it is now. It is for handlers that let time
// pass between the check of a request and its effect, as by reading a body:
// whoever holds the body back must not act with rights that were taken away
// meanwhile. A principal without a Kind, which is the host's own, is returned as
// it is. The error is [ErrCallerEnded] or wraps [ErrUnavailable].
func (m *Manager) Recheck(ctx context.Context, p Principal) (Principal, error) {
	now, err := m.look(ctx, p)
	return now.Principal, err
}

// look is Recheck that says when the lasting credential ends.
func (m *Manager) look(ctx context.Context, p Principal) (maker, error) {
	if p.Kind == "" {
		return maker{Principal: p}, nil
	}
	var buf, parentBuf Record
	var next Principal
	now := time.Now()
	rec, parent, err := m.verifier.lookUp(ctx, p.ID, &buf, &parentBuf)
	switch {
	case err == ErrUnknown:
		return maker{}, ErrCallerEnded
	case err != nil:
		return maker{}, err
	case rec.Org != p.Org || rec.Kind != p.Kind || rec.Revoked() || rec.Expired(now) || rec.Disabled():
		return maker{}, ErrCallerEnded
	}
	switch err := m.verifier.fill(ctx, &next, rec, parent, now); {
	case err == ErrRevoked || err == ErrPaused:
		return maker{}, ErrCallerEnded
	case err != nil:
		return maker{}, err
	}
	lasting := rec
	if rec.Kind == KindToken {
		lasting = parent
	}
	return maker{next, lasting.ExpiresAt}, nil
}

// name returns what stands in CreatedBy of what a principal makes.
func (p *Principal) name() string {
	switch {
	case p.Kind != "":
		return p.LastingID()
	case strings.Contains(p.ID, ":"):
		return p.ID
	}
	return "host:" + p.ID
}

// holds says whether the principal holds all scopes of a set, not counting those
// that everybody holds.
func (m *Manager) holds(p *maker, set scopes.Set) error {
	if !p.Scopes.Union(m.catalog.Always()).ContainsAll(set) {
		return &BeyondError{FieldScopes}
	}
	return nil
}

// covers says whether the principal has all that a record has.
func (m *Manager) covers(ctx context.Context, p *maker, rec *Record) error {
	if err := m.holds(p, rec.Scopes); err != nil {
		return err
	}
	limit, err := m.limit(ctx, rec.Org, rec.RateLimit)
	switch {
	case err != nil:
		return err
	case limit > p.RateLimit:
		return &BeyondError{FieldRateLimit}
	case !p.Networks.Covers(rec.Networks):
		return &BeyondError{FieldNetworks}
	}
	return nil
}

// confirm looks at the principal again after a write. If its credential has
// ended, or check does not pass any more, it calls undo.
func (a Actor) confirm(ctx context.Context, check func(*maker) error, undo func(ctx context.Context) error) error {
	p, err := a.m.look(ctx, a.p)
	if err == nil {
		err = check(&p)
	}
	if err == nil {
		return nil
	}
	ctx, cancel := cleanUp(ctx)
	defer cancel()
	return errors.Join(err, undo(ctx))
}

// restore returns what undoes a change: it writes a record as it was over what
// became of it, unless somebody has changed it again since.
func (a Actor) restore(old, now Record) func(context.Context) error {
	return func(ctx context.Context) error {
		old.Version = now.Version
		err := a.m.write(ctx, &old)
		if errors.Is(err, ErrConflict) {
			return nil // the next change was made by somebody else's rights
		}
		return err
	}
}

// Create makes a key or a client. Without scopes a key has the always-granted
// ones alone, and a client all that the principal holds. Without an environment
// it has the principal's, and without networks the principal's. Its
// CreatedBy is the principal's lasting credential, whatever the Spec says. It
// fails with [ErrLimitReached] if the organization has as many as it may have.
func (a Actor) Create(ctx context.Context, spec Spec) (Issued, error) {
	p, err := a.m.look(ctx, a.p)
	if err != nil {
		return Issued{}, err
	}
	rec, err := a.record(ctx, &p, spec)
	if err != nil {
		return Issued{}, err
	}
	issued, err := a.m.issue(ctx, rec)
	if err != nil {
		return Issued{}, err
	}
	undo := func(ctx context.Context) error { return a.m.takeBack(ctx, issued.Record) }
	if err := a.m.withinCap(ctx, &issued.Record); err != nil {
		return Issued{}, errors.Join(err, undo(ctx))
	}
	err = a.confirm(ctx, func(p *maker) error { return a.m.covers(ctx, p, &issued.Record) }, undo)
	if err != nil {
		return Issued{}, err
	}
	return issued, nil
}

// record returns the record of what p makes.
func (a Actor) record(ctx context.Context, p *maker, spec Spec) (Record, error) {
	if spec.Kind == KindClient && spec.Scopes == nil {
		spec.Scopes = p.Scopes.Intersect(a.m.catalog.Grantable()).Names()
	}
	if spec.Environment == "" {
		spec.Environment = p.Environment
	}
	if spec.Networks.IsEmpty() {
		spec.Networks = p.Networks
	}
	asked := spec.RateLimit
	spec.CreatedBy = p.name()
	rec, err := a.m.record(p.Org, spec)
	if err != nil {
		return Record{}, err
	}
	if asked == 0 {
		if rec.RateLimit, err = a.figure(ctx, p); err != nil {
			return Record{}, err
		}
	}
	if err := a.m.covers(ctx, p, &rec); err != nil {
		return Record{}, err
	}
	if !a.m.reaches(p, rec.Environment) {
		return Record{}, &BeyondError{FieldEnvironment}
	}
	rec.ExpiresAt = earlier(rec.ExpiresAt, p.ends)
	return rec, nil
}

// figure returns the limit of a new credential of p's that asks for none: what
// the plan gives if p has all of that, and else the default as far as p has it.
func (a Actor) figure(ctx context.Context, p *maker) (int, error) {
	if p.RateLimit < 1 {
		return 0, &BeyondError{FieldRateLimit}
	}
	if a.m.plan != nil {
		plan, err := a.m.limit(ctx, p.Org, 0)
		if err != nil {
			return 0, err
		}
		if plan <= p.RateLimit {
			return 0, nil
		}
		return p.RateLimit, nil
	}
	return min(a.m.rateLimit, p.RateLimit), nil
}

// reaches reports whether p may make something in an environment.
func (m *Manager) reaches(p *maker, environment string) bool {
	all := m.key.Environments()
	return p.Environment == "" || len(all) == 0 || p.Environment == all[0] || p.Environment == environment
}

// Change changes a credential. What the change names must be within what the
// principal has; the rest of the record may be wider. A lifetime is brought
// forward to the end of the principal's lasting credential, and to let a paused
// credential go on takes all that it has.
func (a Actor) Change(ctx context.Context, kind Kind, id string, c Change) (Record, error) {
	p, err := a.m.look(ctx, a.p)
	if err != nil {
		return Record{}, err
	}
	old, rec, err := a.m.update(ctx, p.Org, kind, id, false, func(rec *Record) error {
		before := *rec
		if err := a.m.apply(rec, c); err != nil {
			return err
		}
		if c == (Change{}) {
			return errUnchanged
		}
		if c.Lifetime != nil {
			rec.ExpiresAt = earlier(rec.ExpiresAt, p.ends)
			if rec.ExpiresAt.IsZero() && !before.ExpiresAt.IsZero() {
				return &BeyondError{FieldLifetime}
			}
		}
		return a.m.permits(ctx, &p, rec, c)
	})
	if err == errUnchanged {
		return rec, nil
	}
	if err != nil {
		return Record{}, err
	}
	a.m.tell(ctx, Changed, &rec)
	err = a.confirm(ctx, func(p *maker) error { return a.m.permits(ctx, p, &rec, c) }, a.restore(old, rec))
	if err != nil {
		return Record{}, err
	}
	return rec, nil
}

// permits says whether p may make a change that leads to rec.
func (m *Manager) permits(ctx context.Context, p *maker, rec *Record, c Change) error {
	if c.Disabled != nil && !*c.Disabled {
		return m.covers(ctx, p, rec)
	}
	if c.Scopes != nil {
		if err := m.holds(p, rec.Scopes); err != nil {
			return err
		}
	}
	if c.Networks != nil && !p.Networks.Covers(rec.Networks) {
		return &BeyondError{FieldNetworks}
	}
	if c.RateLimit != nil {
		limit, err := m.limit(ctx, rec.Org, rec.RateLimit)
		if err != nil {
			return err
		}
		if limit > p.RateLimit {
			return &BeyondError{FieldRateLimit}
		}
	}
	return nil
}

// Rotate rotates a key, for a principal who has all that the key has. The
// successor counts as made by the principal. Unless the old key ends at once, it
// fails with [ErrLimitReached] if the organization has as many keys as it may
// have.
func (a Actor) Rotate(ctx context.Context, id string, r Rotation) (Issued, error) {
	p, err := a.m.look(ctx, a.p)
	if err != nil {
		return Issued{}, err
	}
	r.CreatedBy = p.name()
	done, err := a.m.rotate(ctx, p.Org, id, r, p.ends, func(rec *Record) error { return a.m.covers(ctx, &p, rec) })
	if err != nil {
		return Issued{}, err
	}
	undo := func(ctx context.Context) error {
		return errors.Join(a.m.takeBack(ctx, done.issued.Record), a.restore(done.old, done.ended)(ctx))
	}
	if r.Overlap > 0 {
		if err := a.m.withinCap(ctx, &done.issued.Record); err != nil {
			return Issued{}, errors.Join(err, undo(ctx))
		}
	}
	err = a.confirm(ctx, func(p *maker) error { return a.m.covers(ctx, p, &done.issued.Record) }, undo)
	if err != nil {
		return Issued{}, err
	}
	return done.issued, nil
}

// RotateSecret gives a client a new secret, for a principal who has all that the
// client has.
func (a Actor) RotateSecret(ctx context.Context, id string, overlap time.Duration) (Issued, error) {
	p, err := a.m.look(ctx, a.p)
	if err != nil {
		return Issued{}, err
	}
	old, issued, err := a.m.rotateSecret(ctx, p.Org, id, overlap, func(rec *Record) error { return a.m.covers(ctx, &p, rec) })
	if err != nil {
		return Issued{}, err
	}
	err = a.confirm(ctx, func(p *maker) error { return a.m.covers(ctx, p, &issued.Record) }, a.restore(old, issued.Record))
	if err != nil {
		return Issued{}, err
	}
	return issued, nil
}

// Revoke ends a credential. To end a client takes its scopes; to end a key takes
// none, so that whoever sees that a key has leaked can end it.
func (a Actor) Revoke(ctx context.Context, kind Kind, id string) error {
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
	return err
}

// withinCap says whether an organization has no more keys or clients than it may
// have, with a new one among them. Of several that are made at once, each counts
// all the others, so there is never one too many.
func (m *Manager) withinCap(ctx context.Context, rec *Record) error {
	most := m.caps[rec.Kind]
	if most < 0 {
		return nil
	}
	n, err := m.Count(ctx, rec.Org, rec.Kind, most+1)
	if err != nil {
		return err
	}
	if n > most {
		return ErrLimitReached
	}
	return nil
}
